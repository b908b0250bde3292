//! What each member has done on a day.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use service_kit::{
    problem::{Fields, Problem},
    query::Params,
    uuid::Uuid,
};

use super::{
    access::Access,
    grid::{Cell, grid},
    record::share,
};
use crate::{app::State, caller::Caller, day::AskedZone, path::PathId, wording::check_query};

/// What the members have done on a day.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Progress {
    challenge_id: Uuid,
    date: NaiveDate,
    total_habits: usize,
    /// Of all members, in per cent.
    overall_completion: f64,
    members: Vec<MemberProgress>,
}

/// What a member has done on that day.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct MemberProgress {
    user_id: Uuid,
    display_name: String,
    avatar_url: Option<String>,
    habits: Vec<HabitProgress>,
    total_completed: usize,
    /// In per cent.
    completion_percentage: f64,
}

/// Whether a habit was kept.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct HabitProgress {
    habit_id: Uuid,
    habit_name: String,
    completed: bool,
    checked_in_at: Option<DateTime<Utc>>,
}

/// What the members have done on a day
#[utoipa::path(get, path = "/api/v1/challenges/{id}/progress/", tag = "challenges", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The challenge"),
    ("target_date" = Option<String>, Query, pattern = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description = "The day; today unless it says so"),
), responses(
    (status = 200, description = "The day", body = Progress),
    (status = 403, description = "The caller is no member"),
    (status = 404, description = "There is no such challenge"),
))]
#[tracing::instrument(name = "challenges.progress", skip_all)]
pub(crate) async fn progress(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
    params: Params,
) -> Result<Json<Progress>, Problem> {
    let mut fields = Fields::new();
    let asked = day_of(&params, "target_date", &mut fields);
    check_query(fields)?;
    let access = Access::read(&state.database, id, caller, zone).await?;
    let date = asked.unwrap_or(access.today);
    let cells = grid(&state.database, id, date).await?;
    let done = cells.iter().filter(|cell| cell.checked_in_at.is_some());
    Ok(Json(Progress {
        challenge_id: id,
        date,
        total_habits: access.habits.len(),
        overall_completion: share(count(done.count()), count(cells.len())),
        members: cells
            .chunk_by(|one, next| one.user_id == next.user_id)
            .filter_map(MemberProgress::of)
            .collect(),
    }))
}

/// A day of the years that both databases know.
fn day_of(params: &Params, name: &str, fields: &mut Fields) -> Option<NaiveDate> {
    let text = params.get(name)?;
    let day = text
        .parse()
        .ok()
        .filter(|_| text.len() == "2026-01-31".len());
    if day.is_none() {
        let message = "must be a day like 2026-01-31";
        fields.insert(name.to_owned(), message.to_owned());
    }
    day
}

impl MemberProgress {
    /// All cells of one member.
    fn of(cells: &[Cell]) -> Option<Self> {
        let first = cells.first()?;
        let done = cells.iter().filter(|cell| cell.checked_in_at.is_some());
        let total_completed = done.count();
        Some(Self {
            user_id: first.user_id,
            display_name: first.display_name.clone(),
            avatar_url: first.avatar_url.clone(),
            habits: cells.iter().map(HabitProgress::of).collect(),
            total_completed,
            completion_percentage: share(count(total_completed), count(cells.len())),
        })
    }
}

impl HabitProgress {
    fn of(cell: &Cell) -> Self {
        Self {
            habit_id: cell.habit_id,
            habit_name: cell.habit_name.clone(),
            completed: cell.checked_in_at.is_some(),
            checked_in_at: cell.checked_in_at,
        }
    }
}

/// Four habits of fifty members at most.
fn count(cells: usize) -> i64 {
    cells as i64
}
