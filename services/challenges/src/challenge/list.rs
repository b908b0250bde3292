//! The challenges of the caller, in pages.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    clock::now,
    database::{Database, Query, Value, query},
    problem::{Fields, Problem},
    query::Params,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use super::record::{COLUMNS, ChallengeBase, ChallengeRow, STATUSES, has_status};
use crate::{
    app::State,
    cached,
    caller::{Caller, gone},
    checkin::lasting,
    day::AskedZone,
    page::{Newest, PageInfo, Part},
    profile,
    wording::check_query,
};

/// A challenge with how the caller takes part in it.
#[derive(Debug, Clone, FromRow, Serialize, Deserialize)]
struct ListRow {
    #[sqlx(flatten)]
    challenge: ChallengeRow,
    my_role: String,
    my_status: String,
    current_streak: i64,
    streak_ends_at: Option<DateTime<Utc>>,
    total: i64,
}

/// A page as it is cached.
#[derive(Serialize, Deserialize)]
struct Rows {
    /// One more than shown if there are more.
    rows: Vec<ListRow>,
    total: i64,
}

/// A challenge in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ChallengeList {
    #[serde(flatten)]
    challenge: ChallengeBase,
    /// The caller's days in a row.
    current_streak: i64,
    /// Only for its creator.
    invite_code: Option<String>,
    /// creator, admin or member.
    my_role: String,
    /// pending, active or left.
    my_status: String,
}

/// A page of challenges.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Challenges {
    challenges: Vec<ChallengeList>,
    #[serde(flatten)]
    page: PageInfo,
}

/// What a list is asked for.
struct Wanted {
    caller: Uuid,
    status: Option<&'static str>,
    member_status: Option<&'static str>,
    part: Part<Newest>,
    today: NaiveDate,
}

const MEMBER_STATUSES: [&str; 3] = ["pending", "active", "left"];

/// One's challenges, newest first
///
/// Those in which one takes part or waits to, unless `member_status` says so. From the cache for a
/// minute, or until something in them changes.
#[utoipa::path(get, path = "/api/v1/challenges/", tag = "challenges", security(("bearer" = [])), params(
    ("status_filter" = Option<String>, Query, pattern = "^(pending|active|completed|failed|archived)?$", description = "Only challenges with this status"),
    ("member_status" = Option<String>, Query, pattern = "^(pending|active|left)?$", description = "Only those in which one is this"),
    ("page" = Option<i64>, Query, minimum = 1, description = "The page, from 1"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Challenges on a page; 20"),
    ("cursor" = Option<String>, Query, pattern = "^$", description = "Goes on after the page that gave it, however deep"),
), responses((status = 200, description = "The page", body = Challenges)))]
#[tracing::instrument(name = "challenges.list", skip_all, fields(cache_hit))]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    zone: AskedZone,
    params: Params,
) -> Result<Json<Challenges>, Problem> {
    let mut fields = Fields::new();
    let part = Part::read(&params, &mut fields);
    let status = word("status_filter", &params, &STATUSES, &mut fields);
    let member_status = word("member_status", &params, &MEMBER_STATUSES, &mut fields);
    check_query(fields)?;
    let profile = profile::of(&state, caller.id).await?.ok_or_else(gone)?;
    let now = now();
    let today = zone.or(profile.timezone.as_deref()).day(now);
    let wanted = Wanted {
        caller: caller.id,
        status,
        member_status,
        part: part.clone(),
        today,
    };
    let found = wanted.find(&state).await?;
    let mut rows = found.rows.clone();
    let page = part.finish(&mut rows, found.total, |row| {
        Newest(row.challenge.created_at, row.challenge.challenge_id)
    });
    let challenges = rows.into_iter().map(|row| row.shown(caller, today, now));
    Ok(Json(Challenges {
        challenges: challenges.collect(),
        page,
    }))
}

/// One of these words, if there is one.
pub(crate) fn word(
    name: &str,
    params: &Params,
    words: &[&'static str],
    fields: &mut Fields,
) -> Option<&'static str> {
    let text = params.get(name)?;
    let word = words.iter().find(|word| **word == text).copied();
    if word.is_none() {
        let message = format!("must be one of {}", words.join(", "));
        fields.insert(name.to_owned(), message);
    }
    word
}

impl ListRow {
    fn shown(self, caller: Caller, today: NaiveDate, now: DateTime<Utc>) -> ChallengeList {
        let is_creator = self.challenge.created_by == caller.id;
        ChallengeList {
            challenge: self.challenge.base(today),
            current_streak: lasting(self.current_streak, self.streak_ends_at, now),
            invite_code: is_creator.then_some(self.challenge.invite_code),
            my_role: self.my_role,
            my_status: self.my_status,
        }
    }
}

impl Wanted {
    /// From the cache, or with one statement.
    async fn find(self, state: &State) -> Result<std::sync::Arc<Rows>, Problem> {
        let (key, tags) = (self.key(), [cached::lists(self.caller)]);
        let database = state.database.clone();
        let load = move || async move { self.read(&database).await.map(Some) };
        let found = cached::find(&state.cache, &key, &state.policies.list, tags, load).await?;
        found.ok_or_else(Problem::internal)
    }

    /// The day matters where a challenge that begins on it is found or not.
    fn key(&self) -> String {
        let Self { caller, part, .. } = self;
        let status = self.status.unwrap_or_default();
        let member_status = self.member_status.unwrap_or_default();
        let today = match self.status {
            Some("pending" | "active") => self.today.to_string(),
            _ => String::new(),
        };
        let place = match &part.after {
            None => part.page.to_string(),
            Some(Newest(at, id)) => format!("{}-{id}", at.timestamp_micros()),
        };
        format!(
            "challenges:{caller}:{status}:{member_status}:{today}:{place}:{}",
            part.limit
        )
    }

    async fn read(&self, database: &Database) -> Result<Rows, sqlx::Error> {
        let (condition, mut values) = self.condition();
        let mut place = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        let after = match &self.part.after {
            None => String::new(),
            Some(Newest(at, id)) => {
                let (at, id) = (place((*at).into()), place((*id).into()));
                format!("\nWHERE (x.created_at, x.challenge_id) < ({at}, {id})")
            }
        };
        let (limit, offset) = (
            place(self.part.rows().into()),
            place(self.part.offset().into()),
        );
        // All challenges of one user are counted: some dozens.
        let text = format!(
            "SELECT x.*
FROM (
    SELECT {COLUMNS}, m.role AS my_role, m.status AS my_status, m.current_streak, m.streak_ends_at,
        count(*) OVER () AS total
    FROM challenge_members AS m
    JOIN challenges AS c ON c.id = m.challenge_id
    WHERE {condition}
) AS x{after}
ORDER BY x.created_at DESC, x.challenge_id DESC
LIMIT {limit} OFFSET {offset}"
        );
        let rows: Vec<ListRow> = bound(text, values).fetch_all(database.read()).await?;
        let total = match rows.first() {
            Some(row) => row.total,
            None if self.part.page == 1 && self.part.after.is_none() => 0,
            None => self.count(database).await?,
        };
        Ok(Rows { rows, total })
    }

    /// How many there are, for who asks for a page past the end.
    async fn count(&self, database: &Database) -> Result<i64, sqlx::Error> {
        let (condition, values) = self.condition();
        let text = format!(
            "SELECT count(*)
FROM challenge_members AS m
JOIN challenges AS c ON c.id = m.challenge_id
WHERE {condition}"
        );
        bound(text, values).fetch_scalar(database.read()).await
    }

    fn condition(&self) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = vec![self.caller.into()];
        let mut condition = "m.user_id = $1".to_owned();
        condition += match self.member_status {
            None => " AND m.status IN ('active', 'pending')",
            Some("pending") => " AND m.status = 'pending'",
            Some("active") => " AND m.status = 'active'",
            Some(_) => " AND m.status = 'left'",
        };
        if let Some(status) = self.status {
            if matches!(status, "pending" | "active") {
                values.push(self.today.into());
            }
            condition += &format!(" AND {}", has_status(status, "$2"));
        }
        (condition, values)
    }
}

fn bound(text: String, values: Vec<Value>) -> Query {
    query(text).bind_all(values)
}
