//! Sends requests, their statements and their uses of the cache to an OpenTelemetry collector.
//!
//! Protobuf over plain HTTP (`http://host:4318`); no TLS and no gRPC, which a collector beside the
//! service does not need. Requests wait in a bounded queue for one background thread; a collector
//! that is away costs spans, never a request.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::SpanKind, status::StatusCode},
};
use prost::Message;
use speedwell_sql::{Dialect, shape};

use crate::{
    Attribute, AttributeValue, CacheAction, CacheOperation, Fingerprint, Observation, Request,
    Sink, Site, SpanId, Statement, showable_text,
};

/// Where to send spans, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpOptions {
    /// Base address of the collector; `/v1/traces` is appended.
    pub endpoint: String,
    /// `service.name` of every span.
    pub service_name: String,
    /// Longest wait of a span in the queue. 1 s: soon enough to look at while it happens.
    pub schedule_delay: Duration,
    /// Spans that are sent at once, before the delay is over.
    pub batch_spans: usize,
    /// Spans that may wait; more are dropped and counted.
    pub queue_spans: usize,
    /// Longest time for one delivery.
    pub timeout: Duration,
    /// Whether a text without placeholders is sent with its literals. They may be a user's, so
    /// this is for scratch data only: an auditor needs them to explain the statement.
    pub literals: bool,
}

impl OtlpOptions {
    /// The usual settings for a collector at `endpoint`.
    pub fn new(endpoint: impl Into<String>, service_name: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            service_name: service_name.into(),
            schedule_delay: Duration::from_millis(1_000),
            batch_spans: 512,
            queue_spans: 16_384,
            timeout: Duration::from_secs(5),
            literals: false,
        }
    }

    /// Settings from `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME` and
    /// `OTEL_BSP_SCHEDULE_DELAY` (milliseconds); `None` without an endpoint. `SPEEDWELL_LITERALS=1`
    /// sets [`OtlpOptions::literals`].
    pub fn from_env() -> Option<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        let endpoint = set("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let service = set("OTEL_SERVICE_NAME").unwrap_or_else(|| "unknown_service".to_owned());
        let mut options = Self::new(endpoint.trim(), service);
        if let Some(ms) = set("OTEL_BSP_SCHEDULE_DELAY").and_then(|ms| ms.trim().parse().ok()) {
            options.schedule_delay = Duration::from_millis(ms);
        }
        options.literals = set("SPEEDWELL_LITERALS").is_some_and(|value| value.trim() == "1");
        Some(options)
    }
}

/// Why no sink could be made.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The operating system gave no thread.
    #[error("cannot start the thread that sends spans: {0}; raise the limit of threads")]
    Thread(#[from] std::io::Error),
}

/// Spans sent and lost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OtlpCounts {
    /// Spans that the collector took.
    pub sent: u64,
    /// Spans lost: the queue was full, or the collector refused or was away.
    pub dropped: u64,
}

/// The sink that sends requests, statements and uses of the cache as OTLP spans. What still waits is sent when it is
/// dropped. A sink inside a global subscriber is never dropped: keep an `Arc` of it and call
/// [`OtlpSink::flush`] before the process ends.
#[derive(Debug)]
pub struct OtlpSink {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl OtlpSink {
    /// Starts the background thread.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(options: OtlpOptions) -> Result<Self, OtlpError> {
        let shared = Arc::new(Shared {
            options,
            queue: Mutex::default(),
            changed: Condvar::new(),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let sender = Sender::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("speedwell-otlp".to_owned())
            .spawn(move || sender.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// The sink that the environment asks for (see [`OtlpOptions::from_env`]). `None` if it asks
    /// for none; also if no thread can be had, which is logged.
    pub fn from_env() -> Option<Self> {
        match Self::start(OtlpOptions::from_env()?) {
            Ok(sink) => Some(sink),
            Err(error) => {
                tracing::warn!(target: "speedwell", %error, "no spans will be sent");
                None
            }
        }
    }

    /// Spans sent and lost so far.
    pub fn counts(&self) -> OtlpCounts {
        OtlpCounts {
            sent: self.shared.sent.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        }
    }

    /// Sends all that waits now; `false` if that took longer than `timeout`.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut queue = self.shared.lock();
        queue.flush = true;
        self.shared.changed.notify_all();
        while queue.spans > 0 || queue.sending {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            queue = self.shared.wait(queue, left);
        }
        true
    }
}

impl Sink for OtlpSink {
    fn request(&self, request: &Arc<Request>, _: &Observation) {
        let spans = span_count(request);
        let options = &self.shared.options;
        let mut queue = self.shared.lock();
        // A request larger than the queue still goes through an empty one.
        if queue.stop || (queue.spans > 0 && queue.spans + spans > options.queue_spans) {
            self.shared
                .dropped
                .fetch_add(spans as u64, Ordering::Relaxed);
            return;
        }
        queue.requests.push(Arc::clone(request));
        queue.spans += spans;
        if queue.spans >= options.batch_spans {
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

fn span_count(request: &Request) -> usize {
    request.statements.len() + request.cache.len() + 1
}

#[derive(Debug)]
struct Shared {
    options: OtlpOptions,
    queue: Mutex<Queue>,
    changed: Condvar,
    sent: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    requests: Vec<Arc<Request>>,
    spans: usize,
    flush: bool,
    stop: bool,
    sending: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>, time: Duration) -> MutexGuard<'a, Queue> {
        self.changed
            .wait_timeout(queue, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Waits for a batch and takes it; `None` when all is sent and the sink is gone.
    fn next_batch(&self) -> Option<Vec<Arc<Request>>> {
        let mut queue = self.lock();
        queue.sending = false;
        self.changed.notify_all();
        let mut deadline = Instant::now() + self.options.schedule_delay;
        loop {
            let due = queue.spans >= self.options.batch_spans || queue.flush || queue.stop;
            let left = deadline.saturating_duration_since(Instant::now());
            if due || left.is_zero() {
                if queue.spans > 0 {
                    break;
                }
                if queue.stop {
                    return None;
                }
                queue.flush = false;
                deadline = Instant::now() + self.options.schedule_delay;
                continue;
            }
            queue = self.wait(queue, left);
        }
        queue.flush = false;
        queue.sending = true;
        queue.spans = 0;
        Some(std::mem::take(&mut queue.requests))
    }
}

/// The background thread.
struct Sender {
    shared: Arc<Shared>,
    agent: ureq::Agent,
    url: String,
    summaries: HashMap<(Fingerprint, Dialect), String>,
    complained: AtomicBool,
}

/// Summaries remembered by the sending thread.
const SUMMARIES_REMEMBERED: usize = 4_096;

impl Sender {
    fn new(shared: Arc<Shared>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(shared.options.timeout))
            .build();
        let url = format!(
            "{}/v1/traces",
            shared.options.endpoint.trim_end_matches('/')
        );
        Self {
            agent: config.into(),
            url,
            summaries: HashMap::new(),
            complained: AtomicBool::new(false),
            shared,
        }
    }

    fn run(mut self) {
        while let Some(requests) = self.shared.clone().next_batch() {
            let mut rest = requests.as_slice();
            while !rest.is_empty() {
                let (batch, later) = rest.split_at(self.batch_length(rest));
                self.deliver(batch);
                rest = later;
            }
        }
    }

    /// Requests that fill one message: at least one, and no more spans than a batch has.
    fn batch_length(&self, requests: &[Arc<Request>]) -> usize {
        let mut spans = 0;
        let fitting = requests.iter().take_while(|request| {
            spans += span_count(request);
            spans <= self.shared.options.batch_spans
        });
        fitting.count().max(1)
    }

    fn deliver(&mut self, requests: &[Arc<Request>]) {
        let spans: Vec<Span> = requests
            .iter()
            .flat_map(|request| self.spans(request))
            .collect();
        let count = spans.len() as u64;
        let body = self.message(spans).encode_to_vec();
        let sent = self
            .agent
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .send(&body[..]);
        match sent {
            Ok(_) => {
                self.shared.sent.fetch_add(count, Ordering::Relaxed);
                self.complained.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                self.shared.dropped.fetch_add(count, Ordering::Relaxed);
                // Once until it works again: a collector may be away for days.
                if !self.complained.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        target: "speedwell",
                        endpoint = %self.url,
                        %error,
                        "cannot send spans to the collector; they are dropped until it answers"
                    );
                }
            }
        }
    }

    fn message(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let service_name = text("service.name", &self.shared.options.service_name);
        let resource = Resource {
            attributes: vec![service_name],
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans,
            ..ScopeSpans::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![scope_spans],
                ..ResourceSpans::default()
            }],
        }
    }

    fn spans(&mut self, request: &Request) -> Vec<Span> {
        let mut spans = Vec::with_capacity(span_count(request));
        spans.push(server_span(request));
        for statement in &request.statements {
            spans.push(self.client_span(request, statement));
        }
        spans.extend(
            request
                .cache
                .iter()
                .map(|operation| cache_span(request, operation)),
        );
        spans
    }

    fn client_span(&mut self, request: &Request, statement: &Statement) -> Span {
        let summary = self.summary(statement);
        let query = match self.shared.options.literals {
            true => Cow::Borrowed(&*statement.text),
            false => showable_text(statement),
        };
        let mut attributes = vec![
            text("db.system.name", system_name(statement.dialect)),
            text("db.query.text", &query),
            text("db.query.summary", &summary),
        ];
        attributes.push(real(
            "db.duration_ms",
            statement.duration.as_micros() as f64 / 1e3,
        ));
        if let Some(rows) = statement.rows_returned {
            attributes.push(number("db.response.returned_rows", rows));
        }
        if let Some(rows) = statement.rows_affected {
            attributes.push(number("speedwell.rows_affected", rows));
        }
        attributes.extend(statement.site.iter().flat_map(code));
        let start = request.started + statement.offset;
        Span {
            trace_id: request.trace_id.0.to_vec(),
            span_id: SpanId::random().0.to_vec(),
            parent_span_id: request.span_id.0.to_vec(),
            name: summary,
            kind: SpanKind::Client.into(),
            start_time_unix_nano: unix_nanos(start),
            end_time_unix_nano: unix_nanos(start + statement.duration),
            attributes,
            status: statement.failed.then(error_status),
            ..Span::default()
        }
    }

    fn summary(&mut self, statement: &Statement) -> String {
        let key = (statement.fingerprint, statement.dialect);
        if let Some(summary) = self.summaries.get(&key) {
            return summary.clone();
        }
        if self.summaries.len() >= SUMMARIES_REMEMBERED {
            self.summaries.clear();
        }
        let summary = query_summary(statement);
        self.summaries.insert(key, summary.clone());
        summary
    }
}

/// A span inside the request for one use of the cache.
fn cache_span(request: &Request, operation: &CacheOperation) -> Span {
    let mut attributes = vec![
        text("cache.name", &operation.cache),
        text("cache.operation", operation.operation()),
        text("cache.outcome", operation.outcome()),
    ];
    match &operation.action {
        CacheAction::Read {
            group, key_hash, ..
        } => {
            attributes.push(text("cache.group", group));
            // As text: a hash may be larger than the signed integers of the protocol.
            attributes.push(text("cache.key_hash", &key_hash.to_string()));
        }
        CacheAction::Change { names, .. } => attributes.push(number("cache.names", *names)),
    }
    attributes.extend(operation.site.iter().flat_map(code));
    let start = request.started + operation.offset;
    Span {
        trace_id: request.trace_id.0.to_vec(),
        span_id: SpanId::random().0.to_vec(),
        parent_span_id: request.span_id.0.to_vec(),
        name: format!("cache {}", operation.operation()),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: unix_nanos(start),
        end_time_unix_nano: unix_nanos(start + operation.duration),
        attributes,
        ..Span::default()
    }
}

/// The place in the code, by OpenTelemetry's names.
fn code(site: &Site) -> impl Iterator<Item = KeyValue> {
    let file = site.file.as_deref();
    [
        Some(text("code.function.name", &site.function)),
        file.map(|file| text("code.file.path", file)),
        site.line
            .map(|line| number("code.line.number", u64::from(line))),
    ]
    .into_iter()
    .flatten()
}

fn server_span(request: &Request) -> Span {
    let method = request.route.0.split(' ').next().unwrap_or_default();
    let template = request
        .route
        .0
        .split_once(' ')
        .map_or("", |(_, template)| template);
    let mut attributes = vec![
        text("http.request.method", method),
        text("http.route", template),
    ];
    if let Some(status) = request.status {
        attributes.push(number("http.response.status_code", u64::from(status)));
    }
    attributes.extend(request.path.as_deref().map(|path| text("url.path", path)));
    if request.statements_dropped > 0 {
        attributes.push(number(
            "speedwell.statements_dropped",
            request.statements_dropped,
        ));
    }
    if request.cache_dropped > 0 {
        attributes.push(number("speedwell.cache_dropped", request.cache_dropped));
    }
    if request.cache.iter().any(|operation| !operation.is_change()) {
        let (hits, misses) = request.cache_hits_and_misses();
        attributes.push(number("cache.hits", hits));
        attributes.push(number("cache.misses", misses));
        attributes.push(flag("cache_hit", misses == 0));
    }
    let kept = request.statements.len() as u64;
    attributes.push(number("db.query_count", kept + request.statements_dropped));
    let total = request.database_time().as_micros() as f64 / 1e3;
    attributes.push(real("db.total_ms", total));
    attributes.extend(request.attributes.iter().map(own));
    Span {
        trace_id: request.trace_id.0.to_vec(),
        span_id: request.span_id.0.to_vec(),
        parent_span_id: request
            .parent_span_id
            .map(|id| id.0.to_vec())
            .unwrap_or_default(),
        name: request.route.to_string(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: unix_nanos(request.started),
        end_time_unix_nano: unix_nanos(request.started + request.duration),
        attributes,
        status: request
            .status
            .is_some_and(|status| status >= 500)
            .then(error_status),
        ..Span::default()
    }
}

/// `SELECT flyers images`: the statement's verb and its tables, as `db.query.summary` asks for.
fn query_summary(statement: &Statement) -> String {
    let verb = statement
        .text
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    let mut summary = verb.to_ascii_uppercase();
    for table in &shape(&statement.text, statement.dialect).tables {
        // The convention's limit is 255 characters, cut between words.
        if summary.len() + 1 + table.name.len() > 255 {
            break;
        }
        summary.push(' ');
        summary.push_str(&table.name);
    }
    if summary.is_empty() {
        "SQL".to_owned()
    } else {
        summary
    }
}

fn system_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgresql",
        Dialect::MySql => "mysql",
    }
}

fn error_status() -> Status {
    Status {
        message: String::new(),
        code: StatusCode::Error.into(),
    }
}

fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(
        key,
        Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)),
    )
}

fn flag(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

fn real(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

/// What the service says of its own.
fn own(said: &Attribute) -> KeyValue {
    let value = match &said.value {
        AttributeValue::Flag(value) => Value::BoolValue(*value),
        AttributeValue::Number(value) => Value::IntValue(*value),
        AttributeValue::Real(value) => Value::DoubleValue(*value),
        AttributeValue::Text(value) => Value::StringValue(value.to_string()),
    };
    attribute(said.name, value)
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_collector_service_and_delay() {
        let options = OtlpOptions::from_variables(|name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:4318/".to_owned()),
            "OTEL_SERVICE_NAME" => Some("flyers".to_owned()),
            "OTEL_BSP_SCHEDULE_DELAY" => Some("250".to_owned()),
            _ => None,
        })
        .unwrap();
        assert_eq!(options.service_name, "flyers");
        assert_eq!(options.schedule_delay, Duration::from_millis(250));
    }

    #[test]
    fn without_an_endpoint_nothing_is_sent() {
        assert_eq!(OtlpOptions::from_variables(|_| None), None);
        assert_eq!(OtlpOptions::from_variables(|_| Some(" ".to_owned())), None);
    }
}
