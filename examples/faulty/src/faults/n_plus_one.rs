//! A statement for each row of an earlier one, three ways.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use serde::Serialize;
use sqlx::SqlitePool;
use sqlx_macros::FromRow;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::{
    Database,
    answer::{Failure, Page},
    items::{self, Item},
};

pub(super) fn routes() -> Router<Database> {
    Router::new()
        .route("/faults/n-plus-one/loop", get(in_a_loop))
        .route("/faults/n-plus-one/nested", get(nested))
        .route("/faults/n-plus-one/spawned", get(spawned))
}

#[derive(Debug, Serialize)]
struct Reviewed {
    #[serde(flatten)]
    item: Item,
    reviews: Vec<Review>,
}

#[derive(Debug, Serialize, FromRow)]
struct Review {
    id: i64,
    stars: i64,
    body: String,
}

/// The newest items, each with its latest review.
///
/// Wrong: one statement for the page, then one for each of its rows. Right: one statement for all
/// rows, `WHERE item_id IN (…)` with the latest review of each picked by a window function or by a
/// correlated subquery.
async fn in_a_loop(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Reviewed>>, Failure> {
    let mut answer = Vec::new();
    for item in items::newest(&database.reads, page.page_size.rows()).await? {
        let latest = latest_review(&database.reads, item.id).await?;
        answer.push(Reviewed {
            item,
            reviews: latest.into_iter().collect(),
        });
    }
    Ok(Json(answer))
}

const LATEST_REVIEW: &str = "
    SELECT id, stars, body
    FROM reviews
    WHERE item_id = $1
    ORDER BY id DESC
    LIMIT 1";

#[tracing::instrument(skip_all)]
async fn latest_review(reads: &SqlitePool, item: i64) -> sqlx::Result<Option<Review>> {
    sqlx::query_as(LATEST_REVIEW)
        .bind(item)
        .fetch_optional(reads)
        .await
}

#[derive(Debug, Serialize)]
struct Discussed {
    #[serde(flatten)]
    item: Item,
    reviews: Vec<Signed>,
}

#[derive(Debug, Serialize)]
struct Signed {
    stars: i64,
    body: String,
    author: String,
}

#[derive(Debug, FromRow)]
struct Unsigned {
    author_id: i64,
    stars: i64,
    body: String,
}

/// The oldest items with their reviews, each with the name of its author.
///
/// Wrong twice: a statement for the reviews of each item, and inside it one for the author of each
/// review. The two take turns, so neither stands in an unbroken row. Right: three statements, or
/// two: the page, and its reviews joined with their authors.
async fn nested(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Discussed>>, Failure> {
    let mut answer = Vec::new();
    for item in oldest_items(&database.reads, page.page_size.rows()).await? {
        let mut reviews = Vec::new();
        for review in reviews_of(&database.reads, item.id).await? {
            let author = author_name(&database.reads, review.author_id).await?;
            reviews.push(Signed {
                stars: review.stars,
                body: review.body,
                author,
            });
        }
        answer.push(Discussed { item, reviews });
    }
    Ok(Json(answer))
}

const OLDEST_ITEMS: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    ORDER BY created_at, id
    LIMIT $1";

#[tracing::instrument(skip_all)]
async fn oldest_items(reads: &SqlitePool, limit: i64) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(OLDEST_ITEMS)
        .bind(limit)
        .fetch_all(reads)
        .await
}

const REVIEWS_OF: &str = "
    SELECT author_id, stars, body
    FROM reviews
    WHERE item_id = $1
    ORDER BY id
    LIMIT 10";

#[tracing::instrument(skip_all)]
async fn reviews_of(reads: &SqlitePool, item: i64) -> sqlx::Result<Vec<Unsigned>> {
    sqlx::query_as(REVIEWS_OF).bind(item).fetch_all(reads).await
}

const AUTHOR_NAME: &str = "
    SELECT name
    FROM authors
    WHERE id = $1";

#[tracing::instrument(skip_all)]
async fn author_name(reads: &SqlitePool, author: i64) -> sqlx::Result<String> {
    sqlx::query_scalar(AUTHOR_NAME)
        .bind(author)
        .fetch_one(reads)
        .await
}

#[derive(Debug, Serialize)]
struct Ordered {
    #[serde(flatten)]
    order: Order,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, FromRow)]
struct Order {
    id: i64,
    placed_at: i64,
}

#[derive(Debug, Serialize, FromRow)]
struct Line {
    item_id: i64,
    quantity: i64,
}

/// The newest orders with their lines.
///
/// Wrong: a task for each order asks for its lines. That is one statement for each row all the
/// same: it hides the time of one request behind other cores and connections, until many users
/// want them. Right: the lines of all orders of the page in one statement.
async fn spawned(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Ordered>>, Failure> {
    let mut tasks = JoinSet::new();
    for order in newest_orders(&database.reads, page.page_size.rows()).await? {
        let reads = database.reads.clone();
        let task = async move {
            let lines = lines_of(&reads, order.id).await?;
            Ok::<_, sqlx::Error>(Ordered { order, lines })
        };
        tasks.spawn(task.in_current_span());
    }
    let mut answer = tasks
        .join_all()
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    answer.sort_by_key(|ordered| std::cmp::Reverse((ordered.order.placed_at, ordered.order.id)));
    Ok(Json(answer))
}

const NEWEST_ORDERS: &str = "
    SELECT id, placed_at
    FROM orders
    ORDER BY placed_at DESC, id DESC
    LIMIT $1";

#[tracing::instrument(skip_all)]
async fn newest_orders(reads: &SqlitePool, limit: i64) -> sqlx::Result<Vec<Order>> {
    sqlx::query_as(NEWEST_ORDERS)
        .bind(limit)
        .fetch_all(reads)
        .await
}

const LINES_OF: &str = "
    SELECT item_id, quantity
    FROM order_lines
    WHERE order_id = $1
    ORDER BY id
    LIMIT 50";

#[tracing::instrument(skip_all)]
async fn lines_of(reads: &SqlitePool, order: i64) -> sqlx::Result<Vec<Line>> {
    sqlx::query_as(LINES_OF).bind(order).fetch_all(reads).await
}
