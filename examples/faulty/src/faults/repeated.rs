//! The same statement several times in one request.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use serde::Serialize;
use sqlx::SqlitePool;

use crate::{
    Database,
    answer::{Failure, Page},
    items::{self, Item},
};

pub(super) fn routes() -> Router<Database> {
    Router::new().route("/faults/repeated", get(repeated))
}

#[derive(Debug, Serialize)]
struct PriceList {
    title: String,
    items: Vec<Item>,
    sum: String,
    footer: String,
}

/// A price list: its title, its sum and its footer name the currency.
///
/// Wrong: each of the three asks the database for it. Right: read it once and pass it on, or keep
/// it in memory between requests.
async fn repeated(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<PriceList>, Failure> {
    let reads = &database.reads;
    let title = format!("Prices in {}", currency(reads).await?);
    let items = items::newest(reads, page.page_size.rows()).await?;
    let cents: i64 = items.iter().map(|item| item.price_cents).sum();
    let sum = format!(
        "{}.{:02} {}",
        cents / 100,
        cents % 100,
        currency(reads).await?
    );
    let footer = format!("All prices in {}, taxes included", currency(reads).await?);
    Ok(Json(PriceList {
        title,
        items,
        sum,
        footer,
    }))
}

const CURRENCY: &str = "
    SELECT value
    FROM settings
    WHERE name = 'currency'";

#[tracing::instrument(skip_all)]
async fn currency(reads: &SqlitePool) -> sqlx::Result<String> {
    sqlx::query_scalar(CURRENCY).fetch_one(reads).await
}
