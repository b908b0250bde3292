//! The newest listings, by offset.

use axum::{Json, extract::State as FromState};
use service_kit::{
    database::query,
    fields::{check, within},
    page::DEEPEST,
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};

use super::record::{ListingRead, ListingRow, SELECT, complete};
use crate::app::State;

const DEFAULT: i64 = 50;
const MOST: i64 = 200;

/// Listings, newest first
///
/// By offset, as older clients ask; `/listings/paginated` goes on from where a page ended, at the
/// same cost everywhere.
#[utoipa::path(get, path = "/api/v1/listings/", tag = "listings", security(("bearer" = [])), params(
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 200, description = "Listings to show; 50"),
    ("offset" = Option<i64>, Query, minimum = 0, maximum = 10000, description = "Listings to pass over; 0"),
), responses((status = 200, description = "The listings", body = Vec<ListingRead>)))]
#[tracing::instrument(name = "listings.list", skip_all)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    _caller: Caller,
    params: Params,
) -> Result<Json<Vec<ListingRead>>, Problem> {
    let mut fields = Fields::new();
    let limit = params.integer("limit", &mut fields);
    let limit = within("limit", limit, DEFAULT, 1..=MOST, &mut fields);
    let offset = params.integer("offset", &mut fields);
    let offset = within("offset", offset, 0, 0..=DEEPEST, &mut fields);
    check(fields)?;
    let text = format!(
        "{}ORDER BY l.created_at DESC, l.id DESC\nLIMIT $1 OFFSET $2",
        *SELECT
    );
    let rows: Vec<ListingRow> = query(text)
        .bind(limit)
        .bind(offset)
        .fetch_all(state.database.read())
        .await?;
    Ok(Json(complete(&state.database, rows).await?))
}
