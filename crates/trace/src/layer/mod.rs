//! The `tracing` layer: groups the statements of each request and hands the request to its sinks.
//!
//! A statement is an event of sqlx (target `sqlx::query`) or a span with a `db.statement` or
//! `db.query.text` field. A use of the cache is an event with the target `speedwell::cache`. Each
//! belongs to the nearest enclosing span with an `http.route` field.

mod active;
mod counters;
mod fields;
mod span;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use speedwell_sql::{Dialect, Memo};
use tracing::{Event, Level, Metadata, Subscriber, span as tracing_span};
use tracing_subscriber::{
    Layer,
    filter::FilterFn,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

pub(crate) use self::span::recording_span;
use self::{
    active::{Active, DatabaseSpan, Frame, Node, Role, SeenOperation, SeenStatement, Sites, lock},
    fields::{CacheEvent, DatabaseFields, DriverEvent, RequestFields, Said, TEXT_FIELDS},
};
pub use self::{
    counters::{Counters, Counts},
    span::{TraceParent, request_span},
};
use crate::{CacheAction, Detectors, Observation, Request, Thresholds, detect::Stampedes};

/// Takes finished requests: a log, a metric, an exporter, a test.
pub trait Sink: Send + Sync {
    /// One request ended. Runs on the thread that ended it, so it must not block.
    fn request(&self, request: &Arc<Request>, observation: &Observation);
}

/// How the layer works.
#[derive(Debug, Clone)]
pub struct Options {
    dialect: Dialect,
    sample: f64,
    statements_kept: usize,
    thresholds: Thresholds,
    counters: Arc<Counters>,
}

/// A request with more statements than this is broken already; the rest is counted.
const STATEMENTS_KEPT: usize = 10_000;

/// Texts that the memo remembers. A service has some hundreds; one that builds texts from values
/// must not fill memory.
const TEXTS_REMEMBERED: usize = 4_096;

impl Default for Options {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            sample: 1.0,
            statements_kept: STATEMENTS_KEPT,
            thresholds: Thresholds::default(),
            counters: Arc::default(),
        }
    }
}

impl Options {
    /// Every request, SQLite, the default thresholds.
    pub fn new() -> Self {
        Self::default()
    }

    /// The dialect of the statements that sqlx reports. Spans with a `db.system` name their own.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The share of requests to look at, from 0.0 to 1.0 (the default).
    pub fn sample(mut self, ratio: f64) -> Self {
        self.sample = ratio;
        self
    }

    /// Statements kept per request (10,000 by default), and as many uses of the cache; the rest is
    /// counted.
    pub fn statements_kept(mut self, count: usize) -> Self {
        self.statements_kept = count;
        self
    }

    /// Thresholds of the detectors.
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// The totals of the layer that is made from these options.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

/// The layer. It filters for itself, by target and field and never by the global log level: put it
/// beside a log layer with any filter of its own. A filter that is a layer itself (a bare
/// `EnvFilter` on the registry) would hide statements from it. One subscriber takes one such
/// layer, with as many sinks as needed; a second one sees nothing.
pub fn layer<S>(options: Options, sinks: Vec<Arc<dyn Sink>>) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let observer = Observer {
        number: NEXT.fetch_add(1, Ordering::Relaxed),
        detectors: Detectors::standard(options.thresholds.clone()),
        stampedes: Stampedes::new(options.thresholds.stampede),
        memos: Memos::default(),
        sites: Sites::default(),
        options,
        sinks,
    };
    observer.with_filter(FilterFn::new(is_wanted as fn(&Metadata<'_>) -> bool))
}

/// Target of the event that sqlx sends at the end of every statement.
const DRIVER_TARGET: &str = "sqlx::query";

/// Target of events whose fields become attributes of the request in which they are sent: in its
/// [`Request`] and in the span that goes to a collector. Of one name, the last value counts.
///
/// ```
/// # let hit = true;
/// tracing::trace!(target: speedwell_trace::ATTRIBUTE, view_incremented = true, cached = hit);
/// ```
///
/// Logs need not show them: the target is not that of any module.
pub const ATTRIBUTE: &str = "speedwell::attribute";

/// Target of the event that the cache sends at the end of every use.
const CACHE_TARGET: &str = "speedwell::cache";

fn is_wanted(metadata: &Metadata<'_>) -> bool {
    if matches!(metadata.target(), DRIVER_TARGET | CACHE_TARGET | ATTRIBUTE) {
        return true;
    }
    // Asked by target alone: sqlx first asks with `enabled!`, which is neither event nor span.
    if !metadata.is_span() {
        return false;
    }
    *metadata.level() <= Level::INFO || is_request(metadata) || is_database(metadata)
}

fn is_request(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field("http.route").is_some()
}

fn is_database(metadata: &Metadata<'_>) -> bool {
    TEXT_FIELDS
        .iter()
        .any(|name| metadata.fields().field(name).is_some())
}

/// What stands behind [`layer`].
struct Observer {
    /// Tells its own marks on spans from those of another layer.
    number: u64,
    options: Options,
    detectors: Detectors,
    stampedes: Stampedes,
    memos: Memos,
    sites: Sites,
    sinks: Vec<Arc<dyn Sink>>,
}

impl<S> Layer<S> for Observer
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_new_span(
        &self,
        attributes: &tracing_span::Attributes<'_>,
        id: &tracing_span::Id,
        ctx: Context<'_, S>,
    ) {
        let Some(span) = ctx.span(id) else { return };
        let around = span.parent().and_then(|parent| self.node_of(&parent));
        let Some(node) = self.node(attributes, around) else {
            return;
        };
        let mut extensions = span.extensions_mut();
        if extensions.get_mut::<Node>().is_none() {
            extensions.insert(node);
        }
    }

    fn on_record(
        &self,
        id: &tracing_span::Id,
        values: &tracing_span::Record<'_>,
        ctx: Context<'_, S>,
    ) {
        let Some(node) = ctx.span(id).and_then(|span| self.node_of(&span)) else {
            return;
        };
        match (node.role, &node.request, &node.database) {
            (Role::Request, Some(request), _) => request.record(values),
            (Role::Database, _, Some(database)) => values.record(&mut *lock(&database.fields)),
            _ => {}
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let span = ctx.event_span(event);
        let extensions = span.as_ref().map(SpanRef::extensions);
        let node = extensions.as_ref().and_then(|all| all.get::<Node>());
        if node.is_some_and(|node| node.layer != self.number) {
            return;
        }
        // The filter lets no other event through; a subscriber that ignores filters might.
        match (event.metadata().target(), node) {
            (DRIVER_TARGET, Some(node)) => self.driver_event(event, node),
            (DRIVER_TARGET, None) => self.options.counters.unattributed(),
            // Warming up and refreshing behind a request belong to none, and are no fault.
            (CACHE_TARGET, Some(node)) => self.cache_event(event, node),
            (ATTRIBUTE, Some(node)) => attributes(event, node),
            _ => {}
        }
    }

    fn on_close(&self, id: tracing_span::Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(&id) else { return };
        // Taken out first: a sink may log, and a log layer reads the extensions of open spans.
        let Some(node) = self.node_of(&span) else {
            return;
        };
        span.extensions_mut().remove::<Node>();
        match node.role {
            Role::Request => self.end_request(&node),
            Role::Database => self.end_database_span(&node),
            Role::Code => {}
        }
    }
}

impl Observer {
    fn node_of<S: for<'lookup> LookupSpan<'lookup>>(&self, span: &SpanRef<'_, S>) -> Option<Node> {
        span.extensions()
            .get::<Node>()
            .filter(|node| node.layer == self.number)
            .cloned()
    }

    /// What a new span is; `None` if it is outside any request and says nothing of databases.
    fn node(
        &self,
        attributes: &tracing_span::Attributes<'_>,
        around: Option<Node>,
    ) -> Option<Node> {
        let metadata = attributes.metadata();
        if is_request(metadata) {
            let mut fields = RequestFields::default();
            attributes.record(&mut fields);
            let outer = around.as_ref().and_then(|node| node.request.as_ref());
            let request = Active::new(fields, outer, self.draws());
            return Some(Node {
                layer: self.number,
                request: Some(Arc::new(request)),
                frame: None,
                database: None,
                role: Role::Request,
            });
        }
        if is_database(metadata) {
            let mut fields = DatabaseFields::default();
            attributes.record(&mut fields);
            let (request, frame, outer) = match around {
                Some(node) => (node.request, node.frame, node.database),
                None => (None, None, None),
            };
            let database = Some(Arc::new(DatabaseSpan::new(fields, outer)));
            return Some(Node {
                layer: self.number,
                request,
                frame,
                database,
                role: Role::Database,
            });
        }
        // A span inside a database span is the ORM's own; the code that called it stays the site.
        around.map(|node| Node {
            frame: match node.database {
                Some(_) => node.frame,
                None => Some(Arc::new(Frame::new(metadata))),
            },
            role: Role::Code,
            ..node
        })
    }

    fn draws(&self) -> bool {
        self.options.sample >= 1.0 || rand::random::<f64>() < self.options.sample
    }

    fn driver_event(&self, event: &Event<'_>, node: &Node) {
        if node.request.is_none() && node.database.is_none() {
            return self.options.counters.unattributed();
        }
        let dialect = self.options.dialect;
        let read = DriverEvent::read(event, self.memos.of(dialect));
        let Some(digest) = read.digest else { return };
        if is_housekeeping(&digest.text) {
            return;
        }
        if let Some(database) = &node.database {
            database.note(digest.fingerprint);
        }
        self.keep(
            node,
            SeenStatement {
                digest,
                dialect,
                ended: Instant::now(),
                duration: read.elapsed,
                rows_returned: Some(read.rows_returned),
                rows_affected: Some(read.rows_affected),
                failed: false,
                frame: node.frame.clone(),
            },
        );
    }

    fn cache_event(&self, event: &Event<'_>, node: &Node) {
        let Some(request) = &node.request else { return };
        let read = CacheEvent::read(event);
        let Some((cache, action)) = read.action() else {
            return;
        };
        if let CacheAction::Read { outcome, .. } = action {
            self.options.counters.cache_read(outcome);
        }
        if request.sampled {
            let operation = SeenOperation {
                cache,
                action,
                ended: Instant::now(),
                duration: read.elapsed,
                frame: node.frame.clone(),
            };
            request.push_operation(operation, self.options.statements_kept);
        }
    }

    fn end_database_span(&self, node: &Node) {
        let Some(database) = &node.database else {
            return;
        };
        let fields = lock(&database.fields);
        let Some(text) = fields.text.as_deref() else {
            return;
        };
        let dialect = fields.dialect.unwrap_or(self.options.dialect);
        let digest = self.memos.of(dialect).digest(text);
        if is_housekeeping(&digest.text) || database.reported(digest.fingerprint) {
            return;
        }
        if let Some(outer) = database.outer() {
            outer.note(digest.fingerprint);
        }
        self.keep(
            node,
            SeenStatement {
                digest,
                dialect,
                ended: Instant::now(),
                duration: database.started.elapsed(),
                rows_returned: fields.rows_returned,
                rows_affected: None,
                failed: fields.failed,
                frame: node.frame.clone(),
            },
        );
    }

    fn keep(&self, node: &Node, statement: SeenStatement) {
        let counters = &self.options.counters;
        let Some(request) = &node.request else {
            return counters.unattributed();
        };
        counters.statement();
        if request.sampled && !request.push(statement, self.options.statements_kept) {
            counters.dropped();
        }
    }

    fn end_request(&self, node: &Node) {
        let Some(active) = &node.request else { return };
        let finished = active.finish(&self.sites, self.options.statements_kept);
        let Some(request) = finished else { return };
        self.options.counters.request();
        if !active.sampled || self.sinks.is_empty() {
            return;
        }
        let mut observation = self.detectors.inspect(&request, None);
        let before = observation.findings.len();
        self.stampedes
            .inspect(&request, active.began(), &mut observation);
        if observation.findings.len() > before {
            observation.sort();
        }
        let request = Arc::new(request);
        for sink in &self.sinks {
            sink.request(&request, &observation);
        }
    }
}

/// Statements that a pool sends when it opens a connection; they happen to run inside a request
/// and are none of its doing.
fn is_housekeeping(text: &str) -> bool {
    let word = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or("");
    ["PRAGMA", "SET", "SHOW", "RESET", "DISCARD"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// One memo per dialect, made when first needed.
#[derive(Default)]
struct Memos {
    sqlite: OnceLock<Memo>,
    postgres: OnceLock<Memo>,
    mysql: OnceLock<Memo>,
}

impl Memos {
    fn of(&self, dialect: Dialect) -> &Memo {
        let memo = match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
            Dialect::MySql => &self.mysql,
        };
        memo.get_or_init(|| Memo::new(dialect, TEXTS_REMEMBERED))
    }
}

/// Keeps what the service says about the request around.
fn attributes(event: &Event<'_>, node: &Node) {
    if let Some(request) = node.request.as_ref().filter(|request| request.sampled) {
        let mut said = Said::default();
        event.record(&mut said);
        request.say(said.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn housekeeping_is_told_from_work() {
        assert!(is_housekeeping("PRAGMA foreign_keys = ON"));
        assert!(is_housekeeping("set search_path to x"));
        assert!(!is_housekeeping("SELECT 1"));
        assert!(!is_housekeeping("SETTLE"));
        assert!(!is_housekeeping(""));
    }
}
