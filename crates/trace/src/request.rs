//! One HTTP request and the statements that ran inside it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use speedwell_sql::{Dialect, Fingerprint};

use crate::CacheOperation;

/// A W3C trace id; all zero means "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TraceId(pub [u8; 16]);

/// A W3C span id; all zero means "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SpanId(pub [u8; 8]);

/// Method and path template: `GET /flyers/{id}`. Never a filled path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route(pub Arc<str>);

/// Where requests and statements come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The tracing layer in the service's own process.
    Layer,
    /// Spans received over OTLP.
    Otlp,
    /// The PostgreSQL proxy.
    Proxy,
}

/// One HTTP request: the unit in which statements are grouped.
#[derive(Debug, Clone)]
pub struct Request {
    /// The trace that the request belongs to.
    pub trace_id: TraceId,
    /// The request's own span.
    pub span_id: SpanId,
    /// The caller's span, if it sent one.
    pub parent_span_id: Option<SpanId>,
    /// Method and template.
    pub route: Route,
    /// Path as requested, query string left out.
    pub path: Option<Arc<str>>,
    /// HTTP status code.
    pub status: Option<u16>,
    /// When it arrived.
    pub started: SystemTime,
    /// From arrival to the end of the answer.
    pub duration: Duration,
    /// Statements in order of their start.
    pub statements: Vec<Statement>,
    /// Statements that were seen but not kept, because the request ran more than the source keeps.
    pub statements_dropped: u64,
    /// Uses of the cache in order of their start; empty if there is no cache, or none that tells.
    pub cache: Vec<CacheOperation>,
    /// Uses of the cache that were seen but not kept, for the same reason.
    pub cache_dropped: u64,
    /// Rows that the answer shows: elements of arrays in its JSON, at any depth. Unknown to most
    /// sources; the audit fills it in from the answer that it got.
    pub rows_answered: Option<u64>,
    /// What the service itself says about it, in the order in which it was said.
    pub attributes: Vec<Attribute>,
    /// Who saw it.
    pub source: Source,
}

/// What a service says about a request of its own: see [`ATTRIBUTE`](crate::ATTRIBUTE).
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Name of the field.
    pub name: &'static str,
    /// Its value.
    pub value: AttributeValue,
}

/// The value of an [`Attribute`].
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(Arc<str>),
}

/// One execution of SQL inside a request.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The text as sent to the database, without comments around it.
    pub text: Arc<str>,
    /// Identity of its shape.
    pub fingerprint: Fingerprint,
    /// Dialect of the database that ran it.
    pub dialect: Dialect,
    /// Start, counted from the start of the request.
    pub offset: Duration,
    /// How long the driver waited for it.
    pub duration: Duration,
    /// Rows that came back; `None` if the source cannot see it.
    pub rows_returned: Option<u64>,
    /// Rows that were written; `None` if the source cannot see it.
    pub rows_affected: Option<u64>,
    /// Its parameters.
    pub values: Values,
    /// Code that ran it.
    pub site: Option<Site>,
    /// The span it ran in.
    pub parent: Option<SpanId>,
    /// Whether it failed; `false` when the source cannot see it.
    pub failed: bool,
}

/// The parameters of a statement, as far as the source sees them. Values themselves are never kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Values {
    /// The text has no placeholders: what is to be seen is in the text.
    InText,
    /// The text has placeholders and the source does not see what was bound.
    Hidden,
    /// A keyed hash of each bound value, in order.
    Hashed(Box<[u64]>),
}

/// A place in the code: the innermost function (span) that ran a statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Qualified function or span name: `flyers::feed::load_images`.
    pub function: Arc<str>,
    /// Source file, for people to open; never part of an identity.
    pub file: Option<Arc<str>>,
    /// Line in `file`; never part of an identity.
    pub line: Option<u32>,
}

impl Request {
    /// Rows that came back from all statements together, those that a write returns included;
    /// `None` if the source saw the rows of none of them.
    pub fn rows_fetched(&self) -> Option<u64> {
        self.statements
            .iter()
            .filter_map(|statement| statement.rows_returned)
            .reduce(u64::saturating_add)
    }

    /// Reads that the cache answered, and reads that it did not.
    pub fn cache_hits_and_misses(&self) -> (u64, u64) {
        let reads = self.cache.iter().filter_map(CacheOperation::read);
        reads.fold((0, 0), |(hits, misses), outcome| match outcome.is_hit() {
            true => (hits + 1, misses),
            false => (hits, misses + 1),
        })
    }

    /// Time of all statements together. Statements that ran side by side count one by one.
    pub fn database_time(&self) -> Duration {
        self.statements
            .iter()
            .fold(Duration::ZERO, |sum, statement| {
                sum.saturating_add(statement.duration)
            })
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}
impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl TraceId {
    /// A random trace id, never zero.
    pub fn random() -> Self {
        Self(rand::random::<u128>().max(1).to_be_bytes())
    }

    /// Reads 32 hexadecimal digits; `None` for anything else and for all zero.
    pub fn parse(hex: &str) -> Option<Self> {
        bytes_of(hex).map(Self)
    }
}

impl SpanId {
    /// A random span id, never zero.
    pub fn random() -> Self {
        Self(rand::random::<u64>().max(1).to_be_bytes())
    }

    /// Reads 16 hexadecimal digits; `None` for anything else and for all zero.
    pub fn parse(hex: &str) -> Option<Self> {
        bytes_of(hex).map(Self)
    }
}

/// The bytes that exactly two hexadecimal digits each stand for; `None` if all are zero.
fn bytes_of<const LENGTH: usize>(hex: &str) -> Option<[u8; LENGTH]> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != LENGTH {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; LENGTH];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(high)? << 4 | digit(low)?) as u8;
    }
    (bytes != [0; LENGTH]).then_some(bytes)
}

impl Route {
    /// A route from method and path template.
    pub fn new(method: &str, template: &str) -> Self {
        Self(format!("{method} {template}").into())
    }
}
