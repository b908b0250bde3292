//! Observations made by hand, for tests of what is concluded from them.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use speedwell_plan::{Schema, Table};
use speedwell_sql::{Dialect, fingerprint, shape};
use speedwell_trace::{Request, Route, Source, SpanId, Statement, TraceId, Values};

use super::{AtScale, Explained};
use crate::audit::probe::{Probe, Sample};

/// One execution of `text`.
pub(super) fn ran(text: &str, rows: u64, time: Duration) -> Statement {
    Statement {
        text: text.into(),
        fingerprint: fingerprint(text, Dialect::Sqlite),
        dialect: Dialect::Sqlite,
        offset: Duration::ZERO,
        duration: time,
        rows_returned: Some(rows),
        rows_affected: None,
        values: if text.contains('$') {
            Values::Hidden
        } else {
            Values::InText
        },
        site: None,
        parent: None,
        failed: false,
    }
}

/// Three equal probes of the route `items` at `path`.
pub(super) fn probe(
    scale: u64,
    page_size: Option<u64>,
    path: &str,
    statements: &[Statement],
) -> Probe {
    let sample = || Sample {
        request: Request {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([1; 8]),
            parent_span_id: None,
            route: Route::new("GET", "/items"),
            path: None,
            status: Some(200),
            started: SystemTime::UNIX_EPOCH,
            duration: Duration::from_millis(5),
            statements: statements.to_vec(),
            statements_dropped: 0,
            cache: Vec::new(),
            cache_dropped: 0,
            rows_answered: Some(
                statements
                    .iter()
                    .filter_map(|each| each.rows_returned)
                    .sum(),
            ),
            attributes: Vec::new(),
            source: Source::Otlp,
        },
        path: path.to_owned(),
        body_bytes: Some(100),
        total: Duration::from_millis(6),
    };
    Probe {
        name: "items".to_owned(),
        scale,
        page_size,
        samples: vec![sample(), sample(), sample()],
        cold: Vec::new(),
        unseen: 0,
        failure: None,
    }
}

/// One scale with these probes; nothing could be explained.
pub(super) fn at(scale: u64, probes: Vec<Probe>) -> AtScale {
    let mut explained = BTreeMap::new();
    for statement in probes
        .iter()
        .flat_map(|p| &p.samples)
        .flat_map(|s| &s.request.statements)
    {
        explained.insert(
            statement.fingerprint,
            Explained {
                text: statement.text.to_string(),
                dialect: statement.dialect,
                shape: shape(&statement.text, statement.dialect),
                structure: None,
                plan: Err("not explained".to_owned()),
                sampled: Vec::new(),
            },
        );
    }
    // The one table of these tests holds as many rows as the scale says.
    let mut schema = Schema::default();
    let table = Table {
        name: "items".to_owned(),
        rows: Some(scale),
        ..Table::default()
    };
    schema.tables.insert("items".to_owned(), table);
    AtScale {
        scale,
        probes,
        explained,
        schema,
        version: "SQLite 3".to_owned(),
        doubt: None,
    }
}
