//! A request that is still running: what its spans and statements have said so far.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use speedwell_sql::{Dialect, Digest, Fingerprint};
use tracing::{Metadata, callsite::Identifier};

use super::fields::{DatabaseFields, RequestFields};
use crate::{
    Attribute, CacheAction, CacheOperation, Request, Route, Site, Source, SpanId, Statement,
    TraceId, Values,
};

/// What the layer hangs on every span of interest.
#[derive(Clone)]
pub(super) struct Node {
    /// The layer that hung it there.
    pub(super) layer: u64,
    /// The request that the span belongs to.
    pub(super) request: Option<Arc<Active>>,
    /// The innermost span of the user's code; `None` in the request span itself.
    pub(super) frame: Option<Arc<Frame>>,
    /// The innermost database span.
    pub(super) database: Option<Arc<DatabaseSpan>>,
    /// What this very span is.
    pub(super) role: Role,
}

/// What a span is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A request.
    Request,
    /// One statement.
    Database,
    /// A function or step of the user's code.
    Code,
}

/// A span of the user's code inside a request.
pub(super) struct Frame {
    metadata: &'static Metadata<'static>,
    id: OnceLock<SpanId>,
}

impl Frame {
    pub(super) fn new(metadata: &'static Metadata<'static>) -> Self {
        Self {
            metadata,
            id: OnceLock::new(),
        }
    }

    /// Made when first asked for: most spans run no statement.
    fn id(&self) -> SpanId {
        *self.id.get_or_init(SpanId::random)
    }
}

/// A span that is itself one statement.
pub(super) struct DatabaseSpan {
    pub(super) started: Instant,
    pub(super) fields: Mutex<DatabaseFields>,
    /// Statements that the driver reported inside; a span that says the same again adds nothing.
    reported: Mutex<Vec<Fingerprint>>,
    outer: Option<Arc<Self>>,
}

/// Different statements remembered of one database span; it is itself one of them.
const REPORTED: usize = 64;

impl DatabaseSpan {
    pub(super) fn new(fields: DatabaseFields, outer: Option<Arc<Self>>) -> Self {
        Self {
            started: Instant::now(),
            fields: Mutex::new(fields),
            reported: Mutex::default(),
            outer,
        }
    }

    /// Notes a statement in this span and in those around it.
    pub(super) fn note(&self, fingerprint: Fingerprint) {
        let mut span = Some(self);
        while let Some(current) = span {
            let mut reported = lock(&current.reported);
            // A span may stay open for as long as its connection: once is enough.
            if reported.len() < REPORTED && !reported.contains(&fingerprint) {
                reported.push(fingerprint);
            }
            span = current.outer.as_deref();
        }
    }

    pub(super) fn reported(&self, fingerprint: Fingerprint) -> bool {
        lock(&self.reported).contains(&fingerprint)
    }

    pub(super) fn outer(&self) -> Option<&Self> {
        self.outer.as_deref()
    }
}

/// A request that is still running.
pub(super) struct Active {
    at: Instant,
    started: SystemTime,
    span_id: SpanId,
    trace_id: TraceId,
    pub(super) sampled: bool,
    recording: bool,
    /// The request around this one, if it records all that happens inside it.
    recorder: Option<Arc<Self>>,
    has_inner: AtomicBool,
    fields: Mutex<RequestFields>,
    answered: OnceLock<Instant>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    statements: Vec<SeenStatement>,
    dropped: u64,
    cache: Vec<SeenOperation>,
    cache_dropped: u64,
    attributes: Vec<Attribute>,
}

/// One use of the cache, as cheaply as it can be kept while the request runs.
#[derive(Clone)]
pub(super) struct SeenOperation {
    pub(super) cache: Arc<str>,
    pub(super) action: CacheAction,
    pub(super) ended: Instant,
    pub(super) duration: Duration,
    pub(super) frame: Option<Arc<Frame>>,
}

/// One statement, as cheaply as it can be kept while the request runs.
#[derive(Clone)]
pub(super) struct SeenStatement {
    pub(super) digest: Arc<Digest>,
    pub(super) dialect: Dialect,
    pub(super) ended: Instant,
    pub(super) duration: Duration,
    pub(super) rows_returned: Option<u64>,
    pub(super) rows_affected: Option<u64>,
    pub(super) failed: bool,
    pub(super) frame: Option<Arc<Frame>>,
}

/// Room for the statements of a healthy request, so that they need one allocation.
const USUAL_STATEMENTS: usize = 8;

impl Active {
    pub(super) fn new(fields: RequestFields, outer: Option<&Arc<Self>>, sampled: bool) -> Self {
        if let Some(outer) = outer {
            outer.has_inner.store(true, Ordering::Relaxed);
        }
        let recorder = outer.and_then(|outer| {
            if outer.recording {
                Some(outer)
            } else {
                outer.recorder.as_ref()
            }
        });
        Self {
            at: Instant::now(),
            started: SystemTime::now(),
            span_id: SpanId::random(),
            trace_id: TraceId::random(),
            sampled: sampled || fields.recording,
            recording: fields.recording,
            recorder: recorder.cloned(),
            has_inner: AtomicBool::new(false),
            fields: Mutex::new(fields),
            answered: OnceLock::new(),
            seen: Mutex::default(),
        }
    }

    /// Reads fields that became known later; the moment the status is recorded is the answer's.
    pub(super) fn record(&self, values: &tracing::span::Record<'_>) {
        let mut fields = lock(&self.fields);
        let before = fields.status;
        values.record(&mut *fields);
        if before.is_none() && fields.status.is_some() {
            let _ = self.answered.set(Instant::now());
        }
    }

    /// Keeps one statement, unless there are `limit` of them already. Whether it was kept.
    pub(super) fn push(&self, statement: SeenStatement, limit: usize) -> bool {
        let mut seen = lock(&self.seen);
        if seen.statements.len() >= limit {
            seen.dropped += 1;
            return false;
        }
        if seen.statements.capacity() == 0 {
            seen.statements.reserve(USUAL_STATEMENTS.min(limit));
        }
        seen.statements.push(statement);
        true
    }

    /// Keeps one use of the cache, unless there are `limit` of them already.
    pub(super) fn push_operation(&self, operation: SeenOperation, limit: usize) {
        let mut seen = lock(&self.seen);
        if seen.cache.len() >= limit {
            seen.cache_dropped += 1;
            return;
        }
        seen.cache.push(operation);
    }

    /// Keeps what the service says; the last value of a name.
    pub(super) fn say(&self, attributes: Vec<Attribute>) {
        let mut seen = lock(&self.seen);
        for attribute in attributes {
            seen.attributes.retain(|known| known.name != attribute.name);
            seen.attributes.push(attribute);
        }
    }

    /// When it began.
    pub(super) fn began(&self) -> Instant {
        self.at
    }

    /// The finished request; `None` for a mere shell around other requests.
    ///
    /// It ended when its status was recorded: work that a handler spawned may hold the span open
    /// long after the answer went out.
    pub(super) fn finish(&self, sites: &Sites, limit: usize) -> Option<Request> {
        let closed = Instant::now();
        let seen = std::mem::take(&mut *lock(&self.seen));
        if let Some(recorder) = &self.recorder {
            for statement in &seen.statements {
                recorder.push(statement.clone(), limit);
            }
            for operation in &seen.cache {
                recorder.push_operation(operation.clone(), limit);
            }
            let mut around = lock(&recorder.seen);
            around.dropped += seen.dropped;
            around.cache_dropped += seen.cache_dropped;
            drop(around);
            let answered = lock(&self.fields).rows_answered;
            let mut outer = lock(&recorder.fields);
            outer.rows_answered = outer.rows_answered.or(answered);
        }
        let is_empty = seen.statements.is_empty() && seen.cache.is_empty();
        if is_empty && self.has_inner.load(Ordering::Relaxed) && !self.recording {
            return None;
        }
        let fields = lock(&self.fields);
        let mut statements: Vec<Statement> = seen
            .statements
            .into_iter()
            .map(|statement| self.statement(statement, sites))
            .collect();
        statements.sort_by_key(|statement| statement.offset);
        let mut cache: Vec<CacheOperation> = seen
            .cache
            .into_iter()
            .map(|operation| self.operation(operation, sites))
            .collect();
        cache.sort_by_key(|operation| operation.offset);
        Some(Request {
            trace_id: fields.trace_id.unwrap_or(self.trace_id),
            span_id: self.span_id,
            parent_span_id: fields.parent_span_id,
            route: Route::new(
                fields.method.as_deref().unwrap_or("ANY"),
                fields.route.as_deref().unwrap_or("(no route)"),
            ),
            path: fields.path.as_deref().map(Into::into),
            status: fields.status,
            started: self.started,
            duration: self.answered.get().copied().unwrap_or(closed) - self.at,
            statements,
            statements_dropped: seen.dropped,
            cache,
            cache_dropped: seen.cache_dropped,
            rows_answered: fields.rows_answered,
            attributes: seen.attributes,
            source: Source::Layer,
        })
    }

    fn statement(&self, seen: SeenStatement, sites: &Sites) -> Statement {
        let values = if seen.digest.has_placeholders {
            Values::Hidden
        } else {
            Values::InText
        };
        Statement {
            text: Arc::clone(&seen.digest.text),
            fingerprint: seen.digest.fingerprint,
            dialect: seen.dialect,
            offset: self.offset(seen.ended, seen.duration),
            duration: seen.duration,
            rows_returned: seen.rows_returned,
            rows_affected: seen.rows_affected,
            values,
            site: seen
                .frame
                .as_deref()
                .map(|frame| sites.site(frame.metadata)),
            parent: Some(seen.frame.as_deref().map_or(self.span_id, Frame::id)),
            failed: seen.failed,
        }
    }

    fn operation(&self, seen: SeenOperation, sites: &Sites) -> CacheOperation {
        CacheOperation {
            cache: seen.cache,
            action: seen.action,
            offset: self.offset(seen.ended, seen.duration),
            duration: seen.duration,
            site: (seen.frame.as_deref()).map(|frame| sites.site(frame.metadata)),
        }
    }

    /// The start of what ended at `ended`, counted from the start of the request.
    fn offset(&self, ended: Instant, duration: Duration) -> Duration {
        ended
            .saturating_duration_since(self.at)
            .saturating_sub(duration)
    }
}

/// The site of every call site seen, so that its strings are made once.
#[derive(Default)]
pub(super) struct Sites(Mutex<HashMap<Identifier, Site>>);

impl Sites {
    fn site(&self, metadata: &'static Metadata<'static>) -> Site {
        lock(&self.0)
            .entry(metadata.callsite())
            .or_insert_with(|| {
                let function = match metadata.module_path() {
                    Some(module) => format!("{module}::{}", metadata.name()),
                    None => metadata.name().to_owned(),
                };
                Site {
                    function: function.into(),
                    file: metadata.file().map(Into::into),
                    line: metadata.line(),
                }
            })
            .clone()
    }
}

/// A panic while the lock was held leaves plain data behind: use it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
