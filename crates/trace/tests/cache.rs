//! The events of a cache: what the layer keeps of them, in a process whose log is at WARN.
#![allow(
    clippy::unwrap_used,
    reason = "a broken test may panic in its helpers too"
)]

mod support;

use std::{
    io::Write,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use speedwell_trace::{
    ATTRIBUTE, AttributeValue, CacheAction, CacheChange, CacheOperation, ChangeOutcome, Counters,
    Detectors, FindingKind, LogSink, Observation, Options, Proof, ReadOutcome, Request, Sink,
    Thresholds, request_span,
};
use support::{Made, request as made};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt};

/// Uses of the cache that the layer of this process keeps per request.
const KEPT: usize = 40;

/// Keeps what it is given.
#[derive(Default)]
struct Kept(Mutex<Vec<(Arc<Request>, Observation)>>);

impl Sink for Kept {
    fn request(&self, request: &Arc<Request>, observation: &Observation) {
        let seen = (Arc::clone(request), observation.clone());
        self.0.lock().unwrap().push(seen);
    }
}

/// A log that the test can read.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct World {
    kept: Arc<Kept>,
    lines: Lines,
    counters: Arc<Counters>,
}

/// One subscriber for all tests of this process: routes tell their requests apart.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (kept, lines) = (Arc::new(Kept::default()), Lines::default());
    let options = Options::new().statements_kept(KEPT);
    let counters = options.counters();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(move || writer.clone())
        .with_filter(LevelFilter::WARN);
    let sinks: Vec<Arc<dyn Sink>> = vec![kept.clone(), Arc::new(LogSink::new())];
    let subscriber = tracing_subscriber::registry()
        .with(log)
        .with(speedwell_trace::layer(options, sinks));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    World {
        kept,
        lines,
        counters,
    }
});

fn requests(route: &str) -> Vec<(Arc<Request>, Observation)> {
    let kept = WORLD.kept.0.lock().unwrap();
    let of_route = |seen: &&(Arc<Request>, Observation)| &*seen.0.route.0 == route;
    kept.iter().filter(of_route).cloned().collect()
}

fn only(route: &str) -> (Arc<Request>, Observation) {
    let mut requests = requests(route);
    assert_eq!(requests.len(), 1, "{requests:#?}");
    requests.remove(0)
}

fn read(group: &str, key_hash: u64, outcome: &str, elapsed_us: u64) {
    tracing::debug!(
        target: "speedwell::cache",
        {
            cache.name = "deals",
            cache.operation = "read",
            cache.group = group,
            cache.key_hash = key_hash,
            cache.outcome = outcome,
            cache.elapsed_us = elapsed_us,
        },
        "cache"
    );
}

fn change(operation: &str, names: u64, outcome: &str) {
    tracing::debug!(
        target: "speedwell::cache",
        {
            cache.name = "deals",
            cache.operation = operation,
            cache.names = names,
            cache.outcome = outcome,
        },
        "cache"
    );
}

#[test]
fn reads_and_changes_are_kept_in_order_with_all_that_they_say() {
    LazyLock::force(&WORLD);
    request_span("GET", "/all", None, None).in_scope(|| {
        read("share", u64::MAX, "load", 40);
        tracing::info_span!("store").in_scope(|| change("delete_pattern", 3, "delayed"));
        read("share", 7, "memory", 0);
    });
    let (request, _) = only("GET /all");
    let [load, delete, hit] = request.cache.as_slice() else {
        panic!("{request:#?}")
    };
    assert_eq!(
        load.action,
        CacheAction::Read {
            group: "share".into(),
            key_hash: u64::MAX,
            outcome: ReadOutcome::Load
        }
    );
    assert_eq!(
        (&*load.cache, load.duration, load.site.as_ref()),
        ("deals", Duration::from_micros(40), None)
    );
    assert_eq!(
        delete.action,
        CacheAction::Change {
            change: CacheChange::DeletePattern,
            names: 3,
            outcome: ChangeOutcome::Delayed
        }
    );
    let site = delete.site.as_ref().unwrap();
    assert_eq!(&*site.function, "cache::store");
    assert_eq!(hit.outcome(), "memory");
    assert_eq!(request.cache_hits_and_misses(), (1, 1));
}

#[test]
fn the_nearest_request_takes_the_event_and_the_log_at_warn_shows_none() {
    LazyLock::force(&WORLD);
    let outer = request_span("GET", "/outer", None, None);
    outer.in_scope(|| {
        request_span("GET", "/inner", None, None).in_scope(|| read("nearest", 1, "redis", 9));
    });
    drop(outer);
    assert_eq!(only("GET /inner").0.cache.len(), 1);
    assert!(requests("GET /outer").is_empty());
    let lines = WORLD.lines.0.lock().unwrap();
    assert!(!String::from_utf8_lossy(&lines).contains("\"nearest\""));
}

#[test]
fn events_that_say_half_of_it_and_events_outside_a_request_are_left_out() {
    LazyLock::force(&WORLD);
    read("outside", 1, "memory", 0);
    request_span("GET", "/half", None, None).in_scope(|| {
        read("share", 1, "somewhere", 0);
        change("burn", 1, "told");
        tracing::debug!(target: "speedwell::cache", { cache.name = "deals" }, "cache");
        change("clear", 0, "told");
    });
    let (request, _) = only("GET /half");
    assert_eq!(request.cache.len(), 1, "{request:#?}");
    assert_eq!(request.cache[0].operation(), "clear");
}

#[test]
fn what_a_service_says_becomes_an_attribute_of_the_request_around() {
    LazyLock::force(&WORLD);
    tracing::trace!(target: ATTRIBUTE, lost = true);
    request_span("GET", "/said", None, None).in_scope(|| {
        tracing::trace!(target: ATTRIBUTE, view_incremented = false, listing_id = 7_i64, "not this");
        let token = "abcdefgh";
        tracing::trace!(target: ATTRIBUTE, view_incremented = true, share_token = token);
    });
    let (request, _) = only("GET /said");
    let said: Vec<_> = request
        .attributes
        .iter()
        .map(|one| (one.name, one.value.clone()))
        .collect();
    assert_eq!(
        said,
        [
            ("listing_id", AttributeValue::Number(7)),
            ("view_incremented", AttributeValue::Flag(true)),
            ("share_token", AttributeValue::Text("abcdefgh".into())),
        ]
    );
}

#[test]
fn what_is_over_the_limit_is_counted() {
    LazyLock::force(&WORLD);
    let before = WORLD.counters.read();
    request_span("GET", "/many", None, None).in_scope(|| {
        (0..KEPT + 5).for_each(|_| read("share", 1, "memory", 0));
        (0..5).for_each(|_| read("share", 1, "coalesced", 0));
    });
    let (request, _) = only("GET /many");
    assert_eq!((request.cache.len(), request.cache_dropped), (KEPT, 10));
    let after = WORLD.counters.read();
    // Other tests of this process count as well.
    assert!(after.cache_hits >= before.cache_hits + KEPT as u64 + 5);
    assert!(after.cache_misses >= before.cache_misses + 5);
}

#[test]
fn a_time_that_cannot_be_is_survived() {
    LazyLock::force(&WORLD);
    request_span("GET", "/for-ever", None, None).in_scope(|| {
        for _ in 0..5 {
            read("for-ever", 1, "load", u64::MAX);
        }
    });
    let (request, _) = only("GET /for-ever");
    assert_eq!(request.cache.len(), 5);
}

#[test]
fn three_requests_that_load_one_value_at_once_are_a_stampede() {
    LazyLock::force(&WORLD);
    let spans: Vec<_> = (0..3)
        .map(|_| request_span("GET", "/stampede", None, None))
        .collect();
    let started = std::time::Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    for span in spans {
        let elapsed = started.elapsed().as_micros() as u64;
        span.in_scope(|| read("list", 99, "load", elapsed));
    }
    let requests = requests("GET /stampede");
    let found: Vec<_> = requests
        .iter()
        .flat_map(|(_, observation)| &observation.findings)
        .collect();
    let [finding] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (finding.kind, finding.proof, finding.count),
        (FindingKind::Stampede, Proof::Likely, 3)
    );
    assert_eq!(&*finding.statement, "cache read of deals/list");
    let (last, observation) = &requests[2];
    assert_eq!(observation.findings.len(), 1, "{last:#?}");
    let log = String::from_utf8_lossy(&WORLD.lines.0.lock().unwrap()).into_owned();
    assert!(
        log.contains("Cache stampede: 3 loads at the same time: cache read of deals/list"),
        "{log}"
    );
    assert!(log.contains("\"cache_group\":\"deals/list\""), "{log}");
}

/// A read that takes a millisecond and begins at `at_ms`.
fn operation(key_hash: u64, at_ms: u64, outcome: ReadOutcome) -> CacheOperation {
    CacheOperation {
        cache: "deals".into(),
        action: CacheAction::Read {
            group: "share".into(),
            key_hash,
            outcome,
        },
        offset: Duration::from_millis(at_ms),
        duration: Duration::from_millis(1),
        site: None,
    }
}

fn look(cache: Vec<CacheOperation>) -> Observation {
    let mut request = Made::done(made("/shares"));
    request.cache = cache;
    Detectors::standard(Thresholds::default()).inspect(&request, None)
}

#[test]
fn five_reads_of_one_group_in_turn_are_a_loop() {
    let seen = look(
        (0..5)
            .map(|at| operation(at, at, ReadOutcome::Redis))
            .collect(),
    );
    let [finding] = seen.findings.as_slice() else {
        panic!("{seen:#?}")
    };
    assert_eq!(
        (finding.kind, finding.proof, finding.count),
        (FindingKind::CacheReadLoop, Proof::Likely, 5)
    );
    assert_eq!(finding.cost.time, Duration::from_millis(5));
    insta::assert_snapshot!(finding.statement, @"cache read of deals/share");
    insta::assert_snapshot!(finding.summary, @"The cache was asked for deals/share 5 times in one request, 5.00 ms in all.");
    insta::assert_snapshot!(finding.evidence.join("\n"), @"
    5 reads of deals/share asked for 5 different keys, each after the one before had ended.
    0 came from memory, 5 from Redis, 0 were loaded.
    ");
    insta::assert_snapshot!(finding.remedy, @"Read the values of share together, or cache the list that is made of them as one value.");
}

#[test]
fn reads_from_memory_alone_are_a_possible_loop() {
    let seen = look(
        (0..8)
            .map(|at| operation(at, at, ReadOutcome::Memory))
            .collect(),
    );
    assert_eq!(seen.findings[0].proof, Proof::Possible);
}

#[test]
fn few_keys_and_reads_side_by_side_are_no_loop() {
    let few = look(
        (0..9)
            .map(|at| operation(at % 4, at, ReadOutcome::Redis))
            .collect(),
    );
    assert!(few.findings.is_empty() && few.suppressed.is_empty());
    let at_once = look(
        (0..9)
            .map(|key| operation(key, 0, ReadOutcome::Redis))
            .collect(),
    );
    assert!(at_once.findings.is_empty());
    assert_eq!(
        at_once.suppressed[0].reason,
        "the values are read side by side"
    );
}

proptest! {
    #[test]
    fn a_loop_needs_as_many_keys_as_the_threshold_says(
        reads in prop::collection::vec((0_u64..8, 0_u64..30), 0..40)
    ) {
        let cache: Vec<_> = reads
            .iter()
            .map(|&(key, at)| operation(key, at, ReadOutcome::Redis))
            .collect();
        let keys: std::collections::HashSet<u64> = reads.iter().map(|read| read.0).collect();
        let seen = look(cache);
        prop_assert!(seen.findings.len() + seen.suppressed.len() <= 1);
        prop_assert_eq!(seen.findings.len() + seen.suppressed.len() == 1, keys.len() >= 5);
        for finding in &seen.findings {
            prop_assert!(finding.count >= 5 && finding.count <= reads.len() as u64);
        }
    }
}
