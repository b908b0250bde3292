//! One check-in: looking at it, changing what it says.

use axum::{Json, extract::State as FromState};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::query,
    fields::{bound, check},
    problem::{Fields, Problem},
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use super::record::{COLUMNS, Checkin, LONGEST_CAPTION, unknown};
use crate::{app::State, caller::Caller, day::AskedZone, path::PathId};

#[derive(FromRow)]
struct OneRow {
    #[sqlx(flatten)]
    checkin: Checkin,
    my_status: Option<String>,
    timezone: Option<String>,
}

/// What a check-in says.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct CaptionChange {
    #[schema(required, nullable = false, max_length = 500, pattern = r"^[^\x00]*$")]
    caption: Option<String>,
}

/// `$1` check-in, `$2` caller.
static READ: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS}, m.status AS my_status, p.timezone
FROM check_ins AS k
JOIN user_profiles AS p ON p.id = k.user_id
LEFT JOIN challenge_members AS m ON m.challenge_id = k.challenge_id AND m.user_id = $2
WHERE k.id = $1"
    )
});

pub(crate) const CHANGE: &str = "
UPDATE check_ins
SET caption = $2, updated_at = $3
WHERE id = $1";

/// A check-in
///
/// For the members of its challenge, and for those who have left it.
#[utoipa::path(get, path = "/api/v1/checkins/{id}/", tag = "check-ins", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The check-in"),
), responses(
    (status = 200, description = "The check-in", body = Checkin),
    (status = 403, description = "The caller is no member of its challenge"),
    (status = 404, description = "There is no such check-in"),
))]
#[tracing::instrument(name = "checkins.one", skip_all)]
pub(crate) async fn one(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Checkin>, Problem> {
    let row = read(&state, id, caller).await?;
    match row.my_status.as_deref() {
        Some("active" | "left") => Ok(Json(row.checkin)),
        _ => Err(Problem::forbidden("You are not a member of this challenge")),
    }
}

async fn read(state: &State, id: Uuid, caller: Caller) -> Result<OneRow, Problem> {
    let row = query(READ.as_str()).bind(id).bind(caller.id);
    let row: Option<OneRow> = row.fetch_optional(state.database.read()).await?;
    row.ok_or_else(unknown)
}

/// Change what a check-in says
///
/// One's own, on the same day.
#[utoipa::path(patch, path = "/api/v1/checkins/{id}/", tag = "check-ins", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The check-in"),
), request_body = CaptionChange, responses(
    (status = 200, description = "The check-in as it is now", body = Checkin),
    (status = 400, description = "It was not made today"),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such check-in"),
))]
#[tracing::instrument(name = "checkins.change", skip_all)]
pub(crate) async fn change_caption(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
    Body(asked): Body<CaptionChange>,
) -> Result<Json<Checkin>, Problem> {
    let mut fields = Fields::new();
    match &asked.caption {
        None => drop(fields.insert("caption".to_owned(), "is required".to_owned())),
        Some(caption) => bound("caption", caption, LONGEST_CAPTION, &mut fields),
    }
    check(fields)?;
    let row = read(&state, id, caller).await?;
    if row.checkin.user_id != caller.id {
        return Err(Problem::forbidden("You can only change your own check-ins"));
    }
    let now = now();
    if row.checkin.checkin_date != zone.or(row.timezone.as_deref()).day(now) {
        return Err(Problem::refused("Only check-ins of today can be changed"));
    }
    let change = query(CHANGE)
        .bind(id)
        .bind(asked.caption.as_deref())
        .bind(now);
    if change.execute(state.database.write()).await? == 0 {
        return Err(unknown());
    }
    Ok(Json(Checkin {
        caption: asked.caption,
        updated_at: now,
        ..row.checkin
    }))
}
