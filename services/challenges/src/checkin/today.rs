//! A challenge today: which habit who has kept.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{problem::Problem, uuid::Uuid};

use crate::{
    app::State,
    caller::Caller,
    challenge::{Access, Cell, grid, share},
    day::AskedZone,
    path::PathId,
};

/// A habit today.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct HabitToday {
    habit_id: Uuid,
    habit_name: String,
    habit_icon: Option<String>,
    members: Vec<MemberToday>,
    /// Which share of the members has kept it, in per cent.
    completion_rate: f64,
    total_checkins_today: usize,
}

/// A member today.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct MemberToday {
    user_id: Uuid,
    user_name: String,
    user_avatar_url: Option<String>,
    is_you: bool,
    checked_in_today: bool,
    checkin_time: Option<DateTime<Utc>>,
    photo_url: Option<String>,
}

/// A challenge today
///
/// Habits in their order, members in that of their joining. The day is the caller's.
#[utoipa::path(get, path = "/api/v1/checkins/challenges/{id}/today/", tag = "check-ins", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The challenge"),
), responses(
    (status = 200, description = "The habits", body = Vec<HabitToday>),
    (status = 403, description = "The caller is no member"),
    (status = 404, description = "There is no such challenge"),
))]
#[tracing::instrument(name = "checkins.today", skip_all)]
pub(crate) async fn today(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
) -> Result<Json<Vec<HabitToday>>, Problem> {
    let access = Access::read(&state.database, id, caller, zone).await?;
    let cells = grid(&state.database, id, access.today).await?;
    let habit =
        |habit: Uuid| HabitToday::of(cells.iter().filter(|cell| cell.habit_id == habit), caller);
    let habits = access.habits.iter().filter_map(|one| habit(one.habit_id));
    Ok(Json(habits.collect()))
}

impl HabitToday {
    /// The cells of one habit; nothing if nobody takes part.
    fn of<'c>(cells: impl Iterator<Item = &'c Cell> + Clone, caller: Caller) -> Option<Self> {
        let first = cells.clone().next()?;
        let members: Vec<_> = cells.map(|cell| MemberToday::of(cell, caller)).collect();
        let done = members
            .iter()
            .filter(|member| member.checked_in_today)
            .count();
        Some(Self {
            habit_id: first.habit_id,
            habit_name: first.habit_name.clone(),
            habit_icon: first.habit_icon.clone(),
            // Fifty members at most.
            completion_rate: share(done as i64, members.len() as i64),
            total_checkins_today: done,
            members,
        })
    }
}

impl MemberToday {
    fn of(cell: &Cell, caller: Caller) -> Self {
        Self {
            user_id: cell.user_id,
            user_name: cell.display_name.clone(),
            user_avatar_url: cell.avatar_url.clone(),
            is_you: cell.user_id == caller.id,
            checked_in_today: cell.checked_in_at.is_some(),
            checkin_time: cell.checked_in_at,
            photo_url: cell.photo_url.clone(),
        }
    }
}
