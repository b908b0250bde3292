//! The receiver over a real socket.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::SpanKind},
};
use proptest::prelude::*;
use prost::Message as _;
use speedwell_collect::{Limits, Receiver};
use speedwell_trace::{Dialect, Request, SpanId, TraceId, Values};

const TRACE: u8 = 7;
const SOON: Duration = Duration::from_millis(40);
const LONG: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    Limits {
        grace: SOON,
        ..Limits::default()
    }
}

async fn bind(limits: Limits) -> Receiver {
    Receiver::bind(([127, 0, 0, 1], 0).into(), limits)
        .await
        .unwrap()
}

fn trace(number: u8) -> TraceId {
    TraceId([number; 16])
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A span of trace 7; times in milliseconds.
fn span(id: u8, parent: u8, start: u64, end: u64, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![TRACE; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 {
            Vec::new()
        } else {
            vec![parent; 8]
        },
        name: format!("span {id}"),
        start_time_unix_nano: start * 1_000_000,
        end_time_unix_nano: end * 1_000_000,
        kind: SpanKind::Internal as i32,
        attributes,
        ..Span::default()
    }
}

fn request(id: u8, parent: u8) -> Span {
    let attributes = vec![
        text("http.request.method", "GET"),
        text("http.route", "/flyers/{id}"),
        text("url.path", "/flyers/17"),
        number("http.response.status_code", 200),
    ];
    Span {
        kind: SpanKind::Server as i32,
        ..span(id, parent, 1000, 1100, attributes)
    }
}

fn statement(id: u8, parent: u8, start: u64, sql: &str) -> Span {
    let attributes = vec![text("db.system.name", "sqlite"), text("db.query.text", sql)];
    Span {
        kind: SpanKind::Client as i32,
        ..span(id, parent, start, start + 5, attributes)
    }
}

/// A change of the cache, told at once.
fn cache_write(id: u8, parent: u8, start: u64) -> Span {
    let attributes = vec![
        text("cache.name", "deals"),
        text("cache.operation", "write"),
        text("cache.outcome", "told"),
        number("cache.names", 2),
    ];
    span(id, parent, start, start, attributes)
}

fn with(mut span: Span, attributes: Vec<KeyValue>) -> Span {
    span.attributes.extend(attributes);
    span
}

fn export(scopes: Vec<(&str, Vec<Span>)>) -> Vec<u8> {
    let scope_spans = scopes
        .into_iter()
        .map(|(name, spans)| ScopeSpans {
            scope: Some(InstrumentationScope {
                name: name.to_owned(),
                ..Default::default()
            }),
            spans,
            ..ScopeSpans::default()
        })
        .collect();
    let resource_spans = vec![ResourceSpans {
        scope_spans,
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// Sends a body from a thread of its own and gives status and body of the answer.
async fn post_as(receiver: &Receiver, headers: Headers<'_>, body: Vec<u8>) -> Answer {
    let url = format!("{}/v1/traces", receiver.endpoint());
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut request = agent.post(&url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send(&body[..]).unwrap();
        let body = response.body_mut().read_to_vec().unwrap();
        Answer {
            status: response.status().as_u16(),
            body,
        }
    })
    .await
    .unwrap()
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

async fn send(receiver: &Receiver, spans: Vec<Span>) {
    send_scopes(receiver, vec![("test", spans)]).await;
}

async fn send_scopes(receiver: &Receiver, scopes: Vec<(&str, Vec<Span>)>) {
    let answer = post_as(receiver, &[PROTOBUF], export(scopes)).await;
    assert_eq!(answer.status, 200);
    let response = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
    assert_eq!(response.partial_success, None);
}

/// The requests of trace 7.
async fn take(receiver: &Receiver) -> Vec<Request> {
    let mut taken = receiver.take(&[trace(TRACE)], LONG).await;
    taken.requests.remove(&trace(TRACE)).unwrap_or_default()
}

async fn take_one(receiver: &Receiver) -> Request {
    let mut requests = take(receiver).await;
    assert_eq!(requests.len(), 1, "{requests:#?}");
    requests.remove(0)
}

fn texts(request: &Request) -> Vec<&str> {
    request
        .statements
        .iter()
        .map(|statement| &*statement.text)
        .collect()
}

#[tokio::test]
async fn a_request_has_its_statements_in_order_with_all_that_was_sent() {
    let receiver = bind(limits()).await;
    let first = with(
        statement(3, 1, 1010, "SELECT a FROM t WHERE id = ?"),
        vec![
            number("db.response.returned_rows", 20),
            number("speedwell.rows_affected", 0),
            text("code.function.name", "flyers::feed::load"),
            text("code.file.path", "src/feed.rs"),
            number("code.line.number", 42),
        ],
    );
    let mut failed = statement(2, 1, 1050, "SELECT 2");
    failed.status = Some(Status {
        code: 2,
        message: "no".to_owned(),
    });
    send(&receiver, vec![request(1, 9), failed, first]).await;

    let request = take_one(&receiver).await;
    assert_eq!(request.trace_id, trace(TRACE));
    assert_eq!(request.span_id, SpanId([1; 8]));
    assert_eq!(request.parent_span_id, Some(SpanId([9; 8])));
    assert_eq!(&*request.route.0, "GET /flyers/{id}");
    assert_eq!(request.path.as_deref(), Some("/flyers/17"));
    assert_eq!(request.status, Some(200));
    assert_eq!(request.duration, Duration::from_millis(100));
    assert_eq!(
        texts(&request),
        ["SELECT a FROM t WHERE id = ?", "SELECT 2"]
    );
    let [first, second] = &request.statements[..] else {
        panic!()
    };
    assert_eq!(first.offset, Duration::from_millis(10));
    assert_eq!(first.duration, Duration::from_millis(5));
    assert_eq!(
        (first.rows_returned, first.rows_affected),
        (Some(20), Some(0))
    );
    assert_eq!(first.dialect, Dialect::Sqlite);
    assert_eq!(first.values, Values::Hidden);
    assert_eq!(first.parent, Some(SpanId([1; 8])));
    let site = first.site.as_ref().unwrap();
    assert_eq!(&*site.function, "flyers::feed::load");
    assert_eq!(
        (site.file.as_deref(), site.line),
        (Some("src/feed.rs"), Some(42))
    );
    assert!(!first.failed && second.failed);
    assert_eq!(
        (&second.values, second.rows_returned),
        (&Values::InText, None)
    );
    assert_eq!(
        (receiver.counters().requests, receiver.counters().spans),
        (1, 3)
    );
}

#[tokio::test]
async fn the_old_names_are_read_and_query_strings_go_no_further() {
    let receiver = bind(limits()).await;
    for (id, url) in [
        (1, text("http.target", "/a/b?token=secret")),
        (2, text("http.url", "http://h:1/a/b?token=secret#x")),
    ] {
        let attributes = vec![
            text("http.method", "post"),
            text("http.route", "n1/<int:n>"),
            number("http.status_code", 500),
            url,
            text("url.query", "token=secret"),
        ];
        let root = span(id, 0, 1000, 1001, attributes);
        let sql = with(
            span(id + 10, id, 1000, 1001, vec![]),
            vec![
                text("db.system", "postgresql"),
                text("db.statement", "SELECT %s"),
                text("db.operation", "SELECT"),
            ],
        );
        send(&receiver, vec![root, sql]).await;
    }
    for request in take(&receiver).await {
        assert_eq!(&*request.route.0, "POST /n1/<int:n>");
        assert_eq!(request.path.as_deref(), Some("/a/b"));
        assert_eq!(request.status, Some(500));
        assert_eq!(texts(&request), ["SELECT %s"]);
        assert_eq!(request.statements[0].dialect, Dialect::Postgres);
        assert!(!format!("{request:?}").contains("secret"));
    }
}

#[tokio::test]
async fn a_route_is_never_guessed_from_a_path() {
    let receiver = bind(limits()).await;
    let attributes = vec![
        text("http.request.method", "GET"),
        text("url.path", "/flyers/17"),
    ];
    send(&receiver, vec![span(1, 0, 1000, 1001, attributes)]).await;
    assert_eq!(&*take_one(&receiver).await.route.0, "GET (no route)");
}

#[tokio::test]
async fn statements_at_any_depth_belong_to_the_nearest_request_and_know_their_code() {
    let receiver = bind(limits()).await;
    let mut inner = request(4, 3);
    inner.attributes[1] = text("http.route", "/inner");
    // A call to another service is no request that this one answers.
    let mut outgoing = span(8, 1, 1000, 1001, vec![text("http.request.method", "GET")]);
    outgoing.kind = SpanKind::Client as i32;
    let spans = vec![
        request(1, 0),
        span(2, 1, 1000, 1090, vec![]),
        span(3, 2, 1000, 1090, vec![]),
        statement(5, 3, 1010, "SELECT 1 FROM a"),
        statement(6, 1, 1020, "SELECT 2 FROM a"),
        inner,
        statement(7, 4, 1030, "SELECT 3 FROM a"),
        outgoing,
    ];
    send(&receiver, spans).await;
    let requests = take(&receiver).await;
    let [outer, inner] = &requests[..] else {
        panic!("{requests:#?}")
    };
    assert_eq!(texts(outer), ["SELECT 1 FROM a", "SELECT 2 FROM a"]);
    assert_eq!(
        &*outer.statements[0].site.as_ref().unwrap().function,
        "span 3"
    );
    assert_eq!(outer.statements[1].site, None);
    assert_eq!(&*inner.route.0, "GET /inner");
    assert_eq!(texts(inner), ["SELECT 3 FROM a"]);
    assert_eq!(inner.parent_span_id, Some(SpanId([3; 8])));
}

#[tokio::test]
async fn parameters_are_kept_as_hashes_in_their_order() {
    let receiver = bind(limits()).await;
    let sql = "SELECT a FROM t WHERE b = $1 AND c = $2";
    let bound = |id, start, first: &str, tenth: KeyValue| {
        with(
            statement(id, 1, start, sql),
            vec![tenth, text("db.query.parameter.2", first)],
        )
    };
    let spans = vec![
        request(1, 0),
        bound(
            2,
            1010,
            "ann@example.org",
            number("db.query.parameter.10", 5),
        ),
        bound(
            3,
            1020,
            "ann@example.org",
            text("db.query.parameter.10", "5"),
        ),
        bound(
            4,
            1030,
            "bob@example.org",
            text("db.query.parameter.10", "5"),
        ),
    ];
    send(&receiver, spans.clone()).await;
    let request = take_one(&receiver).await;
    assert!(!format!("{request:?}").contains("example.org"));
    let values: Vec<&Values> = request.statements.iter().map(|s| &s.values).collect();
    let hashes = |values: &Values| match values {
        Values::Hashed(hashes) => hashes.to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(values[0], values[1]);
    assert_ne!(hashes(values[0])[0], hashes(values[2])[0]);
    assert_eq!(hashes(values[0])[1], hashes(values[2])[1]);
    let other = bind(limits()).await;
    send(&other, spans).await;
    let elsewhere = take_one(&other).await;
    assert_ne!(
        &elsewhere.statements[0].values, values[0],
        "each receiver has its own key"
    );
}

#[tokio::test]
async fn an_orm_and_its_driver_tell_of_one_statement() {
    let receiver = bind(limits()).await;
    let sql = |n| format!("SELECT a FROM t{n} WHERE b = ?");
    let long = |id, parent, start, n| {
        let mut span = statement(id, parent, start, &sql(n));
        span.end_time_unix_nano += 1_000_000;
        span
    };
    let orm = vec![
        long(2, 1, 1010, 1),
        long(3, 1, 1020, 1),
        long(4, 1, 1030, 2),
    ];
    let driver = vec![
        statement(5, 1, 1011, &sql(1)),
        with(
            statement(6, 1, 1021, &sql(1)),
            vec![number("db.response.returned_rows", 3)],
        ),
        // Inside the span of the ORM.
        statement(7, 4, 1030, &sql(2)),
    ];
    send_scopes(
        &receiver,
        vec![
            ("http", vec![request(1, 0)]),
            ("orm", orm),
            ("driver", driver),
        ],
    )
    .await;
    let request = take_one(&receiver).await;
    assert_eq!(texts(&request), [sql(1), sql(1), sql(2)]);
    let offsets: Vec<u128> = request
        .statements
        .iter()
        .map(|s| s.offset.as_millis())
        .collect();
    assert_eq!(offsets, [11, 21, 30], "the driver's times");
    assert_eq!(request.statements[1].rows_returned, Some(3));
    assert_eq!(
        request.statements[2].parent,
        Some(SpanId([1; 8])),
        "not the ORM's own span"
    );
}

#[tokio::test]
async fn what_only_looks_like_an_orm_and_its_driver_is_several_statements() {
    let receiver = bind(limits()).await;
    let same = "SELECT a FROM t";
    let one_scope = vec![
        request(1, 0),
        statement(2, 1, 1010, same),
        statement(3, 1, 1012, same),
        span(8, 1, 1000, 1090, vec![]),
    ];
    let other_scope = vec![
        statement(4, 1, 1030, same),              // another time
        statement(5, 1, 1010, "SELECT b FROM t"), // another text
        statement(6, 8, 1010, same),              // another place
    ];
    send_scopes(&receiver, vec![("a", one_scope), ("b", other_scope)]).await;
    assert_eq!(take_one(&receiver).await.statements.len(), 5);
}

#[tokio::test]
async fn a_batch_counts_once_and_noise_not_at_all() {
    let receiver = bind(limits()).await;
    let mut batch = with(
        statement(2, 1, 1001, "INSERT INTO t (a) VALUES (?)"),
        vec![number("db.operation.batch.size", 50)],
    );
    batch.name = "BATCH INSERT t".to_owned();
    let mut sent = span(
        3,
        1,
        1002,
        1003,
        vec![text("asgi.event.type", "http.response.body")],
    );
    sent.name = "GET /flyers/{id} http send".to_owned();
    let mut connect = span(4, 1, 1002, 1003, vec![text("db.system", "sqlite")]);
    connect.name = "connect".to_owned();
    let redis = span(
        5,
        1,
        1002,
        1003,
        vec![text("db.system", "redis"), text("db.statement", "GET a")],
    );
    let spans = vec![
        request(1, 0),
        batch,
        sent,
        connect,
        redis,
        statement(6, 1, 1004, "PRAGMA foreign_keys = ON"),
        statement(7, 1, 1005, "BEGIN"),
        statement(8, 1, 1006, "COMMIT"),
        statement(9, 1, 1007, "select set_config('TimeZone', 'UTC', false)"),
    ];
    send(&receiver, spans).await;
    let request = take_one(&receiver).await;
    assert_eq!(
        texts(&request),
        ["INSERT INTO t (a) VALUES (?)", "BEGIN", "COMMIT"]
    );
    assert_eq!(receiver.counters().ignored, 5);
}

#[tokio::test]
async fn a_statement_inside_a_step_of_the_database_belongs_to_the_request() {
    let receiver = bind(limits()).await;
    let transaction = span(2, 1, 1001, 1050, vec![text("db.system.name", "postgresql")]);
    let code = span(3, 1, 1000, 1060, Vec::new());
    let mut inside_code = transaction.clone();
    inside_code.span_id = vec![4; 8];
    inside_code.parent_span_id = vec![3; 8];
    let spans = vec![
        request(1, 0),
        transaction,
        code,
        inside_code,
        statement(5, 2, 1002, "UPDATE t SET a = ?"),
        statement(6, 4, 1003, "UPDATE u SET a = ?"),
    ];
    send(&receiver, spans).await;
    let request = take_one(&receiver).await;
    assert_eq!(
        texts(&request),
        ["UPDATE t SET a = ?", "UPDATE u SET a = ?"]
    );
    let site = request.statements[1].site.as_ref().unwrap();
    assert_eq!(&*site.function, "span 3");
    let counters = receiver.counters();
    assert_eq!((counters.ignored, counters.orphaned), (2, 0));
}

#[tokio::test]
async fn long_texts_that_never_come_again_are_bounded_too() {
    let receiver = bind(Limits {
        max_text: 100_000,
        ..limits()
    })
    .await;
    let long = |number: u8| format!("SELECT {}{number}", "a, ".repeat(10_000));
    for number in 1..=20 {
        let mut of_its_own = statement(2, 1, 1001, &long(number));
        of_its_own.trace_id = vec![number; 16];
        send(&receiver, vec![of_its_own]).await;
    }
    // Each takes 30 kB, so that three are kept.
    assert_eq!(receiver.counters().evicted, 17);
    // The same text many times is kept once.
    let same = (10..40).map(|id| statement(id, 1, 1001, &long(99)));
    send(&receiver, same.chain([request(1, 0)]).collect()).await;
    assert_eq!(take_one(&receiver).await.statements.len(), 30);
}

#[tokio::test]
async fn children_may_come_before_their_request_and_after_it() {
    let receiver = bind(Limits {
        grace: Duration::from_secs(2),
        ..limits()
    })
    .await;
    send(&receiver, vec![statement(3, 2, 1010, "SELECT 1")]).await;
    send(&receiver, vec![request(1, 0)]).await;
    send(
        &receiver,
        vec![
            statement(4, 1, 1020, "SELECT 2"),
            span(2, 1, 1000, 1090, vec![]),
        ],
    )
    .await;
    send(
        &receiver,
        vec![request(1, 0), statement(4, 1, 1020, "SELECT 2")],
    )
    .await;
    assert_eq!(texts(&take_one(&receiver).await), ["SELECT 1", "SELECT 2"]);
    assert_eq!(receiver.counters().ignored, 2, "what was delivered twice");
}

#[tokio::test]
async fn what_comes_too_late_is_counted() {
    let receiver = bind(limits()).await;
    send(&receiver, vec![request(1, 0)]).await;
    assert_eq!(take_one(&receiver).await.statements.len(), 0);
    send(&receiver, vec![statement(2, 1, 1010, "SELECT 1")]).await;
    assert_eq!(receiver.counters().late, 1);
    assert_eq!(receiver.counters().late, 1, "counted once");
    // A later request of the same trace is a request like any other.
    send(
        &receiver,
        vec![request(5, 0), statement(6, 5, 1010, "SELECT 2")],
    )
    .await;
    assert_eq!(texts(&take_one(&receiver).await), ["SELECT 2"]);
}

#[tokio::test]
async fn statements_without_a_request_are_counted_as_orphans() {
    let receiver = bind(Limits {
        orphan_age: SOON,
        ..limits()
    })
    .await;
    let mut ring = [span(3, 4, 1, 2, vec![]), span(4, 3, 1, 2, vec![])].to_vec();
    ring.extend([
        request(1, 0),
        statement(2, 99, 1010, "SELECT 1"),
        statement(5, 3, 1, "SELECT 2"),
    ]);
    send(&receiver, ring).await;
    assert_eq!(take_one(&receiver).await.statements.len(), 0);
    assert_eq!(receiver.counters().orphaned, 2);
    let mut other = statement(2, 99, 1010, "SELECT 1");
    other.trace_id = vec![8; 16];
    send(&receiver, vec![other]).await;
    tokio::time::sleep(SOON * 3).await;
    assert_eq!(receiver.counters().orphaned, 3);
}

#[tokio::test]
async fn memory_is_bounded_and_what_gives_way_is_counted() {
    let receiver = bind(Limits {
        max_traces: 3,
        max_spans_per_trace: 4,
        ..limits()
    })
    .await;
    for number in 1..=5 {
        let mut root = request(1, 0);
        root.trace_id = vec![number; 16];
        send(&receiver, vec![root]).await;
    }
    let ids: Vec<TraceId> = (1..=5).map(trace).collect();
    let taken = receiver.take(&ids, SOON * 3).await;
    assert_eq!(taken.missing, [trace(1), trace(2)]);
    assert_eq!(taken.requests.len(), 3);
    assert_eq!(receiver.counters().evicted, 2);

    let statements = (10..20).map(|id| statement(id, 1, 1000 + u64::from(id), "SELECT 1"));
    send(&receiver, statements.chain([request(1, 0)]).collect()).await;
    let request = take_one(&receiver).await;
    assert_eq!(
        (request.statements.len(), request.statements_dropped),
        (4, 6)
    );
    assert_eq!(receiver.counters().dropped, 6);
}

#[tokio::test]
async fn take_waits_for_what_is_still_to_come_and_no_longer() {
    let receiver = bind(limits()).await;
    let started = std::time::Instant::now();
    let ids = [trace(TRACE)];
    let (taken, ()) = tokio::join!(receiver.take(&ids, LONG), async {
        tokio::time::sleep(SOON * 2).await;
        send(&receiver, vec![request(1, 0)]).await;
    });
    assert_eq!(taken.requests[&trace(TRACE)].len(), 1);
    assert!(
        started.elapsed() < LONG / 2,
        "it must not wait for the time limit"
    );
    let taken = receiver.take(&[trace(9)], SOON).await;
    assert_eq!(taken.missing, [trace(9)]);
}

#[tokio::test]
async fn next_gives_requests_as_they_are_complete() {
    let receiver = bind(limits()).await;
    for number in [3, 1, 2] {
        let mut root = request(1, 0);
        root.trace_id = vec![number; 16];
        send(&receiver, vec![root]).await;
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(receiver.next().await.unwrap().trace_id);
    }
    assert_eq!(order, [trace(3), trace(1), trace(2)]);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_counted() {
    let receiver = bind(Limits {
        max_body: 10_000,
        ..limits()
    })
    .await;
    let good = || export(vec![("test", vec![request(1, 0)])]);
    let packed = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let gzip = ("content-encoding", "gzip");
    let json = ("content-type", "application/json");
    let with_charset = ("content-type", "application/x-protobuf; v=1");
    let cases: [(Headers<'_>, Vec<u8>, u16); 10] = [
        (&[PROTOBUF], good(), 200),
        (&[with_charset], good(), 200),
        (&[PROTOBUF, gzip], packed(&good()), 200),
        (&[PROTOBUF], vec![], 200),
        (&[PROTOBUF], b"this is no protobuf".to_vec(), 400),
        (&[PROTOBUF, gzip], good(), 400),
        (&[PROTOBUF, gzip], packed(b"this is no protobuf"), 400),
        (&[json], b"{}".to_vec(), 415),
        (&[PROTOBUF, ("content-encoding", "zstd")], good(), 415),
        (&[PROTOBUF, gzip], packed(&vec![0; 1 << 20]), 413),
    ];
    for (headers, body, expected) in cases {
        assert_eq!(
            post_as(&receiver, headers, body).await.status,
            expected,
            "{headers:?}"
        );
    }
    assert_eq!(
        post_as(&receiver, &[PROTOBUF], vec![0; 20_000])
            .await
            .status,
        413
    );
    let counters = receiver.counters();
    assert_eq!((counters.malformed, counters.refused_too_large), (3, 2));

    let endpoint = receiver.endpoint();
    let statuses = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let get = agent.get(format!("{endpoint}/v1/traces")).call().unwrap();
        let elsewhere = agent.post(format!("{endpoint}/v1/logs")).send("").unwrap();
        (
            get.status().as_u16(),
            get.headers()["allow"].clone(),
            elsewhere.status().as_u16(),
        )
    });
    let (get, allow, elsewhere) = statuses.await.unwrap();
    assert_eq!(
        (get, allow.to_str().unwrap(), elsewhere),
        (405, "POST", 404)
    );
}

#[tokio::test]
async fn spans_without_ids_are_said_to_be_rejected() {
    let receiver = bind(limits()).await;
    let mut nameless = statement(2, 1, 1010, "SELECT 1");
    nameless.span_id = vec![1, 2, 3];
    let body = export(vec![("test", vec![request(1, 0), nameless])]);
    let answer = post_as(&receiver, &[PROTOBUF], body).await;
    let response = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
    assert_eq!(response.partial_success.unwrap().rejected_spans, 1);
    assert_eq!(receiver.counters().ignored, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_posts_at_once_lose_nothing() {
    let receiver = bind(limits()).await;
    let id = |number: u16| {
        let mut id = [9; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        TraceId(id)
    };
    let bodies: Vec<Vec<u8>> = (0..1000)
        .map(|number| {
            let mut spans = vec![request(1, 0)];
            spans.extend((2..12).map(|n| statement(n, 1, 1000 + u64::from(n), "SELECT 1")));
            for span in &mut spans {
                span.trace_id = id(number).0.to_vec();
            }
            export(vec![("test", spans)])
        })
        .collect();
    // Raw sockets: a thousand threads of an HTTP client would be the test's own load.
    let address: std::net::SocketAddr = receiver
        .endpoint()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let mut posts = tokio::task::JoinSet::new();
    for body in bodies {
        posts.spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let head = format!(
                "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                 content-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        });
    }
    posts.join_all().await;
    let ids: Vec<TraceId> = (0..1000).map(id).collect();
    let taken = receiver.take(&ids, LONG).await;
    assert_eq!(taken.missing, []);
    let statements: usize = taken
        .requests
        .values()
        .flatten()
        .map(|request| request.statements.len())
        .sum();
    assert_eq!((taken.requests.len(), statements), (1000, 10_000));
    assert_eq!(receiver.counters().spans, 11_000);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let receiver = bind(limits()).await;
    let address = receiver
        .endpoint()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let error = Receiver::bind(address, limits())
        .await
        .err()
        .expect("the port is taken");
    assert!(
        error
            .to_string()
            .contains(&format!("cannot listen on {address}")),
        "{error}"
    );
    receiver.shutdown().await;
    Receiver::bind(address, limits())
        .await
        .expect("the port is free again")
        .shutdown()
        .await;
}

#[tokio::test]
async fn what_the_sink_of_a_service_sends_arrives_as_it_was() {
    use speedwell_trace::{
        CacheAction, CacheChange, CacheOperation, ChangeOutcome, Observation, ReadOutcome, Route,
        Sink as _, Site, Source, Statement, otlp,
    };
    let receiver = bind(limits()).await;
    let sql = "SELECT a FROM t WHERE b = ?";
    let sent = Request {
        trace_id: trace(TRACE),
        span_id: SpanId([1; 8]),
        parent_span_id: Some(SpanId([2; 8])),
        route: Route::new("GET", "/flyers/{id}"),
        path: Some("/flyers/3".into()),
        status: Some(200),
        started: std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        duration: Duration::from_millis(20),
        statements: vec![Statement {
            text: sql.into(),
            fingerprint: speedwell_sql::fingerprint(sql, Dialect::Sqlite),
            dialect: Dialect::Sqlite,
            offset: Duration::from_micros(1500),
            duration: Duration::from_micros(700),
            rows_returned: Some(4),
            rows_affected: Some(0),
            values: Values::Hidden,
            site: Some(Site {
                function: "flyers::detail".into(),
                file: Some("src/detail.rs".into()),
                line: Some(7),
            }),
            parent: Some(SpanId([1; 8])),
            failed: true,
        }],
        statements_dropped: 3,
        cache: vec![
            CacheOperation {
                cache: "deals".into(),
                action: CacheAction::Read {
                    group: "share".into(),
                    key_hash: u64::MAX,
                    outcome: ReadOutcome::Load,
                },
                offset: Duration::from_micros(1200),
                duration: Duration::from_micros(1100),
                site: Some(Site {
                    function: "deals::share".into(),
                    file: Some("src/share.rs".into()),
                    line: Some(9),
                }),
            },
            CacheOperation {
                cache: "deals".into(),
                action: CacheAction::Change {
                    change: CacheChange::Write,
                    names: 2,
                    outcome: ChangeOutcome::Told,
                },
                offset: Duration::from_micros(5000),
                duration: Duration::ZERO,
                site: None,
            },
        ],
        cache_dropped: 1,
        rows_answered: None,
        attributes: Vec::new(),
        source: Source::Otlp,
    };
    let sink = otlp::OtlpSink::start(otlp::OtlpOptions::new(receiver.endpoint(), "test")).unwrap();
    sink.request(&std::sync::Arc::new(sent.clone()), &Observation::default());
    let flushed = tokio::task::spawn_blocking(move || sink.flush(LONG));
    let received = take_one(&receiver).await;
    assert!(flushed.await.unwrap());
    assert_eq!(format!("{received:#?}"), format!("{sent:#?}"));
}

#[tokio::test]
async fn a_use_of_the_cache_belongs_to_the_request_around_it_and_needs_all_its_parts() {
    let receiver = bind(limits()).await;
    let code = with(
        span(2, 1, 1000, 1090, vec![]),
        vec![text("code.function.name", "deals::share")],
    );
    let half = span(
        5,
        1,
        1010,
        1011,
        vec![text("cache.name", "deals"), text("cache.operation", "read")],
    );
    send(
        &receiver,
        vec![
            request(1, 0),
            code,
            cache_write(3, 2, 1020),
            statement(4, 3, 1020, "UPDATE deals SET name = ?"),
            half,
            cache_write(6, 9, 1030),
        ],
    )
    .await;
    let request = take_one(&receiver).await;
    let [write] = request.cache.as_slice() else {
        panic!("{request:#?}")
    };
    assert_eq!((write.operation(), write.outcome()), ("write", "told"));
    assert_eq!(write.offset, Duration::from_millis(20));
    let site = write.site.as_ref().map(|site| &*site.function);
    assert_eq!(site, Some("deals::share"));
    assert_eq!(texts(&request), ["UPDATE deals SET name = ?"]);
    assert_eq!(receiver.counters().orphaned, 0);
}

/// What a trace came to, comparable.
fn describe(requests: &[Request]) -> Vec<String> {
    requests
        .iter()
        .map(|request| format!("{request:?}"))
        .collect()
}

fn wild_span() -> impl Strategy<Value = (bool, Span)> {
    (1..12_u8, 0..14_u8, 1000..1030_u64, 0..6_u8, any::<bool>()).prop_map(
        |(id, parent, start, role, scope)| {
            let span = match role {
                0 => request(id, parent),
                1 => span(id, parent, start, start + 20, vec![]),
                5 => cache_write(id, parent, start),
                _ => statement(id, parent, start, &format!("SELECT {} FROM t", role % 2)),
            };
            (scope, span)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_order_in_which_spans_come_makes_no_difference(
        (spans, shuffled) in prop::collection::vec(wild_span(), 1..25)
            .prop_map(|mut spans| {
                // One span has one id.
                let mut seen = std::collections::HashSet::new();
                spans.retain(|(_, span)| seen.insert(span.span_id.clone()));
                spans.push((true, request(77, 0)));
                spans
            })
            .prop_flat_map(|spans| (Just(spans.clone()), Just(spans).prop_shuffle())),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let one_by_one = |spans: Vec<(bool, Span)>| {
            spans.into_iter().map(|(scope, span)| (if scope { "a" } else { "b" }, vec![span])).collect()
        };
        runtime.block_on(async {
            let mut seen = Vec::new();
            for spans in [spans, shuffled] {
                let receiver = bind(Limits { grace: Duration::ZERO, ..limits() }).await;
                send_scopes(&receiver, one_by_one(spans)).await;
                seen.push((describe(&take(&receiver).await), receiver.counters().orphaned));
            }
            assert_eq!(seen[0], seen[1]);
        });
    }

    #[test]
    fn any_bytes_are_answered(bodies in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..200)), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let receiver = bind(limits()).await;
            let mut refused = 0;
            for (gzip, body) in bodies {
                let encoding = ("content-encoding", if gzip { "gzip" } else { "identity" });
                let status = post_as(&receiver, &[PROTOBUF, encoding], body).await.status;
                assert!(status == 400 || status == 200, "{status}");
                refused += u64::from(status == 400);
            }
            assert_eq!(receiver.counters().malformed, refused);
        });
    }
}
