//! A service in small: listings in a database, read through the cache by many, changed now and
//! then. Uses Redis if `REDIS_URL` names one: start this twice then.
//!
//! `cargo run -p speedwell-cache --example listings`

#![allow(clippy::print_stdout)]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use speedwell_cache::{Cache, Policy, WriteError};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listing {
    id: u64,
    title: String,
    price_cents: u64,
}

/// Stands in for a database: reads take 20 ms.
#[derive(Default)]
struct Database(Mutex<HashMap<u64, Listing>>);

#[derive(Debug, thiserror::Error)]
#[error("the database has been poisoned")]
struct Broken;

impl Database {
    async fn listing(&self, id: u64) -> Result<Option<Listing>, Broken> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(self.0.lock().map_err(|_| Broken)?.get(&id).cloned())
    }

    async fn set_price(&self, id: u64, price_cents: u64) -> Result<(), Broken> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(listing) = self.0.lock().map_err(|_| Broken)?.get_mut(&id) {
            listing.price_cents = price_cents;
        }
        Ok(())
    }
}

struct Shop {
    database: Arc<Database>,
    cache: Cache,
}

const LISTING: Policy = Policy::new(Duration::from_secs(300))
    .stale_while_revalidate(Duration::from_secs(30))
    .negative_ttl(Duration::from_secs(5));

fn tag(id: u64) -> String {
    format!("listing:{id}")
}

impl Shop {
    async fn listing(&self, id: u64) -> Result<Option<Arc<Listing>>, Arc<Broken>> {
        let database = Arc::clone(&self.database);
        let load = move || async move { database.listing(id).await };
        let found = self.cache.find_or_load(tag(id), &LISTING, [tag(id)], load);
        found.await.map_err(|error| match error {
            speedwell_cache::LoadError::Failed(error) => error,
            _ => Arc::new(Broken),
        })
    }

    async fn set_price(&self, id: u64, price_cents: u64) -> Result<(), WriteError<Broken>> {
        let database = Arc::clone(&self.database);
        let transaction = move |_| async move { database.set_price(id, price_cents).await };
        self.cache.write([tag(id)], transaction).await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Cache::builder("shop");
    if let Ok(url) = std::env::var("REDIS_URL") {
        builder = builder.redis(&url);
    }
    let shop = Shop {
        database: Arc::default(),
        cache: builder.build().await?,
    };
    let listing = Listing {
        id: 7,
        title: "A bicycle".to_owned(),
        price_cents: 19_900,
    };
    shop.database
        .0
        .lock()
        .map_err(|_| Broken)?
        .insert(7, listing);
    println!("guarantee: {}", shop.cache.guarantee());
    for price in [19_900, 17_500] {
        shop.set_price(7, price).await?;
        for _ in 0..3 {
            let started = Instant::now();
            let listing = shop.listing(7).await?;
            println!("{:>10.1?}  {listing:?}", started.elapsed());
        }
    }
    println!("{:>10}  {:?}", "", shop.listing(8).await?);
    println!("{:#?}", shop.cache.stats());
    Ok(())
}
