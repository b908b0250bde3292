//! A search that an index serves.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use sqlx::SqlitePool;

use crate::{
    Database,
    answer::{Failure, Page},
    items::Item,
};

pub(super) fn routes() -> Router<Database> {
    Router::new().route("/healthy/leading-wildcard/lamps", get(lamps))
}

/// Items whose title begins with "Lamp".
///
/// Looks like a search that reads every title. The pattern begins with letters, and the index has
/// the collation that `LIKE` compares with, so it is entered at "Lamp" and left behind it.
async fn lamps(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Item>>, Failure> {
    Ok(Json(
        titles_from_lamp(&database.reads, page.page_size.rows()).await?,
    ))
}

const TITLES_FROM_LAMP: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE title LIKE 'Lamp%'
    ORDER BY title
    LIMIT $1";

#[tracing::instrument(skip_all)]
async fn titles_from_lamp(reads: &SqlitePool, limit: i64) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(TITLES_FROM_LAMP)
        .bind(limit)
        .fetch_all(reads)
        .await
}
