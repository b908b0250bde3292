//! Rows and files that change together, to the end, whoever goes away meanwhile.
//!
//! The order is that of [`crate::storage`]: files are written before the transaction and
//! kept after it, or they leave for the trash before its commit and are deleted after it.

use std::future::Future;

use bytes::Bytes;
use tracing::Instrument as _;

use crate::{
    database::{Database, Transaction},
    problem::Problem,
    storage::{Discarded, Storage, Written},
};

/// Runs `work` as a task of its own: a client that hangs up and a request that times out end
/// the wait for it, not the work. What it logs and asks still belongs to the request.
///
/// # Errors
/// Those of the work; a panic in it is answered like one in a handler.
pub async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(%error, "a change did not reach its end");
            Err(Problem::internal())
        }
    }
}

/// A transaction with the files that its rows will name, or name no more.
///
/// Dropped without a word, nothing happens to the rows, and the next recovery sees to the files.
#[derive(Debug)]
#[must_use = "call `commit` or `undo`"]
pub struct Change {
    transaction: Transaction,
    written: Option<Written>,
    discarded: Option<Discarded>,
}

impl Change {
    /// Writes the new files, then begins the transaction.
    ///
    /// # Errors
    /// The store or the database fails. Nothing is left behind.
    pub async fn begin(
        database: &Database,
        storage: &Storage,
        files: Vec<(String, Bytes)>,
    ) -> Result<Self, Problem> {
        let written = match files.is_empty() {
            true => None,
            false => Some(storage.write(files).await?),
        };
        match database.begin().await {
            Ok(transaction) => Ok(Self {
                transaction,
                written,
                discarded: None,
            }),
            Err(error) => {
                undo(written, None).await;
                Err(error.into())
            }
        }
    }

    /// Where the statements of the change run.
    pub fn rows(&mut self) -> &mut Transaction {
        &mut self.transaction
    }

    /// Moves files out of sight that no row will name after the commit. Once, for all of them.
    ///
    /// # Errors
    /// The store fails; every file is in its place then.
    pub async fn discard(&mut self, storage: &Storage, files: Vec<String>) -> Result<(), Problem> {
        if !files.is_empty() {
            self.discarded = Some(storage.discard(files).await?);
        }
        Ok(())
    }

    /// Makes it happen: rows first, then files.
    ///
    /// # Errors
    /// The database fails. Nothing has happened then, unless the connection was lost on the
    /// way: then nobody knows, and recovery goes by the rows.
    pub async fn commit(self) -> Result<(), Problem> {
        let Self {
            transaction,
            written,
            discarded,
        } = self;
        match transaction.commit().await {
            Ok(()) => {
                if let Some(written) = written {
                    written.keep().await;
                }
                if let Some(discarded) = discarded {
                    discarded.delete().await;
                }
                Ok(())
            }
            Err(error) => {
                if was_refused(&error) {
                    undo(written, discarded).await;
                }
                Err(error.into())
            }
        }
    }

    /// Makes nothing happen.
    pub async fn undo(self) {
        // What fails to roll back has not happened either.
        if let Err(error) = self.transaction.rollback().await {
            tracing::debug!(%error, "a transaction ended with its connection");
        }
        undo(self.written, self.discarded).await;
    }
}

async fn undo(written: Option<Written>, discarded: Option<Discarded>) {
    if let Some(written) = written {
        written.undo().await;
    }
    if let Some(discarded) = discarded
        && let Err(error) = discarded.restore().await
    {
        tracing::error!(%error, "files wait in the trash for the next recovery");
    }
}

/// Whether the database itself said no to the commit. A connection that was lost (08), a server
/// that was stopped or that cut the statement off (57) leave open what became of it.
fn was_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        let open = |code: &str| code.starts_with("08") || code.starts_with("57");
        !error.code().is_some_and(|code| open(&code))
    })
}
