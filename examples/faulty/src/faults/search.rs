//! A search that no index serves.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use serde::Deserialize;
use sqlx::SqlitePool;

use crate::{
    Database,
    answer::{Failure, Page},
    items::Item,
};

pub(super) fn routes() -> Router<Database> {
    Router::new().route("/faults/leading-wildcard", get(leading_wildcard))
}

#[derive(Debug, Deserialize)]
struct Search {
    q: String,
}

/// The newest items with a word anywhere in their title.
///
/// Wrong: a pattern that begins with `%` is compared with title after title. The walk is in order
/// and stops when the page is full, so a common word is found soon and a rare one only after every
/// title was read. Right: a full-text index (`fts5`), or trigrams.
async fn leading_wildcard(
    State(database): State<Database>,
    Query(page): Query<Page>,
    Query(search): Query<Search>,
) -> Result<Json<Vec<Item>>, Failure> {
    Ok(Json(
        titles_with(&database.reads, &search.q, page.page_size.rows()).await?,
    ))
}

const TITLES_WITH: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE title LIKE '%' || $1 || '%'
    ORDER BY created_at DESC, id DESC
    LIMIT $2";

#[tracing::instrument(skip_all)]
async fn titles_with(reads: &SqlitePool, word: &str, limit: i64) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(TITLES_WITH)
        .bind(word)
        .bind(limit)
        .fetch_all(reads)
        .await
}
