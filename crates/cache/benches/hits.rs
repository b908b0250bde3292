//! What a hit costs beside moka and a plain GET; what invalidating costs beside deleting by
//! pattern. Two readers at a time on two threads; the ways take turns, medians of the rounds.
//!
//! `cargo bench -p speedwell-cache --bench hits`

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    convert::Infallible,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use speedwell_cache::{Cache, Mode, Policy};

const KEYS: usize = 1000;
const POLICY: Policy = Policy::new(Duration::from_secs(3600));
const ROUNDS: usize = 7;

/// A collection of 100 items, 9.5 kB as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Collection {
    id: u64,
    items: Vec<Item>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item {
    id: u64,
    title: String,
    price_cents: u64,
    note: String,
}

fn collection(id: u64) -> Collection {
    let item = |number| Item {
        id: number,
        title: format!("A thing of some name {number}"),
        price_cents: number * 100,
        note: "as good as new".to_owned(),
    };
    Collection {
        id,
        items: (0..100).map(item).collect(),
    }
}

/// Time of single calls: median and 99th percentile, in ns.
async fn times<F: Future<Output = ()>>(calls: usize, call: impl Fn(usize) -> F) -> [f64; 2] {
    // Single calls are shorter than the clock is exact: eight at a time.
    const AT_ONCE: usize = 8;
    let mut times = Vec::with_capacity(calls / AT_ONCE);
    for number in 0..calls / AT_ONCE {
        let started = Instant::now();
        for one in 0..AT_ONCE {
            call(number * AT_ONCE + one).await;
        }
        times.push(started.elapsed().as_nanos() as f64 / AT_ONCE as f64);
    }
    times.sort_unstable_by(f64::total_cmp);
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints p50 and p99 of each way and their ratio to the first; all ways in each round.
fn print(title: &str, names: &[&str], rounds: &[Vec<[f64; 2]>]) {
    println!(
        "\n{title:<44} {:>10} {:>10} {:>8} {:>8}",
        "p50 µs", "p99 µs", "p50 ×", "p99 ×"
    );
    for (way, name) in names.iter().enumerate() {
        let of = |part: usize| median(rounds.iter().map(|round| round[way][part]).collect());
        let ratio = |part: usize| {
            median(
                rounds
                    .iter()
                    .map(|round| round[way][part] / round[0][part])
                    .collect(),
            )
        };
        println!(
            "{name:<44} {:>10.3} {:>10.3} {:>8.2} {:>8.2}",
            of(0) / 1e3,
            of(1) / 1e3,
            ratio(0),
            ratio(1)
        );
    }
}

async fn memory() {
    const CALLS: usize = 400_000;
    let keys: Arc<Vec<String>> =
        Arc::new((0..KEYS).map(|key| format!("collection:{key}")).collect());
    let moka = moka::future::Cache::builder()
        .max_capacity(1_000_000)
        .time_to_live(Duration::from_secs(3600))
        .build();
    let ours = Cache::builder("bench").build().await.unwrap();
    for key in keys.iter() {
        moka.insert(key.clone(), Arc::new(collection(1))).await;
        ours.set(key, collection(1), &POLICY, ["t"]).await;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for way in 0..2 {
            let other = {
                let (keys, moka, ours) = (Arc::clone(&keys), moka.clone(), ours.clone());
                tokio::spawn(async move { one_way(way, CALLS, &keys, &moka, &ours).await })
            };
            let [p50, p99] = one_way(way, CALLS, &keys, &moka, &ours).await;
            let also = other.await.unwrap();
            round.push([(p50 + also[0]) / 2.0, (p99 + also[1]) / 2.0]);
        }
        rounds.push(round);
    }
    let names = [
        "moka get (Arc<T>, time to live)",
        "get_or_load (Arc<T>, a tag)",
    ];
    print("hit in memory", &names, &rounds);
}

async fn one_way(
    way: usize,
    calls: usize,
    keys: &[String],
    moka: &moka::future::Cache<String, Arc<Collection>>,
    ours: &Cache,
) -> [f64; 2] {
    if way == 0 {
        return times(calls, async |number| {
            let value = moka.get(&keys[number * 7 % KEYS]).await.unwrap();
            std::hint::black_box(value);
        })
        .await;
    }
    times(calls, async |number| {
        let load = || async { unreachable!("it is cached") };
        let key = &keys[number * 7 % KEYS];
        let value: Arc<Collection> = ours
            .get_or_load::<_, Infallible, _, _>(key, &POLICY, ["t"], load)
            .await
            .unwrap();
        std::hint::black_box(value);
    })
    .await
}

async fn redis(server: &throwaway::Redis) {
    const CALLS: usize = 8_000;
    let client = redis::Client::open(server.url()).unwrap();
    let line = client.get_multiplexed_async_connection().await.unwrap();
    let bytes = rmp_serde::to_vec_named(&collection(1)).unwrap();
    let builder = Cache::builder("bench").redis(&server.url());
    // Nothing stays in memory: every read goes to Redis.
    let ours = builder.memory_bytes(1).build().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for key in 0..KEYS {
        let mut line = line.clone();
        redis::cmd("SET")
            .arg(format!("plain:{key}"))
            .arg(&bytes)
            .exec_async(&mut line)
            .await
            .unwrap();
        assert!(
            ours.set(format!("c:{key}"), collection(1), &POLICY, ["t"])
                .await
        );
    }
    let decoded = |key: usize| {
        let mut line = line.clone();
        async move {
            let name = format!("plain:{}", key * 7 % KEYS);
            let bytes: Vec<u8> = redis::cmd("GET")
                .arg(name)
                .query_async(&mut line)
                .await
                .unwrap();
            let value: Collection = rmp_serde::from_slice(&bytes).unwrap();
            std::hint::black_box(Arc::new(value));
        }
    };
    let validated = |key: usize| {
        let ours = ours.clone();
        async move {
            let name = format!("c:{}", key * 7 % KEYS);
            std::hint::black_box(ours.get::<Collection>(name, ["t"]).await.unwrap());
        }
    };
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(vec![
            times(CALLS, decoded).await,
            times(CALLS, validated).await,
        ]);
    }
    let names = [
        "GET and decode",
        "validated hit (entry, 3 stamps, age), decoded",
    ];
    print("hit in Redis", &names, &rounds);
    assert_eq!(ours.stats().memory_hits, 0);
}

/// A tag over 100,000 keys, and a pattern that ten of them match.
async fn invalidation(server: &throwaway::Redis) {
    const MANY: usize = 100_000;
    server.ask(&["FLUSHALL"]).unwrap();
    let mut caches = Vec::new();
    for _ in 0..2 {
        let builder = Cache::builder("many")
            .redis(&server.url())
            .mode(Mode::Bounded);
        caches.push(builder.memory_bytes(1 << 30).build().await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut filling = tokio::task::JoinSet::new();
    for part in 0..50 {
        let cache = caches[0].clone();
        filling.spawn(async move {
            for key in 0..MANY / 50 {
                let key = format!("item:{}", part * (MANY / 50) + key);
                cache.set(key, 1_u64, &POLICY, ["all of them"]).await;
            }
        });
    }
    filling.join_all().await;
    println!(
        "\n{} keys in memory and in Redis, two processes; medians of 9",
        caches[0].stats().entries
    );
    let took =
        async |name: &str, call: &dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>| {
            let mut times = Vec::new();
            for _ in 0..9 {
                let started = Instant::now();
                call().await;
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
            println!("{name:<56} {:>9.3} ms", median(times));
        };
    let cache = caches[0].clone();
    took("invalidate a tag, until both processes have heard", &|| {
        let cache = cache.clone();
        Box::pin(async move { cache.invalidate(["all of them"]).await.unwrap() })
    })
    .await;
    took("delete_pattern(\"group:*\")", &|| {
        let cache = cache.clone();
        Box::pin(async move {
            cache.delete_pattern("other:*").await;
        })
    })
    .await;
    took(
        "delete_pattern of any other glob (SCAN COUNT 1000)",
        &|| {
            let cache = cache.clone();
            Box::pin(async move {
                cache.delete_pattern("item:77??7").await;
            })
        },
    )
    .await;
    let client = redis::Client::open(server.url()).unwrap();
    let line = client.get_multiplexed_async_connection().await.unwrap();
    took("SCAN COUNT 10 and DEL (paper 004)", &|| {
        let mut line = line.clone();
        Box::pin(async move {
            let mut cursor = 0_u64;
            loop {
                let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                    .arg(cursor)
                    .arg("MATCH")
                    .arg("*:item:88??8")
                    .arg("COUNT")
                    .arg(10)
                    .query_async(&mut line)
                    .await
                    .unwrap();
                for key in keys {
                    redis::cmd("DEL")
                        .arg(key)
                        .exec_async(&mut line)
                        .await
                        .unwrap();
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        })
    })
    .await;
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    memory().await;
    let server = throwaway::Redis::start().unwrap();
    redis(&server).await;
    invalidation(&server).await;
}
