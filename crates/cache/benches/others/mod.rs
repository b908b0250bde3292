//! Other caches behind the harness, as their documentation has them used.

use std::{convert::Infallible, sync::Arc, time::Duration};

use cached::{
    AsyncRedisCache, ConcurrentCachedAsync, ConcurrentCachedAsyncExt as _, ShardedTtlCache,
};
use redis::AsyncCommands as _;

use crate::harness::{Database, Failed, Scheme};

const TTL: Duration = Duration::from_secs(60);

/// moka: `try_get_with`, `invalidate` after the write.
pub(crate) struct Moka {
    cache: moka::future::Cache<u64, u64>,
    database: Arc<Database>,
}

impl Moka {
    pub(crate) fn new(database: &Arc<Database>) -> Arc<Self> {
        Arc::new(Self {
            cache: moka::future::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(TTL)
                .build(),
            database: Arc::clone(database),
        })
    }
}

impl Scheme for Moka {
    async fn read(&self, key: u64) -> Option<u64> {
        let load = async { Ok::<_, Failed>(self.database.read(key).await) };
        self.cache.try_get_with(key, load).await.ok()
    }

    async fn write(&self, key: u64) -> Option<u64> {
        let version = self.database.write(key).await;
        self.cache.invalidate(&key).await;
        Some(version)
    }
}

/// quick_cache: `get_or_insert_async`, `remove` after the write.
pub(crate) struct Quick {
    cache: quick_cache::sync::Cache<u64, u64>,
    database: Arc<Database>,
}

impl Quick {
    pub(crate) fn new(database: &Arc<Database>) -> Arc<Self> {
        Arc::new(Self {
            cache: quick_cache::sync::Cache::new(10_000),
            database: Arc::clone(database),
        })
    }
}

impl Scheme for Quick {
    async fn read(&self, key: u64) -> Option<u64> {
        let load = async { Ok::<_, Failed>(self.database.read(key).await) };
        self.cache.get_or_insert_async(&key, load).await.ok()
    }

    async fn write(&self, key: u64) -> Option<u64> {
        let version = self.database.write(key).await;
        self.cache.remove(&key);
        Some(version)
    }
}

/// foyer: `get_or_fetch`, `remove` after the write.
pub(crate) struct Foyer {
    cache: foyer_memory::Cache<u64, u64>,
    database: Arc<Database>,
}

impl Foyer {
    pub(crate) fn new(database: &Arc<Database>) -> Arc<Self> {
        Arc::new(Self {
            cache: foyer_memory::CacheBuilder::new(10_000).build(),
            database: Arc::clone(database),
        })
    }
}

impl Scheme for Foyer {
    async fn read(&self, key: u64) -> Option<u64> {
        let database = Arc::clone(&self.database);
        let load = move || async move { Ok::<_, Infallible>(database.read(key).await) };
        let entry = self.cache.get_or_fetch(&key, load).await.ok()?;
        Some(*entry.value())
    }

    async fn write(&self, key: u64) -> Option<u64> {
        let version = self.database.write(key).await;
        self.cache.remove(&key);
        Some(version)
    }
}

/// cached: `async_try_get_or_set_with`, `async_delete` after the write; in memory or in Redis.
pub(crate) struct Cached<C> {
    cache: C,
    database: Arc<Database>,
}

impl Cached<ShardedTtlCache<u64, u64>> {
    pub(crate) fn in_memory(database: &Arc<Database>) -> Arc<Self> {
        Arc::new(Self {
            cache: ShardedTtlCache::builder().ttl(TTL).build().unwrap(),
            database: Arc::clone(database),
        })
    }
}

impl Cached<AsyncRedisCache<u64, u64>> {
    pub(crate) async fn in_redis(url: &str, database: &Arc<Database>) -> Arc<Self> {
        let builder = AsyncRedisCache::builder("bench").ttl(TTL);
        Arc::new(Self {
            cache: builder.connection_string(url).build().await.unwrap(),
            database: Arc::clone(database),
        })
    }
}

impl<C> Scheme for Cached<C>
where
    C: ConcurrentCachedAsync<u64, u64> + Send + Sync + 'static,
    C::Error: Send,
{
    async fn read(&self, key: u64) -> Option<u64> {
        let load = || async { Ok::<_, Failed>(self.database.read(key).await) };
        let read = self.cache.async_try_get_or_set_with(key, load).await;
        read.ok()?.ok()
    }

    async fn write(&self, key: u64) -> Option<u64> {
        let version = self.database.write(key).await;
        let _deleted = self.cache.async_delete(&key).await;
        Some(version)
    }
}

/// GET, SETEX after a miss, DEL after the write: what founding paper 004 describes.
pub(crate) struct Plain {
    line: redis::aio::MultiplexedConnection,
    database: Arc<Database>,
}

impl Plain {
    pub(crate) async fn new(url: &str, database: &Arc<Database>) -> Arc<Self> {
        let client = redis::Client::open(url).unwrap();
        Arc::new(Self {
            line: client.get_multiplexed_async_connection().await.unwrap(),
            database: Arc::clone(database),
        })
    }
}

impl Scheme for Plain {
    async fn read(&self, key: u64) -> Option<u64> {
        let (mut line, name) = (self.line.clone(), format!("plain:{key}"));
        let found: Option<u64> = line.get(&name).await.ok().flatten();
        if found.is_some() {
            return found;
        }
        let version = self.database.read(key).await;
        let _stored: Result<(), _> = line.set_ex(&name, version, TTL.as_secs()).await;
        Some(version)
    }

    async fn write(&self, key: u64) -> Option<u64> {
        let version = self.database.write(key).await;
        let mut line = self.line.clone();
        let _deleted: Result<(), _> = line.del(format!("plain:{key}")).await;
        Some(version)
    }
}
