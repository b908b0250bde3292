//! A user's own collections.

use axum::{Json, extract::State as FromState};
use service_kit::{
    database::query,
    fields::{check, within},
    page::DEEPEST,
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};

use super::record::{COLUMNS, CollectionRead, CollectionRow};
use crate::app::State;

/// Own collections, newest first
#[utoipa::path(get, path = "/api/v1/collections/", tag = "collections", security(("bearer" = [])), params(
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Collections to show; 20"),
    ("skip" = Option<i64>, Query, minimum = 0, maximum = 10000, description = "Collections to pass over; also as `offset`"),
), responses((status = 200, description = "The collections, without items", body = Vec<CollectionRead>)))]
#[tracing::instrument(name = "collections.list", skip_all)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
) -> Result<Json<Vec<CollectionRead>>, Problem> {
    let mut fields = Fields::new();
    let limit = params.integer("limit", &mut fields);
    let limit = within("limit", limit, 20, 1..=100, &mut fields);
    let name = params
        .any(&["skip", "offset"])
        .map_or("skip", |(name, _)| name);
    let skip = params.integer(name, &mut fields);
    let skip = within(name, skip, 0, 0..=DEEPEST, &mut fields);
    check(fields)?;
    let rows: Vec<CollectionRow> = query(format!(
        "SELECT {COLUMNS}
FROM collection AS c
WHERE c.user_id = $1
ORDER BY c.created_at DESC, c.id DESC
LIMIT $2 OFFSET $3"
    ))
    .bind(caller.id)
    .bind(limit)
    .bind(skip)
    .fetch_all(state.database.read())
    .await?;
    Ok(Json(rows.into_iter().map(CollectionRow::read).collect()))
}
