//! Notes every statement that sqlx logs, and the route of the request around it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
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

#[derive(Default)]
struct Notes {
    route: String,
    statements: Vec<Seen>,
}

static NOTES: Mutex<Notes> = Mutex::new(Notes {
    route: String::new(),
    statements: Vec::new(),
});

fn notes() -> MutexGuard<'static, Notes> {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts listening. sqlx runs SQLite on threads of its own, which see only a global subscriber.
pub(crate) fn start() {
    tracing_subscriber::registry().with(Listener).init();
}

/// The route and statements noted since the last call.
pub(crate) fn drain() -> (String, Vec<Seen>) {
    let notes = std::mem::take(&mut *notes());
    (notes.route, notes.statements)
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
        if event.metadata().target() != "sqlx::query" {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let in_request = context.event_scope(event).is_some_and(|mut spans| {
            spans.any(|span| span.extensions().get::<IsRequest>().is_some())
        });
        if in_request {
            // sqlx leaves the text empty when its first four words are all of it.
            let text = fields
                .text
                .filter(|text| !text.trim().is_empty())
                .or(fields.summary);
            let text = text
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            notes().statements.push(Seen {
                text,
                rows: fields.rows,
            });
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
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "http.request.method" => &mut self.method,
            "http.route" => &mut self.template,
            "db.statement" => &mut self.text,
            "summary" => &mut self.summary,
            _ => return,
        };
        *place = Some(value.to_owned());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
