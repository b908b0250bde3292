//! What is cached, what it depends on, and how it is written.
//!
//! | what | key | depends on |
//! |---|---|---|
//! | a share page without its count | `share:listing:{listing}:{token}` | the listing, the token |
//! | a view of a collection, ready to be sent | `collection:{id}:…` | the collection, all collections |
//! | which collection a token shows | `collection-token:{token}` | the token |
//! | how many listings a filter finds | `total:…` | all listings |
//!
//! A collection shows listings that are not known before it is read, so it does not depend on
//! them by itself: who writes a listing looks up the collections that have it and invalidates
//! those. Nothing that changes with time alone is cached: ends are checked at each hit, views are
//! counted beside.

use std::time::Duration;

pub(crate) use service_kit::cache::{find, write};
use service_kit::database::{Database, query};
use speedwell_cache::{Policy, Write};

/// To be raised when what is cached changes its meaning.
pub(crate) const VERSION: u64 = 1;

/// Share pages: a day, as the paper asks. Over Redis, the cache itself ends all that is older than
/// its bound for what a writer could not tell.
pub(crate) const SHARE: Policy =
    Policy::new(Duration::from_secs(86_400)).negative_ttl(Duration::from_secs(2));

/// Collections, and which one a token shows. A hundred listings compress well.
pub(crate) const COLLECTION: Policy = Policy::new(Duration::from_secs(3600))
    .negative_ttl(Duration::from_secs(2))
    .compress_from(16 * 1024);

/// Totals of lists: five minutes, as their documentation says.
pub(crate) const TOTAL: Policy = Policy::new(Duration::from_secs(300));

/// All listings.
pub(crate) const LISTINGS: &str = "listings";
/// All views of collections.
pub(crate) const COLLECTIONS: &str = "collections";

/// Of one listing.
pub(crate) fn listing(id: i64) -> String {
    format!("listing:{id}")
}

/// Of one collection.
pub(crate) fn collection(id: i64) -> String {
    format!("collection:{id}")
}

/// Of one token.
pub(crate) fn share(token: &str) -> String {
    format!("share:{token}")
}

pub(crate) const COLLECTIONS_OF: &str = "
SELECT DISTINCT i.collection_id
FROM collection_item AS i
WHERE i.listing_id = $1";

/// Adds the collections that show a listing to what a write invalidates. To be called when it has
/// committed: who put the listing into a collection just before, and read that collection just
/// before, is found only then.
pub(crate) async fn also_collections_of(write: &Write, database: &Database, listing: i64) {
    let found: Result<Vec<(i64,)>, sqlx::Error> = query(COLLECTIONS_OF)
        .bind(listing)
        .fetch_all(database.read())
        .await;
    let tags = match found {
        Ok(found) => found.iter().map(|(id,)| collection(*id)).collect(),
        Err(error) => {
            tracing::warn!(%error, "all collections are invalidated: which ones is not known");
            vec![COLLECTIONS.to_owned()]
        }
    };
    // Only a strict cache refuses, and before the commit.
    let _told = write.also(tags).await;
}
