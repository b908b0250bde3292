//! Making a challenge: challenge, habits and first member together, or nothing.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Text, Transaction, Value, insert_rows, query},
    fields::{bound_any, check, choice, required, within},
    problem::{Fields, Problem},
    text,
    uuid::Uuid,
};

use super::{
    detail::{ChallengeDetail, detail_of},
    invite::new_code,
    record::{CHECKIN_TYPES, LONGEST_DESCRIPTION, LONGEST_NAME, MOST_MEMBERS, TYPES},
};
use crate::{app::State, cached, caller::Caller, day::AskedZone};

/// A new challenge.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewChallenge {
    #[schema(
        required,
        nullable = false,
        max_length = 200,
        pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"
    )]
    name: Option<String>,
    #[schema(max_length = 2000, pattern = r"^[^\x00]*$")]
    description: Option<String>,
    /// individual, unless it says so, or group.
    #[serde(rename = "type")]
    #[schema(pattern = "^(individual|group)$")]
    kind: Option<String>,
    #[schema(required, nullable = false, example = "2026-03-01")]
    start_date: Option<NaiveDate>,
    /// After the first day, by 365 days at most.
    #[schema(required, nullable = false, example = "2026-04-01")]
    end_date: Option<NaiveDate>,
    /// One to four different ones, in their order.
    #[schema(required, nullable = false, min_items = 1, max_items = 4)]
    habit_ids: Option<Vec<Uuid>>,
    /// photo, unless it says so, video, caption or any.
    #[schema(pattern = "^(photo|video|caption|any)$")]
    checkin_type: Option<String>,
    /// True unless it says so.
    require_evidence: Option<bool>,
    /// 10 unless it says so.
    #[schema(minimum = 1, maximum = 50)]
    max_members: Option<i64>,
    /// False unless it says so.
    is_public: Option<bool>,
}

/// Days of the longest challenge.
const LONGEST: i64 = 365;
const MOST_HABITS: usize = 4;
/// Codes that are tried. With a million challenges one in a thousand is taken.
const CODES: usize = 10;

/// `$1` ids, `$2` caller. Habits that everybody has, and the caller's own.
pub(crate) const HABITS: Text = text!(
    "
SELECT count(*)
FROM habits AS h
WHERE h.id "
    { "IN (SELECT value FROM json_each($1))" | "= ANY($1)" }
    "
  AND (h.is_system OR h.created_by = $2)");

pub(crate) const INSERT: &str = "
INSERT INTO challenges (id, name, description, type, status, start_date, end_date, max_members, checkin_type, require_evidence, invite_code, is_public, member_count, created_at, updated_at, created_by)
VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, $9, $10, $11, 1, $12, $12, $13)
ON CONFLICT (invite_code) DO NOTHING";

const INSERT_HABITS: &str =
    "INSERT INTO challenge_habits (id, challenge_id, habit_id, display_order)";

pub(crate) const INSERT_CREATOR: &str = "
INSERT INTO challenge_members (id, challenge_id, user_id, role, status, joined_at)
VALUES ($1, $2, $3, 'creator', 'active', $4)";

/// Make a challenge
///
/// The caller becomes its creator and first member.
#[utoipa::path(post, path = "/api/v1/challenges/", tag = "challenges", security(("bearer" = [])), request_body = NewChallenge, responses(
    (status = 201, description = "The challenge", body = ChallengeDetail),
    (status = 400, description = "There is no such habit"),
))]
#[tracing::instrument(name = "challenges.create", skip_all)]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    zone: AskedZone,
    Body(new): Body<NewChallenge>,
) -> Result<(StatusCode, Json<ChallengeDetail>), Problem> {
    let checked = Checked::read(new)?;
    let database = state.database.clone();
    let write = move |_| async move {
        let mut tx = database.begin().await?;
        let id = checked.insert(&mut tx, caller.id, now()).await?;
        tx.commit().await?;
        Ok(id)
    };
    let tags = [cached::user(caller.id), cached::lists(caller.id)];
    let id = cached::write(&state.cache, tags, write).await?;
    let made = detail_of(&state, caller, id, zone).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A challenge with nothing left to complain about.
struct Checked {
    name: String,
    description: Option<String>,
    kind: &'static str,
    start: NaiveDate,
    end: NaiveDate,
    habits: Vec<Uuid>,
    checkin_type: &'static str,
    require_evidence: bool,
    max_members: i64,
    is_public: bool,
}

impl Checked {
    fn read(new: NewChallenge) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let description = new.description.as_deref();
        bound_any("description", description, LONGEST_DESCRIPTION, &mut fields);
        let (start, end) = dates(new.start_date, new.end_date, &mut fields);
        let checked = Self {
            name: required("name", new.name, LONGEST_NAME, &mut fields),
            description: new.description,
            kind: choice("type", new.kind, &TYPES, &mut fields),
            start,
            end,
            habits: habits(new.habit_ids, &mut fields),
            checkin_type: choice(
                "checkin_type",
                new.checkin_type,
                &CHECKIN_TYPES,
                &mut fields,
            ),
            require_evidence: new.require_evidence.unwrap_or(true),
            max_members: within(
                "max_members",
                new.max_members,
                10,
                1..=MOST_MEMBERS,
                &mut fields,
            ),
            is_public: new.is_public.unwrap_or(false),
        };
        check(fields)?;
        Ok(checked)
    }

    async fn insert(
        &self,
        tx: &mut Transaction,
        caller: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Uuid, Problem> {
        let known: i64 = query(HABITS)
            .bind(self.habits.clone())
            .bind(caller)
            .fetch_scalar(&mut *tx)
            .await?;
        if known < self.habits.len() as i64 {
            return Err(Problem::refused("Some habit IDs not found"));
        }
        let id = Uuid::new();
        self.insert_challenge(tx, id, caller, now).await?;
        let row = |(habit, order): (&Uuid, i64)| -> Vec<Value> {
            vec![Uuid::new().into(), id.into(), (*habit).into(), order.into()]
        };
        let rows = self.habits.iter().zip(0..).map(row).collect();
        insert_rows(INSERT_HABITS, rows).execute(&mut *tx).await?;
        query(INSERT_CREATOR)
            .bind(Uuid::new())
            .bind(id)
            .bind(caller)
            .bind(now)
            .execute(tx)
            .await?;
        Ok(id)
    }

    /// With a code that no other challenge has.
    async fn insert_challenge(
        &self,
        tx: &mut Transaction,
        id: Uuid,
        caller: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        for _ in 0..CODES {
            let made = query(INSERT)
                .bind(id)
                .bind(&self.name)
                .bind(self.description.as_deref())
                .bind(self.kind)
                .bind(self.start)
                .bind(self.end)
                .bind(self.max_members)
                .bind(self.checkin_type)
                .bind(self.require_evidence)
                .bind(new_code())
                .bind(self.is_public)
                .bind(now)
                .bind(caller)
                .execute(&mut *tx)
                .await?;
            if made == 1 {
                return Ok(());
            }
        }
        tracing::error!("no invite code is free");
        Err(Problem::internal())
    }
}

fn dates(
    start: Option<NaiveDate>,
    end: Option<NaiveDate>,
    fields: &mut Fields,
) -> (NaiveDate, NaiveDate) {
    let mut day = |name: &str, day: Option<NaiveDate>| {
        if !day.is_some_and(is_common) {
            let message = match day {
                None => "is required",
                Some(_) => "must be a day of the years 1970 to 9999",
            };
            fields.insert(name.to_owned(), message.to_owned());
        }
        day.unwrap_or_default()
    };
    let (start, end) = (day("start_date", start), day("end_date", end));
    let days = (end - start).num_days();
    let message = match days {
        ..=0 => "must be after start_date",
        1..=LONGEST => return (start, end),
        _ => "must be at most 365 days after start_date",
    };
    fields
        .entry("end_date".to_owned())
        .or_insert_with(|| message.to_owned());
    (start, end)
}

/// Years that both databases write with four digits.
fn is_common(day: NaiveDate) -> bool {
    use chrono::Datelike as _;
    (1970..=9999).contains(&day.year())
}

fn habits(ids: Option<Vec<Uuid>>, fields: &mut Fields) -> Vec<Uuid> {
    let ids = ids.unwrap_or_default();
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let message = match ids.len() {
        0 => "is required",
        1..=MOST_HABITS if distinct.len() == ids.len() => return ids,
        1..=MOST_HABITS => "must be different habits",
        _ => "must be one to four habits",
    };
    fields.insert("habit_ids".to_owned(), message.to_owned());
    ids
}
