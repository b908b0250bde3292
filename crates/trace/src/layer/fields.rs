//! Reads the fields of events and spans: sqlx's statement event, the cache's event, request spans,
//! database spans.

use std::{fmt::Debug, sync::Arc, time::Duration};

use speedwell_sql::{Dialect, Digest, Memo};
use tracing::field::{Field, Visit};

use super::span::without_query;
use crate::{
    Attribute, AttributeValue, CacheAction, CacheChange, ChangeOutcome, ReadOutcome, SpanId,
    TraceId,
};

/// One `sqlx::query` event.
pub(super) struct DriverEvent<'memo> {
    memo: &'memo Memo,
    /// The field that holds the text; sqlx leaves `db.statement` empty when `summary` says it all.
    text_field: &'static str,
    pub(super) digest: Option<Arc<Digest>>,
    pub(super) rows_returned: u64,
    pub(super) rows_affected: u64,
    pub(super) elapsed: Duration,
}

impl<'memo> DriverEvent<'memo> {
    /// Reads `event`. The text goes from the event's own buffer into the memo and is not copied
    /// when the memo knows it. The short form is read in a second pass, because the summary comes
    /// first and must not be looked up when the full text follows.
    pub(super) fn read(event: &tracing::Event<'_>, memo: &'memo Memo) -> Self {
        let mut read = Self {
            memo,
            text_field: "db.statement",
            digest: None,
            rows_returned: 0,
            rows_affected: 0,
            elapsed: Duration::ZERO,
        };
        event.record(&mut read);
        if read.digest.is_none() {
            read.text_field = "summary";
            event.record(&mut read);
        }
        read
    }
}

impl Visit for DriverEvent<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.text_field {
            let text = value.trim();
            if !text.is_empty() {
                self.digest = Some(self.memo.digest(text));
            }
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows_returned" => self.rows_returned = value,
            "rows_affected" => self.rows_affected = value,
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// One event of the cache.
#[derive(Debug, Default)]
pub(super) struct CacheEvent {
    cache: Option<Arc<str>>,
    operation: Option<Operation>,
    group: Option<Arc<str>>,
    key_hash: Option<u64>,
    names: u64,
    read: Option<ReadOutcome>,
    change: Option<ChangeOutcome>,
    pub(super) elapsed: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Read,
    Change(CacheChange),
}

impl CacheEvent {
    pub(super) fn read(event: &tracing::Event<'_>) -> Self {
        let mut read = Self::default();
        event.record(&mut read);
        read
    }

    /// Name of the cache and what was done with it. `None` if the event does not say it all: a
    /// later version of the cache may have operations that this one does not know.
    pub(super) fn action(&self) -> Option<(Arc<str>, CacheAction)> {
        let action = match self.operation? {
            Operation::Read => CacheAction::Read {
                group: self.group.clone()?,
                key_hash: self.key_hash?,
                outcome: self.read?,
            },
            Operation::Change(change) => CacheAction::Change {
                change,
                names: self.names,
                outcome: self.change?,
            },
        };
        Some((self.cache.clone()?, action))
    }

    fn text(&mut self, name: &str, value: &str) {
        match name {
            "cache.name" => self.cache = Some(value.into()),
            "cache.operation" if value == CacheAction::READ => {
                self.operation = Some(Operation::Read);
            }
            "cache.operation" => {
                self.operation = CacheChange::from_name(value).map(Operation::Change);
            }
            "cache.group" => self.group = Some(value.into()),
            "cache.outcome" => {
                self.read = ReadOutcome::from_name(value);
                self.change = ChangeOutcome::from_name(value);
            }
            _ => {}
        }
    }
}

impl Visit for CacheEvent {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "cache.key_hash" => self.key_hash = Some(value),
            "cache.names" => self.names = value,
            "cache.elapsed_us" => self.elapsed = Duration::from_micros(value),
            _ => {}
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.record_u64(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name().starts_with("cache.") {
            self.text(field.name(), plain(&format!("{value:?}")));
        }
    }
}

/// What a request span says, whoever made it: this crate, or a user's own trace layer.
#[derive(Debug, Default)]
pub(super) struct RequestFields {
    pub(super) method: Option<Box<str>>,
    pub(super) route: Option<Box<str>>,
    pub(super) path: Option<Box<str>>,
    pub(super) status: Option<u16>,
    pub(super) trace_id: Option<TraceId>,
    pub(super) parent_span_id: Option<SpanId>,
    pub(super) rows_answered: Option<u64>,
    pub(super) recording: bool,
}

impl RequestFields {
    fn text(&mut self, name: &str, value: &str) {
        match name {
            "http.request.method" | "http.method" | "method" => self.method = Some(value.into()),
            "http.route" => self.route = Some(value.into()),
            "url.path" | "http.target" | "uri" | "path" => {
                self.path = Some(without_query(value).into());
            }
            "trace_id" => self.trace_id = TraceId::parse(value).or(self.trace_id),
            "parent_span_id" => self.parent_span_id = SpanId::parse(value).or(self.parent_span_id),
            "traceparent" => {
                if let Some(caller) = super::TraceParent::parse(value) {
                    self.trace_id = Some(caller.trace_id);
                    self.parent_span_id = Some(caller.span_id);
                }
            }
            "http.response.status_code" | "http.status_code" | "status" | "status_code" => {
                // `200 OK` is how http::StatusCode is written.
                let digits = value.split(' ').next().unwrap_or(value);
                self.status = digits.parse().ok().or(self.status);
            }
            _ => {}
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        match name {
            "http.response.status_code" | "http.status_code" | "status" | "status_code" => {
                self.status = u16::try_from(value).ok().or(self.status);
            }
            "speedwell.rows_answered" => self.rows_answered = Some(value),
            _ => {}
        }
    }
}

impl Visit for RequestFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.number(field.name(), value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "speedwell.recording" {
            self.recording = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if is_request_field(field.name()) {
            self.text(field.name(), plain(&format!("{value:?}")));
        }
    }
}

/// What a service says about a request, as it says it.
#[derive(Default)]
pub(super) struct Said(pub(super) Vec<Attribute>);

impl Said {
    fn push(&mut self, field: &Field, value: AttributeValue) {
        // A message belongs in a log.
        if field.name() != "message" {
            let name = field.name();
            self.0.push(Attribute { name, value });
        }
    }
}

impl Visit for Said {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, AttributeValue::Flag(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, AttributeValue::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.push(field, AttributeValue::Number(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, AttributeValue::Real(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, AttributeValue::Text(value.into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, AttributeValue::Text(format!("{value:?}").into()));
    }
}

/// Whether it is worth formatting: a span may carry costly fields of its own.
fn is_request_field(name: &str) -> bool {
    matches!(
        name,
        "http.request.method"
            | "http.method"
            | "method"
            | "http.route"
            | "url.path"
            | "http.target"
            | "uri"
            | "path"
            | "trace_id"
            | "parent_span_id"
            | "traceparent"
            | "http.response.status_code"
            | "http.status_code"
            | "status"
            | "status_code"
    )
}

/// The value in `Some("value")` or `"value"`, as `?field` writes it.
fn plain(debug: &str) -> &str {
    let inner = debug
        .strip_prefix("Some(")
        .and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.unwrap_or(debug);
    inner
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(inner)
}

/// What a database span says: an ORM's, or one with OpenTelemetry's names.
#[derive(Debug, Default)]
pub(super) struct DatabaseFields {
    pub(super) text: Option<Box<str>>,
    pub(super) dialect: Option<Dialect>,
    pub(super) rows_returned: Option<u64>,
    pub(super) failed: bool,
}

/// Fields that hold a statement, the stable name and the old one.
pub(super) const TEXT_FIELDS: [&str; 2] = ["db.query.text", "db.statement"];

impl DatabaseFields {
    fn text(&mut self, name: &str, value: &str) {
        match name {
            "db.query.text" | "db.statement" if !value.trim().is_empty() => {
                self.text = Some(value.trim().into());
            }
            "db.system.name" | "db.system" => self.dialect = dialect_of(value),
            "status" | "otel.status_code" => self.failed |= value.eq_ignore_ascii_case("error"),
            "error.type" | "exception.type" => self.failed |= !value.is_empty(),
            _ => {}
        }
    }
}

impl Visit for DatabaseFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "db.response.returned_rows" {
            self.rows_returned = Some(value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.record_u64(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = field.name();
        if name.starts_with("db.") || matches!(name, "status" | "otel.status_code" | "error.type") {
            self.text(name, plain(&format!("{value:?}")));
        }
    }
}

fn dialect_of(system: &str) -> Option<Dialect> {
    match system {
        "sqlite" => Some(Dialect::Sqlite),
        "postgresql" | "postgres" | "cockroachdb" => Some(Dialect::Postgres),
        "mysql" | "mariadb" => Some(Dialect::MySql),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_an_option_or_a_string_is_read_plain() {
        assert_eq!(plain("Some(\"/flyers/{id}\")"), "/flyers/{id}");
        assert_eq!(plain("\"/flyers\""), "/flyers");
        assert_eq!(plain("GET"), "GET");
    }
}
