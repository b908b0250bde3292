//! Statements that happen together or not at all.

use sqlx::{Postgres, Sqlite};

use super::{
    Dialect,
    postgres::Health,
    target::{Place, Target},
};

/// A transaction that writes. Dropped without [`Transaction::commit`], nothing happened.
#[derive(Debug)]
pub struct Transaction(Inner);

#[derive(Debug)]
enum Inner {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>, Health),
}

impl From<sqlx::Transaction<'static, Sqlite>> for Transaction {
    fn from(transaction: sqlx::Transaction<'static, Sqlite>) -> Self {
        Self(Inner::Sqlite(transaction))
    }
}

impl Transaction {
    pub(super) fn postgres(
        transaction: sqlx::Transaction<'static, Postgres>,
        health: Health,
    ) -> Self {
        Self(Inner::Postgres(transaction, health))
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(..) => Dialect::Postgres,
        }
    }

    /// Where its statements run.
    pub(super) fn target(&mut self) -> Target<'_> {
        Target(match &mut self.0 {
            Inner::Sqlite(transaction) => Place::Sqlite(transaction),
            Inner::Postgres(transaction, health) => Place::Postgres(transaction, health),
        })
    }

    /// Makes everything happen.
    ///
    /// # Errors
    /// The database fails. On PostgreSQL it is then not known whether it happened.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self.0 {
            Inner::Sqlite(transaction) => transaction.commit().await,
            Inner::Postgres(transaction, health) => health.note(transaction.commit().await),
        }
    }

    /// Makes nothing happen, and waits until that is so.
    ///
    /// # Errors
    /// The database fails; nothing has happened then either.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        match self.0 {
            Inner::Sqlite(transaction) => transaction.rollback().await,
            Inner::Postgres(transaction, health) => health.note(transaction.rollback().await),
        }
    }
}
