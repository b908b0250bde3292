//! A cache that is asked once, told of each write, and shared.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx_macros::FromRow;

use crate::{
    answer::{Failure, Page},
    cached::{self, Cached, Move, POLICY, Quote, SHOPS},
    items::{self, Item},
};

pub(super) fn routes() -> Router<Cached> {
    Router::new()
        .route("/healthy/cache-read-loop/one-value", get(one_value))
        .route("/healthy/uncached-write/told", post(told))
        .route("/healthy/stampede/shared", get(shared))
}

#[derive(Debug, Serialize, Deserialize)]
struct Offers {
    items: Vec<Item>,
    cities: Vec<City>,
}

#[derive(Debug, Serialize, Deserialize, FromRow)]
struct City {
    shop_id: i64,
    city: String,
}

/// The newest items and, beside them, the cities of their shops.
///
/// Looks like a loop: a page of cached rows. The page is one value, read once and made of two
/// statements.
async fn one_value(
    State(cached): State<Cached>,
    Query(page): Query<Page>,
) -> Result<Json<Arc<Offers>>, Failure> {
    let (rows, reads) = (page.page_size.rows(), cached.database.reads.clone());
    let load = move || async move {
        let items = items::newest(&reads, rows).await?;
        let cities = cities_of(&reads, &items).await?;
        Ok::<_, sqlx::Error>(Offers { items, cities })
    };
    let offers =
        cached
            .cache
            .get_or_load(format!("offers:{rows}"), &POLICY, ["items", SHOPS], load);
    Ok(Json(offers.await?))
}

const CITIES_OF: &str = "
    SELECT id AS shop_id, city
    FROM shops
    WHERE id IN (SELECT value FROM json_each($1))";

#[tracing::instrument(skip_all)]
async fn cities_of(reads: &SqlitePool, items: &[Item]) -> sqlx::Result<Vec<City>> {
    let shops: Vec<i64> = items.iter().map(|item| item.shop_id).collect();
    sqlx::query_as(CITIES_OF)
        .bind(json!(shops).to_string())
        .fetch_all(reads)
        .await
}

/// A shop moves to another city.
///
/// Looks like a write that the cache does not hear of: the same statement on the same table. It runs
/// inside `cache.write`, so what is made of shops is loaded anew afterwards.
async fn told(State(cached): State<Cached>, Json(to): Json<Move>) -> Result<Json<Value>, Failure> {
    let writes = cached.database.writes.clone();
    let transaction = |_| async move { cached::move_shop(&writes, to).await };
    cached.cache.write([SHOPS], transaction).await?;
    Ok(Json(json!({ "moved": 1 })))
}

/// What each courier takes for a parcel today.
///
/// Looks like a stampede: a value that takes long to load, asked for by many at once. One of them
/// loads it, the others wait for that, and those who come later find it.
async fn shared(State(cached): State<Cached>) -> Result<Json<Arc<Vec<Quote>>>, Failure> {
    Ok(Json(cached::quotes(&cached.cache, cached.database).await?))
}
