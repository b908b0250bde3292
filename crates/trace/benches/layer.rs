//! What the layer costs per statement: as a bare event like sqlx's, and through sqlx itself.
//!
//! A subscriber can be set once per process, so each setting is a process of its own:
//! `SPEEDWELL_BENCH=on|off|fmt cargo bench -p speedwell-trace`. `off` is sqlx's own cost (a log
//! layer that wants none of its events), `fmt` writes every event to nowhere.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark is not a library"
)]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use speedwell_trace::{
    Detectors, Dialect, Fingerprint, Observation, Options, Request, Route, Sink, Source, SpanId,
    Statement, Thresholds, TraceId, Values, request_span,
};
use sqlx::sqlite::SqlitePoolOptions;
use tracing::Instrument;
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Takes requests and does nothing, so that they are built and inspected.
struct Nothing;

impl Sink for Nothing {
    fn request(&self, request: &Arc<Request>, observation: &Observation) {
        black_box((request, observation));
    }
}

/// About 400 characters, as a feed page has.
const TEXT: &str = "SELECT f.id, f.title, f.description, f.creator_id, f.created_at, f.expires_at, \
     u.name AS creator_name, u.avatar_url AS creator_avatar, COUNT(l.id) AS likes \
     FROM flyers AS f JOIN users AS u ON u.id = f.creator_id \
     LEFT JOIN likes AS l ON l.flyer_id = f.id \
     WHERE f.expires_at > $1 AND f.deleted_at IS NULL AND f.id < $2 \
     GROUP BY f.id, u.name, u.avatar_url ORDER BY f.id DESC LIMIT 20";

/// Statements per request in the measurements.
const STATEMENTS: u64 = 100;

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
        "fmt" => registry.with(log.with_filter(LevelFilter::DEBUG)).init(),
        _ => registry.with(log.with_filter(LevelFilter::WARN)).init(),
    }
}

/// One event as sqlx 0.9 sends it, its texts made anew as sqlx does.
fn event() {
    if tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG) {
        let summary = String::from("SELECT f.id, f.title, f.description, …");
        let text = format!("\n\n{}\n", black_box(TEXT));
        let elapsed = std::time::Duration::from_micros(40);
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

fn benches(criterion: &mut Criterion) {
    let setting = std::env::var("SPEEDWELL_BENCH").unwrap_or_else(|_| "on".to_owned());
    install(&setting);

    let mut group = criterion.benchmark_group("event");
    group.throughput(Throughput::Elements(STATEMENTS));
    // Per request of 100 statements: opening, 100 events, closing and detecting.
    group.bench_function(&setting, |bencher| {
        bencher.iter(|| {
            request_span("GET", "/flyers", None, None).in_scope(|| {
                for _ in 0..STATEMENTS {
                    event();
                }
            });
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("request_of_one_event");
    group.bench_function(&setting, |bencher| {
        bencher.iter(|| request_span("GET", "/flyers", None, None).in_scope(event));
    });
    group.finish();

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let pool = runtime.block_on(async {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect("sqlite::memory:")
            .await;
        let pool = pool.unwrap();
        sqlx::raw_sql(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x')",
        )
        .execute(&pool)
        .await
        .unwrap();
        pool
    });
    let mut group = criterion.benchmark_group("sqlx_sqlite");
    group.throughput(Throughput::Elements(STATEMENTS));
    group.bench_function(&setting, |bencher| {
        bencher.iter(|| {
            let span = request_span("GET", "/flyers", None, None);
            runtime.block_on(
                async {
                    for _ in 0..STATEMENTS {
                        let row: (i64, String) = sqlx::query_as(
                            "SELECT id, a FROM t WHERE id = $1 ORDER BY id LIMIT 20",
                        )
                        .bind(1_i64)
                        .fetch_one(&pool)
                        .await
                        .unwrap();
                        black_box(row);
                    }
                }
                .instrument(span),
            );
        });
    });
    group.finish();

    detectors(criterion);
}

/// The detectors alone on a request of 20 different statements.
fn detectors(criterion: &mut Criterion) {
    let statements = (0..20_u64)
        .map(|number| Statement {
            text: format!("{TEXT} OFFSET {number}").into(),
            fingerprint: Fingerprint(number),
            dialect: Dialect::Postgres,
            offset: std::time::Duration::from_millis(number),
            duration: std::time::Duration::from_micros(40),
            rows_returned: Some(20),
            rows_affected: None,
            values: Values::Hidden,
            site: None,
            parent: None,
            failed: false,
        })
        .collect();
    let request = Request {
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        parent_span_id: None,
        route: Route::new("GET", "/flyers"),
        path: None,
        status: Some(200),
        started: std::time::SystemTime::now(),
        duration: std::time::Duration::from_millis(20),
        statements,
        statements_dropped: 0,
        rows_answered: None,
        source: Source::Layer,
    };
    let detectors = Detectors::standard(Thresholds::default());
    criterion.bench_function("detectors_of_20_statements", |bencher| {
        bencher.iter(|| detectors.inspect(black_box(&request), None));
    });
}

criterion_group!(layer, benches);
criterion_main!(layer);
