//! Spans of every kind, counters and warnings, in a process with a subscriber of its own.
#![allow(
    clippy::unwrap_used,
    reason = "a broken test may panic in its helpers too"
)]

mod support;

use std::{
    io::Write,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant},
};

use speedwell_trace::{
    Counters, LogSink, Observation, Options, Request, Sink, Thresholds, request_span,
};
use tracing::{Instrument, field::Empty};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt};

/// Keeps what it is given.
#[derive(Default)]
struct Kept(Mutex<Vec<Arc<Request>>>);

impl Sink for Kept {
    fn request(&self, request: &Arc<Request>, _: &Observation) {
        self.0.lock().unwrap().push(Arc::clone(request));
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
    let options = Options::new()
        .statements_kept(50)
        .thresholds(Thresholds::default());
    let counters = options.counters();
    let log = LogSink::new().slow(Duration::from_millis(20)).n_plus_one(5);
    let writer = lines.clone();
    let subscriber = tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .json()
                .with_writer(move || writer.clone())
                .with_filter(LevelFilter::WARN),
        )
        .with(speedwell_trace::layer(
            options,
            vec![kept.clone(), Arc::new(log)],
        ));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    World {
        kept,
        lines,
        counters,
    }
});

/// The request of `route`, once the driver's thread let go of its span.
fn request(route: &str) -> Arc<Request> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let kept = WORLD.kept.0.lock().unwrap();
        if let Some(request) = kept.iter().find(|request| &*request.route.0 == route) {
            return Arc::clone(request);
        }
        drop(kept);
        assert!(Instant::now() < deadline, "no request {route}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn event(text: &str, elapsed_secs: f64) {
    tracing::debug!(
        target: "sqlx::query",
        summary = "summary …",
        db.statement = format!("\n\n{text}\n"),
        rows_affected = 0_u64,
        rows_returned = 2_u64,
        elapsed_secs,
    );
}

fn warnings(route: &str) -> Vec<serde_json::Value> {
    request(route);
    let lines = WORLD.lines.0.lock().unwrap();
    String::from_utf8_lossy(&lines)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["fields"]["http.route"] == route)
        .collect()
}

#[test]
fn a_request_span_says_all_of_the_request() {
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    LazyLock::force(&WORLD);
    let span = request_span("GET", "/a/{id}", Some("/a/7?token=secret"), Some(header));
    span.in_scope(|| event("SELECT a FROM t WHERE id = $1", 0.001));
    span.record("http.response.status_code", 404);
    span.record("speedwell.rows_answered", 12);
    drop(span);
    let request = request("GET /a/{id}");
    assert_eq!(
        request.trace_id.to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(
        request.parent_span_id.unwrap().to_string(),
        "b7ad6b7169203331"
    );
    assert_eq!(request.path.as_deref(), Some("/a/7"));
    assert_eq!(
        (request.status, request.rows_answered),
        (Some(404), Some(12))
    );
    assert_eq!(
        &*request.statements[0].text,
        "SELECT a FROM t WHERE id = $1"
    );
    assert_eq!(request.statements[0].duration, Duration::from_millis(1));
    assert_eq!(request.statements[0].rows_returned, Some(2));
}

#[test]
fn a_span_of_another_layer_serves_when_its_route_comes_late() {
    LazyLock::force(&WORLD);
    let span = tracing::debug_span!("HTTP", method = %"PUT", uri = %"/b/1?x", http.route = Empty, status = Empty);
    span.in_scope(|| event("SELECT b FROM t", 0.001));
    span.record("http.route", "/b/{id}");
    span.record("status", tracing::field::display("201 Created"));
    drop(span);
    let request = request("PUT /b/{id}");
    assert_eq!(
        (request.status, request.path.as_deref()),
        (Some(201), Some("/b/1"))
    );
    assert_eq!(request.statements.len(), 1);
}

#[test]
fn the_nearest_request_span_takes_the_statement_and_an_empty_shell_is_no_request() {
    LazyLock::force(&WORLD);
    let outer = tracing::info_span!("outer", http.route = "/shell");
    outer.in_scope(|| {
        request_span("GET", "/inner", None, None).in_scope(|| event("SELECT c FROM t", 0.001));
    });
    drop(outer);
    assert_eq!(request("GET /inner").statements.len(), 1);
    let kept = WORLD.kept.0.lock().unwrap();
    assert!(
        !kept
            .iter()
            .any(|request| request.route.0.contains("/shell"))
    );
}

#[test]
fn an_orm_span_and_the_driver_event_inside_it_are_one_statement() {
    LazyLock::force(&WORLD);
    let text = "SELECT d FROM t WHERE id = ?";
    request_span("GET", "/orm", None, None).in_scope(|| {
        tracing::info_span!("load").in_scope(|| {
            let span = tracing::info_span!(
                "sea_orm.query_all",
                otel.kind = "client",
                db.system = "sqlite",
                db.statement = text,
                status = Empty
            );
            span.in_scope(|| event(text, 0.001));
        });
        let failed = tracing::info_span!(
            "query", db.system.name = "postgresql", db.query.text = %"SELECT e FROM t",
            db.response.returned_rows = 4_i64, otel.status_code = Empty
        );
        failed.record("otel.status_code", "ERROR");
    });
    let request = request("GET /orm");
    let [first, second] = request.statements.as_slice() else {
        panic!("{request:#?}")
    };
    assert_eq!(&*first.text, text);
    assert_eq!(
        first.site.as_ref().map(|site| &*site.function),
        Some("counters::load")
    );
    assert_eq!(&*second.text, "SELECT e FROM t");
    assert_eq!(second.dialect, speedwell_trace::Dialect::Postgres);
    assert_eq!((second.rows_returned, second.failed), (Some(4), true));
}

#[test]
fn the_request_ends_with_its_status_even_when_a_task_holds_the_span() {
    LazyLock::force(&WORLD);
    let span = request_span("GET", "/held", None, None);
    span.record("http.response.status_code", 200);
    let held = span.clone();
    drop(span);
    std::thread::sleep(Duration::from_millis(200));
    drop(held);
    assert!(request("GET /held").duration < Duration::from_millis(150));
}

#[test]
fn statements_over_the_limit_and_outside_a_request_are_counted() {
    LazyLock::force(&WORLD);
    let before = WORLD.counters.read();
    event("SELECT f FROM t", 0.001);
    std::thread::spawn(|| event("SELECT f FROM t", 0.001))
        .join()
        .unwrap();
    request_span("GET", "/many", None, None).in_scope(|| {
        for _ in 0..60 {
            event("SELECT g FROM t WHERE a = $1", 0.000_1);
        }
    });
    let request = request("GET /many");
    assert_eq!(
        (request.statements.len(), request.statements_dropped),
        (50, 10)
    );
    let after = WORLD.counters.read();
    // Other tests of this process count as well.
    assert!(after.unattributed >= before.unattributed + 2);
    assert!(after.dropped >= before.dropped + 10);
    assert!(after.requests > before.requests && after.statements >= before.statements + 60);
}

#[tokio::test]
async fn a_task_spawned_without_its_span_is_unattributed() {
    LazyLock::force(&WORLD);
    let pool = support::library().await;
    let before = WORLD.counters.read().unattributed;
    let span = request_span("GET", "/orphan", None, None);
    let task = async {
        tokio::spawn(async move { sqlx::query("SELECT 1").fetch_one(&pool).await.unwrap() })
            .await
            .unwrap();
    };
    task.instrument(span).await;
    assert_eq!(request("GET /orphan").statements.len(), 0);
    assert!(WORLD.counters.read().unattributed > before);
}

#[test]
fn a_slow_statement_is_warned_of_once_with_fields_that_arrive() {
    LazyLock::force(&WORLD);
    let text = format!(
        "SELECT {} FROM t WHERE id = $1",
        vec!["column_name"; 60].join(", ")
    );
    request_span("GET", "/slow", None, None).in_scope(|| {
        event(&text, 0.030);
        event(&text, 0.523_45);
    });
    let warnings = warnings("GET /slow");
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:#?}")
    };
    let fields = &warning["fields"];
    let first_500: String = text.chars().take(500).collect();
    assert_eq!(
        fields["message"],
        format!("SLOW QUERY (523.45ms): {first_500}...")
    );
    assert_eq!(fields["slow_query"], true);
    assert_eq!(fields["query_duration_ms"], 523.45);
    assert_eq!(fields["query_statement"], first_500);
    assert_eq!(
        (&warning["level"], &warning["target"]),
        (&"WARN".into(), &"speedwell".into())
    );
}

#[test]
fn an_n_plus_one_is_warned_of_once_with_fields_that_arrive() {
    LazyLock::force(&WORLD);
    let text = "SELECT id, title\nFROM books\nWHERE author_id = $1";
    request_span("GET", "/loop", None, None).in_scope(|| {
        event("SELECT id FROM authors LIMIT 15", 0.001);
        (0..15).for_each(|_| event(text, 0.001));
    });
    let warnings = warnings("GET /loop");
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:#?}")
    };
    let fields = &warning["fields"];
    let signature = "SELECT id, title FROM books WHERE author_id = $1";
    assert_eq!(
        fields["message"],
        format!(
            "Potential N+1 query detected: Same query pattern executed 15 times: {signature}..."
        )
    );
    assert_eq!(fields["n_plus_one_warning"], true);
    assert_eq!(fields["query_count"], 15);
    assert_eq!(fields["query_signature"], signature);
}

#[test]
fn a_value_in_the_text_does_not_reach_the_log() {
    LazyLock::force(&WORLD);
    request_span("GET", "/secret", None, None).in_scope(|| {
        event(
            "SELECT id FROM users WHERE mail = 'someone@example.org'",
            0.600,
        );
    });
    let warnings = warnings("GET /secret");
    assert_eq!(warnings.len(), 1);
    assert!(
        !warnings[0].to_string().contains("someone"),
        "{}",
        warnings[0]
    );
}
