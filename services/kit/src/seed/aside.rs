//! Indexes that are built once at the end instead of row by row.

use crate::database::{Dialect, Text, Transaction, query};

/// What is put aside while rows are written. Indexes of constraints cannot be.
#[derive(Debug, Clone, Copy)]
pub struct Aside {
    /// Indexes and triggers of SQLite.
    pub sqlite: &'static [&'static str],
    /// Indexes of PostgreSQL.
    pub postgres: &'static [&'static str],
    /// What makes up on SQLite for what the triggers have missed.
    pub catch_up: Option<&'static str>,
}

const FIND: Text = Text {
    sqlite: "
SELECT type, name, sql
FROM sqlite_schema
WHERE type IN ('index', 'trigger')
  AND name IN (SELECT value FROM json_each($1))
ORDER BY name",
    postgres: "
SELECT 'index', indexname::text, indexdef
FROM pg_indexes
WHERE schemaname = current_schema()
  AND indexname = ANY($1)
ORDER BY indexname",
};

impl Aside {
    /// Drops it, as long as the transaction goes on without [`PutAside::put_back`].
    ///
    /// # Errors
    /// The database fails.
    pub async fn put(self, tx: &mut Transaction) -> Result<PutAside, sqlx::Error> {
        let names = match tx.dialect() {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let parts: Vec<(String, String, String)> =
            query(FIND).bind(names).fetch_all(&mut *tx).await?;
        for (kind, name, _) in &parts {
            // One of the names of a constant.
            query(format!("DROP {kind} {name}"))
                .execute(&mut *tx)
                .await?;
        }
        Ok(PutAside {
            parts: parts.into_iter().map(|(_, _, sql)| sql).collect(),
            catch_up: self.catch_up,
        })
    }
}

/// What was put aside.
#[derive(Debug)]
#[must_use = "what is not put back is gone"]
pub struct PutAside {
    parts: Vec<String>,
    catch_up: Option<&'static str>,
}

impl PutAside {
    /// Builds it anew.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put_back(self, tx: &mut Transaction) -> Result<(), sqlx::Error> {
        if let Some(catch_up) = self.catch_up.filter(|_| tx.dialect() == Dialect::Sqlite) {
            query(catch_up).execute(&mut *tx).await?;
        }
        for sql in self.parts {
            // The text comes from the schema as the migration wrote it.
            query(sql).execute(&mut *tx).await?;
        }
        Ok(())
    }
}
