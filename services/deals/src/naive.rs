//! Collections and links as they must not be read: row by row, and never from a cache. Only to be
//! measured beside the real ones, which the paper's table of "before" and "after" asks for.

use axum::{Json, extract::State as FromState};
use serde_json::{Value, json};
use service_kit::{
    database::{Database, query},
    id::{Id, Segments},
    problem::Problem,
    token::Caller,
};
use sqlx_macros::FromRow;

use crate::{
    app::State,
    listing::{JOINS, ListingSummary, SUMMARY, SummaryRow},
};

#[derive(FromRow)]
struct ItemRow {
    id: i64,
    listing_id: i64,
    status: String,
}

#[derive(FromRow)]
struct PartsRow {
    title: String,
    price_usd: Option<f64>,
    cpu_id: Option<i64>,
    gpu_id: Option<i64>,
    ports_profile_id: Option<i64>,
    ram_spec_id: Option<i64>,
    primary_storage_profile_id: Option<i64>,
    secondary_storage_profile_id: Option<i64>,
}

/// A collection: one statement for itself, one for its items, one for each listing.
pub(crate) async fn collection(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
) -> Result<Json<Value>, Problem> {
    let unknown = || Problem::not_found("there is no such collection");
    let id = id.or(unknown)?;
    let head = query("SELECT c.user_id, c.name FROM collection AS c WHERE c.id = $1").bind(id);
    let head: Option<(i64, String)> = head.fetch_optional(state.database.read()).await?;
    let (owner, name) = head.ok_or_else(unknown)?;
    if owner != caller.id {
        return Err(Problem::forbidden("this collection is another user's"));
    }
    let items = query(
        "SELECT i.id, i.listing_id, i.status FROM collection_item AS i WHERE i.collection_id = $1 ORDER BY i.position, i.id LIMIT 200",
    );
    let rows: Vec<ItemRow> = items.bind(id).fetch_all(state.database.read()).await?;
    let mut items = Vec::new();
    for row in rows {
        let listing = listing(&state.database, row.listing_id).await?;
        items.push(json!({ "id": row.id, "status": row.status, "listing": listing }));
    }
    Ok(Json(
        json!({ "id": id, "name": name, "item_count": items.len(), "items": items }),
    ))
}

async fn listing(database: &Database, id: i64) -> Result<Option<ListingSummary>, sqlx::Error> {
    let text = format!("SELECT {SUMMARY}\nFROM listing AS l{JOINS}\nWHERE l.id = $1");
    let row: Option<SummaryRow> = query(text).bind(id).fetch_optional(database.read()).await?;
    Ok(row.map(ListingSummary::from))
}

/// What a link shows: one statement for itself, one for the listing, one for each of six things
/// that the listing points at.
pub(crate) async fn share(
    FromState(state): FromState<State>,
    path: Segments<2>,
) -> Result<Json<Value>, Problem> {
    let unknown = || Problem::not_found("Share not found");
    let listing = path.number(0).ok_or_else(unknown)?;
    let Segments([_, token]) = path;
    let database = &state.database;
    let share: Option<(i64, i64)> =
        query("SELECT h.id, h.view_count FROM listing_share AS h WHERE h.share_token = $1 AND h.listing_id = $2")
            .bind(token)
            .bind(listing)
            .fetch_optional(database.read())
            .await?;
    let (_, views) = share.ok_or_else(unknown)?;
    let row: PartsRow =
        query("SELECT l.title, l.price_usd, l.cpu_id, l.gpu_id, l.ports_profile_id, l.ram_spec_id, l.primary_storage_profile_id, l.secondary_storage_profile_id FROM listing AS l WHERE l.id = $1")
            .bind(listing)
            .fetch_one(database.read())
            .await?;
    let parts = [
        ("SELECT name FROM cpu WHERE id = $1", row.cpu_id),
        ("SELECT name FROM gpu WHERE id = $1", row.gpu_id),
        (
            "SELECT name FROM ports_profile WHERE id = $1",
            row.ports_profile_id,
        ),
        ("SELECT label FROM ram_spec WHERE id = $1", row.ram_spec_id),
        (
            "SELECT label FROM storage_profile WHERE id = $1",
            row.primary_storage_profile_id,
        ),
        (
            "SELECT s.label FROM storage_profile AS s WHERE s.id = $1",
            row.secondary_storage_profile_id,
        ),
    ];
    let mut names = Vec::new();
    for (text, id) in parts {
        let name: Option<(Option<String>,)> =
            query(text).bind(id).fetch_optional(database.read()).await?;
        names.push(name.and_then(|(name,)| name));
    }
    Ok(Json(
        json!({ "title": row.title, "price_usd": row.price_usd, "view_count": views, "parts": names }),
    ))
}
