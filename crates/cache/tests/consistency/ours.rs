//! This crate's cache behind the harness.

use std::{sync::Arc, time::Duration};

use speedwell_cache::{Builder, Cache, Policy};

use crate::harness::{Database, Failed, Scheme};

pub(crate) struct Ours {
    pub(crate) cache: Cache,
    database: Arc<Database>,
    /// One in so many loads fails; 0: none.
    fails: u32,
}

const POLICY: Policy = Policy::new(Duration::from_secs(60))
    .stale_while_revalidate(Duration::from_secs(5))
    .fail_safe(Duration::from_secs(20))
    .error_ttl(Duration::from_millis(5));

impl Ours {
    pub(crate) async fn new(builder: Builder, database: &Arc<Database>, fails: u32) -> Arc<Self> {
        Arc::new(Self {
            cache: builder.build().await.unwrap(),
            database: Arc::clone(database),
            fails,
        })
    }
}

fn tag(key: u64) -> [String; 1] {
    [format!("register:{key}")]
}

impl Scheme for Ours {
    async fn read(&self, key: u64) -> Option<u64> {
        let (database, fails) = (Arc::clone(&self.database), self.fails);
        let load = move || async move {
            if fails > 0 && rand::random_range(0..fails) == 0 {
                return Err(Failed);
            }
            Ok(database.read(key).await)
        };
        let name = format!("register:{key}");
        let read = self.cache.get_or_load(name, &POLICY, tag(key), load);
        Some(*read.await.ok()?)
    }

    async fn write(&self, key: u64) -> Option<u64> {
        let database = Arc::clone(&self.database);
        let transaction = move |_| async move { Ok::<_, Failed>(database.write(key).await) };
        self.cache.write(tag(key), transaction).await.ok()
    }
}
