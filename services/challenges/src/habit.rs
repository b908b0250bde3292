//! What can be kept up: habits that everybody has, and one's own.

use axum::{Json, extract::State as FromState};
use serde::Serialize;
use service_kit::{database::query, problem::Problem, uuid::Uuid};
use sqlx_macros::FromRow;

use crate::{app::State, caller::Caller};

/// A habit.
#[derive(Debug, FromRow, Serialize, utoipa::ToSchema)]
pub(crate) struct Habit {
    id: Uuid,
    name: String,
    icon: Option<String>,
    description: Option<String>,
    category: Option<String>,
    /// Whether everybody has it.
    is_system: bool,
}

/// Habits of everybody first. Those have no creator, which the index knows.
pub(crate) const LIST: &str = "
SELECT h.id, h.name, h.icon, h.description, h.category, h.is_system
FROM habits AS h
WHERE h.created_by IS NULL
  AND h.is_system = TRUE
UNION ALL
SELECT h.id, h.name, h.icon, h.description, h.category, h.is_system
FROM habits AS h
WHERE h.created_by = $1
ORDER BY 6 DESC, 1";

/// Habits to choose from
#[utoipa::path(get, path = "/api/v1/habits/", tag = "habits", security(("bearer" = [])), responses(
    (status = 200, description = "The habits", body = Vec<Habit>),
))]
#[tracing::instrument(name = "habits.list", skip_all)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Vec<Habit>>, Problem> {
    let habits = query(LIST).bind(caller.id);
    Ok(Json(habits.fetch_all(state.database.read()).await?))
}
