//! The OTLP sink against a small collector.
#![cfg(feature = "otlp")]
#![allow(
    clippy::unwrap_used,
    reason = "a broken test may panic in its helpers too"
)]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use speedwell_trace::{
    Attribute, AttributeValue, CacheAction, CacheChange, CacheOperation, ChangeOutcome,
    Observation, ReadOutcome, Request, Sink, Site, SpanId, Statement,
    otlp::{OtlpOptions, OtlpSink},
};
use support::{request, statement};

/// A collector that takes everything; what it got arrives at the receiver.
fn collector() -> (String, Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some(body) = read_request(&mut stream) {
                let message = ExportTraceServiceRequest::decode(&body[..]).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
            }
        }
    });
    (address, receiver)
}

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut first = String::new();
    stream
        .read_line(&mut first)
        .ok()
        .filter(|bytes| *bytes > 0)?;
    assert_eq!(first.trim(), "POST /v1/traces HTTP/1.1");
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if let Some(value) = line.strip_prefix("content-type:") {
            assert_eq!(value.trim(), "application/x-protobuf");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    stream
        .get_mut()
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    Some(body)
}

fn options(endpoint: &str) -> OtlpOptions {
    OtlpOptions::new(endpoint, "flyers")
}

fn give(sink: &OtlpSink, request: &Arc<Request>) {
    sink.request(request, &Observation::default());
}

fn value(attributes: &[KeyValue], key: &str) -> Option<Value> {
    attributes
        .iter()
        .find(|pair| pair.key == key)?
        .value
        .clone()?
        .value
}

fn string(span: &Span, key: &str) -> Option<String> {
    match value(&span.attributes, key) {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    }
}

fn integer(span: &Span, key: &str) -> Option<i64> {
    match value(&span.attributes, key) {
        Some(Value::IntValue(number)) => Some(number),
        _ => None,
    }
}

#[test]
fn a_request_becomes_a_server_span_with_a_client_span_per_statement() {
    let (address, received) = collector();
    let sink = OtlpSink::start(options(&address)).unwrap();
    let site = Site {
        function: "flyers::feed".into(),
        file: Some("feed.rs".into()),
        line: Some(7),
    };
    let mut made = request("/flyers/{id}")
        .run(Statement {
            site: Some(site),
            ..statement("SELECT id, title FROM flyers WHERE id = $1")
        })
        .run(Statement {
            failed: true,
            rows_returned: None,
            ..statement("UPDATE flyers SET title = 'x'")
        })
        .done();
    made.parent_span_id = Some(SpanId([9; 8]));
    made.path = Some("/flyers/7".into());
    made.status = Some(503);
    give(&sink, &Arc::new(made));
    assert!(sink.flush(Duration::from_secs(10)));

    let message = received.recv_timeout(Duration::from_secs(10)).unwrap();
    let resource = message.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(
        value(&resource.attributes, "service.name"),
        Some(Value::StringValue("flyers".to_owned()))
    );
    let spans = &message.resource_spans[0].scope_spans[0].spans;
    let [root, read, write] = spans.as_slice() else {
        panic!("{spans:#?}")
    };
    assert_eq!(
        (root.name.as_str(), root.kind()),
        ("GET /flyers/{id}", SpanKind::Server)
    );
    assert_eq!(
        (&root.trace_id[..], &root.parent_span_id[..]),
        (&[1; 16][..], &[9; 8][..])
    );
    assert_eq!(string(root, "http.route").as_deref(), Some("/flyers/{id}"));
    assert_eq!(string(root, "http.request.method").as_deref(), Some("GET"));
    assert_eq!(string(root, "url.path").as_deref(), Some("/flyers/7"));
    assert_eq!(integer(root, "http.response.status_code"), Some(503));
    assert_eq!(root.status.as_ref().unwrap().code, 2);
    assert_eq!(
        root.end_time_unix_nano - root.start_time_unix_nano,
        1_000_000_000
    );

    assert_eq!(
        (read.name.as_str(), read.kind()),
        ("SELECT flyers", SpanKind::Client)
    );
    assert_eq!(read.parent_span_id, root.span_id);
    assert_eq!(read.trace_id, root.trace_id);
    assert_eq!(
        string(read, "db.system.name").as_deref(),
        Some("postgresql")
    );
    assert_eq!(
        string(read, "db.query.summary").as_deref(),
        Some("SELECT flyers")
    );
    assert_eq!(
        string(read, "db.query.text").as_deref(),
        Some("SELECT id, title FROM flyers WHERE id = $1")
    );
    assert_eq!(integer(read, "db.response.returned_rows"), Some(1));
    assert_eq!(
        string(read, "code.function.name").as_deref(),
        Some("flyers::feed")
    );
    assert_eq!(string(read, "code.file.path").as_deref(), Some("feed.rs"));
    assert_eq!(integer(read, "code.line.number"), Some(7));
    assert_eq!(read.status, None);

    assert_eq!(write.status.as_ref().unwrap().code, 2);
    assert_eq!(integer(write, "db.response.returned_rows"), None);
    assert!(
        !string(write, "db.query.text").unwrap().contains("'x'"),
        "a literal left the process"
    );
    assert_ne!(read.span_id, write.span_id);
    assert_eq!((sink.counts().sent, sink.counts().dropped), (3, 0));
}

#[test]
fn a_use_of_the_cache_becomes_a_span_of_its_own_and_the_request_counts_them() {
    let (address, received) = collector();
    let sink = OtlpSink::start(options(&address)).unwrap();
    let operation = |action| CacheOperation {
        cache: "deals".into(),
        action,
        offset: Duration::from_millis(3),
        duration: Duration::from_millis(4),
        site: None,
    };
    let mut made = request("/deals").done();
    made.cache = vec![
        operation(CacheAction::Read {
            group: "share".into(),
            key_hash: u64::MAX,
            outcome: ReadOutcome::Coalesced,
        }),
        operation(CacheAction::Change {
            change: CacheChange::Invalidate,
            names: 2,
            outcome: ChangeOutcome::Delayed,
        }),
    ];
    made.cache_dropped = 5;
    made.attributes = vec![Attribute {
        name: "view_incremented",
        value: AttributeValue::Flag(true),
    }];
    give(&sink, &Arc::new(made));
    assert!(sink.flush(Duration::from_secs(10)));
    let message = received.recv_timeout(Duration::from_secs(10)).unwrap();
    let [root, read, change] = message.resource_spans[0].scope_spans[0].spans.as_slice() else {
        panic!("{message:#?}")
    };
    assert_eq!(
        ["cache.hits", "cache.misses", "speedwell.cache_dropped"].map(|key| integer(root, key)),
        [Some(0), Some(1), Some(5)]
    );
    let flags = ["cache_hit", "view_incremented"].map(|key| value(&root.attributes, key));
    assert_eq!(
        flags,
        [Some(Value::BoolValue(false)), Some(Value::BoolValue(true))]
    );
    assert_eq!(integer(root, "db.query_count"), Some(0));
    assert_eq!(read.name, "cache read");
    assert_eq!(read.parent_span_id, root.span_id);
    assert_eq!(
        read.end_time_unix_nano - read.start_time_unix_nano,
        4_000_000
    );
    let texts = [
        "cache.name",
        "cache.operation",
        "cache.group",
        "cache.outcome",
    ];
    assert_eq!(
        texts.map(|key| string(read, key).unwrap()),
        ["deals", "read", "share", "coalesced"]
    );
    assert_eq!(
        string(read, "cache.key_hash").as_deref(),
        Some("18446744073709551615")
    );
    assert_eq!(change.name, "cache invalidate");
    assert_eq!(string(change, "cache.outcome").as_deref(), Some("delayed"));
    assert_eq!(integer(change, "cache.names"), Some(2));
    assert_eq!(sink.counts().sent, 3);
}

#[test]
fn literals_are_sent_only_where_they_were_asked_for() {
    let (address, received) = collector();
    let sink = OtlpSink::start(OtlpOptions {
        literals: true,
        ..options(&address)
    })
    .unwrap();
    let text = "SELECT value FROM settings WHERE name = 'currency'";
    give(
        &sink,
        &Arc::new(request("/price").run(statement(text)).done()),
    );
    assert!(sink.flush(Duration::from_secs(10)));
    let message = received.recv_timeout(Duration::from_secs(10)).unwrap();
    let spans = &message.resource_spans[0].scope_spans[0].spans;
    assert_eq!(string(&spans[1], "db.query.text").as_deref(), Some(text));
}

#[test]
fn what_waits_is_sent_after_the_delay_and_when_the_sink_is_dropped() {
    let (address, received) = collector();
    let sink = OtlpSink::start(OtlpOptions {
        schedule_delay: Duration::from_millis(50),
        ..options(&address)
    })
    .unwrap();
    give(&sink, &request("/delay").shared());
    assert!(received.recv_timeout(Duration::from_secs(10)).is_ok());
    drop(sink);

    let sink = OtlpSink::start(OtlpOptions {
        schedule_delay: Duration::from_secs(600),
        ..options(&address)
    })
    .unwrap();
    give(&sink, &request("/drop").shared());
    assert!(received.recv_timeout(Duration::from_millis(100)).is_err());
    drop(sink);
    assert!(received.recv_timeout(Duration::from_secs(10)).is_ok());
}

#[test]
fn a_full_batch_does_not_wait_for_the_delay_and_is_cut_into_messages() {
    let (address, received) = collector();
    let sink = OtlpSink::start(OtlpOptions {
        schedule_delay: Duration::from_secs(600),
        ..options(&address)
    })
    .unwrap();
    let large = request("/")
        .each(99, |made, _| made.read("SELECT 1 FROM t", 1))
        .shared();
    (0..8).for_each(|_| give(&sink, &large));
    let mut spans = 0;
    while spans < 600 {
        let message = received.recv_timeout(Duration::from_secs(10)).unwrap();
        let length = message.resource_spans[0].scope_spans[0].spans.len();
        assert!(length <= 512);
        spans += length;
    }
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_time() {
    // Bound and closed again: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let sink = OtlpSink::start(OtlpOptions {
        schedule_delay: Duration::from_millis(10),
        timeout: Duration::from_secs(1),
        queue_spans: 100,
        ..options(&format!("http://{address}"))
    })
    .unwrap();
    let one = request("/").shared();
    let started = Instant::now();
    for _ in 0..10_000 {
        give(&sink, &one);
    }
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert!(sink.flush(Duration::from_secs(10)));
    assert_eq!((sink.counts().sent, sink.counts().dropped), (0, 10_000));
}
