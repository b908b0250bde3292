//! One listing.

use axum::{Json, extract::State as FromState};
use service_kit::{
    database::{Database, query},
    id::Id,
    problem::Problem,
    token::Caller,
};

use super::record::{ListingRead, ListingRow, SELECT, complete};
use crate::app::State;

/// A listing
#[utoipa::path(get, path = "/api/v1/listings/{id}/", tag = "listings", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The listing"),
), responses(
    (status = 200, description = "The listing with everything that belongs to it", body = ListingRead),
    (status = 404, description = "There is no such listing"),
))]
#[tracing::instrument(name = "listings.get", skip_all)]
pub(crate) async fn detail(
    FromState(state): FromState<State>,
    _caller: Caller,
    id: Id,
) -> Result<Json<ListingRead>, Problem> {
    let id = id.or(unknown)?;
    read(&state.database, id)
        .await?
        .ok_or_else(unknown)
        .map(Json)
}

/// Reads a listing: three statements.
pub(super) async fn read(database: &Database, id: i64) -> Result<Option<ListingRead>, sqlx::Error> {
    let row: Option<ListingRow> = query(format!("{}WHERE l.id = $1", *SELECT))
        .bind(id)
        .fetch_optional(database.read())
        .await?;
    Ok(complete(database, row.into_iter().collect()).await?.pop())
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such listing")
}
