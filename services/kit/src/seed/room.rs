//! Before and after the rows: time for them, room for them, statistics about them.

use super::SeedError;
use crate::database::{Database, Dialect, Target, Transaction, query};

/// Filling takes longer than a request may. And the server checks each reference with a statement
/// of its own, which the plans that requests ask for would plan anew for each row.
const FOR_LONG: [&str; 2] = [
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL plan_cache_mode = auto",
];

/// Lets the statements of a transaction take as long as they take.
///
/// # Errors
/// The database fails.
pub async fn take_time(tx: &mut Transaction) -> Result<(), sqlx::Error> {
    if tx.dialect() == Dialect::Postgres {
        for setting in FOR_LONG {
            query(setting).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

/// The tables that a seed fills.
#[derive(Debug, Clone, Copy)]
pub struct Tables {
    /// The one that has no rows in an empty database.
    pub users: &'static str,
    /// All that are emptied at once, children before parents: a cascade from the users would look
    /// for children of every row. Nothing else refers to them.
    pub emptied: &'static [&'static str],
    /// Those that something refers to which stays. They are emptied row by row, after the others.
    pub deleted: &'static [&'static str],
}

impl Tables {
    /// Empties the tables, if that is wanted.
    ///
    /// # Errors
    /// There are users and it is not, or the database fails.
    pub async fn make_room(self, tx: &mut Transaction, replace: bool) -> Result<(), SeedError> {
        self.refuse_users(&mut *tx, replace).await?;
        if replace {
            self.empty(tx).await?;
        }
        Ok(())
    }

    /// Gives the number of users there are.
    ///
    /// # Errors
    /// There are some and they are not to be replaced, or the database fails.
    pub async fn refuse_users(
        self,
        on: impl Into<Target<'_>>,
        replace: bool,
    ) -> Result<i64, SeedError> {
        let count = format!("SELECT count(*) FROM {} AS u", self.users);
        let users: i64 = query(count).fetch_scalar(on).await?;
        if users > 0 && !replace {
            return Err(SeedError::NotEmpty { users });
        }
        Ok(users)
    }

    /// Throws away all rows. What PostgreSQL deletes stays until it is cleaned up: it would look
    /// through all of that for each parent whose children no index finds.
    ///
    /// # Errors
    /// The database fails.
    pub async fn empty(self, tx: &mut Transaction) -> Result<(), sqlx::Error> {
        let delete = |table: &&str| format!("DELETE FROM {table}");
        let mut statements: Vec<String> = match tx.dialect() {
            Dialect::Sqlite => self.emptied.iter().map(delete).collect(),
            Dialect::Postgres => vec![format!("TRUNCATE {}", self.emptied.join(", "))],
        };
        statements.extend(self.deleted.iter().map(delete));
        for statement in statements {
            // Names of a constant.
            query(statement).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Statistics for the planner, and the log of SQLite folded into the file, so that a service
    /// that starts on it is not the one to do it. On PostgreSQL the visibility map too, without
    /// which an index never answers alone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn finish(self, database: &Database) -> Result<(), sqlx::Error> {
        let statements: Vec<String> = match database.dialect() {
            Dialect::Sqlite => ["ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"]
                .map(str::to_owned)
                .into(),
            Dialect::Postgres => {
                let tables = self.emptied.iter().chain(self.deleted);
                tables
                    .map(|table| format!("VACUUM (ANALYZE) {table}"))
                    .collect()
            }
        };
        database.maintain(statements).await
    }
}
