//! One span as it comes over the wire, reduced to what is needed of it. Query strings and
//! parameter values go no further than this module.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span as WireSpan, span::SpanKind, status::StatusCode},
};
use speedwell_sql::{Digest, Memo};
use speedwell_trace::{CacheAction, Dialect, Route, Site, SpanId, TraceId, Values};

/// A span that is kept.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) trace: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: Option<SpanId>,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    /// Nanoseconds since 1970, never before `start`.
    pub(crate) end: u64,
    pub(crate) role: Role,
    /// Bytes of texts that are kept for this span alone.
    pub(crate) text: usize,
}

/// What a span is to us.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// An HTTP request that the service answers.
    Request(Box<RequestPart>),
    /// A statement.
    Statement(Box<StatementPart>),
    /// A use of the cache.
    Cache(Box<CachePart>),
    /// Anything between them: code.
    Between(Site),
    /// A database's own step, such as a transaction: says nothing, and statements may run inside.
    Link,
}

impl Role {
    /// Bytes of texts that are kept for this span alone; most statements share theirs with others.
    fn own_text(&self) -> usize {
        let site =
            |site: &Site| site.function.len() + site.file.as_ref().map_or(0, |file| file.len());
        match self {
            Self::Request(part) => {
                part.route.0.len() + part.path.as_ref().map_or(0, |path| path.len())
            }
            Self::Statement(part) => {
                // The memo holds one, this span the other.
                let is_new = Arc::strong_count(&part.digest) <= 2;
                let text = if is_new { part.digest.text.len() } else { 0 };
                text + part.site.as_ref().map_or(0, site)
            }
            Self::Cache(part) => {
                let group = match &part.action {
                    CacheAction::Read { group, .. } => group.len(),
                    CacheAction::Change { .. } => 0,
                };
                part.cache.len() + group + part.site.as_ref().map_or(0, site)
            }
            Self::Between(around) => site(around),
            Self::Link => 0,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct RequestPart {
    pub(crate) route: Route,
    pub(crate) path: Option<Arc<str>>,
    pub(crate) status: Option<u16>,
    /// Statements that the service itself did not keep.
    pub(crate) dropped: u64,
    /// Uses of the cache that the service itself did not keep.
    pub(crate) cache_dropped: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct CachePart {
    pub(crate) cache: Arc<str>,
    pub(crate) action: CacheAction,
    pub(crate) site: Option<Site>,
}

#[derive(Debug, Clone)]
pub(crate) struct StatementPart {
    pub(crate) digest: Arc<Digest>,
    pub(crate) dialect: Dialect,
    pub(crate) rows_returned: Option<u64>,
    pub(crate) rows_affected: Option<u64>,
    pub(crate) values: Values,
    pub(crate) site: Option<Site>,
    pub(crate) failed: bool,
    /// Which instrumentation made the span; an ORM and its driver differ in it.
    pub(crate) scope: Arc<str>,
}

/// Reads spans; holds what is shared between them.
pub(crate) struct Reader {
    sqlite: Memo,
    postgres: Memo,
    mysql: Memo,
    /// Keys drawn at random for each receiver, so that a hash says nothing outside of it.
    keys: RandomState,
}

/// Distinct texts remembered per dialect. A service has some hundreds; texts with literals in
/// them would fill any number.
const MEMO: usize = 4096;

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            sqlite: Memo::new(Dialect::Sqlite, MEMO),
            postgres: Memo::new(Dialect::Postgres, MEMO),
            mysql: Memo::new(Dialect::MySql, MEMO),
            keys: RandomState::new(),
        }
    }

    /// The span, or `None` if it says nothing about requests or SQL, or has no ids.
    pub(crate) fn read(&self, span: WireSpan, scope: &Arc<str>) -> Option<Span> {
        let trace = TraceId(span.trace_id.as_slice().try_into().ok()?);
        let id = SpanId(span.span_id.as_slice().try_into().ok()?);
        if trace == TraceId::default() || id == SpanId::default() {
            return None;
        }
        let role = self.role(&span, scope)?;
        let parent = span.parent_span_id.as_slice().try_into().ok().map(SpanId);
        Some(Span {
            trace,
            id,
            parent: parent.filter(|parent| *parent != SpanId::default() && *parent != id),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano.max(span.start_time_unix_nano),
            text: role.own_text(),
            role,
        })
    }

    fn role(&self, span: &WireSpan, scope: &Arc<str>) -> Option<Role> {
        let attributes = Attributes(&span.attributes);
        if let Some(system) = attributes.text(&["db.system.name", "db.system"]) {
            return self.statement(span, &attributes, Some(system), scope);
        }
        if attributes
            .text(&["db.query.text", "db.statement"])
            .is_some()
        {
            return self.statement(span, &attributes, None, scope);
        }
        if let Some(part) = cache(&attributes) {
            return Some(Role::Cache(Box::new(part)));
        }
        let kind = span.kind();
        let outgoing = matches!(kind, SpanKind::Client | SpanKind::Producer);
        let http = ["http.route", "http.request.method", "http.method"];
        if kind == SpanKind::Server || !outgoing && attributes.text(&http).is_some() {
            return Some(Role::Request(Box::new(request(&attributes))));
        }
        // ASGI makes two of these for each request; nothing ever runs inside them.
        if span.name.ends_with(" http send") || span.name.ends_with(" http receive") {
            return None;
        }
        let site = site(&attributes).unwrap_or_else(|| Site {
            function: before_query(&span.name).into(),
            file: None,
            line: None,
        });
        Some(Role::Between(site))
    }

    fn statement(
        &self,
        span: &WireSpan,
        attributes: &Attributes<'_>,
        system: Option<&str>,
        scope: &Arc<str>,
    ) -> Option<Role> {
        let dialect = dialect(system.unwrap_or_default())?;
        let Some(text) = attributes.text(&["db.query.text", "db.statement"]) else {
            return Some(Role::Link);
        };
        let memo = match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
            Dialect::MySql => &self.mysql,
        };
        let digest = memo.digest(text);
        if is_housekeeping(&digest.text) {
            return None;
        }
        let values = match self.parameters(attributes) {
            hashes if !hashes.is_empty() => Values::Hashed(hashes),
            _ if digest.has_placeholders => Values::Hidden,
            _ => Values::InText,
        };
        let status = span.status.as_ref().map(|status| status.code());
        Some(Role::Statement(Box::new(StatementPart {
            digest,
            dialect,
            rows_returned: attributes.number(&["db.response.returned_rows"]),
            rows_affected: attributes.number(&["speedwell.rows_affected"]),
            values,
            site: site(attributes),
            failed: status == Some(StatusCode::Error),
            scope: Arc::clone(scope),
        })))
    }

    /// Hashes of the parameters in their order: numbers as numbers, then names.
    fn parameters(&self, attributes: &Attributes<'_>) -> Box<[u64]> {
        let mut parameters: Vec<(u64, &str, u64)> = attributes
            .0
            .iter()
            .filter_map(|attribute| {
                let key = attribute.key.strip_prefix("db.query.parameter.")?;
                let number = key.parse().unwrap_or(u64::MAX);
                Some((number, key, self.hash(attribute.value.as_ref())))
            })
            .collect();
        parameters.sort_unstable();
        parameters.into_iter().map(|(_, _, hash)| hash).collect()
    }

    /// The convention sends every value as text; those who send numbers mean the same.
    fn hash(&self, value: Option<&AnyValue>) -> u64 {
        match value.and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => self.keys.hash_one(text.as_bytes()),
            Some(Value::IntValue(number)) => self.keys.hash_one(number.to_string().as_bytes()),
            Some(Value::DoubleValue(number)) => self.keys.hash_one(number.to_string().as_bytes()),
            Some(Value::BoolValue(value)) => self.keys.hash_one(value.to_string().as_bytes()),
            Some(Value::BytesValue(bytes)) => self.keys.hash_one(bytes.as_slice()),
            other => self.keys.hash_one(format!("{other:?}").as_bytes()),
        }
    }
}

struct Attributes<'a>(&'a [KeyValue]);

impl<'a> Attributes<'a> {
    /// The first of these attributes that is there: names in order of preference.
    fn value(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| {
            let attribute = self.0.iter().find(|attribute| attribute.key == *name)?;
            attribute.value.as_ref()?.value.as_ref()
        })
    }

    fn text(&self, names: &[&str]) -> Option<&'a str> {
        match self.value(names)? {
            Value::StringValue(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn number(&self, names: &[&str]) -> Option<u64> {
        match self.value(names)? {
            Value::IntValue(number) => u64::try_from(*number).ok(),
            Value::StringValue(text) => text.parse().ok(),
            _ => None,
        }
    }
}

fn request(attributes: &Attributes<'_>) -> RequestPart {
    let method = match attributes.text(&["http.request.method", "http.method"]) {
        Some("_OTHER") => attributes.text(&["http.request.method_original"]),
        method => method,
    };
    let method = method.unwrap_or("HTTP").to_ascii_uppercase();
    let route = match attributes.text(&["http.route"]) {
        // Folding ids out of a path would be a guess.
        None => "(no route)".to_owned(),
        // Django leaves out the slash.
        Some(route) if !route.starts_with('/') => format!("/{route}"),
        Some(route) => route.to_owned(),
    };
    let status = attributes.number(&["http.response.status_code", "http.status_code"]);
    RequestPart {
        route: Route::new(&method, &route),
        path: path(attributes).map(Arc::from),
        status: status.and_then(|status| u16::try_from(status).ok()),
        dropped: attributes
            .number(&["speedwell.statements_dropped"])
            .unwrap_or(0),
        cache_dropped: attributes.number(&["speedwell.cache_dropped"]).unwrap_or(0),
    }
}

/// A use of the cache as `speedwell-trace` sends it; `None` for spans that say less, or other things
/// by these names.
fn cache(attributes: &Attributes<'_>) -> Option<CachePart> {
    let action = CacheAction::from_names(
        attributes.text(&["cache.operation"])?,
        attributes.text(&["cache.outcome"])?,
        attributes.text(&["cache.group"]),
        attributes.number(&["cache.key_hash"]),
        attributes.number(&["cache.names"]),
    )?;
    Some(CachePart {
        cache: attributes.text(&["cache.name"])?.into(),
        action,
        site: site(attributes),
    })
}

/// The path without its query string, which may hold secrets.
fn path<'a>(attributes: &Attributes<'a>) -> Option<&'a str> {
    if let Some(path) = attributes.text(&["url.path", "http.target"]) {
        return Some(before_query(path));
    }
    let url = before_query(attributes.text(&["url.full", "http.url"])?);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    Some(rest.find('/').map_or("/", |slash| &rest[slash..]))
}

fn before_query(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

fn site(attributes: &Attributes<'_>) -> Option<Site> {
    let function = match attributes.text(&["code.function.name"]) {
        Some(function) => function.to_owned(),
        None => {
            let function = attributes.text(&["code.function"])?;
            match attributes.text(&["code.namespace"]) {
                Some(namespace) => format!("{namespace}.{function}"),
                None => function.to_owned(),
            }
        }
    };
    let line = attributes.number(&["code.line.number", "code.lineno"]);
    Some(Site {
        function: function.into(),
        file: attributes
            .text(&["code.file.path", "code.filepath"])
            .map(Arc::from),
        line: line.and_then(|line| u32::try_from(line).ok()),
    })
}

/// Data stores whose query text is not SQL.
const NOT_SQL: [&str; 15] = [
    "redis",
    "valkey",
    "memcached",
    "mongodb",
    "elasticsearch",
    "opensearch",
    "cassandra",
    "couchbase",
    "couchdb",
    "neo4j",
    "aws.dynamodb",
    "dynamodb",
    "hbase",
    "influxdb",
    "geode",
];

/// The dialect of a system; `None` if it does not speak SQL. Systems that the lexer does not know
/// are read as PostgreSQL, which is nearest to the standard.
fn dialect(system: &str) -> Option<Dialect> {
    match system {
        "sqlite" | "" => Some(Dialect::Sqlite),
        "mysql" | "mariadb" => Some(Dialect::MySql),
        other if NOT_SQL.contains(&other) => None,
        _ => Some(Dialect::Postgres),
    }
}

/// How statements begin that drivers send when they open a connection.
const HOUSEKEEPING: [&str; 4] = [
    "PRAGMA ",
    "SHOW ",
    "SELECT PG_CATALOG.VERSION()",
    "SELECT SET_CONFIG('TIMEZONE'",
];

fn is_housekeeping(text: &str) -> bool {
    HOUSEKEEPING.iter().any(|start| {
        text.get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start))
    })
}
