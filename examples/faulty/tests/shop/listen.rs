//! Notes every statement that sqlx logs and every use of the cache, and the route of the request around
//! it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// One execution of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The text with single spaces.
    pub(crate) text: String,
    /// Rows returned.
    pub(crate) rows: u64,
}

/// One use of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// `read`, `write` and more.
    pub(crate) operation: String,
    /// `memory`, `load`, `coalesced` and more.
    pub(crate) outcome: String,
    /// Tells keys apart; 0 for what is none of one key.
    pub(crate) key: u64,
    began: Instant,
    ended: Instant,
}

impl Used {
    /// Whether it was going on at a moment of the other.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.began < other.ended && other.began < self.ended
    }
}

/// What was noted while one or more requests ran.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Of the last one.
    pub(crate) route: String,
    pub(crate) statements: Vec<Seen>,
    pub(crate) cache: Vec<Used>,
}

static NOTES: Mutex<Notes> = Mutex::new(Notes {
    route: String::new(),
    statements: Vec::new(),
    cache: Vec::new(),
});

fn notes() -> MutexGuard<'static, Notes> {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts listening. sqlx runs SQLite on threads of its own, which see only a global subscriber.
pub(crate) fn start() {
    tracing_subscriber::registry().with(Listener).init();
}

/// What was noted since the last call.
pub(crate) fn drain() -> Notes {
    std::mem::take(&mut *notes())
}

struct Listener;

/// Marks a span as that of a request.
struct IsRequest;

impl<S: Subscriber + for<'lookup> LookupSpan<'lookup>> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(method), Some(template)) = (fields.method, fields.template) {
            notes().route = format!("{method} {template}");
            context.span(id).unwrap().extensions_mut().insert(IsRequest);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let target = event.metadata().target();
        if !matches!(target, "sqlx::query" | "speedwell::cache") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let in_request = context.event_scope(event).is_some_and(|mut spans| {
            spans.any(|span| span.extensions().get::<IsRequest>().is_some())
        });
        match target {
            _ if !in_request => {}
            "sqlx::query" => notes().statements.push(fields.statement()),
            _ => notes().cache.extend(fields.use_of_the_cache()),
        }
    }
}

#[derive(Default)]
struct Fields {
    method: Option<String>,
    template: Option<String>,
    text: Option<String>,
    summary: Option<String>,
    rows: u64,
    operation: Option<String>,
    outcome: Option<String>,
    key: u64,
    elapsed_us: u64,
}

impl Fields {
    fn statement(self) -> Seen {
        // sqlx leaves the text empty when its first four words are all of it.
        let text = self.text.filter(|text| !text.trim().is_empty());
        let text = text.or(self.summary).unwrap();
        Seen {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            rows: self.rows,
        }
    }

    fn use_of_the_cache(self) -> Option<Used> {
        let ended = Instant::now();
        Some(Used {
            operation: self.operation?,
            outcome: self.outcome?,
            key: self.key,
            began: ended - Duration::from_micros(self.elapsed_us),
            ended,
        })
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "http.request.method" => &mut self.method,
            "http.route" => &mut self.template,
            "db.statement" => &mut self.text,
            "summary" => &mut self.summary,
            "cache.operation" => &mut self.operation,
            "cache.outcome" => &mut self.outcome,
            _ => return,
        };
        *place = Some(value.to_owned());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows_returned" => self.rows = value,
            "cache.key_hash" => self.key = value,
            "cache.elapsed_us" => self.elapsed_us = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
