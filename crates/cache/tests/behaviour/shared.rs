//! Several processes over one Redis: what one loads, the others read; what one changes, all see.

use std::time::Instant;

use speedwell_cache::{Builder, Mode};
use throwaway::Redis;

use super::{ready::until_ready, *};

/// A cache of its own line and memory, which may use both from now on.
async fn process(server: &Redis, chosen: impl FnOnce(Builder) -> Builder) -> Cache {
    let builder = Cache::builder("test").redis(&server.url());
    let cache = chosen(builder).build().await.unwrap();
    until_ready(&cache).await;
    cache
}

const MODES: [Mode; 3] = [Mode::Strict, Mode::Bounded, Mode::Ttl];

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_has_loaded_the_other_reads_once_from_redis_and_then_from_memory() {
    let server = Redis::start().unwrap();
    for mode in MODES {
        let one = process(&server, |builder| builder.mode(mode)).await;
        let other = process(&server, |builder| builder.mode(mode)).await;
        let loads = Loads::default();
        assert_eq!(loads.read_tagged(&one, "k", &PLAIN, ["t"]).await, 1);
        kept(&one).await;
        for _ in 0..3 {
            assert_eq!(loads.read_tagged(&other, "k", &PLAIN, ["t"]).await, 1);
        }
        let stats = other.stats();
        assert_eq!(
            (stats.redis_hits, stats.memory_hits, stats.loads),
            (1, 2, 0),
            "{mode:?}"
        );
    }
}

/// Values are handed out before they are stored.
async fn kept(cache: &Cache) {
    let until = Instant::now() + Duration::from_secs(5);
    while cache.stats().entries == 0 {
        assert!(Instant::now() < until, "{:?}", cache.stats());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_changes_is_gone_for_the_other_when_the_call_returns() {
    let server = Redis::start().unwrap();
    for mode in [Mode::Strict, Mode::Bounded] {
        let one = process(&server, |builder| builder.mode(mode)).await;
        let other = process(&server, |builder| builder.mode(mode)).await;
        let loads = Loads::default();
        let warm = async |number: usize| {
            // Both have it in memory then.
            for cache in [&one, &other, &other] {
                let value = loads.read_tagged(cache, "share:1", &PLAIN, ["t"]).await;
                assert_eq!(value, number, "{mode:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        warm(1).await;
        let done = one.write(["t"], |_| async { Ok::<_, Infallible>(()) });
        done.await.unwrap();
        warm(2).await;
        one.invalidate(["t"]).await.unwrap();
        warm(3).await;
        assert!(one.delete("share:1").await);
        warm(4).await;
        one.delete_pattern("share:*").await;
        warm(5).await;
        one.clear().await.unwrap();
        warm(6).await;
        assert!(other.set("share:1", 7_usize, &PLAIN, ["t"]).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
        warm(7).await;
        assert_eq!(one.delete_pattern("share:?").await, 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        warm(7).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_is_quick_when_all_processes_are_well() {
    let server = Redis::start().unwrap();
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(process(&server, |builder| builder.mode(Mode::Strict)).await);
    }
    let mut times = Vec::new();
    for _ in 0..21 {
        let started = Instant::now();
        let done = processes[0].write(["t"], |_| async { Ok::<_, Infallible>(()) });
        done.await.unwrap();
        times.push(started.elapsed());
    }
    times.sort_unstable();
    // Two round trips and two acknowledgements; a process that is waited for takes 440 ms.
    assert!(times[10] < Duration::from_millis(100), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_gone_is_waited_for_once() {
    let server = Redis::start().unwrap();
    let one = process(&server, |builder| builder.mode(Mode::Strict)).await;
    // A process that has registered and will never answer.
    let registry = server.ask(&["KEYS", "*:n"]).unwrap();
    let registry = registry.lines().last().unwrap();
    server.ask(&["HSET", registry, "p:12345", "678"]).unwrap();
    let write = async || {
        let started = Instant::now();
        let done = one.write(["t"], |_| async { Ok::<_, Infallible>(()) });
        done.await.unwrap();
        started.elapsed()
    };
    assert!(write().await >= Duration::from_millis(440));
    assert!(write().await < Duration::from_millis(400));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_keys_large_values_nothing_and_compression_go_through_redis() {
    let server = Redis::start().unwrap();
    let one = process(&server, |builder| builder).await;
    let other = process(&server, |builder| builder).await;
    let policy = PLAIN.compress_from(1000);
    let long = "k".repeat(2000);
    let similar = format!("{}x", "k".repeat(1999));
    let text = "a text that says the same again and again; ".repeat(1000);
    assert!(one.set(&long, text.clone(), &policy, ["t"]).await);
    assert_eq!(*other.get::<String>(&long, ["t"]).await.unwrap(), text);
    assert!(other.get::<String>(&similar, ["t"]).await.is_none());
    assert_eq!(other.stats().redis_hits, 1);
    let entries = server.ask(&["KEYS", "*:e:*"]).unwrap();
    let entry = entries.lines().last().unwrap();
    let length = server.ask(&["STRLEN", entry]).unwrap();
    let length: usize = length.trim_start_matches(':').parse().unwrap();
    assert!(length < text.len() / 5, "{length} of {}", text.len());

    let nothing = || async { Ok::<Option<String>, Infallible>(None) };
    let found = one.find_or_load("nothing", &PLAIN, ["t"], nothing).await;
    assert!(found.unwrap().is_none());
    tokio::time::sleep(MOMENT).await;
    let something = || async { Ok::<_, Infallible>(Some("made meanwhile".to_owned())) };
    let found = other
        .find_or_load("nothing", &PLAIN, ["t"], something)
        .await;
    assert!(found.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_foreign_and_older_entries_are_misses_and_are_overwritten() {
    let server = Redis::start().unwrap();
    let one = process(&server, |builder| builder).await;
    let loads = Loads::default();
    loads.read(&one, "k", &PLAIN).await;
    kept(&one).await;
    let entries = server.ask(&["KEYS", "*:e:k"]).unwrap();
    let entry = entries.lines().last().unwrap();
    for (number, garbage) in ["", "garbage", "SWC1", &"x".repeat(5000)]
        .iter()
        .enumerate()
    {
        server.ask(&["SET", entry, garbage, "PX", "60000"]).unwrap();
        let fresh = process(&server, |builder| builder).await;
        assert_eq!(
            loads.read(&fresh, "k", &PLAIN).await,
            number + 2,
            "{garbage:?}"
        );
        kept(&fresh).await;
        let next = process(&server, |builder| builder).await;
        assert_eq!(loads.read(&next, "k", &PLAIN).await, number + 2);
    }
    // A list where a text should be.
    server.ask(&["DEL", entry]).unwrap();
    server.ask(&["LPUSH", entry, "x"]).unwrap();
    let fresh = process(&server, |builder| builder).await;
    loads.read(&fresh, "k", &PLAIN).await;
    // Another version, another type: never read.
    let newer = process(&server, |builder| builder.version(2)).await;
    assert!(!newer.exists::<usize>("k", NO_TAGS).await);
    server.ask(&["DEL", entry]).unwrap();
    one.set("k", 5_usize, &PLAIN, NO_TAGS).await;
    let fresh = process(&server, |builder| builder).await;
    assert!(!fresh.exists::<String>("k", NO_TAGS).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_values_live_no_longer_than_the_bound() {
    let server = Redis::start().unwrap();
    let bound = Duration::from_millis(200);
    let one = process(&server, |builder| builder.max_stale(bound)).await;
    let loads = Loads::default();
    let policy = PLAIN.stale_while_revalidate(Duration::from_secs(60));
    assert_eq!(loads.read(&one, "k", &policy).await, 1);
    tokio::time::sleep(bound + MOMENT).await;
    assert_eq!(loads.read(&one, "k", &policy).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_taken_over_from_redis_does_not_live_anew() {
    let server = Redis::start().unwrap();
    let one = process(&server, |builder| builder).await;
    let other = process(&server, |builder| builder).await;
    let policy = Policy::new(Duration::from_millis(600))
        .jitter(0.0)
        .early_refresh(0.0);
    let loads = Loads::default();
    assert_eq!(loads.read(&one, "k", &policy).await, 1);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(loads.read(&other, "k", &policy).await, 1);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(loads.read(&other, "k", &policy).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_died_keeps_readers_from_the_cache_only_until_its_mark_is_over() {
    let server = Redis::start().unwrap();
    let one = process(&server, |builder| builder.mode(Mode::Strict)).await;
    let loads = Loads::default();
    loads.read_tagged(&one, "k", &PLAIN, ["t"]).await;
    kept(&one).await;
    // As a writer leaves it that is killed between mark and end, its time being over.
    let stamps = server.ask(&["KEYS", "*:s:t:t"]).unwrap();
    let stamp = stamps.lines().last().unwrap();
    server.ask(&["SET", stamp, "!12345678"]).unwrap();
    let registry = server.ask(&["KEYS", "*:n"]).unwrap();
    let registry = registry.lines().last().unwrap();
    let mark = format!("m:99:{stamp}");
    server.ask(&["HSET", registry, &mark, "1"]).unwrap();
    let other = process(&server, |builder| builder.mode(Mode::Strict)).await;
    assert_eq!(loads.read_tagged(&other, "k", &PLAIN, ["t"]).await, 2);
    assert_eq!(loads.read_tagged(&other, "k", &PLAIN, ["t"]).await, 3);
    kept(&other).await;
    assert_eq!(loads.read_tagged(&other, "k", &PLAIN, ["t"]).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_until_it_is_ready_keeps_what_is_loaded_first() {
    let alone = Cache::builder("test").build().await.unwrap();
    assert!(alone.ready(Duration::ZERO).await);
    let server = Redis::start().unwrap();
    let over = || Cache::builder("test").redis(&server.url()).build();
    // The server is new: it is trusted after a while.
    assert!(over().await.unwrap().ready(Duration::from_secs(10)).await);
    let cache = over().await.unwrap();
    assert!(cache.ready(Duration::from_secs(10)).await);
    let loads = Loads::default();
    for _ in 0..3 {
        assert_eq!(loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await, 1);
    }
    let gone = server.url();
    drop(server);
    let cache = Cache::builder("test").redis(&gone).build().await.unwrap();
    assert!(!cache.ready(Duration::from_millis(50)).await);
}

/// A service that is started anew, as each night.
#[tokio::test]
async fn who_writes_does_not_wait_for_a_process_that_has_ended_in_order() {
    let server = Redis::start().unwrap();
    let shared = || Cache::builder("test").redis(&server.url()).build();
    let gone = shared().await.unwrap();
    assert!(gone.ready(Duration::from_secs(5)).await);
    let loads = Loads::default();
    loads.read_tagged(&gone, "k", &PLAIN, ["t"]).await;
    gone.close().await;
    assert!(!gone.stats().lease_valid);
    // It reads on, past its memory.
    let before = loads.count();
    loads.read_tagged(&gone, "other", &PLAIN, ["t"]).await;
    loads.read_tagged(&gone, "other", &PLAIN, ["t"]).await;
    assert!(loads.count() > before);
    drop(gone);
    let next = shared().await.unwrap();
    assert!(next.ready(Duration::from_secs(5)).await);
    let started = Instant::now();
    let write = next.write(["t"], |_| async { Ok::<_, Infallible>(()) });
    write.await.unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_millis(300), "{took:?}");
}
