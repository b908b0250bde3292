//! A cache that is asked too often, told too little, or made too late.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::{get, post},
};
use serde::Serialize;
use serde_json::{Value, json};
use speedwell_cache::Cache;

use crate::{
    answer::{Failure, Page},
    cached::{self, Cached, Move, POLICY, Quote, SHOPS},
    items::{self, Item},
};

pub(super) fn routes() -> Router<Cached> {
    Router::new()
        .route("/faults/cache-read-loop", get(read_loop))
        .route("/faults/uncached-write", post(uncached_write))
        .route("/faults/stampede", get(stampede))
}

#[derive(Debug, Serialize)]
struct Offered {
    #[serde(flatten)]
    item: Item,
    city: String,
}

/// The newest items, each with the city of its shop.
///
/// Wrong: the cache is asked for one shop after the other. From memory that costs little; after a
/// start, and after a write that shops depend on, it is a statement for each row. Right: the shops of
/// the page in one statement, and the page as one cached value.
async fn read_loop(
    State(cached): State<Cached>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Offered>>, Failure> {
    let mut answer = Vec::new();
    for item in items::newest(&cached.database.reads, page.page_size.rows()).await? {
        let city = city_of(&cached, item.shop_id).await?.to_string();
        answer.push(Offered { item, city });
    }
    Ok(Json(answer))
}

const CITY_OF: &str = "
    SELECT city
    FROM shops
    WHERE id = $1";

#[tracing::instrument(skip_all)]
async fn city_of(cached: &Cached, shop: i64) -> Result<Arc<String>, Failure> {
    let reads = cached.database.reads.clone();
    let load = move || async move {
        let city = sqlx::query_scalar(CITY_OF).bind(shop);
        city.fetch_one(&reads).await
    };
    let city = cached
        .cache
        .get_or_load(format!("city:{shop}"), &POLICY, [SHOPS], load);
    Ok(city.await?)
}

/// A shop moves to another city.
///
/// Wrong: the cities of shops are cached, and nobody tells the cache. Readers get the old city for an
/// hour. Right: the same statement inside `cache.write` with the tag of shops.
async fn uncached_write(
    State(cached): State<Cached>,
    Json(to): Json<Move>,
) -> Result<Json<Value>, Failure> {
    cached::move_shop(&cached.database.writes, to).await?;
    Ok(Json(json!({ "moved": 1 })))
}

/// What each courier takes for a parcel today.
///
/// Wrong: the cache is made with the request. Nobody finds what another has loaded, and of several
/// who ask at the same moment each one asks all couriers. Right: one cache for the service, where one
/// loads and the others wait.
async fn stampede(State(cached): State<Cached>) -> Result<Json<Arc<Vec<Quote>>>, Failure> {
    let cache = Cache::builder("quotes").build().await?;
    Ok(Json(cached::quotes(&cache, cached.database).await?))
}
