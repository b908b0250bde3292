//! Pages that cost more the more rows there are.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;

use crate::{
    Database,
    answer::{Failure, Page},
    items::Item,
};

pub(super) fn routes() -> Router<Database> {
    Router::new()
        .route("/faults/deep-offset", get(deep_offset))
        .route("/faults/count-per-page", get(count_per_page))
}

#[derive(Debug, Deserialize)]
struct Offset {
    #[serde(default)]
    offset: i64,
}

/// A page of items, found by its offset; the last page if the offset is beyond it.
///
/// Wrong: the index gives the order, but all rows before the page are walked to skip them. Right: a
/// keyset page, `WHERE (created_at, id) < ($1, $2)`, which begins where the page before it ended.
async fn deep_offset(
    State(database): State<Database>,
    Query(page): Query<Page>,
    Query(Offset { offset }): Query<Offset>,
) -> Result<Json<Vec<Item>>, Failure> {
    let limit = page.page_size.rows();
    let last_page = (last_id(&database.reads).await?.unwrap_or(0) - limit).max(0);
    let offset = offset.clamp(0, last_page);
    Ok(Json(items_at(&database.reads, limit, offset).await?))
}

// Ids have no gaps, so the largest is also the number of items, without counting them.
const LAST_ID: &str = "
    SELECT MAX(id)
    FROM items";

#[tracing::instrument(skip_all)]
async fn last_id(reads: &SqlitePool) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(LAST_ID).fetch_one(reads).await
}

const ITEMS_AT: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    ORDER BY created_at DESC, id DESC
    LIMIT $1
    OFFSET $2";

#[tracing::instrument(skip_all)]
async fn items_at(reads: &SqlitePool, limit: i64, offset: i64) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(ITEMS_AT)
        .bind(limit)
        .bind(offset)
        .fetch_all(reads)
        .await
}

#[derive(Debug, Deserialize)]
struct Category {
    category: i64,
}

#[derive(Debug, Serialize)]
struct Counted {
    total: i64,
    items: Vec<Item>,
}

/// The newest items of a category and how many there are in all.
///
/// Wrong: the list reads one page, the total reads the whole category, on each page anew. Right:
/// count up to a limit ("more than 100"), keep the number of each category in a column, or leave it
/// out.
async fn count_per_page(
    State(database): State<Database>,
    Query(page): Query<Page>,
    Query(Category { category }): Query<Category>,
) -> Result<Json<Counted>, Failure> {
    let total = items_in_category(&database.reads, category).await?;
    let items = newest_of_category(&database.reads, category, page.page_size.rows()).await?;
    Ok(Json(Counted { total, items }))
}

const ITEMS_IN_CATEGORY: &str = "
    SELECT COUNT(*)
    FROM items
    WHERE category_id = $1";

#[tracing::instrument(skip_all)]
async fn items_in_category(reads: &SqlitePool, category: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(ITEMS_IN_CATEGORY)
        .bind(category)
        .fetch_one(reads)
        .await
}

const NEWEST_OF_CATEGORY: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE category_id = $1
    ORDER BY created_at DESC, id DESC
    LIMIT $2";

#[tracing::instrument(skip_all)]
async fn newest_of_category(
    reads: &SqlitePool,
    category: i64,
    limit: i64,
) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(NEWEST_OF_CATEGORY)
        .bind(category)
        .bind(limit)
        .fetch_all(reads)
        .await
}
