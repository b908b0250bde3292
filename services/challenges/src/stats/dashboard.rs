//! What one wants to see first: one's numbers, what goes on, what is behind.

use axum::{Json, extract::State as FromState};
use chrono::NaiveDate;
use serde::Serialize;
use service_kit::{clock::now, database::query, problem::Problem, uuid::Uuid};

use super::history::{COLUMNS, DoneRow};
use crate::{
    app::State,
    caller::{Caller, gone},
    challenge::has_status,
    day::AskedZone,
    profile::{self, Stats},
};

/// What one wants to see first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Dashboard {
    user_stats: Stats,
    /// The one that ends first comes first; 50 at most.
    active_challenges: Vec<Active>,
    /// The last five.
    recent_completions: Vec<Completed>,
    /// None are given yet.
    achievements: Vec<String>,
}

/// A challenge that goes on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Active {
    id: Uuid,
    name: String,
    end_date: NaiveDate,
    /// Today and its last day count.
    days_left: i64,
    /// In per cent.
    completion_rate: f64,
    total_checkins: i64,
    points_earned: i64,
    rank: i64,
}

/// A challenge that is completed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Completed {
    id: Uuid,
    name: String,
    end_date: NaiveDate,
    /// In per cent.
    completion_rate: f64,
    points_earned: i64,
    rank: i64,
}

/// `$1` caller, `$2` now, `$3` today.
static READ: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    let active = has_status("active", "$3");
    let part = |condition: &str, order: &str, limit: u32, kind: u32| {
        format!(
            "SELECT * FROM (
    SELECT {COLUMNS}, CAST({kind} AS BIGINT) AS total
    FROM challenge_members AS m
    JOIN challenges AS c ON c.id = m.challenge_id
    WHERE m.user_id = $1 AND m.status = 'active' AND {condition}
    ORDER BY {order}
    LIMIT {limit}
) AS part_{kind}"
        )
    };
    let going_on = format!("c.end_date >= $3 AND {active}");
    let active = part(&going_on, "c.end_date, c.id", 50, ACTIVE);
    let completed = "c.status = 'completed'";
    let completed = part(completed, "c.end_date DESC, c.id DESC", 5, COMPLETED);
    format!("{active}\nUNION ALL\n{completed}")
});

/// Which part a row belongs to, in place of a total.
const ACTIVE: u32 = 1;
const COMPLETED: u32 = 2;

/// What one wants to see first
#[utoipa::path(get, path = "/api/v1/stats/dashboard/", tag = "statistics", security(("bearer" = [])), responses(
    (status = 200, description = "The numbers", body = Dashboard),
))]
#[tracing::instrument(name = "stats.dashboard", skip_all)]
pub(crate) async fn dashboard(
    FromState(state): FromState<State>,
    caller: Caller,
    zone: AskedZone,
) -> Result<Json<Dashboard>, Problem> {
    let profile = profile::of(&state, caller.id).await?.ok_or_else(gone)?;
    let now = now();
    let today = zone.or(profile.timezone.as_deref()).day(now);
    let rows: Vec<DoneRow> = query(READ.as_str())
        .bind(caller.id)
        .bind(now)
        .bind(today)
        .fetch_all(state.database.read())
        .await?;
    let of_part = |part: u32| rows.iter().filter(move |row| row.total == i64::from(part));
    let mut active: Vec<&DoneRow> = of_part(ACTIVE).collect();
    active.sort_by_key(|row| (row.end_date, row.id));
    let mut completed: Vec<&DoneRow> = of_part(COMPLETED).collect();
    completed.sort_by_key(|row| std::cmp::Reverse((row.end_date, row.id)));
    Ok(Json(Dashboard {
        user_stats: profile.stats(now),
        active_challenges: active
            .into_iter()
            .map(|row| Active::of(row, today))
            .collect(),
        recent_completions: completed.into_iter().map(Completed::of).collect(),
        achievements: Vec::new(),
    }))
}

impl Active {
    fn of(row: &DoneRow, today: NaiveDate) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            end_date: row.end_date,
            days_left: (row.end_date - today).num_days() + 1,
            completion_rate: row.completion(),
            total_checkins: row.total_checkins,
            points_earned: row.points_earned,
            rank: row.rank,
        }
    }
}

impl Completed {
    fn of(row: &DoneRow) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            end_date: row.end_date,
            completion_rate: row.completion(),
            points_earned: row.points_earned,
            rank: row.rank,
        }
    }
}
