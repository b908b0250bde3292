//! A database under audit, whichever it is.

use speedwell_sql::Dialect;

use crate::{ExplainError, Plan, Sampled, Schema, postgres::Postgres, sqlite::Sqlite};

/// A database under audit. It is only read, and nothing that is asked of it can change it: a
/// SQLite file is opened read-only, a PostgreSQL server is asked within read-only transactions
/// that are always rolled back, with limits on time and locks.
pub struct Database {
    kind: Kind,
}

enum Kind {
    Sqlite(Box<Sqlite>),
    Postgres(Box<Postgres>),
}

/// Who uses a database besides the one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Connections of others that are open now.
    pub connections: u64,
    /// Transactions of others since the server began to count. Servers count with a delay of up
    /// to a second.
    pub transactions: u64,
}

impl Database {
    /// Opens the database at `url`: `postgres://user@host/name`, `sqlite:path`, `sqlite://path`
    /// or the bare path of a SQLite file. A password that is not in the address of a PostgreSQL
    /// server is taken from `PGPASSWORD` or the password file.
    ///
    /// # Errors
    /// When it is not there, is something else, does not let the user in, or does not answer in
    /// time. No error holds a password.
    pub async fn open(url: &str) -> Result<Self, ExplainError> {
        let kind = match scheme(url) {
            Some("postgres" | "postgresql") => Kind::Postgres(Box::new(Postgres::open(url).await?)),
            _ => Kind::Sqlite(Box::new(Sqlite::open(url).await?)),
        };
        Ok(Self { kind })
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match &self.kind {
            Kind::Sqlite(_) => Dialect::Sqlite,
            Kind::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Name and version: `SQLite 3.51.3`, `PostgreSQL 15.8`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn version(&mut self) -> Result<String, ExplainError> {
        match &mut self.kind {
            Kind::Sqlite(database) => database.version().await,
            Kind::Postgres(database) => database.version().await,
        }
    }

    /// What the database says it will do with `sql`, nothing bound. The statement is never
    /// executed.
    ///
    /// Placeholders may be written `?`, `?1`, `$1`, `:name`, `@name`, `%s` or `%(name)s`. On
    /// PostgreSQL this is the generic plan, which holds for any values; on SQLite `LIKE ?` is
    /// always planned as a scan. [`Database::explain_sampled`] tells more.
    ///
    /// # Errors
    /// When the text is not exactly one statement with a plan, the database refuses it, or
    /// PostgreSQL cannot tell the type of a parameter.
    pub async fn explain(&mut self, sql: &str) -> Result<Plan, ExplainError> {
        match &mut self.kind {
            Kind::Sqlite(database) => database.explain(sql).await,
            Kind::Postgres(database) => database.explain(sql).await,
        }
    }

    /// The plans of `sql` with values from the database in place of its placeholders: frequent
    /// ones, rare ones, and ones that are not there. Empty if no placeholder is compared with a
    /// column or limits the rows, and on SQLite if values cannot change the plan.
    ///
    /// The values stay in memory; [`Sampled::values`] holds them.
    ///
    /// # Errors
    /// As [`Database::explain`]. A value that the statement does not take only loses its plan.
    pub async fn explain_sampled(&mut self, sql: &str) -> Result<Vec<Sampled>, ExplainError> {
        match &mut self.kind {
            Kind::Sqlite(database) => database.explain_sampled(sql).await,
            Kind::Postgres(database) => database.explain_sampled(sql).await,
        }
    }

    /// Tables, columns, indexes and row counts. Rows are counted as long as that takes two
    /// seconds a table at most; of a larger table PostgreSQL's own estimate is taken.
    ///
    /// # Errors
    /// When the database is locked or the connection fails.
    pub async fn schema(&mut self) -> Result<Schema, ExplainError> {
        match &mut self.kind {
            Kind::Sqlite(database) => database.schema().await,
            Kind::Postgres(database) => database.schema().await,
        }
    }

    /// Who else uses the database; `None` where nobody keeps count, as in SQLite.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activity(&mut self) -> Result<Option<Activity>, ExplainError> {
        match &mut self.kind {
            Kind::Sqlite(_) => Ok(None),
            Kind::Postgres(database) => database.activity().await.map(Some),
        }
    }
}

/// What stands before `://`, or before the colon of `sqlite:path`.
pub(crate) fn scheme(url: &str) -> Option<&str> {
    url.split_once(':').map(|(scheme, _)| scheme)
}
