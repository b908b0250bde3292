//! More rows than are needed.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::get,
};
use serde::Serialize;
use sqlx::SqlitePool;
use sqlx_macros::FromRow;

use crate::{
    Database,
    answer::{Failure, Page},
    items::{self, Item},
};

pub(super) fn routes() -> Router<Database> {
    Router::new()
        .route("/faults/shops/{id}/items", get(unbounded_list))
        .route("/faults/over-fetch", get(over_fetch))
}

#[derive(Debug, Serialize, FromRow)]
struct Offer {
    id: i64,
    title: String,
    price_cents: i64,
}

/// Everything that a shop sells.
///
/// Wrong: there is no limit, and the assortment of the department store grows with the catalogue.
/// Every row is shown, so the rows are not fetched in vain; there are just too many. Right: pages.
async fn unbounded_list(
    State(database): State<Database>,
    Path(shop): Path<i64>,
) -> Result<Json<Vec<Offer>>, Failure> {
    Ok(Json(assortment(&database.reads, shop).await?))
}

const ASSORTMENT: &str = "
    SELECT id, title, price_cents
    FROM items
    WHERE shop_id = $1
    ORDER BY price_cents";

#[tracing::instrument(skip_all)]
async fn assortment(reads: &SqlitePool, shop: i64) -> sqlx::Result<Vec<Offer>> {
    sqlx::query_as(ASSORTMENT).bind(shop).fetch_all(reads).await
}

#[derive(Debug, Serialize)]
struct Rated {
    #[serde(flatten)]
    item: Item,
    best_review: Option<Review>,
}

#[derive(Debug, Serialize, FromRow)]
struct Review {
    item_id: i64,
    stars: i64,
    body: String,
}

/// The newest items, each with its best review.
///
/// Wrong: one statement for all items of the page, which is right, but it brings every review of
/// them, 32 for each item, and all but one are thrown away. Right: let the database pick, with
/// `ROW_NUMBER() OVER (PARTITION BY item_id ORDER BY stars DESC)` or a correlated subquery.
async fn over_fetch(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Rated>>, Failure> {
    let items = items::newest(&database.reads, page.page_size.rows()).await?;
    let mut best: HashMap<i64, Review> = HashMap::new();
    for review in all_reviews(&database.reads, &items).await? {
        let so_far = best.get(&review.item_id).map_or(0, |best| best.stars);
        if review.stars > so_far {
            best.insert(review.item_id, review);
        }
    }
    let rated = |item: Item| Rated {
        best_review: best.remove(&item.id),
        item,
    };
    Ok(Json(items.into_iter().map(rated).collect()))
}

const ALL_REVIEWS: &str = "
    SELECT item_id, stars, body
    FROM reviews
    WHERE item_id IN (SELECT value FROM json_each($1))";

#[tracing::instrument(skip_all)]
async fn all_reviews(reads: &SqlitePool, items: &[Item]) -> sqlx::Result<Vec<Review>> {
    sqlx::query_as(ALL_REVIEWS)
        .bind(Item::ids(items))
        .fetch_all(reads)
        .await
}
