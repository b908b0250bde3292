//! Statements that are right and have no index that serves them.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use sqlx_macros::FromRow;

use crate::{
    Database,
    answer::{Failure, Page},
    items::Item,
};

pub(super) fn routes() -> Router<Database> {
    Router::new()
        .route("/faults/full-scan", get(full_scan))
        .route("/faults/unbounded-sort", get(unbounded_sort))
        .route("/faults/automatic-index", get(automatic_index))
}

#[derive(Debug, Deserialize)]
struct Reference {
    shop_ref: String,
}

/// The items with a number from a shop's own books; four at most.
///
/// Wrong: `shop_ref` has no index, so every item is read to find four. Right: an index on
/// `items (shop_ref)`.
async fn full_scan(
    State(database): State<Database>,
    Query(page): Query<Page>,
    Query(reference): Query<Reference>,
) -> Result<Json<Vec<Item>>, Failure> {
    let limit = page.page_size.rows();
    Ok(Json(
        items_by_reference(&database.reads, &reference.shop_ref, limit).await?,
    ))
}

const ITEMS_BY_REFERENCE: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE shop_ref = $1
    LIMIT $2";

#[tracing::instrument(skip_all)]
async fn items_by_reference(
    reads: &SqlitePool,
    shop_ref: &str,
    limit: i64,
) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(ITEMS_BY_REFERENCE)
        .bind(shop_ref)
        .bind(limit)
        .fetch_all(reads)
        .await
}

#[derive(Debug, Deserialize)]
struct Category {
    category: i64,
}

/// The cheapest items of a category.
///
/// Wrong: the index on the category is ordered by age, so all items of the category are read and
/// sorted to show a page of them. Right: an index on `items (category_id, price_cents)`.
async fn unbounded_sort(
    State(database): State<Database>,
    Query(page): Query<Page>,
    Query(Category { category }): Query<Category>,
) -> Result<Json<Vec<Item>>, Failure> {
    Ok(Json(
        cheapest_of_category(&database.reads, category, page.page_size.rows()).await?,
    ))
}

const CHEAPEST_OF_CATEGORY: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE category_id = $1
    ORDER BY price_cents
    LIMIT $2";

#[tracing::instrument(skip_all)]
async fn cheapest_of_category(
    reads: &SqlitePool,
    category: i64,
    limit: i64,
) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(CHEAPEST_OF_CATEGORY)
        .bind(category)
        .bind(limit)
        .fetch_all(reads)
        .await
}

#[derive(Debug, Serialize, FromRow)]
struct Parcels {
    courier: String,
    parcels: i64,
    grams: i64,
}

/// What each courier carries, also those that carry nothing.
///
/// Wrong: `shipments.courier_code` has no index, and 40 couriers each need their shipments, so
/// SQLite builds an index over all shipments for every request and throws it away. Right: an index
/// on `shipments (courier_code, weight_g)`.
async fn automatic_index(State(database): State<Database>) -> Result<Json<Vec<Parcels>>, Failure> {
    Ok(Json(parcels_by_courier(&database.reads).await?))
}

const PARCELS_BY_COURIER: &str = "
    SELECT couriers.name AS courier,
           COUNT(shipments.courier_code) AS parcels,
           COALESCE(SUM(shipments.weight_g), 0) AS grams
    FROM couriers
    LEFT JOIN shipments ON shipments.courier_code = couriers.code
    GROUP BY couriers.id";

#[tracing::instrument(skip_all)]
async fn parcels_by_courier(reads: &SqlitePool) -> sqlx::Result<Vec<Parcels>> {
    sqlx::query_as(PARCELS_BY_COURIER).fetch_all(reads).await
}
