//! Marking what one has read, and throwing it away.

use axum::{Json, extract::State as FromState, http::StatusCode};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Text, query},
    problem::Problem,
    text,
    uuid::Uuid,
};

use crate::{app::State, caller::Caller, done::Done, path::PathId};

/// What was read.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Read {
    #[schema(required, nullable = false, min_items = 1, max_items = 100)]
    notification_ids: Option<Vec<Uuid>>,
}

const MOST: usize = 100;

/// `$1` ids, `$2` user, `$3` now. Another user's stay as they are.
pub(crate) const MARK: Text = text!(
    "
UPDATE notifications
SET is_read = TRUE, read_at = $3
WHERE id "
    { "IN (SELECT value FROM json_each($1))" | "= ANY($1)" }
    "
  AND user_id = $2
  AND is_read = FALSE");

pub(crate) const MARK_ALL: &str = "
UPDATE notifications
SET is_read = TRUE, read_at = $2
WHERE user_id = $1
  AND is_read = FALSE";

pub(crate) const DELETE: &str = "
DELETE FROM notifications
WHERE id = $1
  AND user_id = $2";

/// Mark as read
///
/// Only those that were not read before are counted.
#[utoipa::path(post, path = "/api/v1/notifications/mark-read/", tag = "notifications", security(("bearer" = [])), request_body = Read,
    responses((status = 200, description = "How many there were", body = Done)))]
#[tracing::instrument(name = "notifications.mark_read", skip_all)]
pub(crate) async fn mark_read(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(read): Body<Read>,
) -> Result<Json<Done>, Problem> {
    let ids = read.notification_ids.unwrap_or_default();
    if ids.is_empty() {
        return Err(Problem::invalid("notification_ids", "is required"));
    }
    if ids.len() > MOST {
        let message = format!("must have at most {MOST} ids");
        return Err(Problem::invalid("notification_ids", message));
    }
    let mark = query(MARK).bind(ids).bind(caller.id).bind(now());
    let marked = mark.execute(state.database.write()).await?;
    Ok(Json(told(marked)))
}

/// Mark everything as read
#[utoipa::path(post, path = "/api/v1/notifications/mark-all-read/", tag = "notifications", security(("bearer" = [])),
    responses((status = 200, description = "How many there were", body = Done)))]
#[tracing::instrument(name = "notifications.mark_all_read", skip_all)]
pub(crate) async fn mark_all_read(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Done>, Problem> {
    let mark = query(MARK_ALL).bind(caller.id).bind(now());
    let marked = mark.execute(state.database.write()).await?;
    Ok(Json(told(marked)))
}

fn told(marked: u64) -> Done {
    Done::new(format!("Marked {marked} notification(s) as read"))
}

/// Throw a notification away
#[utoipa::path(delete, path = "/api/v1/notifications/{id}/", tag = "notifications", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The notification"),
), responses(
    (status = 204, description = "Done"),
    (status = 404, description = "The caller has no such notification"),
))]
#[tracing::instrument(name = "notifications.remove", skip_all)]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let delete = query(DELETE).bind(id).bind(caller.id);
    match delete.execute(state.database.write()).await? {
        0 => Err(Problem::not_found("Notification not found")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
