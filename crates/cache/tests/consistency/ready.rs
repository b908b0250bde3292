//! When a process may use the cache.

use std::time::{Duration, Instant};

use speedwell_cache::Cache;

/// A server that has just started gives no leases for a moment.
pub(crate) async fn until_ready(cache: &Cache) {
    let until = Instant::now() + Duration::from_secs(10);
    while !cache.stats().lease_valid || cache.stats().breaker_open {
        assert!(Instant::now() < until, "{:?}", cache.stats());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
