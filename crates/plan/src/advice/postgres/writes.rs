//! Writes in the scratch database: what they cost, and the tables tidied up after them.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Executor as _};

use super::session::PostgresGround;
use crate::advice::{
    error::{AdviceError, refusal},
    ground::{Effort, Ground as _, WritePrice},
};

/// A table is tidied up once so many of its rows were written to. Each time all its indexes are read.
const UNTIDY_ROWS: f64 = 50.0;
/// And this share of them.
const UNTIDY_SHARE: f64 = 0.001;

/// Rows that are written to measure the price of writing.
const WRITTEN_ROWS: u64 = 250;

impl PostgresGround {
    /// The tables to tidy up after this transaction, quoted: those to which much was written since they
    /// were tidied up last, whatever was taken back of it.
    pub(super) async fn untidy(&mut self) -> Result<Vec<String>, AdviceError> {
        let written = sqlx::query_as::<_, (String, i64, f64)>(WRITTEN)
            .fetch_all(&mut self.connection)
            .await
            .map_err(AdviceError::Scratch)?;
        let mut untidy = Vec::new();
        for (table, count, rows) in written {
            let so_far = self.untidied.remove(&table).unwrap_or(0) + count;
            match so_far as f64 >= UNTIDY_ROWS.max(rows * UNTIDY_SHARE) {
                true => untidy.push(table),
                false => drop(self.untidied.insert(table, so_far)),
            }
        }
        Ok(untidy)
    }

    /// Tidies tables up after writes that were taken back: these leave dead rows, for which a table is
    /// larger and dearer to read, and pages of which it is no longer known that all see all their
    /// rows, so that an index alone no longer tells.
    pub(super) async fn tidied(&mut self, tables: Vec<String>) -> Result<(), AdviceError> {
        if tables.is_empty() {
            return Ok(());
        }
        self.simple("SET statement_timeout = 0").await?;
        for table in tables {
            let statement = format!("VACUUM (INDEX_CLEANUP ON) {table}");
            let done = self.connection.execute(AssertSqlSafe(statement)).await;
            done.map_err(AdviceError::Scratch)?;
        }
        self.give_up_after(self.limit).await
    }

    /// Sets columns of the first rows to what they are: a new version of each row, which every
    /// index of the table must know of.
    pub(super) async fn updated(
        &mut self,
        table: &str,
        columns: &[String],
    ) -> Result<Effort, AdviceError> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let own: Vec<String> = columns
            .iter()
            .map(|name| format!("{0} = {0}", quoted(name)))
            .collect();
        let table = quoted(table);
        let (_, effort) = self
            .effort(format!(
                "UPDATE {table} SET {}
                 WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} LIMIT {WRITTEN_ROWS}))",
                own.join(", ")
            ))
            .await?;
        Ok(effort)
    }

    /// Takes the first rows of the table out, with nothing referring to them, and writes them
    /// again.
    pub(super) async fn replaced(&mut self, table: &str) -> Result<WritePrice, AdviceError> {
        let quoted = format!("\"{}\"", table.replace('"', "\"\""));
        let referring = sqlx::query_scalar::<_, String>(REFERRING)
            .bind(table.to_owned())
            .fetch_all(&mut self.connection)
            .await
            .map_err(AdviceError::Scratch)?;
        let mut statements = referring;
        statements.push(format!(
            "CREATE TEMPORARY TABLE speedwell_moved ON COMMIT DROP AS
             SELECT * FROM {quoted} LIMIT {WRITTEN_ROWS}"
        ));
        for statement in statements {
            let done = self.connection.execute(AssertSqlSafe(statement)).await;
            done.map_err(AdviceError::Scratch)?;
        }
        let (_, delete) = self
            .effort(format!(
                "DELETE FROM {quoted}
                 WHERE ctid = ANY (ARRAY(SELECT ctid FROM {quoted} LIMIT {WRITTEN_ROWS}))"
            ))
            .await?;
        let (rows, insert) = self
            .effort(format!(
                "INSERT INTO {quoted} OVERRIDING SYSTEM VALUE SELECT * FROM speedwell_moved"
            ))
            .await?;
        Ok(WritePrice {
            rows,
            insert,
            delete,
            update: None,
        })
    }

    /// Executes a statement that writes: the rows it wrote, and what that took.
    async fn effort(&mut self, statement: String) -> Result<(u64, Effort), AdviceError> {
        let before = self.blocks().await?;
        let begun = Instant::now();
        let done = self.connection.execute(AssertSqlSafe(statement)).await;
        let rows = done.map_err(AdviceError::Scratch)?.rows_affected();
        let millis = begun.elapsed().as_secs_f64() * 1000.0;
        let pages = self.blocks().await? - before;
        Ok((rows, Effort { pages, millis }))
    }
}

/// What the server refuses has no known price.
pub(super) fn known<T>(price: Result<T, AdviceError>) -> Result<Option<T>, AdviceError> {
    match price {
        Ok(price) => Ok(Some(price)),
        Err(AdviceError::Scratch(error)) => refusal(error).map(|_| None),
        Err(error) => Err(error),
    }
}

const REFERRING: &str = "
    SELECT format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname)
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_class AS to_ ON to_.oid = k.confrelid
    WHERE k.contype = 'f'
      AND to_.relname = $1
    ORDER BY c.relname, k.conname";

/// Tables with the rows written to in this transaction, and all they have.
const WRITTEN: &str = "
    SELECT format('%I.%I', s.schemaname, s.relname),
           s.n_tup_ins + s.n_tup_upd + s.n_tup_del,
           GREATEST(c.reltuples, 0)::FLOAT8
    FROM pg_stat_xact_user_tables AS s
    JOIN pg_class AS c ON c.oid = s.relid
    WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
    ORDER BY s.schemaname, s.relname";
