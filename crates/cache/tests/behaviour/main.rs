//! What a cache does, seen from outside: in one process, and over a real Redis.

// What these helpers of tests cannot have is a failure of the test.
#![allow(clippy::unwrap_used)]

mod keys;
mod loads;
#[path = "../consistency/ready.rs"]
mod ready;
mod redis_faults;
mod shared;
mod times;
mod told;
mod writes;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use speedwell_cache::{Cache, LoadError, Policy};

/// For values without tags.
const NO_TAGS: [&str; 0] = [];

/// Exact times: no jitter, nothing early.
const PLAIN: Policy = Policy::new(Duration::from_secs(60))
    .jitter(0.0)
    .early_refresh(0.0);

const MOMENT: Duration = Duration::from_millis(50);

/// A loader that counts and gives the number of its run.
#[derive(Debug, Clone, Default)]
struct Loads(Arc<AtomicUsize>);

impl Loads {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    async fn next(&self, takes: Duration) -> Result<usize, Infallible> {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(takes).await;
        Ok(number)
    }

    /// Reads a key through the cache.
    async fn read(&self, cache: &Cache, key: &str, policy: &Policy) -> usize {
        self.read_tagged(cache, key, policy, NO_TAGS).await
    }

    async fn read_tagged(
        &self,
        cache: &Cache,
        key: &str,
        policy: &Policy,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> usize {
        let loads = self.clone();
        let load = move || async move { loads.next(Duration::ZERO).await };
        let read: Result<Arc<usize>, LoadError<Infallible>> =
            cache.get_or_load(key, policy, tags, load).await;
        *read.unwrap()
    }
}

async fn local() -> Cache {
    Cache::builder("test").build().await.unwrap()
}
