//! Redis that refuses, hangs, is slow, full, read-only or new: answers stay right, the first miss
//! costs a timeout, later ones nothing, and no restart is needed.

use std::time::Instant;

use speedwell_cache::{Mode, NotTold, WriteError};
use throwaway::Redis;

use super::{ready::until_ready, *};

/// What a first miss may cost: the timeout of 50 ms, and what a busy machine adds.
const FIRST: Duration = Duration::from_millis(300);
/// What later ones may: nothing but that, and less than a timeout.
const LATER: Duration = Duration::from_millis(30);

async fn process(url: &str, mode: Mode) -> Cache {
    Cache::builder("test")
        .redis(url)
        .mode(mode)
        .build()
        .await
        .unwrap()
}

/// How long reads of new keys take, one after the other, and whether all were right.
async fn misses(cache: &Cache, name: &str) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..10_usize {
        let started = Instant::now();
        let load = move || async move { Ok::<_, Infallible>(number) };
        let key = format!("{name}:{number}");
        let value = cache.get_or_load(key, &PLAIN, ["t"], load).await.unwrap();
        times.push(started.elapsed());
        assert_eq!(*value, number);
    }
    times
}

fn assert_cheap(times: &[Duration]) {
    assert!(times[0] < FIRST, "{times:?}");
    let mut later = times[1..].to_vec();
    later.sort_unstable();
    // Some may meet the next try to connect.
    assert!(later[later.len() / 2] < LATER, "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_everything_works_and_costs_nothing() {
    let mut server = Redis::start().unwrap();
    let url = server.url();
    server.kill();
    let cache = process(&url, Mode::Bounded).await;
    assert_cheap(&misses(&cache, "refused").await);
    assert_eq!(cache.get::<usize>("refused:1", ["t"]).await, None);
    assert!(!cache.set("k", 1_u8, &PLAIN, NO_TAGS).await);
    assert!(!cache.delete("k").await);
    assert!(!cache.exists::<u8>("k", NO_TAGS).await);
    assert_eq!(cache.delete_pattern("refused:*").await, 0);
    assert_eq!(cache.delete_pattern("*:1").await, 0);
    assert_eq!(cache.invalidate(["t"]).await, Err(NotTold));
    // A bounded write goes on, a strict one is refused before it begins.
    let done = cache.write(["t"], |_| async { Ok::<_, Infallible>(5) });
    assert_eq!(done.await.unwrap(), 5);
    let strict = process(&url, Mode::Strict).await;
    let refused = strict.write(["t"], |_| async { Ok::<(), Infallible>(()) });
    assert!(matches!(refused.await, Err(WriteError::Refused)));
    // And it is found when it comes.
    server.start_again().unwrap();
    until_ready(&cache).await;
    misses(&cache, "found").await;
    tokio::time::sleep(MOMENT).await;
    assert!(cache.exists::<usize>("found:1", ["t"]).await);
    until_ready(&strict).await;
    let done = strict.write(["t"], |_| async { Ok::<_, Infallible>(()) });
    done.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_one_timeout_and_is_used_again_when_it_answers() {
    let server = Redis::start().unwrap();
    let cache = process(&server.url(), Mode::Bounded).await;
    until_ready(&cache).await;
    misses(&cache, "before").await;
    server.freeze().unwrap();
    assert_cheap(&misses(&cache, "frozen").await);
    let started = Instant::now();
    let told = cache.invalidate(["t"]).await;
    assert!(told.is_err() && started.elapsed() < 2 * FIRST);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(cache.stats().breaker_open && !cache.stats().lease_valid);
    server.thaw().unwrap();
    until_ready(&cache).await;
    // What was told late is told now: nothing from before is answered.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!cache.exists::<usize>("before:1", ["t"]).await);
    misses(&cache, "after").await;
    tokio::time::sleep(MOMENT).await;
    assert!(cache.exists::<usize>("after:1", ["t"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_empty_is_used_again() {
    let mut server = Redis::start().unwrap();
    for mode in [Mode::Strict, Mode::Bounded, Mode::Ttl] {
        let cache = process(&server.url(), mode).await;
        until_ready(&cache).await;
        misses(&cache, "before").await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_cheap(&misses(&cache, "down").await);
        server.start_again().unwrap();
        until_ready(&cache).await;
        misses(&cache, "after").await;
        tokio::time::sleep(MOMENT).await;
        assert!(cache.exists::<usize>("after:1", ["t"]).await, "{mode:?}");
        // Only where nothing is promised may memory outlive the line.
        let outlives = cache.exists::<usize>("before:1", ["t"]).await;
        assert_eq!(outlives, mode == Mode::Ttl, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_slow_is_passed_by() {
    let server = Redis::start().unwrap();
    let cache = process(&server.url(), Mode::Bounded).await;
    until_ready(&cache).await;
    // Busy for a while, with a script.
    let url = server.url();
    let busy = std::thread::spawn(move || {
        let mut line = redis::Client::open(url).unwrap().get_connection().unwrap();
        let spin = "local t = redis.call('TIME') repeat local n = redis.call('TIME') until (n[1]-t[1])*1000000+n[2]-t[2] > 1000000 return 1";
        redis::cmd("EVAL").arg(spin).arg(0).query::<i64>(&mut line)
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_cheap(&misses(&cache, "slow").await);
    busy.join().unwrap().unwrap();
    until_ready(&cache).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_answers_and_takes_invalidations() {
    let server = Redis::start_with(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]);
    let server = server.unwrap();
    let cache = process(&server.url(), Mode::Strict).await;
    until_ready(&cache).await;
    misses(&cache, "before").await;
    for number in 0.. {
        let name = format!("filler{number}");
        let said = server.ask(&["SET", &name, &"x".repeat(50_000)]).unwrap();
        if said.contains("OOM") {
            break;
        }
    }
    let loads = Loads::default();
    assert_cheap(&misses(&cache, "full").await);
    loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await;
    let done = cache.write(["t"], |_| async { Ok::<_, Infallible>(()) });
    done.await.unwrap();
    assert!(!cache.exists::<usize>("before:1", ["t"]).await);
    assert_eq!(loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_not_used_and_a_server_that_becomes_one_is_left() {
    let primary = Redis::start().unwrap();
    let port = primary.port().to_string();
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]).unwrap();
    let cache = process(&replica.url(), Mode::Bounded).await;
    assert_cheap(&misses(&cache, "replica").await);
    assert!(cache.stats().breaker_open);

    let other = Redis::start().unwrap();
    let cache = process(&other.url(), Mode::Bounded).await;
    until_ready(&cache).await;
    misses(&cache, "before").await;
    other.ask(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!cache.stats().lease_valid);
    assert_cheap(&misses(&cache, "demoted").await);
    assert!(!cache.exists::<usize>("before:1", ["t"]).await);
    other.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    until_ready(&cache).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_cache_a_thousand_readers_are_few_loads() {
    let mut server = Redis::start().unwrap();
    let url = server.url();
    server.kill();
    let (cache, loads) = (process(&url, Mode::Strict).await, Loads::default());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (cache, loads) = (cache.clone(), loads.clone());
        all.spawn(async move {
            let load = move || async move { loads.next(MOMENT).await };
            cache.get_or_load("k", &PLAIN, NO_TAGS, load).await.unwrap();
        });
    }
    all.join_all().await;
    assert!(loads.count() <= 3, "{}", loads.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_a_server_kept_over_a_restart_are_not_read() {
    let mut server =
        Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap();
    let cache = process(&server.url(), Mode::Bounded).await;
    until_ready(&cache).await;
    misses(&cache, "before").await;
    tokio::time::sleep(MOMENT).await;
    server.kill();
    server.start_again().unwrap();
    assert_ne!(server.ask(&["DBSIZE"]).unwrap(), ":0");
    until_ready(&cache).await;
    assert!(!cache.exists::<usize>("before:1", ["t"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_forgotten_everything_is_given_nothing_until_all_have_noticed() {
    let server = Redis::start().unwrap();
    let cache = process(&server.url(), Mode::Strict).await;
    until_ready(&cache).await;
    misses(&cache, "before").await;
    server.ask(&["FLUSHALL"]).unwrap();
    // The lease of before lasts a moment longer.
    let loads = Loads::default();
    for number in 1..=5 {
        let read = loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await;
        assert_eq!(read, number, "{:?}", cache.stats());
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(server.ask(&["KEYS", "*:e:*"]).unwrap(), "*0");
    tokio::time::sleep(Duration::from_secs(2)).await;
    until_ready(&cache).await;
    loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_costs_seconds_of_distrust_and_not_an_hour() {
    let server = Redis::start_with_clock().unwrap();
    let cache = process(&server.url(), Mode::Strict).await;
    until_ready(&cache).await;
    server.set_clock(-3600).unwrap();
    let started = Instant::now();
    // Not trusted while it seems to have been born in the future, then as before.
    let loads = Loads::default();
    let hit = async {
        loop {
            let before = loads.count();
            loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await;
            if loads.count() == before {
                break;
            }
            tokio::time::sleep(MOMENT).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), hit).await;
    assert!(ended.is_ok(), "no hit in {:?}", started.elapsed());
    let done = cache.write(["t"], |_| async { Ok::<_, Infallible>(5) });
    assert_eq!(done.await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_write_that_cannot_tell_outwaits_those_who_cannot_hear() {
    for silent in [true, false] {
        let mut server = Redis::start().unwrap();
        let one = process(&server.url(), Mode::Bounded).await;
        let other = process(&server.url(), Mode::Bounded).await;
        for cache in [&one, &other] {
            until_ready(cache).await;
        }
        let loads = Loads::default();
        let read = || loads.read_tagged(&other, "k", &PLAIN, ["t"]);
        let mut before = read().await;
        // On a busy machine the first may not be kept.
        while read().await != before {
            before = loads.count();
        }
        match silent {
            true => server.freeze().unwrap(),
            false => server.kill(),
        }
        let done = one.write(["t"], |_| async { Ok::<_, Infallible>(()) });
        done.await.unwrap();
        assert_ne!(read().await, before, "silent: {silent}");
        // Once is enough for one outage: nobody has a lease any more.
        let started = Instant::now();
        for _ in 0..5 {
            let done = one.write(["t"], |_| async { Ok::<_, Infallible>(()) });
            done.await.unwrap();
        }
        assert!(
            started.elapsed() < Duration::from_millis(300),
            "{:?}",
            started.elapsed()
        );
    }
}
