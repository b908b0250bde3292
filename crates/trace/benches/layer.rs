//! What the layer costs per statement, as a bare event like sqlx's and through sqlx itself, and per
//! use of the cache, beside a statement's.
//!
//! `cargo bench -p speedwell-trace`. A process has one global subscriber, so this program starts
//! itself once per setting (`SETTINGS`). They take turns of some milliseconds, so that a busy
//! machine slows all of them; what is printed are medians, and for the cost of one setting over
//! another the median of the differences within one turn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark is a program that prints and may panic"
)]

use std::{
    hint::black_box,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use speedwell_sql::fingerprint;
use speedwell_trace::{
    Detectors, Dialect, Observation, Options, Request, Route, Sink, Source, SpanId, Statement,
    Thresholds, TraceId, Values, request_span,
};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};
use tokio::runtime::Runtime;
use tracing::{Instrument, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, LevelFilter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// `off`: a log that wants none of sqlx's events. `heard`: a layer that wants them and the request
/// span, and does nothing with them: what sqlx and `tracing` take for making them. `on`: the layer
/// of this crate. `fmt`: a log of everything.
const SETTINGS: [&str; 4] = ["off", "heard", "on", "fmt"];

/// Requests of so many statements, as bare events and through sqlx; of so many reads of the cache.
const WORKLOADS: [&str; 6] = [
    "event, 5 different",
    STATEMENTS,
    "event, 100 equal",
    "sqlx, 5 different",
    "sqlx, 100 equal",
    CACHE_READS,
];

/// Two requests that are alike but for what is in them.
const STATEMENTS: &str = "event, 10 equal";
const CACHE_READS: &str = "cache, 10 reads";

/// How long one turn of one setting runs.
const TURN: Duration = Duration::from_millis(25);

/// Turns of each setting and workload.
const TURNS: usize = 60;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [worker, setting] if worker == "--worker" => work(setting),
        // Test runners that ask a benchmark for its tests get none.
        all if all.iter().any(|argument| argument == "--list") => {}
        all if all.iter().any(|argument| argument == "--bench") => compare(TURNS),
        _ => compare(1),
    }
}

fn compare(turns: usize) {
    let mut workers: Vec<Worker> = SETTINGS.into_iter().map(Worker::start).collect();
    println!("nanoseconds per statement or read, medians of {turns} turns\n");
    print!("{:20}", "request of");
    for heading in SETTINGS
        .into_iter()
        .chain(["on - heard", "on - off", "fmt - off"])
    {
        print!("{heading:>12}");
    }
    println!();
    for workload in WORKLOADS {
        let rounds: Vec<[f64; 4]> = (0..turns)
            .map(|_| std::array::from_fn(|setting| workers[setting].measure(workload)))
            .collect();
        let of = |value: &dyn Fn(&[f64; 4]) -> f64| median(rounds.iter().map(value).collect());
        let column = |at: usize| of(&|round| round[at]);
        let over = |one: usize, other: usize| of(&|round| round[one] - round[other]);
        print!("{workload:20}");
        for cost in [
            column(0),
            column(1),
            column(2),
            column(3),
            over(2, 1),
            over(2, 0),
            over(3, 0),
        ] {
            print!("{cost:>12.0}");
        }
        println!();
    }
    beside_a_statement(&mut workers, turns);
    let detectors = median(
        (0..turns)
            .map(|_| workers[2].measure("detectors"))
            .collect(),
    );
    println!("\nthe detectors on a request of 20 different statements: {detectors:.0} ns");
}

/// What the layer adds to the event of one use of the cache and to that of one statement, and the one
/// as a share of the other.
fn beside_a_statement(workers: &mut [Worker], turns: usize) {
    let [_, heard, on, _] = workers else {
        panic!("one worker for each setting")
    };
    let mut added = |workload| on.measure(workload) - heard.measure(workload);
    let rounds: Vec<(f64, f64)> = (0..turns)
        .map(|_| (added(CACHE_READS), added(STATEMENTS)))
        .collect();
    let read = median(rounds.iter().map(|round| round.0).collect());
    let statement = median(rounds.iter().map(|round| round.1).collect());
    println!(
        "\nwhat the layer adds to an event: {read:.0} ns for a use of the cache, {statement:.0} ns for a \
         statement, so {:.2} of it",
        read / statement
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// This program again, with one setting.
struct Worker {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(setting: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--worker", setting])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a worker starts");
        Self {
            questions: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    /// Nanoseconds per statement in one turn.
    fn measure(&mut self, workload: &str) -> f64 {
        writeln!(self.questions, "{workload}").expect("the worker listens");
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .expect("the worker answers");
        answer.trim().parse().expect("the worker answers a number")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs one turn for each line that names a workload.
fn work(setting: &str) {
    install(setting);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pool = runtime.block_on(database());
    let inspected = request_of_20();
    let detectors = Detectors::standard(Thresholds::default());
    for workload in std::io::stdin().lines() {
        let cost = match workload.unwrap().as_str() {
            "detectors" => turn(1, || {
                black_box(detectors.inspect(black_box(&inspected), None));
            }),
            "event, 5 different" => turn(5, || in_request(|| TEXTS.into_iter().for_each(event))),
            STATEMENTS => turn(10, || in_request(|| (0..10).for_each(|_| event(TEXT)))),
            "event, 100 equal" => turn(100, || in_request(|| (0..100).for_each(|_| event(TEXT)))),
            "sqlx, 5 different" => turn(5, || sqlx_page(&runtime, &pool)),
            "sqlx, 100 equal" => turn(100, || sqlx_loop(&runtime, &pool)),
            CACHE_READS => turn(10, || in_request(|| (0..10).for_each(cache_read))),
            other => panic!("no workload `{other}`"),
        };
        println!("{cost}");
    }
}

/// Nanoseconds per statement of requests with so many of them.
fn turn(statements: u64, mut request: impl FnMut()) -> f64 {
    request();
    let started = Instant::now();
    let mut requests = 0_u64;
    while started.elapsed() < TURN {
        request();
        requests += 1;
    }
    started.elapsed().as_nanos() as f64 / (requests * statements) as f64
}

/// Takes requests and does nothing, so that they are built and inspected.
struct Nothing;

impl Sink for Nothing {
    fn request(&self, request: &Arc<Request>, observation: &Observation) {
        black_box((request, observation));
    }
}

/// Wants events and does nothing with them.
struct Heard;

impl<S: Subscriber> Layer<S> for Heard {}

fn install(setting: &str) {
    let registry = tracing_subscriber::registry();
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    match setting {
        "on" => registry
            .with(log.with_filter(LevelFilter::WARN))
            .with(speedwell_trace::layer(
                Options::new(),
                vec![Arc::new(Nothing)],
            ))
            .init(),
        "heard" => registry
            .with(log.with_filter(LevelFilter::WARN))
            .with(Heard.with_filter(FilterFn::new(|metadata| {
                metadata.is_span() && *metadata.level() <= tracing::Level::INFO
                    || matches!(metadata.target(), "sqlx::query" | "speedwell::cache")
            })))
            .init(),
        "fmt" => registry.with(log.with_filter(LevelFilter::DEBUG)).init(),
        _ => registry.with(log.with_filter(LevelFilter::WARN)).init(),
    }
}

fn in_request(statements: impl FnOnce()) {
    request_span("GET", "/flyers", None, None).in_scope(statements);
}

/// About 400 characters, as a feed page has.
const TEXT: &str = "SELECT f.id, f.title, f.description, f.creator_id, f.created_at, f.expires_at, \
     u.name AS creator_name, u.avatar_url AS creator_avatar, COUNT(l.id) AS likes \
     FROM flyers AS f JOIN users AS u ON u.id = f.creator_id \
     LEFT JOIN likes AS l ON l.flyer_id = f.id \
     WHERE f.expires_at > $1 AND f.deleted_at IS NULL AND f.id < $2 \
     GROUP BY f.id, u.name, u.avatar_url ORDER BY f.id DESC LIMIT 20";

/// What a healthy request reads.
const TEXTS: [&str; 5] = [
    TEXT,
    "SELECT id, email, role FROM users WHERE id = $1",
    "SELECT flyer_id, url FROM images WHERE flyer_id IN (SELECT value FROM json_each($1)) \
     ORDER BY flyer_id, position",
    "SELECT id, name FROM categories WHERE hidden = 0 ORDER BY name LIMIT 100",
    "SELECT COUNT(*) FROM (SELECT 1 FROM flyers WHERE expires_at > $1 LIMIT 1001) AS some",
];

/// One event as sqlx 0.9 sends it, its texts made anew as sqlx does.
fn event(text: &str) {
    if tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG) {
        let summary = String::from("SELECT f.id, f.title, f.description, …");
        let text = format!("\n\n{}\n", black_box(text));
        let elapsed = Duration::from_micros(40);
        tracing::event!(
            target: "sqlx::query",
            tracing::Level::DEBUG,
            summary,
            db.statement = text,
            rows_affected = 0_u64,
            rows_returned = 20_u64,
            ?elapsed,
            elapsed_secs = elapsed.as_secs_f64(),
        );
    }
}

/// One event as the cache sends it for a read from memory.
fn cache_read(key_hash: u64) {
    tracing::debug!(
        target: "speedwell::cache",
        {
            cache.name = "flyers",
            cache.operation = "read",
            cache.group = "flyer",
            cache.key_hash = key_hash % 4,
            cache.outcome = "memory",
            cache.elapsed_us = 1_u64,
        },
        "cache"
    );
}

/// Authors and their books in memory.
async fn database() -> SqlitePool {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    sqlx::raw_sql(
        "CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
         CREATE TABLE books (id INTEGER PRIMARY KEY, author_id INTEGER, title TEXT);
         CREATE INDEX books_by_author ON books (author_id);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO authors SELECT i, 'author ' || i FROM n;
         INSERT INTO books SELECT id, id / 3, 'book ' || id FROM authors;",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool
}

/// A page of authors with their books: five different statements.
fn sqlx_page(runtime: &Runtime, pool: &SqlitePool) {
    let page = async {
        for text in [
            "SELECT id, name FROM authors WHERE id = $1",
            "SELECT id, name FROM authors WHERE id > $1 ORDER BY id LIMIT 5",
            "SELECT author_id, id, title FROM books \
             WHERE author_id IN (SELECT value FROM json_each('[1, 2, 3]')) AND id > $1",
            "SELECT COUNT(*) FROM (SELECT 1 FROM authors WHERE id > $1 LIMIT 11) AS some",
            "SELECT title FROM books WHERE author_id = $1 ORDER BY id LIMIT 3",
        ] {
            let rows = sqlx::query(text).bind(1_i64).fetch_all(pool).await.unwrap();
            black_box(rows);
        }
    };
    runtime.block_on(page.instrument(request_span("GET", "/authors", None, None)));
}

/// One statement a hundred times.
fn sqlx_loop(runtime: &Runtime, pool: &SqlitePool) {
    let rows = async {
        for id in 1..=100_i64 {
            let row: (i64, String) =
                sqlx::query_as("SELECT id, name FROM authors WHERE id = $1 ORDER BY id LIMIT 20")
                    .bind(id)
                    .fetch_one(pool)
                    .await
                    .unwrap();
            black_box(row);
        }
    };
    runtime.block_on(rows.instrument(request_span("GET", "/authors", None, None)));
}

fn request_of_20() -> Request {
    let statements = (0..20_u64)
        .map(|number| {
            // A column of its own makes it a statement of its own.
            let text = TEXT.replace("f.title", &format!("f.title_{number}"));
            Statement {
                fingerprint: fingerprint(&text, Dialect::Postgres),
                text: text.into(),
                dialect: Dialect::Postgres,
                offset: Duration::from_millis(number),
                duration: Duration::from_micros(40),
                rows_returned: Some(20),
                rows_affected: None,
                values: Values::Hidden,
                site: None,
                parent: None,
                failed: false,
            }
        })
        .collect();
    Request {
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        parent_span_id: None,
        route: Route::new("GET", "/flyers"),
        path: None,
        status: Some(200),
        started: std::time::SystemTime::now(),
        duration: Duration::from_millis(20),
        statements,
        statements_dropped: 0,
        cache: Vec::new(),
        cache_dropped: 0,
        rows_answered: None,
        attributes: Vec::new(),
        source: Source::Layer,
    }
}
