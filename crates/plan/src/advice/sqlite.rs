//! Trials in a scratch copy of a SQLite file.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use speedwell_sql::Dialect;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{
    AdvisedIndex,
    candidate::{Candidate, quoted},
    error::{AdviceError, refusal},
    ground::{Built, Effort, Ground, Inquiry, Rows, Run, Stopped, WritePrice},
    sample::{LOOKED_AT, Sample, Samples},
};
use crate::{Schema, phrase::reads_all, sqlite::file};

/// How long a lock of the audited file is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Instructions of SQLite's machine between two counts.
const COUNT_EVERY: u32 = 10;
/// Instructions that count as much as a page: about a row looked up.
const UNIT: f64 = 100.0;
/// Counts that one statement may take: about a minute.
const MOST_COUNTS: u64 = 600_000_000;
/// Counts that take about a second.
const COUNTS_A_SECOND: f64 = 10_000_000.0;
/// `SQLITE_INTERRUPT`.
const INTERRUPTED: &str = "9";
/// Rows that are written to measure the price of writing.
const WRITTEN_ROWS: u64 = 250;

/// A scratch file, open for writing.
pub(crate) struct SqliteGround {
    connection: SqliteConnection,
    counts: Arc<AtomicU64>,
    /// Counts after which a statement is given up.
    most: Arc<AtomicU64>,
    /// Rows of each table.
    rows: BTreeMap<String, u64>,
    // Removed behind its connection.
    folder: tempfile::TempDir,
}

/// Copies the audited file, which is only read, and opens the copy.
pub(crate) async fn open(url: &str) -> Result<SqliteGround, AdviceError> {
    let folder = tempfile::Builder::new()
        .prefix("speedwell-advice-")
        .tempdir()?;
    let path = folder.path().join("copy.db");
    let mut from = SqliteConnectOptions::new()
        .filename(file(url)?)
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(AdviceError::Scratch)?;
    sqlx::query("VACUUM INTO $1")
        .bind(path.to_string_lossy().into_owned())
        .execute(&mut from)
        .await
        .map_err(|source| AdviceError::Copy {
            doing: format!(
                "the database file into `{}` (TMPDIR names another folder)",
                folder.path().display()
            ),
            source,
        })?;
    let _ = from.close().await;
    let mut connection = SqliteConnectOptions::new()
        .filename(&path)
        .pragma("journal_mode", "MEMORY")
        .pragma("synchronous", "OFF")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-200000")
        .foreign_keys(true)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(AdviceError::Scratch)?;
    let counts = Arc::new(AtomicU64::new(0));
    let most = Arc::new(AtomicU64::new(MOST_COUNTS));
    count(&mut connection, &counts, &most)
        .await
        .map_err(AdviceError::Scratch)?;
    Ok(SqliteGround {
        connection,
        counts,
        most,
        rows: BTreeMap::new(),
        folder,
    })
}

/// Builds advised indexes in a file that is the caller's own.
pub(crate) async fn build(url: &str, indexes: &[AdvisedIndex]) -> Result<(), AdviceError> {
    let mut connection = SqliteConnectOptions::new()
        .filename(file(url)?)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(AdviceError::Scratch)?;
    for index in indexes {
        let done = connection.execute(AssertSqlSafe(index.ddl.clone())).await;
        done.map_err(AdviceError::Scratch)?;
    }
    // The new indexes as well, where somebody analyzes.
    if is_analyzed(&mut connection).await? {
        let done = connection.execute("ANALYZE").await;
        done.map_err(AdviceError::Scratch)?;
    }
    connection.close().await.map_err(AdviceError::Scratch)
}

async fn is_analyzed(connection: &mut SqliteConnection) -> Result<bool, AdviceError> {
    let analyzed: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'")
            .fetch_optional(connection)
            .await
            .map_err(AdviceError::Scratch)?;
    Ok(analyzed.is_some())
}

/// Counts instructions, and gives up what takes too many.
async fn count(
    connection: &mut SqliteConnection,
    counts: &Arc<AtomicU64>,
    most: &Arc<AtomicU64>,
) -> Result<(), sqlx::Error> {
    let (counts, most) = (Arc::clone(counts), Arc::clone(most));
    let every = i32::try_from(COUNT_EVERY).unwrap_or(1);
    connection
        .lock_handle()
        .await?
        .set_progress_handler(every, move || {
            counts.fetch_add(1, Ordering::Relaxed) < most.load(Ordering::Relaxed)
        });
    Ok(())
}

impl SqliteGround {
    /// Some rows of every table, the same ones each time.
    pub(crate) async fn samples(&mut self, schema: &Schema) -> Result<Samples, AdviceError> {
        let mut samples = Samples::default();
        self.rows = schema
            .tables
            .values()
            .map(|table| (table.name.clone(), table.rows.unwrap_or(0)))
            .collect();
        for table in schema.tables.values().filter(|table| !table.virtual_table) {
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect();
            let texts: Vec<String> = columns
                .iter()
                .map(|name| format!("CAST({} AS TEXT)", strictly_quoted(name)))
                .collect();
            let step = (table.rows.unwrap_or(0) / u64::from(LOOKED_AT)).max(1);
            let filter = match table.without_rowid {
                true => String::new(),
                false => format!("WHERE rowid % {step} = 0"),
            };
            let question = format!(
                "SELECT {} FROM {} {filter} LIMIT {}",
                texts.join(", "),
                strictly_quoted(&table.name),
                2 * LOOKED_AT
            );
            self.counts.store(0, Ordering::Relaxed);
            let asked = sqlx::query(AssertSqlSafe(question)).persistent(false);
            let Ok(rows) = asked.fetch_all(&mut self.connection).await else {
                continue;
            };
            let read = |row: &SqliteRow| -> Vec<Option<String>> {
                let places = 0..columns.len();
                places.map(|at| row.try_get(at).ok().flatten()).collect()
            };
            let rows = rows.iter().map(read).collect();
            samples
                .0
                .insert(table.name.clone(), Sample { columns, rows });
        }
        Ok(samples)
    }

    /// Closes and removes the copy.
    pub(crate) async fn remove(self) -> Result<(), AdviceError> {
        let _ = self.connection.close().await;
        Ok(self.folder.close()?)
    }

    async fn simple(&mut self, statement: String) -> Result<u64, sqlx::Error> {
        self.counts.store(0, Ordering::Relaxed);
        let done = self.connection.execute(AssertSqlSafe(statement)).await?;
        Ok(done.rows_affected())
    }

    async fn must(&mut self, statement: impl Into<String>) -> Result<(), AdviceError> {
        let done = self.simple(statement.into()).await;
        done.map(drop).map_err(AdviceError::Scratch)
    }

    async fn begin(&mut self, hidden: &[String]) -> Result<(), AdviceError> {
        self.must("BEGIN").await?;
        for name in hidden {
            self.must(format!("DROP INDEX {}", quoted(name))).await?;
        }
        self.must("SAVEPOINT trial").await
    }

    /// Bytes of the pages of a table or an index, if SQLite was built to tell.
    async fn size(&mut self, name: &str) -> Option<u64> {
        self.counts.store(0, Ordering::Relaxed);
        let bytes: Option<i64> = sqlx::query_scalar(
            "SELECT SUM(pgsize) FROM dbstat WHERE name = $1 AND aggregate = TRUE",
        )
        .bind(name.to_owned())
        .fetch_one(&mut self.connection)
        .await
        .ok()?;
        u64::try_from(bytes?).ok()
    }

    fn units(&self) -> f64 {
        self.counts.load(Ordering::Relaxed) as f64 * f64::from(COUNT_EVERY) / UNIT
    }

    /// Executes a statement to its end and counts its rows.
    async fn executed(&mut self, statement: &str) -> Result<f64, sqlx::Error> {
        self.counts.store(0, Ordering::Relaxed);
        let query = sqlx::query(AssertSqlSafe(statement.to_owned())).persistent(false);
        let mut rows = query.fetch(&mut self.connection);
        let mut count = 0.0;
        while let Some(row) = rows.next().await {
            row?;
            count += 1.0;
        }
        Ok(count)
    }

    /// Sets columns of the first rows to what they are.
    async fn updated(&mut self, table: &str, columns: &[String]) -> Result<Effort, sqlx::Error> {
        let own: Vec<String> = columns
            .iter()
            .map(|column| format!("{0} = {0}", strictly_quoted(column)))
            .collect();
        let name = strictly_quoted(table);
        let (_, effort) = self
            .effort(format!(
                "UPDATE {name} SET {} WHERE rowid IN (SELECT rowid FROM {name} ORDER BY rowid LIMIT {WRITTEN_ROWS})",
                own.join(", ")
            ))
            .await?;
        Ok(effort)
    }

    /// Takes the first rows out and writes them again.
    async fn replaced(&mut self, table: &str) -> Result<WritePrice, sqlx::Error> {
        let name = strictly_quoted(table);
        self.simple(format!(
            "CREATE TEMPORARY TABLE speedwell_moved AS SELECT * FROM {name} ORDER BY rowid LIMIT {WRITTEN_ROWS}"
        ))
        .await?;
        let (_, delete) = self
            .effort(format!(
                "DELETE FROM {name} WHERE rowid IN (SELECT rowid FROM {name} ORDER BY rowid LIMIT {WRITTEN_ROWS})"
            ))
            .await?;
        let (rows, insert) = self
            .effort(format!("INSERT INTO {name} SELECT * FROM speedwell_moved"))
            .await?;
        Ok(WritePrice {
            rows,
            insert,
            delete,
            update: None,
        })
    }

    /// Executes a statement that writes: the rows it wrote, and what that took.
    async fn effort(&mut self, statement: String) -> Result<(u64, Effort), sqlx::Error> {
        let begun = Instant::now();
        let rows = self.simple(statement).await?;
        let millis = begun.elapsed().as_secs_f64() * 1000.0;
        let pages = self.units();
        Ok((rows, Effort { pages, millis }))
    }
}

/// What the database refuses has no known price.
fn known<T>(price: Result<T, sqlx::Error>) -> Result<Option<T>, AdviceError> {
    match price {
        Ok(price) => Ok(Some(price)),
        Err(error) => refusal(error).map(|_| None),
    }
}

impl Ground for SqliteGround {
    async fn estimates(&mut self, asked: &Inquiry<'_>) -> Result<Vec<Option<f64>>, AdviceError> {
        let hidden: Vec<String> = asked.without.iter().map(|index| index.name()).collect();
        let mut costs = Vec::with_capacity(asked.statements.len());
        self.enter(&hidden, true).await?;
        for statement in &asked.statements {
            let run = self.run(statement).await?.ok();
            costs.push(run.map(|run| run.pages + run.trigger_pages));
        }
        self.leave().await?;
        Ok(costs)
    }

    async fn build(&mut self, candidates: Vec<Candidate>) -> Result<Vec<Built>, AdviceError> {
        let mut kept = Vec::new();
        for candidate in candidates {
            match self.simple(candidate.ddl(Dialect::Sqlite)).await {
                Ok(_) => kept.push(candidate),
                // It cannot be built here: an expression that may change, a name that is taken.
                Err(error) => drop(refusal(error)?),
            }
        }
        // As the audited file: where nobody analyzes, the planner will know as little later.
        if is_analyzed(&mut self.connection).await? {
            self.must("ANALYZE").await?;
        }
        let mut built = Vec::new();
        for candidate in kept {
            let bytes = self.size(&candidate.name()).await.unwrap_or(0);
            let table_bytes = self.size(&candidate.table).await.unwrap_or(0);
            built.push(Built {
                candidate,
                bytes,
                table_bytes,
            });
        }
        Ok(built)
    }

    async fn enter(&mut self, hidden: &[String], _writes: bool) -> Result<(), AdviceError> {
        self.begin(hidden).await
    }

    async fn enter_for_writing(&mut self, hidden: &[String]) -> Result<(), AdviceError> {
        // Rows that others refer to are taken out and put back.
        self.must("PRAGMA foreign_keys = OFF").await?;
        self.begin(hidden).await
    }

    async fn plan(&mut self, statement: &str) -> Result<Result<String, String>, AdviceError> {
        self.counts.store(0, Ordering::Relaxed);
        let question = format!("EXPLAIN QUERY PLAN {statement}");
        let query = sqlx::query(AssertSqlSafe(question)).persistent(false);
        match query.fetch_all(&mut self.connection).await {
            Ok(rows) => {
                let lines = rows.iter().map(|row| row.try_get::<String, _>("detail"));
                let lines = lines.collect::<Result<Vec<_>, _>>();
                Ok(Ok(lines.map_err(AdviceError::Scratch)?.join("\n")))
            }
            Err(error) => Ok(Err(refusal(error)?.message().to_owned())),
        }
    }

    async fn run(&mut self, statement: &str) -> Result<Result<Run, Stopped>, AdviceError> {
        let begun = Instant::now();
        let executed = self.executed(statement).await;
        let millis = begun.elapsed().as_secs_f64() * 1000.0;
        let pages = self.units();
        let undone = self.must("ROLLBACK TO trial").await;
        match executed {
            Ok(rows) => {
                undone?;
                Ok(Ok(Run {
                    pages,
                    trigger_pages: 0.0,
                    millis,
                    rows,
                    sorts: 0.0,
                    reads_all: false,
                }))
            }
            Err(error) => {
                let error = refusal(error)?;
                Ok(Err(match error.code().as_deref() {
                    Some(INTERRUPTED) => Stopped::TookTooLong,
                    _ => Stopped::Refused(error.message().to_owned()),
                }))
            }
        }
    }

    async fn prepare(&mut self, statements: &[String]) -> Result<Result<(), String>, AdviceError> {
        self.must("RELEASE trial").await?;
        for statement in statements {
            match self.simple(statement.clone()).await {
                Ok(_) => {}
                Err(error) => {
                    let error = refusal(error)?;
                    self.must("SAVEPOINT trial").await?;
                    return Ok(Err(error.message().to_owned()));
                }
            }
        }
        self.must("SAVEPOINT trial").await?;
        Ok(Ok(()))
    }

    async fn rows(&mut self, query: &str) -> Result<Rows, AdviceError> {
        self.counts.store(0, Ordering::Relaxed);
        let asked = sqlx::query(AssertSqlSafe(query.to_owned())).persistent(false);
        let found = match asked.fetch_all(&mut self.connection).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(refusal(error)?.message().to_owned())),
        };
        // Every value of SQLite can be had as bytes: numbers as their texts.
        let text = |row: &SqliteRow, at: usize| -> Result<Option<String>, sqlx::Error> {
            let bytes: Option<Vec<u8>> = row.try_get_unchecked(at)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let rows = found
            .iter()
            .map(|row| (0..row.len()).map(|at| text(row, at)).collect());
        let rows: Result<Vec<_>, _> = rows.collect();
        rows.map(Ok).map_err(AdviceError::Scratch)
    }

    async fn replace(&mut self, table: &str) -> Result<Option<WritePrice>, AdviceError> {
        let price = known(self.replaced(table).await);
        let _ = self.simple("ROLLBACK TO trial".to_owned()).await;
        price
    }

    async fn set_again(
        &mut self,
        table: &str,
        columns: &[String],
    ) -> Result<Option<Effort>, AdviceError> {
        let effort = known(self.updated(table, columns).await);
        let _ = self.simple("ROLLBACK TO trial".to_owned()).await;
        effort
    }

    async fn give_up_after(&mut self, limit: Duration) -> Result<(), AdviceError> {
        let counts = limit.as_secs_f64() * COUNTS_A_SECOND;
        self.most.store(counts as u64, Ordering::Relaxed);
        Ok(())
    }

    /// An automatic index is sorted anew at each execution, and the comparisons are no
    /// instructions of the machine. The plan may name the table by its alias; then it is the
    /// smallest that the statement reads.
    fn uncounted(&self, plan: &str, tables: &BTreeSet<String>) -> f64 {
        let automatic = plan.lines().filter(|line| line.contains(" AUTOMATIC "));
        automatic
            .map(|line| {
                let named = line
                    .split_whitespace()
                    .nth(1)
                    .and_then(|name| self.rows.get(name));
                let smallest = tables.iter().filter_map(|name| self.rows.get(name)).min();
                let rows = named.or(smallest).copied().unwrap_or(0).max(1) as f64;
                rows * rows.log2() / UNIT
            })
            .sum()
    }

    fn uses(&self, plan: &str, index: &str) -> bool {
        names(plan, index)
    }

    fn reads_all(&self, plan: &str) -> bool {
        reads_all(&plan.lines().collect::<Vec<_>>())
    }

    async fn leave(&mut self) -> Result<(), AdviceError> {
        // A statement that was given up may have ended the transaction already.
        let _ = self.simple("ROLLBACK".to_owned()).await;
        self.must("PRAGMA foreign_keys = ON").await
    }
}

/// Whether a line of the plan reads this index.
fn names(plan: &str, index: &str) -> bool {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(' ');
    plan.lines().any(|line| {
        line.split_once(" INDEX ")
            .and_then(|(_, rest)| rest.strip_prefix(index))
            .is_some_and(ends)
    })
}

/// In quotation marks, whatever the name is.
fn strictly_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::candidate::{Key, Method};

    #[test]
    fn a_plan_uses_the_indexes_that_its_lines_name() {
        for (line, used) in [
            ("SEARCH f USING INDEX feed (is_active=?)", true),
            ("SCAN f USING COVERING INDEX feed", true),
            ("SEARCH f USING INDEX feed (a=?) LEFT-JOIN", true),
            ("USING INDEX feed FOR IN-OPERATOR", true),
            ("SEARCH f USING INDEX feed_of_one (a=?)", false),
            ("SEARCH f USING AUTOMATIC COVERING INDEX (feed=?)", false),
            ("SCAN feed", false),
        ] {
            assert_eq!(names(&format!("SCAN g\n{line}"), "feed"), used, "{line}");
        }
    }

    #[tokio::test]
    async fn a_disk_without_room_for_an_index_is_said_to_be_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audited.db");
        let options = SqliteConnectOptions::new().filename(&path);
        let mut writer = options.create_if_missing(true).connect().await.unwrap();
        let rows = "
            CREATE TABLE items (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL);
            WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 5000)
            INSERT INTO items SELECT n, n % 70 FROM g";
        writer.execute(rows).await.unwrap();
        writer.close().await.unwrap();

        let mut ground = open(&path.to_string_lossy()).await.unwrap();
        // Not one page more than there are: as on a full disk.
        ground.must("PRAGMA max_page_count = 1").await.unwrap();
        let candidate = Candidate {
            table: "items".to_owned(),
            method: Method::Btree,
            keys: vec![Key::column("owner")],
            included: Vec::new(),
            condition: None,
        };
        let built = ground.build(vec![candidate]).await;
        assert!(matches!(built, Err(AdviceError::Full { .. })), "{built:?}");
        ground.remove().await.unwrap();
    }
}
