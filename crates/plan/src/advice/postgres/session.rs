//! Trials in a scratch database of PostgreSQL.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, ValueRef as _,
    postgres::PgRow,
};

use super::{copy::copy, imagined, writes::known};
use crate::{
    Schema, ScratchDatabase,
    advice::{
        AdvisedIndex,
        candidate::{Candidate, TRIGRAMS},
        error::{AdviceError, refusal},
        ground::{Built, Effort, Ground, Inquiry, Rows, Run, Stopped, WritePrice},
        sample::{LOOKED_AT, Sample, Samples},
    },
    lint::SMALL_ROWS,
    postgres::{connect, options, reads_all},
};

/// One builder for each core of a small machine.
const BUILDERS: usize = 2;

/// A scratch database, its connection and the audited database's rows in it.
pub(crate) struct PostgresGround {
    pub(super) connection: PgConnection,
    // Dropped behind its connection.
    scratch: ScratchDatabase,
    /// Whether indexes can be hidden by a mark in the catalogue, which is quicker than dropping.
    superuser: bool,
    /// How often the audited database has searched each of its indexes.
    scans: BTreeMap<String, u64>,
    /// Of each table of which the copy has a sample, how many times larger it is.
    sampled: BTreeMap<String, f64>,
    /// Tables that may be read from end to end.
    small: BTreeSet<String>,
    /// Whether what is tried now writes.
    writes: bool,
    /// Rows of each table that were written to since it was tidied up.
    pub(super) untidied: BTreeMap<String, i64>,
    /// See [`Ground::give_up_after`].
    pub(super) limit: Duration,
}

/// Makes the scratch copy of the database at `url` on the server of `server`.
pub(crate) async fn open(
    url: &str,
    server: &str,
    wanted: &BTreeSet<String>,
    most_rows: u64,
) -> Result<PostgresGround, AdviceError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "speedwell_advice_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let scratch = ScratchDatabase::create(&with_place(server), &name).await;
    let scratch = scratch.map_err(AdviceError::NoScratch)?;
    let mut connection = connect(&options(scratch.url())?).await?;
    connection
        .execute(SESSION)
        .await
        .map_err(AdviceError::Scratch)?;
    let (from, to) = (options(url)?, options(scratch.url())?);
    let sampled = copy(&from, &to, wanted, most_rows as f64).await?;
    let scans = scans(url).await?;
    let superuser: bool = sqlx::query_scalar(SUPERUSER)
        .fetch_one(&mut connection)
        .await
        .map_err(AdviceError::Scratch)?;
    Ok(PostgresGround {
        connection,
        scratch,
        superuser,
        scans,
        sampled,
        small: BTreeSet::new(),
        writes: false,
        untidied: BTreeMap::new(),
        limit: Duration::from_secs(60),
    })
}

/// What the audited database has counted of its indexes.
async fn scans(url: &str) -> Result<BTreeMap<String, u64>, AdviceError> {
    let mut connection = connect(&options(url)?).await?;
    let counted = sqlx::query_as::<_, (String, i64)>(SCANS)
        .fetch_all(&mut connection)
        .await
        .map_err(AdviceError::Scratch)?;
    let _ = connection.close().await;
    let scans = counted.into_iter();
    Ok(scans
        .map(|(name, count)| (name, u64::try_from(count).unwrap_or(0)))
        .collect())
}

/// Builds advised indexes in a database that is the caller's own.
pub(crate) async fn build(url: &str, indexes: &[AdvisedIndex]) -> Result<(), AdviceError> {
    let mut connection = connect(&options(url)?).await?;
    if indexes.iter().any(|index| index.ddl.contains(TRIGRAMS)) {
        let made = connection
            .execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            .await;
        made.map_err(AdviceError::Scratch)?;
    }
    let statements = indexes.iter().map(|index| index.ddl.clone());
    for statement in statements.chain(["ANALYZE".to_owned()]) {
        let done = connection.execute(AssertSqlSafe(statement)).await;
        done.map_err(AdviceError::Scratch)?;
    }
    connection.close().await.map_err(AdviceError::Scratch)
}

/// The address of a server with a place for the name of a database of its own.
fn with_place(server: &str) -> String {
    if ScratchDatabase::is_asked_for(server) {
        return server.to_owned();
    }
    let (address, options) = match server.split_once('?') {
        Some((address, options)) => (address, format!("?{options}")),
        None => (server, String::new()),
    };
    let after_scheme = address.find("://").map_or(0, |at| at + 3);
    let end = address[after_scheme..]
        .find('/')
        .map_or(address.len(), |at| after_scheme + at);
    format!("{}/{{scratch}}{options}", &address[..end])
}

impl PostgresGround {
    /// Whether `pg_trgm` can be had here.
    pub(crate) async fn has_trigrams(&mut self) -> bool {
        let made = self
            .connection
            .execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            .await;
        made.is_ok()
    }

    /// Some rows of every table, the same ones each time.
    pub(crate) async fn samples(&mut self, schema: &Schema) -> Result<Samples, AdviceError> {
        let mut samples = Samples::default();
        let tables = schema.tables.values();
        let small = tables.filter(|table| table.rows.is_some_and(|rows| rows < SMALL_ROWS));
        self.small = small.map(|table| table.name.clone()).collect();
        for table in schema.tables.values().filter(|table| !table.virtual_table) {
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect();
            let texts: Vec<String> = columns
                .iter()
                .map(|name| format!("\"{}\"::TEXT", name.replace('"', "\"\"")))
                .collect();
            let rows = table.rows.unwrap_or(0).max(1) as f64;
            let share = (200.0 * f64::from(LOOKED_AT) / rows).min(100.0);
            let question = format!(
                "SELECT ARRAY[{}]
                 FROM \"{}\" TABLESAMPLE BERNOULLI ({share}) REPEATABLE (7)
                 LIMIT {}",
                texts.join(", "),
                table.name.replace('"', "\"\""),
                2 * LOOKED_AT,
            );
            let Ok(rows) = self.connection.fetch_all(AssertSqlSafe(question)).await else {
                continue;
            };
            let rows = rows
                .iter()
                .map(|row| row.try_get::<Vec<Option<String>>, _>(0));
            let rows = rows
                .collect::<Result<Vec<_>, _>>()
                .map_err(AdviceError::Scratch)?;
            samples
                .0
                .insert(table.name.clone(), Sample { columns, rows });
        }
        Ok(samples)
    }

    /// Drops the scratch database and says if that fails.
    pub(crate) async fn remove(self) -> Result<(), AdviceError> {
        let _ = self.connection.close().await;
        let name = self.scratch.name().to_owned();
        let removed = self.scratch.remove().await;
        removed.map_err(|reason| AdviceError::NotDropped { name, reason })
    }

    /// Bytes that something of this size in the copy would take in the audited database.
    pub(super) fn in_full(&self, table: &str, bytes: u64) -> u64 {
        let times = self.sampled.get(table).copied().unwrap_or(1.0);
        (bytes as f64 * times) as u64
    }

    async fn size(&mut self, name: &str) -> Result<u64, AdviceError> {
        let bytes: i64 = sqlx::query_scalar("SELECT pg_relation_size(quote_ident($1)::REGCLASS)")
            .bind(name.to_owned())
            .fetch_one(&mut self.connection)
            .await
            .map_err(AdviceError::Scratch)?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Blocks that this transaction has looked at, in tables and indexes of the user.
    pub(super) async fn blocks(&mut self) -> Result<f64, AdviceError> {
        let blocks: Option<i64> = sqlx::query_scalar(BLOCKS)
            .fetch_one(&mut self.connection)
            .await
            .map_err(AdviceError::Scratch)?;
        Ok(blocks.unwrap_or(0) as f64)
    }

    pub(super) async fn simple(&mut self, statement: &'static str) -> Result<(), AdviceError> {
        let executed = self.connection.execute(statement).await;
        executed.map(drop).map_err(AdviceError::Scratch)
    }

    /// An EXPLAIN: the plan, or the server's reason.
    pub(super) async fn explain(
        &mut self,
        question: String,
    ) -> Result<Result<Value, Stopped>, AdviceError> {
        // The simple protocol asks once where the other asks twice. It would take several
        // statements, but what comes here was read as one.
        let asking = sqlx::raw_sql(AssertSqlSafe(question));
        let answered = asking.fetch_one(&mut self.connection).await;
        let answer = match answered {
            Ok(row) => Ok(row.try_get::<Value, _>(0).map_err(AdviceError::Scratch)?),
            Err(error) => {
                let error = refusal(error)?;
                self.simple(BACK).await?;
                Err(match error.code().as_deref() {
                    Some(CANCELED) => Stopped::TookTooLong,
                    _ => Stopped::Refused(reason(&*error)),
                })
            }
        };
        Ok(answer)
    }
}

impl Ground for PostgresGround {
    async fn promising(
        &mut self,
        candidates: Vec<(Candidate, Vec<&str>)>,
    ) -> Result<Vec<Candidate>, AdviceError> {
        imagined::promising(self, candidates).await
    }

    async fn sizes(
        &mut self,
        candidates: &[Candidate],
    ) -> Result<Option<Vec<Option<u64>>>, AdviceError> {
        imagined::sizes(self, candidates).await
    }

    async fn estimates(&mut self, asked: &Inquiry<'_>) -> Result<Vec<Option<f64>>, AdviceError> {
        imagined::estimates(self, asked).await
    }

    async fn build(&mut self, candidates: Vec<Candidate>) -> Result<Vec<Built>, AdviceError> {
        let statements: Vec<String> = candidates
            .iter()
            .map(|candidate| candidate.ddl(speedwell_sql::Dialect::Postgres))
            .collect();
        // The longest first, so that the builders end together.
        let mut queue: Vec<String> = statements;
        queue.sort_by_key(|statement| statement.contains(" USING gin "));
        let queue = std::sync::Arc::new(std::sync::Mutex::new(queue));
        let mut builders = Vec::new();
        for _ in 0..BUILDERS {
            let mut connection = connect(&options(self.scratch.url())?).await?;
            let queue = std::sync::Arc::clone(&queue);
            builders.push(async move {
                let begun = connection.execute(SESSION).await;
                begun.map_err(AdviceError::Scratch)?;
                loop {
                    let next = queue
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .pop();
                    let Some(statement) = next else { break };
                    if let Err(error) = connection.execute(AssertSqlSafe(statement)).await {
                        refusal(error)?;
                    }
                }
                connection.close().await.map_err(AdviceError::Scratch)
            });
        }
        let done = futures_util::future::join_all(builders).await;
        done.into_iter().collect::<Result<Vec<()>, _>>()?;
        // Estimates for expressions exist only once they were looked at.
        let expressions: BTreeSet<&str> = candidates
            .iter()
            .filter(|candidate| candidate.keys.iter().any(|key| key.expression))
            .map(|candidate| candidate.table.as_str())
            .collect();
        for table in expressions {
            let statement = format!("ANALYZE \"{}\"", table.replace('"', "\"\""));
            let done = self.connection.execute(AssertSqlSafe(statement)).await;
            done.map_err(AdviceError::Scratch)?;
        }
        let mut tables: BTreeMap<String, u64> = BTreeMap::new();
        let mut built = Vec::new();
        for candidate in candidates {
            let Ok(bytes) = self.size(&candidate.name()).await else {
                continue;
            };
            let table_bytes = match tables.get(&candidate.table) {
                Some(bytes) => *bytes,
                None => self.size(&candidate.table).await?,
            };
            tables.insert(candidate.table.clone(), table_bytes);
            built.push(Built {
                bytes: self.in_full(&candidate.table, bytes),
                table_bytes: self.in_full(&candidate.table, table_bytes),
                candidate,
            });
        }
        Ok(built)
    }

    async fn enter(&mut self, hidden: &[String], writes: bool) -> Result<(), AdviceError> {
        self.writes = writes;
        self.simple("BEGIN").await?;
        // An index that is only hidden is still kept up.
        if writes || !self.superuser || hidden.is_empty() {
            return self.drop_indexes(hidden).await;
        }
        let hiding = sqlx::query(HIDE).bind(hidden.to_vec());
        let done = self.connection.execute(hiding).await;
        done.map_err(AdviceError::Scratch)?;
        self.simple(BEGUN).await
    }

    async fn enter_for_writing(&mut self, hidden: &[String]) -> Result<(), AdviceError> {
        self.simple("BEGIN").await?;
        self.drop_indexes(hidden).await
    }

    async fn plan(&mut self, statement: &str) -> Result<Result<String, String>, AdviceError> {
        let question = format!("EXPLAIN (COSTS OFF, FORMAT JSON) {statement}");
        let plan = self.explain(question).await?;
        Ok(plan
            .map(|plan| plan.to_string())
            .map_err(|stopped| match stopped {
                Stopped::Refused(reason) => reason,
                Stopped::TookTooLong => "planning it takes too long".to_owned(),
            }))
    }

    async fn run(&mut self, statement: &str) -> Result<Result<Run, Stopped>, AdviceError> {
        let reads = statement
            .get(..6)
            .is_some_and(|word| word.eq_ignore_ascii_case("SELECT"));
        let before = match reads {
            true => 0.0,
            false => self.blocks().await?,
        };
        let question = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}");
        let answer = match self.explain(question).await? {
            Ok(answer) => answer,
            Err(stopped) => return Ok(Err(stopped)),
        };
        let top = &answer[0];
        let triggers = top["Triggers"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        let all = match reads {
            true => 0.0,
            false => self.blocks().await? - before,
        };
        if !reads {
            self.simple(BACK).await?;
        }
        let number = |value: &Value| value.as_f64().unwrap_or(0.0);
        let plan = &top["Plan"];
        let pages = number(&plan["Shared Hit Blocks"]) + number(&plan["Shared Read Blocks"]);
        Ok(Ok(Run {
            pages,
            trigger_pages: match triggers {
                true => (all - pages).max(0.0),
                false => 0.0,
            },
            millis: number(&top["Execution Time"]),
            rows: number(&plan["Actual Rows"]),
            sorts: 0.0,
            reads_all: false,
        }))
    }

    async fn prepare(&mut self, statements: &[String]) -> Result<Result<(), String>, AdviceError> {
        for statement in statements {
            let statement = AssertSqlSafe(statement.clone());
            match self.connection.execute(statement).await {
                Ok(_) => {}
                Err(error) => {
                    let reason = reason(&*refusal(error)?);
                    self.simple(BACK).await?;
                    return Ok(Err(reason));
                }
            }
        }
        self.simple("SAVEPOINT trial").await?;
        Ok(Ok(()))
    }

    async fn rows(&mut self, query: &str) -> Result<Rows, AdviceError> {
        // The simple protocol answers in texts.
        let asking = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        let found = match asking.fetch_all(&mut self.connection).await {
            Ok(found) => found,
            Err(error) => {
                let reason = reason(&*refusal(error)?);
                self.simple(BACK).await?;
                return Ok(Err(reason));
            }
        };
        let text = |row: &PgRow, at: usize| -> Result<Option<String>, sqlx::Error> {
            let value = row.try_get_raw(at)?;
            match value.is_null() {
                true => Ok(None),
                false => {
                    let text = value.as_str().map_err(sqlx::Error::Decode)?;
                    Ok(Some(text.to_owned()))
                }
            }
        };
        let rows = found
            .iter()
            .map(|row| (0..row.len()).map(|at| text(row, at)).collect());
        let rows: Result<Vec<_>, _> = rows.collect();
        rows.map(Ok).map_err(AdviceError::Scratch)
    }

    async fn replace(&mut self, table: &str) -> Result<Option<WritePrice>, AdviceError> {
        let price = known(self.replaced(table).await)?;
        self.simple(BACK).await?;
        Ok(price)
    }

    async fn set_again(
        &mut self,
        table: &str,
        columns: &[String],
    ) -> Result<Option<Effort>, AdviceError> {
        let effort = known(self.updated(table, columns).await)?;
        self.simple(BACK).await?;
        Ok(effort)
    }

    async fn give_up_after(&mut self, limit: Duration) -> Result<(), AdviceError> {
        self.limit = limit;
        let statement = format!("SET statement_timeout = {}", limit.as_millis());
        let done = self.connection.execute(AssertSqlSafe(statement)).await;
        done.map(drop).map_err(AdviceError::Scratch)
    }

    fn sorts(&self, plan: &str) -> usize {
        plan.matches("\"Node Type\":\"Sort\"").count()
    }

    fn uses(&self, plan: &str, index: &str) -> bool {
        names(plan, index)
    }

    fn reads_all(&self, plan: &str) -> bool {
        serde_json::from_str(plan).is_ok_and(|plan| reads_all(&plan, &self.small))
    }

    fn scans(&self, index: &str) -> Option<u64> {
        self.scans.get(index).copied()
    }

    async fn leave(&mut self) -> Result<(), AdviceError> {
        let untidy = match std::mem::take(&mut self.writes) {
            true => self.untidy().await?,
            false => Vec::new(),
        };
        self.simple("ROLLBACK").await?;
        self.tidied(untidy).await
    }
}

impl PostgresGround {
    async fn drop_indexes(&mut self, hidden: &[String]) -> Result<(), AdviceError> {
        if hidden.is_empty() {
            return self.simple(BEGUN).await;
        }
        let names: Vec<String> = hidden
            .iter()
            .map(|name| crate::advice::candidate::quoted(name))
            .collect();
        let dropping = format!("DROP INDEX {}", names.join(", "));
        let done = self.connection.execute(AssertSqlSafe(dropping)).await;
        done.map_err(AdviceError::Scratch)?;
        self.simple(BEGUN).await
    }
}

/// `query_canceled`, of `statement_timeout`.
const CANCELED: &str = "57014";

/// Whether a node of the plan reads this index.
fn names(plan: &str, index: &str) -> bool {
    let name = Value::from(index).to_string();
    plan.contains(&format!("\"Index Name\":{name}"))
}

/// The server's words, unless they may hold a value.
fn reason(error: &dyn sqlx::error::DatabaseError) -> String {
    match error.code() {
        Some(code) if code.starts_with("22") => {
            format!("a value from the database does not suit the statement (SQLSTATE {code})")
        }
        _ => error.message().to_owned(),
    }
}

/// The scratch copy is thrown away, so nothing waits for its disk. Parallel workers would make
/// the pages of one plan depend on what else the machine does, and scans that join others would
/// begin anywhere.
const SESSION: &str = "
    SET synchronous_commit = off;
    SET maintenance_work_mem = '128MB';
    SET max_parallel_workers_per_gather = 0;
    SET synchronize_seqscans = off;
    SET jit = off;
    SET statement_timeout = '60s';
    SET lock_timeout = '10s'";

const SUPERUSER: &str = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";

/// Foreign keys keep the plans of their triggers, and do not notice that an index is hidden.
const BEGUN: &str = "
    DISCARD PLANS;
    SAVEPOINT trial";

/// Takes back what a statement did; the savepoint stays.
pub(super) const BACK: &str = "ROLLBACK TO trial";

const HIDE: &str = "
    UPDATE pg_index
    SET indisvalid = FALSE
    WHERE indexrelid IN (SELECT c.oid
                         FROM pg_class AS c
                         WHERE c.relkind = 'i'
                           AND c.relname = ANY($1))";

const SCANS: &str = "
    SELECT indexrelname::TEXT, idx_scan
    FROM pg_stat_user_indexes";

/// 16384 is where the numbers of what users make begin.
const BLOCKS: &str = "
    SELECT SUM(pg_stat_get_xact_blocks_fetched(oid))::BIGINT
    FROM pg_class
    WHERE relkind IN ('r', 'i', 't', 'm')
      AND oid >= 16384";

#[cfg(test)]
mod tests {
    use super::{names, with_place};

    #[test]
    fn a_plan_uses_the_indexes_that_its_nodes_name() {
        let plan = serde_json::json!([{"Plan": {"Index Name": "feed_of_one", "Alias": "feed"}}]);
        assert!(names(&plan.to_string(), "feed_of_one"));
        assert!(!names(&plan.to_string(), "feed"));
    }

    #[test]
    fn the_name_in_an_address_gives_way_to_the_scratch_database() {
        for (from, to) in [
            (
                "postgres://u@h:1/a?sslmode=disable",
                "postgres://u@h:1/{scratch}?sslmode=disable",
            ),
            ("postgres://u@h", "postgres://u@h/{scratch}"),
            ("postgres://u@h/{scratch}", "postgres://u@h/{scratch}"),
        ] {
            assert_eq!(with_place(from), to);
        }
    }
}
