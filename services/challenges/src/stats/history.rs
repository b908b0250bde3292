//! The challenges that one has taken part in, and how one did.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    clock::now,
    database::{Value, query},
    fields::bound_any,
    partial::{pattern, small},
    problem::{Fields, Problem},
    query::Params,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use crate::{
    app::State,
    caller::{Caller, gone},
    challenge::{completion, has_status, status_on, word},
    day::AskedZone,
    page::{PageInfo, Part},
    profile,
    wording::check_query,
};

/// A challenge with how the caller did.
#[derive(Debug, Clone, FromRow)]
pub(super) struct DoneRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    #[sqlx(rename = "type")]
    kind: String,
    status: String,
    start_date: NaiveDate,
    pub(super) end_date: NaiveDate,
    duration_days: i64,
    member_status: String,
    pub(super) total_checkins: i64,
    pub(super) points_earned: i64,
    habits: i64,
    pub(super) rank: i64,
    pub(super) total: i64,
}

/// The columns of [`DoneRow`] but the last, of `challenge_members AS m` and `challenges AS c`; `$2`
/// now. The rank is found among the members of the challenge, fifty and those who have left.
pub(super) const COLUMNS: &str = "c.id, c.name, c.type, c.status, c.start_date, c.end_date, CAST(c.duration_days AS BIGINT) AS duration_days,
    m.status AS member_status, m.total_checkins, m.points_earned,
    (SELECT count(*) FROM challenge_habits AS h WHERE h.challenge_id = c.id) AS habits,
    (
        SELECT count(*) + 1
        FROM challenge_members AS o
        WHERE o.challenge_id = m.challenge_id
          AND o.status <> 'pending'
          AND (o.points_earned > m.points_earned
               OR (o.points_earned = m.points_earned
                   AND CASE WHEN o.streak_ends_at > $2 THEN o.current_streak ELSE 0 END
                     > CASE WHEN m.streak_ends_at > $2 THEN m.current_streak ELSE 0 END))
    ) AS rank";

/// A challenge that one has taken part in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct HistoryItem {
    id: Uuid,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    start_date: NaiveDate,
    end_date: NaiveDate,
    duration_days: i64,
    /// active, left or kicked.
    member_status: String,
    /// In per cent.
    completion_rate: f64,
    points_earned: i64,
    rank: i64,
}

/// A page of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct History {
    items: Vec<HistoryItem>,
    #[serde(flatten)]
    page: PageInfo,
}

/// The place of a challenge in the list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Place(NaiveDate, Uuid);

const LONGEST_SEARCH: usize = 100;

/// What one has behind oneself
///
/// The challenge that ends last comes first. `left` are those that one has left or was sent away
/// from.
#[utoipa::path(get, path = "/api/v1/stats/history/", tag = "statistics", security(("bearer" = [])), params(
    ("status" = Option<String>, Query, pattern = "^(completed|failed|left|active)?$", description = "completed, failed, left or active"),
    ("search" = Option<String>, Query, max_length = 100, pattern = r"^[^\x00]*$", description = "Part of the name"),
    ("page" = Option<i64>, Query, minimum = 1, description = "The page, from 1"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Challenges on a page; 20"),
    ("cursor" = Option<String>, Query, pattern = "^$", description = "Goes on after the page that gave it, however deep"),
), responses((status = 200, description = "The page", body = History)))]
#[tracing::instrument(name = "stats.history", skip_all)]
pub(crate) async fn history(
    FromState(state): FromState<State>,
    caller: Caller,
    zone: AskedZone,
    params: Params,
) -> Result<Json<History>, Problem> {
    let mut fields = Fields::new();
    let part = Part::<Place>::read(&params, &mut fields);
    let words = ["completed", "failed", "left", "active"];
    let status = word("status", &params, &words, &mut fields);
    let search = params.get("search").map(str::to_owned);
    bound_any("search", search.as_deref(), LONGEST_SEARCH, &mut fields);
    check_query(fields)?;
    let profile = profile::of(&state, caller.id).await?.ok_or_else(gone)?;
    let now = now();
    let today = zone.or(profile.timezone.as_deref()).day(now);
    let wanted = Wanted {
        caller: caller.id,
        status,
        search,
        now,
        today,
        part,
    };
    let mut rows = wanted.read(&state).await?;
    let total = match rows.first() {
        Some(row) => row.total,
        None => wanted.count(&state).await?,
    };
    let page = wanted
        .part
        .finish(&mut rows, total, |row| Place(row.end_date, row.id));
    let items = rows.into_iter().map(|row| row.shown(today));
    Ok(Json(History {
        items: items.collect(),
        page,
    }))
}

struct Wanted {
    caller: Uuid,
    status: Option<&'static str>,
    search: Option<String>,
    now: DateTime<Utc>,
    today: NaiveDate,
    part: Part<Place>,
}

impl Wanted {
    /// All that one user ever joined is counted: some dozens, or hundreds in years.
    async fn read(&self, state: &State) -> Result<Vec<DoneRow>, sqlx::Error> {
        let (condition, mut values) = self.condition();
        let mut place = |value: Value| placed(&mut values, value);
        let after = match &self.part.after {
            None => String::new(),
            Some(Place(end, id)) => {
                let (end, id) = (place((*end).into()), place((*id).into()));
                format!("\n    WHERE (y.end_date, y.id) < ({end}, {id})")
            }
        };
        let (limit, offset) = (
            place(self.part.rows().into()),
            place(self.part.offset().into()),
        );
        let text = format!(
            "SELECT {COLUMNS}, x.total
FROM (
    SELECT y.*
    FROM (
        SELECT m.id AS member, c.id, c.end_date, count(*) OVER () AS total
        FROM challenge_members AS m
        JOIN challenges AS c ON c.id = m.challenge_id
        WHERE {condition}
    ) AS y{after}
    ORDER BY y.end_date DESC, y.id DESC
    LIMIT {limit} OFFSET {offset}
) AS x
JOIN challenge_members AS m ON m.id = x.member
JOIN challenges AS c ON c.id = x.id
ORDER BY x.end_date DESC, x.id DESC"
        );
        let query = query(text).bind_all(values);
        query.fetch_all(state.database.read()).await
    }

    /// How many there are, for who asks for a page past the end.
    async fn count(&self, state: &State) -> Result<i64, sqlx::Error> {
        let (condition, values) = self.condition();
        // The second value has its place in the text of the page only.
        let text = format!(
            "SELECT count(*)
FROM challenge_members AS m
JOIN challenges AS c ON c.id = m.challenge_id
WHERE {condition} AND c.created_at <= $2"
        );
        let query = query(text).bind_all(values);
        query.fetch_scalar(state.database.read()).await
    }

    fn condition(&self) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = vec![self.caller.into(), self.now.into()];
        let mut condition = "m.user_id = $1 AND m.status <> 'pending'".to_owned();
        match self.status {
            None => {}
            Some("left") => condition += " AND m.status IN ('left', 'kicked')",
            Some("active") => {
                let today = placed(&mut values, self.today.into());
                condition += " AND m.status = 'active' AND ";
                condition += &has_status("active", &today);
            }
            Some(status) => condition += &format!(" AND {}", has_status(status, "")),
        }
        if let Some(text) = &self.search {
            let text = placed(&mut values, pattern(&small(text)).into());
            condition += &format!(" AND lower(c.name) LIKE {text} ESCAPE '\\'");
        }
        (condition, values)
    }
}

/// Adds a value and says how the text calls it.
fn placed(values: &mut Vec<Value>, value: Value) -> String {
    values.push(value);
    format!("${}", values.len())
}

impl DoneRow {
    pub(super) fn completion(&self) -> f64 {
        completion(self.total_checkins, self.duration_days, self.habits)
    }

    fn shown(self, today: NaiveDate) -> HistoryItem {
        HistoryItem {
            completion_rate: self.completion(),
            status: status_on(&self.status, self.start_date, today).to_owned(),
            id: self.id,
            name: self.name,
            kind: self.kind,
            start_date: self.start_date,
            end_date: self.end_date,
            duration_days: self.duration_days,
            member_status: self.member_status,
            points_earned: self.points_earned,
            rank: self.rank,
        }
    }
}
