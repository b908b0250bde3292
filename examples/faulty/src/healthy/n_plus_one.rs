//! Details of a page's rows, read for all of them at once.

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
        .route("/healthy/n-plus-one/json-batch", get(json_batch))
        .route("/healthy/n-plus-one/in-list", get(in_list))
}

#[derive(Debug, Serialize)]
struct WithShops {
    items: Vec<Item>,
    shops: Vec<Shop>,
}

#[derive(Debug, Serialize, FromRow)]
struct Shop {
    id: i64,
    name: String,
    city: String,
}

/// The newest items and, beside them, their shops.
///
/// Looks like an N+1: the second statement is driven by the rows of the first. It runs once, with
/// all ids in one bound JSON array, so that its text never changes.
async fn json_batch(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<WithShops>, Failure> {
    let items = items::newest(&database.reads, page.page_size.rows()).await?;
    let shops = shops_of(&database.reads, &items).await?;
    Ok(Json(WithShops { items, shops }))
}

const SHOPS_OF: &str = "
    SELECT id, name, city
    FROM shops
    WHERE id IN (SELECT value FROM json_each($1))";

#[tracing::instrument(skip_all)]
async fn shops_of(reads: &SqlitePool, items: &[Item]) -> sqlx::Result<Vec<Shop>> {
    let ids: Vec<i64> = items.iter().map(|item| item.shop_id).collect();
    sqlx::query_as(SHOPS_OF)
        .bind(serde_json::json!(ids).to_string())
        .fetch_all(reads)
        .await
}

#[derive(Debug, Serialize)]
struct Tagged {
    #[serde(flatten)]
    item: Item,
    tags: Vec<String>,
}

#[derive(Debug, FromRow)]
struct ItemTag {
    item_id: i64,
    name: String,
}

/// The newest items with their tags.
///
/// Looks like an N+1, and its text differs with the number of items. It is one statement with a
/// placeholder for each id.
async fn in_list(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Tagged>>, Failure> {
    let items = items::newest(&database.reads, page.page_size.rows()).await?;
    let tags = tags_of(&database.reads, &items).await?;
    let tagged = |item: Item| {
        let of_item = tags.iter().filter(|tag| tag.item_id == item.id);
        Tagged {
            tags: of_item.map(|tag| tag.name.clone()).collect(),
            item,
        }
    };
    Ok(Json(items.into_iter().map(tagged).collect()))
}

#[tracing::instrument(skip_all)]
async fn tags_of(reads: &SqlitePool, items: &[Item]) -> sqlx::Result<Vec<ItemTag>> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "
    SELECT item_tags.item_id, tags.name
    FROM item_tags
    JOIN tags ON tags.id = item_tags.tag_id
    WHERE item_tags.item_id IN (",
    );
    let mut ids = query.separated(", ");
    for item in items {
        ids.push_bind(item.id);
    }
    query.push(")");
    query.build_query_as().fetch_all(reads).await
}
