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
    history::{History, Report, now},
    statements::Dialect,
};
use throwaway::Redis;
use tracing::Span;

use super::{
    harness::{Database, Failed, Plan, Scheme, run},
    listen,
    ready::until_ready,
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

/// Two processes over one Redis, and what they have seen so far.
struct Pair {
    processes: [Arc<Observed>; 2],
    _server: Redis,
    seen: History,
}

impl Pair {
    async fn start(
        builder: impl Fn(Builder) -> Builder,
        mode: Mode,
        plan: &Plan,
        names_tags: bool,
    ) -> Self {
        let server = Redis::start().unwrap();
        let database = Arc::new(Database::new(plan.keys, Duration::from_millis(31)));
        let process = || {
            let made = builder(Cache::builder("test").mode(mode).redis(&server.url()));
            Observed::new(made, &database, names_tags)
        };
        let processes = [process().await, process().await];
        for process in &processes {
            until_ready(&process.cache).await;
        }
        Self {
            processes,
            _server: server,
            seen: History::default(),
        }
    }

    /// Goes on as planned; reports on all that was seen.
    async fn go_on(&mut self, plan: &Plan) -> Report {
        self.seen.append(run(&self.processes, plan).await);
        let report = self.seen.check();
        println!("{report}\n{:?}", self.processes[0].cache.stats());
        let hits: u64 = self
            .processes
            .iter()
            .map(|process| process.cache.stats().memory_hits)
            .sum();
        assert!(hits > report.reads / 10, "{hits} of {}", report.reads);
        report
    }
}

async fn over_redis(mode: Mode, plan: &Plan, names_tags: bool) -> Report {
    let mut pair = Pair::start(|one| one, mode, plan, names_tags).await;
    pair.go_on(plan).await
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
    let report = over_redis(Mode::Bounded, &plan(5), false).await;
    assert!(report.is_within(Duration::ZERO), "{report}");
    assert!(report.reads > 5_000 && report.writes > 100, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_holds_with_reads_from_statements_and_writes_that_are_named() {
    let report = over_redis(Mode::Strict, &plan(5), true).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.reads > 2_000 && report.writes > 100, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_strict_write_is_ok_that_was_not_named() {
    let report = over_redis(Mode::Strict, &plan(3), false).await;
    assert_eq!(report.writes, 0);
}

/// Runs until the checker finds something, for a minute at most: a second at a time, and five of
/// them over one server.
async fn is_caught(mutant: Mutant) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        let mut plan = plan(1);
        let wrong = |one: Builder| one.mutant(mutant);
        let mut pair = Pair::start(wrong, Mode::Bounded, &plan, false).await;
        for _ in 0..5 {
            if pair.go_on(&plan).await.stale > 0 {
                println!("{mutant:?}: caught after {:?}", started.elapsed());
                return;
            }
            plan.seed = plan.seed.wrapping_add(1);
        }
    }
    panic!("{mutant:?} was not caught within a minute");
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
