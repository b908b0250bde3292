//! Pages and counts whose cost does not follow the number of rows, or that are not pages at all.

use std::{fmt, str::FromStr};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
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
        .route("/healthy/deep-offset/keyset", get(keyset))
        .route("/healthy/deep-offset/shallow", get(shallow))
        .route("/healthy/count-per-page/capped", get(capped))
        .route("/healthy/count-per-page/shops/{id}", get(totals))
}

/// Where a page of items ended: `1767225600-1000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    created_at: i64,
    id: i64,
}

impl Cursor {
    pub(super) fn after(item: &Item) -> Self {
        Self {
            created_at: item.created_at,
            id: item.id,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.created_at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let (created_at, id) = text.split_once('-').ok_or(Failure::Cursor)?;
        let number = |digits: &str| digits.parse().map_err(|_| Failure::Cursor);
        Ok(Self {
            created_at: number(created_at)?,
            id: number(id)?,
        })
    }
}

#[derive(Debug, Deserialize)]
struct After {
    after: String,
}

#[derive(Debug, Serialize)]
struct NextPage {
    items: Vec<Item>,
    next: Option<String>,
}

/// The page of items after a cursor.
///
/// Looks like any later page, and is found at once: the index is entered where the page before it
/// ended.
async fn keyset(
    State(database): State<Database>,
    Query(page): Query<Page>,
    Query(After { after }): Query<After>,
) -> Result<Json<NextPage>, Failure> {
    let items = items_after(&database.reads, after.parse()?, page.page_size.rows()).await?;
    let next = items.last().map(|item| Cursor::after(item).to_string());
    Ok(Json(NextPage { items, next }))
}

const ITEMS_AFTER: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE (created_at, id) < ($1, $2)
    ORDER BY created_at DESC, id DESC
    LIMIT $3";

#[tracing::instrument(skip_all)]
async fn items_after(reads: &SqlitePool, after: Cursor, limit: i64) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(ITEMS_AFTER)
        .bind(after.created_at)
        .bind(after.id)
        .bind(limit)
        .fetch_all(reads)
        .await
}

#[derive(Debug, Deserialize)]
struct Number {
    page: i64,
}

/// A page of items by its number, from 1 to 5.
///
/// Looks like a deep offset, with the same text. Four pages are skipped at most, whatever the data.
async fn shallow(
    State(database): State<Database>,
    Query(page): Query<Page>,
    Query(number): Query<Number>,
) -> Result<Json<Vec<Item>>, Failure> {
    let limit = page.page_size.rows();
    let offset = (number.page.clamp(1, 5) - 1) * limit;
    Ok(Json(items_of_page(&database.reads, limit, offset).await?))
}

const ITEMS_OF_PAGE: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    ORDER BY created_at DESC, id DESC
    LIMIT $1
    OFFSET $2";

#[tracing::instrument(skip_all)]
async fn items_of_page(reads: &SqlitePool, limit: i64, offset: i64) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(ITEMS_OF_PAGE)
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
struct Capped {
    total: i64,
    more: bool,
    items: Vec<Item>,
}

/// The newest items of a category and how many there are, up to 50.
///
/// Looks like a count of the whole category on each page. The count stops at the 51st row.
async fn capped(
    State(database): State<Database>,
    Query(page): Query<Page>,
    Query(Category { category }): Query<Category>,
) -> Result<Json<Capped>, Failure> {
    let counted = count_up_to_51(&database.reads, category).await?;
    let items = newest_of_category(&database.reads, category, page.page_size.rows()).await?;
    Ok(Json(Capped {
        total: counted.min(50),
        more: counted > 50,
        items,
    }))
}

const COUNT_UP_TO_51: &str = "
    SELECT COUNT(*)
    FROM (
        SELECT 1
        FROM items
        WHERE category_id = $1
        LIMIT 51
    )";

#[tracing::instrument(skip_all)]
async fn count_up_to_51(reads: &SqlitePool, category: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(COUNT_UP_TO_51)
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

#[derive(Debug, Serialize, FromRow)]
struct Totals {
    items: i64,
    cheapest_cents: Option<i64>,
    dearest_cents: Option<i64>,
    sum_cents: Option<i64>,
}

/// How many items a shop has and what they cost.
///
/// Looks like a count on each page, and like a list without a limit. There is no page: the numbers
/// are the answer, and one index holds all that they are made of.
async fn totals(
    State(database): State<Database>,
    Path(shop): Path<i64>,
) -> Result<Json<Totals>, Failure> {
    Ok(Json(shop_totals(&database.reads, shop).await?))
}

const SHOP_TOTALS: &str = "
    SELECT COUNT(*) AS items,
           MIN(price_cents) AS cheapest_cents,
           MAX(price_cents) AS dearest_cents,
           SUM(price_cents) AS sum_cents
    FROM items
    WHERE shop_id = $1";

#[tracing::instrument(skip_all)]
async fn shop_totals(reads: &SqlitePool, shop: i64) -> sqlx::Result<Totals> {
    sqlx::query_as(SHOP_TOTALS)
        .bind(shop)
        .fetch_one(reads)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor {
            created_at: 1_767_225_600,
            id: 42,
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
    }

    #[test]
    fn text_that_is_no_cursor_is_refused() {
        for text in ["", "1", "1-", "-1", "a-b", "1-2-3"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
