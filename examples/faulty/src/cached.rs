//! What the shop keeps in memory: the cache, and how the values in it are made.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use speedwell_cache::{BuildError, Cache, Policy};
use sqlx::SqlitePool;
use sqlx_macros::FromRow;

use crate::{Database, answer::Failure};

/// Longer than any audit: what is loaded stays until it is invalidated.
pub(crate) const POLICY: Policy = Policy::new(Duration::from_secs(3600));

/// The tag of all that is made of the table `shops`.
pub(crate) const SHOPS: &str = "shops";

/// The database, and the one cache in front of it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cached {
    pub(crate) database: Database,
    pub(crate) cache: Cache,
}

impl Cached {
    pub(crate) async fn new(database: Database) -> Result<Self, BuildError> {
        let cache = Cache::builder("faulty").build().await?;
        Ok(Self { database, cache })
    }
}

/// The city that a shop moves to.
#[derive(Debug, Deserialize)]
pub(crate) struct Move {
    pub(crate) shop: i64,
    pub(crate) city: String,
}

const MOVE_SHOP: &str = "
    UPDATE shops
    SET city = $2
    WHERE id = $1";

#[tracing::instrument(skip_all)]
pub(crate) async fn move_shop(writes: &SqlitePool, to: Move) -> sqlx::Result<()> {
    sqlx::query(MOVE_SHOP)
        .bind(to.shop)
        .bind(to.city)
        .execute(writes)
        .await?;
    Ok(())
}

/// What a courier takes for a parcel today.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Quote {
    courier: String,
    price_cents: i64,
}

#[derive(Debug, FromRow)]
struct Courier {
    id: i64,
    name: String,
}

const COURIERS: &str = "
    SELECT id, name
    FROM couriers
    ORDER BY id";

/// How long the couriers take to answer.
const ASKING: Duration = Duration::from_millis(40);

/// The quotes of the key `quotes:today`, loaded into `cache` if they are not there.
#[tracing::instrument(skip_all)]
pub(crate) async fn quotes(cache: &Cache, database: Database) -> Result<Arc<Vec<Quote>>, Failure> {
    let load = || async move {
        let couriers: Vec<Courier> = sqlx::query_as(COURIERS).fetch_all(&database.reads).await?;
        // Each of them is asked for its price of today; here, nobody is, and it takes as long.
        tokio::time::sleep(ASKING).await;
        let quote = |courier: Courier| Quote {
            courier: courier.name,
            price_cents: 400 + courier.id * 37 % 300,
        };
        Ok::<Vec<Quote>, sqlx::Error>(couriers.into_iter().map(quote).collect())
    };
    let quotes = cache.get_or_load("quotes:today", &POLICY, ["couriers"], load);
    Ok(quotes.await?)
}
