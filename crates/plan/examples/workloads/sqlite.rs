//! The comparison on SQLite.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures_util::StreamExt as _;
use speedwell_plan::Advice;
use speedwell_sql::Dialect;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _, SqliteConnection, TypeInfo as _,
    ValueRef as _, sqlite::SqliteConnectOptions,
};

use crate::{
    bench::Bench,
    store::{Measured, Statement, Store},
};

/// Instructions of SQLite's machine between two counts.
const COUNT_EVERY: i32 = 10;
/// Counts in the unit that is printed: a hundred instructions.
const COUNTS_PER_UNIT: f64 = 10.0;

/// A file with the workload's rows.
pub(crate) struct Sqlite {
    connection: SqliteConnection,
    counts: Arc<AtomicU64>,
    folder: tempfile::TempDir,
}

/// Makes a file and fills it.
pub(crate) async fn fill(bench: &Bench) -> Sqlite {
    let begun = Instant::now();
    let folder = tempfile::tempdir().expect("a folder");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("filled.db"))
        .create_if_missing(true)
        .pragma("journal_mode", "MEMORY")
        .pragma("synchronous", "OFF")
        .pragma("cache_size", "-200000")
        .foreign_keys(true)
        .disable_statement_logging();
    let connection = options.connect().await.expect("a file");
    let mut filled = Sqlite {
        connection,
        counts: Arc::default(),
        folder,
    };
    for statement in bench.schema(Dialect::Sqlite) {
        filled.run(statement).await;
    }
    filled.count().await;
    println!("filled in {:.1} s", begun.elapsed().as_secs_f64());
    filled
}

impl Sqlite {
    async fn run(&mut self, statement: String) {
        let done = self
            .connection
            .execute(AssertSqlSafe(statement.clone()))
            .await;
        if let Err(error) = done {
            panic!("{error}: {statement}");
        }
    }

    async fn count(&mut self) {
        let counts = Arc::clone(&self.counts);
        let mut handle = self.connection.lock_handle().await.expect("the handle");
        handle.set_progress_handler(COUNT_EVERY, move || {
            counts.fetch_add(1, Ordering::Relaxed);
            true
        });
    }

    /// Counts and milliseconds of one execution; what it writes is taken back.
    async fn execution(&mut self, text: &str) -> (f64, f64) {
        self.run("BEGIN".to_owned()).await;
        self.counts.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        let query = sqlx::query(AssertSqlSafe(text.to_owned())).persistent(false);
        let mut rows = query.fetch(&mut self.connection);
        while let Some(row) = rows.next().await {
            row.unwrap_or_else(|error| panic!("{error}: {text}"));
        }
        drop(rows);
        let millis = begun.elapsed().as_secs_f64() * 1000.0;
        let counts = self.counts.load(Ordering::Relaxed) as f64 / COUNTS_PER_UNIT;
        self.run("ROLLBACK".to_owned()).await;
        (counts, millis)
    }
}

impl Store for Sqlite {
    const DIALECT: Dialect = Dialect::Sqlite;
    const UNIT: &'static str = "counts";
    const IS_RIVALS_HOME: bool = false;

    fn url(&self) -> String {
        let path = self.folder.path().join("filled.db");
        path.to_string_lossy().into_owned()
    }

    async fn literals(&mut self, question: &str) -> Vec<Vec<String>> {
        let asked = sqlx::raw_sql(AssertSqlSafe(question.to_owned()));
        let rows = asked.fetch_all(&mut self.connection).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error}: {question}"));
        let literal = |row: &sqlx::sqlite::SqliteRow, place| {
            let raw = row.try_get_raw(place).expect("a value");
            let kind = raw.type_info();
            let value: String = row.try_get_unchecked(place).expect("a value");
            match kind.name() {
                "INTEGER" | "REAL" => value,
                _ => format!("'{}'", value.replace('\'', "''")),
            }
        };
        rows.iter()
            .map(|row| (0..row.len()).map(|place| literal(row, place)).collect())
            .collect()
    }

    async fn rebuild(&mut self, indexes: &[String]) {
        let secondary = "SELECT 'DROP INDEX \"' || name || '\"' FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        let rows = self.connection.fetch_all(secondary).await.expect("indexes");
        for row in rows {
            let drop: String = row.get(0);
            self.run(drop).await;
        }
        for (number, index) in indexes.iter().enumerate() {
            self.run(format!("CREATE INDEX set_{number} ON {index}"))
                .await;
        }
        self.run("ANALYZE".to_owned()).await;
    }

    async fn migrate(&mut self, advice: &Advice) {
        for index in &advice.indexes {
            self.run(index.ddl.clone()).await;
        }
        self.run("ANALYZE".to_owned()).await;
    }

    async fn measure(&mut self, statements: &[Statement]) -> Vec<Measured> {
        let mut all = Vec::with_capacity(statements.len());
        for statement in statements {
            let (mut cost, mut millis) = (0.0, Vec::new());
            if let Some(first) = statement.texts.first() {
                self.execution(first).await;
            }
            for text in &statement.texts {
                let (counts, time) = self.execution(text).await;
                cost += counts;
                millis.push(time);
            }
            millis.sort_by(f64::total_cmp);
            all.push(Measured {
                name: statement.name.clone(),
                cost: cost / statement.texts.len() as f64,
                millis: millis[millis.len() / 2],
                trigger_millis: 0.0,
            });
        }
        all
    }

    async fn write(&mut self, _bench: &Bench) -> Option<f64> {
        None
    }
}
