//! Plans that look bad at a glance: a scan, a sort, a join of a constant table, an index seldom used.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, SqlitePool};
use sqlx_macros::FromRow;

use crate::{
    Database,
    answer::{Failure, Page},
    items::{self, Item},
};

pub(super) fn routes() -> Router<Database> {
    Router::new()
        .route("/healthy/full-scan/ordered-walk", get(ordered_walk))
        .route("/healthy/unbounded-sort/one-page", get(one_page_sorted))
        .route("/healthy/automatic-index/indexed-join", get(indexed_join))
        .route("/healthy/unused-index/sold-out", get(sold_out))
}

#[derive(Debug, Serialize)]
struct FirstPage {
    items: Vec<Item>,
    /// The cursor of the page after this one.
    next: Option<String>,
}

/// The newest items, and where the next page begins.
///
/// Looks like a scan: the plan says `SCAN items`. It walks an index in the order of the page and
/// stops when the page is full.
async fn ordered_walk(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<FirstPage>, Failure> {
    let items = items::newest(&database.reads, page.page_size.rows()).await?;
    let next = items
        .last()
        .map(super::pages::Cursor::after)
        .map(|cursor| cursor.to_string());
    Ok(Json(FirstPage { items, next }))
}

#[derive(Debug, Serialize)]
struct Sorted {
    newest: Vec<i64>,
    items: Vec<Item>,
}

/// The newest items, the cheapest first.
///
/// Looks like a sort without bound: there is no index on the price and the plan has a temporary
/// b-tree. It sorts the rows of one page, found by their ids.
async fn one_page_sorted(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Sorted>, Failure> {
    let newest = newest_ids(&database.reads, page.page_size.rows()).await?;
    let items = cheapest_first(&database.reads, &newest).await?;
    Ok(Json(Sorted { newest, items }))
}

const NEWEST_IDS: &str = "
    SELECT id
    FROM items
    ORDER BY created_at DESC, id DESC
    LIMIT $1";

#[tracing::instrument(skip_all)]
async fn newest_ids(reads: &SqlitePool, limit: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(NEWEST_IDS)
        .bind(limit)
        .fetch_all(reads)
        .await
}

#[tracing::instrument(skip_all)]
async fn cheapest_first(reads: &SqlitePool, ids: &[i64]) -> sqlx::Result<Vec<Item>> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE id IN (",
    );
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    query.push(
        ")
    ORDER BY price_cents",
    );
    query.build_query_as().fetch_all(reads).await
}

#[derive(Debug, Serialize, FromRow)]
struct OrderedItem {
    order_id: i64,
    quantity: Option<i64>,
    title: Option<String>,
}

/// What was ordered last; an order without lines is shown as well.
///
/// Looks like a join without an index: its outer side is not a table but the page of orders. Both
/// inner sides are found by an index, and the limit inside bounds the rows. It matters that the
/// joins are outer ones: SQLite may turn an inner join around, and without statistics it does, to
/// read all order lines and build an automatic index over the page.
async fn indexed_join(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<OrderedItem>>, Failure> {
    Ok(Json(
        ordered_last(&database.reads, page.page_size.rows()).await?,
    ))
}

const ORDERED_LAST: &str = "
    WITH page AS (
        SELECT id
        FROM orders
        ORDER BY placed_at DESC, id DESC
        LIMIT $1
    )
    SELECT page.id AS order_id, order_lines.quantity, items.title
    FROM page
    LEFT JOIN order_lines ON order_lines.order_id = page.id
    LEFT JOIN items ON items.id = order_lines.item_id";

#[tracing::instrument(skip_all)]
async fn ordered_last(reads: &SqlitePool, orders: i64) -> sqlx::Result<Vec<OrderedItem>> {
    sqlx::query_as(ORDERED_LAST)
        .bind(orders)
        .fetch_all(reads)
        .await
}

/// The newest items that are sold out.
///
/// Its index looks unused: it is partial, and no other statement can use it. This one can, because
/// it says `stock = 0` with the same constant.
async fn sold_out(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Item>>, Failure> {
    Ok(Json(
        newest_sold_out(&database.reads, page.page_size.rows()).await?,
    ))
}

const NEWEST_SOLD_OUT: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE stock = 0
    ORDER BY created_at DESC, id DESC
    LIMIT $1";

#[tracing::instrument(skip_all)]
async fn newest_sold_out(reads: &SqlitePool, limit: i64) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(NEWEST_SOLD_OUT)
        .bind(limit)
        .fetch_all(reads)
        .await
}
