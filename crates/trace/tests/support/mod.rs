//! A small database, and requests made by hand.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use speedwell_sql::{fingerprint, shape};
use speedwell_trace::{Dialect, Request, Route, Site, Source, SpanId, Statement, TraceId, Values};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};

/// Authors and their books: 200 authors, 3 books each.
pub(crate) async fn library() -> SqlitePool {
    let pool = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    sqlx::raw_sql(
        "CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
         CREATE TABLE books (
             id INTEGER PRIMARY KEY,
             author_id INTEGER NOT NULL REFERENCES authors (id),
             title TEXT NOT NULL
         );
         CREATE INDEX books_by_author ON books (author_id);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO authors SELECT i, 'author ' || i FROM n;
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 599)
         INSERT INTO books SELECT i + 1, i / 3 + 1, 'book ' || i FROM n;",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool
}

/// A request made by hand; one statement starts each millisecond and takes half of one.
pub(crate) struct Made(Request);

pub(crate) fn request(template: &str) -> Made {
    Made(Request {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([1; 8]),
        parent_span_id: None,
        route: Route::new("GET", template),
        path: None,
        status: Some(200),
        started: SystemTime::UNIX_EPOCH,
        duration: Duration::from_secs(1),
        statements: Vec::new(),
        statements_dropped: 0,
        cache: Vec::new(),
        cache_dropped: 0,
        rows_answered: None,
        attributes: Vec::new(),
        source: Source::Proxy,
    })
}

/// A statement with hidden values if it has placeholders, on PostgreSQL.
pub(crate) fn statement(text: &str) -> Statement {
    let dialect = Dialect::Postgres;
    let hidden = shape(text, dialect).placeholders > 0;
    Statement {
        text: text.into(),
        fingerprint: fingerprint(text, dialect),
        dialect,
        offset: Duration::ZERO,
        duration: Duration::from_micros(500),
        rows_returned: Some(1),
        rows_affected: None,
        values: if hidden {
            Values::Hidden
        } else {
            Values::InText
        },
        site: None,
        parent: None,
        failed: false,
    }
}

impl Made {
    pub(crate) fn run(mut self, mut statement: Statement) -> Self {
        statement.offset = Duration::from_millis(self.0.statements.len() as u64);
        self.0.statements.push(statement);
        self
    }

    pub(crate) fn read(self, text: &str, rows: u64) -> Self {
        self.run(Statement {
            rows_returned: Some(rows),
            ..statement(text)
        })
    }

    pub(crate) fn read_with(self, text: &str, value: u64) -> Self {
        self.run(Statement {
            values: Values::Hashed(Box::new([value])),
            ..statement(text)
        })
    }

    pub(crate) fn read_in(self, text: &str, function: &str) -> Self {
        let site = Site {
            function: function.into(),
            file: None,
            line: None,
        };
        self.run(Statement {
            site: Some(site),
            ..statement(text)
        })
    }

    pub(crate) fn write(self, text: &str) -> Self {
        let written = Statement {
            rows_returned: Some(0),
            rows_affected: Some(1),
            ..statement(text)
        };
        self.run(written)
    }

    pub(crate) fn each(self, count: u64, step: impl Fn(Self, u64) -> Self) -> Self {
        (0..count).fold(self, step)
    }

    pub(crate) fn answered(mut self, rows: u64) -> Self {
        self.0.rows_answered = Some(rows);
        self
    }

    pub(crate) fn done(self) -> Request {
        self.0
    }

    pub(crate) fn shared(self) -> Arc<Request> {
        Arc::new(self.0)
    }
}
