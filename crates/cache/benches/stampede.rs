//! A thousand readers who miss at once, loaders that fail, readers that give up: how many loads
//! there are, and how many readers are answered. Tables 2c and 2d of the cache survey.
//!
//! `cargo bench -p speedwell-cache --bench stampede`

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cached::{
    AsyncRedisCache, ConcurrentCachedAsync, ConcurrentCachedAsyncExt as _, ShardedTtlCache,
};
use speedwell_cache::{Cache, Policy};
use tokio::{task::JoinSet, time::timeout};

const READERS: usize = 1000;
const LOAD: Duration = Duration::from_millis(50);
const NO_TAGS: [&str; 0] = [];

/// A loader: counts, takes its time, succeeds or not.
#[derive(Clone, Default)]
struct Loader {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    fails: bool,
    takes: Duration,
}

impl Loader {
    fn new(takes: Duration, fails: bool) -> Self {
        Self {
            takes,
            fails,
            ..Self::default()
        }
    }

    async fn load(self) -> Result<u64, String> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        if self.fails {
            Err("down".to_owned())
        } else {
            Ok(7)
        }
    }
}

/// One way to read one key.
trait Way: Clone + Send + Sync + 'static {
    fn read(&self, loader: Loader) -> impl Future<Output = bool> + Send;
}

#[derive(Clone)]
struct Ours(Cache);

impl Way for Ours {
    async fn read(&self, loader: Loader) -> bool {
        const POLICY: Policy = Policy::new(Duration::from_secs(60));
        let read = self.0.get_or_load("k", &POLICY, NO_TAGS, || loader.load());
        read.await.is_ok()
    }
}

#[derive(Clone)]
struct Moka(moka::future::Cache<&'static str, u64>);

impl Way for Moka {
    async fn read(&self, loader: Loader) -> bool {
        self.0.try_get_with("k", loader.load()).await.is_ok()
    }
}

#[derive(Clone)]
struct Foyer(Arc<foyer_memory::Cache<String, u64>>);

impl Way for Foyer {
    async fn read(&self, loader: Loader) -> bool {
        let load = || async move { loader.load().await.map_err(std::io::Error::other) };
        self.0.get_or_fetch("k", load).await.is_ok()
    }
}

#[derive(Clone)]
struct Quick(Arc<quick_cache::sync::Cache<String, u64>>);

impl Way for Quick {
    async fn read(&self, loader: Loader) -> bool {
        self.0.get_or_insert_async("k", loader.load()).await.is_ok()
    }
}

#[derive(Clone)]
struct Cached<C>(Arc<C>);

impl<C> Way for Cached<C>
where
    C: ConcurrentCachedAsync<String, u64> + Clone + Send + Sync + 'static,
    C::Error: Send,
{
    async fn read(&self, loader: Loader) -> bool {
        let read = self
            .0
            .async_try_get_or_set_with("k".to_owned(), || loader.load());
        matches!(read.await, Ok(Ok(_)))
    }
}

#[derive(Clone)]
struct Plain(redis::aio::MultiplexedConnection);

impl Way for Plain {
    async fn read(&self, loader: Loader) -> bool {
        use redis::AsyncCommands as _;
        let mut line = self.0.clone();
        if let Ok(Some(_)) = line.get::<_, Option<u64>>("k").await {
            return true;
        }
        match loader.load().await {
            Ok(value) => line.set_ex::<_, _, ()>("k", value, 60).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// All miss at once; the leader may go away in the middle. Loads begun, or that they did not end.
async fn at_once(way: impl Way, fails: bool, leader_leaves: bool) -> String {
    let loader = Loader::new(LOAD, fails);
    let leader = tokio::spawn({
        let (way, loader) = (way.clone(), loader.clone());
        async move { way.read(loader).await }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut all = JoinSet::new();
    for _ in 1..READERS {
        let (way, loader) = (way.clone(), loader.clone());
        all.spawn(async move { way.read(loader).await });
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    if leader_leaves {
        leader.abort();
    }
    let ended = timeout(Duration::from_secs(8), all.join_all()).await;
    let begun = loader.begun.load(Ordering::SeqCst);
    match ended {
        Ok(_) => begun.to_string(),
        Err(_) => format!("{begun}, not ended"),
    }
}

/// A load of 400 ms, readers who wait 300 ms, one each 10 ms for 4 s.
async fn slow(way: impl Way) -> String {
    let loader = Loader::new(Duration::from_millis(400), false);
    let mut all = JoinSet::new();
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let (way, loader) = (way.clone(), loader.clone());
        all.spawn(async move {
            timeout(Duration::from_millis(300), way.read(loader))
                .await
                .unwrap_or(false)
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answered = all.join_all().await;
    let share = answered.iter().filter(|one| **one).count() * 100 / answered.len();
    let (begun, ended) = (&loader.begun, &loader.ended);
    format!(
        "{} begun, {} ended, {share} % answered",
        begun.load(Ordering::SeqCst),
        ended.load(Ordering::SeqCst)
    )
}

async fn rows<W: Way, F: Future<Output = W>>(name: &str, fresh: impl Fn() -> F) {
    println!(
        "{name:<32} {:>6} {:>18} {:>20}   {}",
        at_once(fresh().await, false, false).await,
        at_once(fresh().await, true, false).await,
        at_once(fresh().await, false, true).await,
        slow(fresh().await).await,
    );
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Infallible> {
    println!("{READERS} readers miss at once, a load takes 50 ms: loads begun");
    println!(
        "{:<32} {:>6} {:>18} {:>20}   load 400 ms, patience 300 ms",
        "", "ok", "loader fails", "leader goes away"
    );
    let server = throwaway::Redis::start().unwrap();
    let url = server.url();
    rows("this crate, without Redis", || async {
        Ours(Cache::builder("bench").build().await.unwrap())
    })
    .await;
    rows("this crate, over Redis", || async {
        server.ask(&["FLUSHALL"]).unwrap();
        let cache = Cache::builder("bench").redis(&url).build().await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ours(cache)
    })
    .await;
    rows("this crate, Redis is dead", || async {
        let cache = Cache::builder("bench").redis("redis://127.0.0.1:1/");
        Ours(cache.build().await.unwrap())
    })
    .await;
    rows("moka try_get_with", || async {
        Moka(moka::future::Cache::new(1000))
    })
    .await;
    rows("quick_cache get_or_insert_async", || async {
        Quick(Arc::new(quick_cache::sync::Cache::new(1000)))
    })
    .await;
    rows("foyer get_or_fetch", || async {
        Foyer(Arc::new(foyer_memory::CacheBuilder::new(1000).build()))
    })
    .await;
    rows("cached get_or_set_with", || async {
        let builder = ShardedTtlCache::builder().ttl(Duration::from_secs(60));
        Cached(Arc::new(builder.build().unwrap()))
    })
    .await;
    rows("cached AsyncRedisCache", || async {
        server.ask(&["FLUSHALL"]).unwrap();
        let builder = AsyncRedisCache::builder("bench").ttl(Duration::from_secs(60));
        Cached(Arc::new(
            builder.connection_string(&url).build().await.unwrap(),
        ))
    })
    .await;
    rows("GET / SETEX (paper 004)", || async {
        server.ask(&["FLUSHALL"]).unwrap();
        let client = redis::Client::open(&*url).unwrap();
        Plain(client.get_multiplexed_async_connection().await.unwrap())
    })
    .await;
    Ok(())
}
