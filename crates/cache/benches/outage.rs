//! What a read and a write cost while Redis is dead or frozen, and when it is back. Table 2e of
//! the cache survey.
//!
//! `cargo bench -p speedwell-cache --bench outage`

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use cached::{AsyncRedisCache, ConcurrentCachedAsyncExt as _};
use redis::AsyncCommands as _;
use speedwell_cache::{Cache, Mode, Policy};
use throwaway::Redis;
use tokio::time::timeout;

const POLICY: Policy = Policy::new(Duration::from_secs(60));
/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(15);

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A read that misses; the load itself takes no time.
async fn miss(cache: &Cache) -> Duration {
    let started = Instant::now();
    let key = format!("k:{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let load = || async { Ok::<_, Infallible>(1_u64) };
    cache.get_or_load(key, &POLICY, ["t"], load).await.unwrap();
    started.elapsed()
}

async fn plain(line: &mut redis::aio::MultiplexedConnection) -> Duration {
    let started = Instant::now();
    let name = format!("k:{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let get = line.get::<_, Option<u64>>(&name);
    let _found = timeout(PATIENCE, get).await;
    let set = line.set_ex::<_, _, ()>(&name, 1, 60);
    let _set = timeout(PATIENCE, set).await;
    started.elapsed()
}

/// The same through `cached`; and what the reader gets.
async fn through_cached(cache: &AsyncRedisCache<String, u64>) -> (Duration, &'static str) {
    let started = Instant::now();
    let name = format!("k:{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let load = || async { Ok::<_, Infallible>(1_u64) };
    let read = timeout(PATIENCE, cache.async_try_get_or_set_with(name, load)).await;
    let got = match read {
        Ok(Ok(_)) => "the value",
        Ok(Err(_)) => "an error",
        Err(_) => "nothing",
    };
    (started.elapsed(), got)
}

async fn cached_in_redis() {
    let mut server = Redis::start().unwrap();
    let builder = AsyncRedisCache::builder("bench").ttl(Duration::from_secs(60));
    let built = builder.connection_string(&server.url()).build().await;
    let cache: AsyncRedisCache<String, u64> = built.unwrap();
    for fault in ["frozen", "killed"] {
        match fault {
            "frozen" => server.freeze().unwrap(),
            _ => server.kill(),
        }
        let (mut times, mut last) = (Vec::new(), "");
        for _ in 0..5 {
            let (took, got) = through_cached(&cache).await;
            times.push(took);
            last = got;
        }
        match fault {
            "frozen" => server.thaw().unwrap(),
            _ => server.start_again().unwrap(),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let again = through_cached(&cache).await.1;
        println!(
            "{:<42} {}   readers get {last}; when it is back, {again}",
            format!("cached AsyncRedisCache, {fault}"),
            ms(&times)
        );
    }
}

fn ms(times: &[Duration]) -> String {
    let mut later: Vec<f64> = times[1..]
        .iter()
        .map(|one| one.as_secs_f64() * 1e3)
        .collect();
    later.sort_unstable_by(f64::total_cmp);
    let first = times[0].as_secs_f64() * 1e3;
    format!(
        "{first:>9.2} {:>9.3} {:>9.3}",
        later[later.len() / 2],
        later[later.len() - 1]
    )
}

async fn back(cache: &Cache, since: Instant) -> Duration {
    while !cache.stats().lease_valid || cache.stats().breaker_open {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    since.elapsed()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    println!(
        "{:<42} {:>9} {:>9} {:>9}   back after",
        "20 misses one after the other, ms", "first", "median", "worst"
    );
    for mode in [Mode::Strict, Mode::Bounded, Mode::Ttl] {
        let mut server = Redis::start().unwrap();
        let builder = Cache::builder("bench").redis(&server.url()).mode(mode);
        let cache = builder.build().await.unwrap();
        back(&cache, Instant::now()).await;
        let mut times = Vec::new();
        for _ in 0..20 {
            times.push(miss(&cache).await);
        }
        println!("{:<42} {}", format!("{mode:?}, Redis is well"), ms(&times));
        server.kill();
        let mut times = Vec::new();
        for _ in 0..20 {
            times.push(miss(&cache).await);
        }
        let write = cache
            .write(["t"], |_| async { Ok::<_, Infallible>(()) })
            .await;
        let write = write.map_or_else(|error| error.to_string(), |()| "goes on".to_owned());
        server.start_again().unwrap();
        let after = back(&cache, Instant::now()).await;
        println!(
            "{:<42} {}   {:.1} s; write: {write}",
            format!("{mode:?}, killed"),
            ms(&times),
            after.as_secs_f64()
        );
        server.freeze().unwrap();
        let mut times = Vec::new();
        for _ in 0..20 {
            times.push(miss(&cache).await);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        server.thaw().unwrap();
        let after = back(&cache, Instant::now()).await;
        println!(
            "{:<42} {}   {:.1} s",
            format!("{mode:?}, frozen for 3 s"),
            ms(&times),
            after.as_secs_f64()
        );
    }
    cached_in_redis().await;
    let mut server = Redis::start().unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut line = client.get_multiplexed_async_connection().await.unwrap();
    server.freeze().unwrap();
    let mut times = Vec::new();
    for _ in 0..5 {
        times.push(plain(&mut line).await);
    }
    server.thaw().unwrap();
    println!(
        "{:<42} {}",
        "GET / SETEX (redis defaults), frozen",
        ms(&times)
    );
    server.kill();
    let mut times = Vec::new();
    for _ in 0..5 {
        times.push(plain(&mut line).await);
    }
    server.start_again().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let again = line.get::<_, Option<u64>>("k").await;
    let again = again.map_or_else(|_| "never without a new connection", |_| "at once");
    println!(
        "{:<42} {}   {again}",
        "GET / SETEX (redis defaults), killed",
        ms(&times)
    );
}
