//! The guarantees with tags from statements, checked as those with tags named by hand are.
//!
//! The registers are in memory and say what SQLite would: a statement for each read and write, at
//! times from another thread and after the load has ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use speedwell_cache::{
    Builder, Cache, Mode, Mutant, Policy,
    history::{Report, now},
    statements::Dialect,
};
use throwaway::Redis;
use tracing::Span;

use super::{
    harness::{Database, Failed, Plan, Scheme, run},
    listen,
};

/// How a register says what a load reads and a write changes.
struct Observed {
    cache: Cache,
    database: Arc<Database>,
    /// Whether writes name their tags as well.
    names_tags: bool,
}

const POLICY: Policy = Policy::new(Duration::from_secs(60))
    .stale_while_revalidate(Duration::from_secs(5))
    .fail_safe(Duration::from_secs(20))
    .error_ttl(Duration::from_millis(5));

impl Observed {
    async fn new(builder: Builder, database: &Arc<Database>, names_tags: bool) -> Arc<Self> {
        listen();
        let builder = builder.observe_statements(Dialect::Sqlite);
        Arc::new(Self {
            cache: builder.build().await.unwrap(),
            database: Arc::clone(database),
            names_tags,
        })
    }
}

const MOMENT_NS: u64 = 250_000_000;

/// Reports a statement as sqlx does; now, or from another task a moment later.
fn report(text: String) {
    let event = move || tracing::debug!(target: "sqlx::query", summary = "…", db.statement = text);
    if rand::random_range(0..3) > 0 {
        return event();
    }
    let span = Span::current();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_micros(rand::random_range(0..2_000))).await;
        span.in_scope(event);
    });
}

/// Two registers are a group. Each has a table of its own until it was written, and after that what
/// it says is in two.
fn report_read(key: u64, version: u64) {
    report(format!("SELECT n FROM first_{key} WHERE id = 1"));
    if version > 0 {
        report(format!("SELECT n FROM more_{key} WHERE id = 1"));
    }
}

/// The same table is written for all registers, beside their own.
fn report_write(key: u64, version: u64) {
    let table = if version == 1 { "first" } else { "more" };
    report("INSERT INTO log (event) VALUES ('write')".to_owned());
    report(format!("UPDATE {table}_{key} SET n = n + 1"));
}

impl Scheme for Observed {
    async fn read(&self, key: u64) -> Option<u64> {
        let database = Arc::clone(&self.database);
        let load = move || async move {
            if rand::random_range(0..20) == 0 {
                return Err(Failed);
            }
            let version = database.read(key).await;
            report_read(key, version);
            Ok(version)
        };
        // A new group each moment, of which nothing is known.
        let name = format!("{}/{}:{key}", now() / MOMENT_NS, key / 2);
        let read = self
            .cache
            .get_or_load(name, &POLICY, [format!("by hand {key}")], load);
        Some(*read.await.ok()?)
    }

    async fn write(&self, key: u64) -> Option<u64> {
        let database = Arc::clone(&self.database);
        let transaction = move |_| async move {
            let version = database.write(key).await;
            report_write(key, version);
            Ok::<_, Failed>(version)
        };
        let tables = [
            format!("first_{key}"),
            format!("more_{key}"),
            "log".to_owned(),
        ];
        let tags = tables
            .iter()
            .flat_map(|table| [table.clone(), format!("{table}:*")]);
        let tags: Vec<String> = tags.filter(|_| self.names_tags).collect();
        self.cache.write(tags, transaction).await.ok()
    }
}

fn plan(seconds: u64) -> Plan {
    let seed = std::env::var("SPEEDWELL_SEED").ok();
    let seed = seed.map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("SPEEDWELL_SEED={seed}");
    let longer = std::env::var("SPEEDWELL_SECONDS").ok();
    let seconds = longer.map_or(seconds, |seconds| seconds.parse().unwrap());
    Plan::new(seed, Duration::from_secs(seconds))
}

async fn over_redis(
    builder: impl Fn(Builder) -> Builder,
    mode: Mode,
    plan: &Plan,
    names_tags: bool,
) -> Report {
    let server = Redis::start().unwrap();
    let database = Arc::new(Database::new(plan.keys, Duration::from_millis(31)));
    let mut processes = Vec::new();
    for _ in 0..2 {
        let made = builder(Cache::builder("test").mode(mode).redis(&server.url()));
        processes.push(Observed::new(made, &database, names_tags).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let report = run(&processes, plan).await.check();
    println!("{mode:?}: {report}\n{:?}", processes[0].cache.stats());
    let hits: u64 = processes
        .iter()
        .map(|process| process.cache.stats().memory_hits)
        .sum();
    assert!(hits > report.reads / 10, "{hits} of {}", report.reads);
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_without_redis_is_strict_with_tags_from_statements() {
    let plan = plan(4);
    let database = Arc::new(Database::new(plan.keys, Duration::from_millis(31)));
    let process = Observed::new(Cache::builder("test"), &database, false).await;
    let cache = process.cache.clone();
    let report = run(&[process], &plan).await.check();
    println!("{report}\n{:?}", cache.stats());
    assert!(report.is_clean() && report.reads > 5_000, "{report}");
    assert!(cache.stats().memory_hits > report.reads / 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounded_is_never_stale_with_tags_from_statements() {
    let report = over_redis(|one| one, Mode::Bounded, &plan(5), false).await;
    assert!(report.is_within(Duration::ZERO), "{report}");
    assert!(report.reads > 5_000 && report.writes > 100, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_holds_with_reads_from_statements_and_writes_that_are_named() {
    let report = over_redis(|one| one, Mode::Strict, &plan(5), true).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.reads > 2_000 && report.writes > 100, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_strict_write_is_ok_that_was_not_named() {
    let report = over_redis(|one| one, Mode::Strict, &plan(3), false).await;
    assert_eq!(report.writes, 0);
}

/// Runs until the checker finds something, for a minute at most.
async fn is_caught(mutant: Mutant) {
    let started = Instant::now();
    loop {
        let report = over_redis(|one| one.mutant(mutant), Mode::Bounded, &plan(5), false).await;
        if report.stale > 0 {
            println!("{mutant:?}: caught after {:?}: {report}", started.elapsed());
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{mutant:?} was not caught within a minute"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeping_what_was_not_watched_is_caught() {
    is_caught(Mutant::KeepUnsettled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharing_what_was_not_watched_is_caught() {
    is_caught(Mutant::ShareUnsettled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_waiting_for_statements_is_caught() {
    is_caught(Mutant::NotWaitForStatements).await;
}
