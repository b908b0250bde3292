//! Lists without a limit, and many rows for one page, that are as they should be.

use axum::{
    Json, Router,
    extract::{Query, State},
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
        .route("/healthy/unbounded-list/categories", get(categories))
        .route("/healthy/over-fetch/shown", get(all_shown))
}

#[derive(Debug, Serialize, FromRow)]
struct Category {
    id: i64,
    name: String,
}

/// All categories.
///
/// Looks like a list without bound: it reads a table from end to end, without a limit. The table
/// is small and does not grow with the data.
async fn categories(State(database): State<Database>) -> Result<Json<Vec<Category>>, Failure> {
    Ok(Json(all_categories(&database.reads).await?))
}

const ALL_CATEGORIES: &str = "
    SELECT id, name
    FROM categories
    ORDER BY id";

#[tracing::instrument(skip_all)]
async fn all_categories(reads: &SqlitePool) -> sqlx::Result<Vec<Category>> {
    sqlx::query_as(ALL_CATEGORIES).fetch_all(reads).await
}

#[derive(Debug, Serialize)]
struct Discussed {
    #[serde(flatten)]
    item: Item,
    reviews: Vec<Review>,
}

#[derive(Debug, Clone, Serialize, FromRow)]
struct Review {
    #[serde(skip)]
    item_id: i64,
    stars: i64,
    body: String,
}

/// The newest items with all their reviews.
///
/// Looks like over-fetching: 33 rows for each row of the page. All of them are in the answer.
async fn all_shown(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Discussed>>, Failure> {
    let items = items::newest(&database.reads, page.page_size.rows()).await?;
    let reviews = reviews_of(&database.reads, &items).await?;
    let discussed = |item: Item| {
        let of_item = reviews.iter().filter(|review| review.item_id == item.id);
        Discussed {
            reviews: of_item.cloned().collect(),
            item,
        }
    };
    Ok(Json(items.into_iter().map(discussed).collect()))
}

const REVIEWS_OF: &str = "
    SELECT item_id, stars, body
    FROM reviews
    WHERE item_id IN (SELECT value FROM json_each($1))";

#[tracing::instrument(skip_all)]
async fn reviews_of(reads: &SqlitePool, items: &[Item]) -> sqlx::Result<Vec<Review>> {
    sqlx::query_as(REVIEWS_OF)
        .bind(Item::ids(items))
        .fetch_all(reads)
        .await
}
