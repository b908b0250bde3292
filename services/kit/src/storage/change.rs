//! Files that wait for a transaction to commit or to fail.

use std::sync::Arc;

use object_store::path::Path;

use super::{
    Inner,
    error::StorageError,
    place::Operation,
    store::{each, first_error},
};

/// The files of one operation, from its first entry in the trash to its last.
#[derive(Debug)]
pub(super) struct Change {
    storage: Arc<Inner>,
    operation: Operation,
    paths: Vec<Path>,
    ended: bool,
}

impl Change {
    pub(super) fn begin(storage: &Arc<Inner>, operation: Operation, paths: Vec<Path>) -> Self {
        storage.operations.begin(&operation);
        Self {
            storage: Arc::clone(storage),
            operation,
            paths,
            ended: false,
        }
    }

    pub(super) fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Where the entry for a path is.
    pub(super) fn entry(&self, path: &Path) -> Path {
        self.operation.entry(path)
    }

    /// Deletes the entries in the trash.
    pub(super) async fn drop_entries(&self) -> Result<(), StorageError> {
        first_error(each(&self.paths, |path| self.storage.delete(self.entry(path))).await)
    }

    /// Moves every file back that is in the trash.
    pub(super) async fn unmove(&self) -> Result<(), StorageError> {
        let back = |path: &Path| {
            let entry = self.entry(path);
            self.storage.rename(entry, path.clone(), "move back")
        };
        first_error(each(&self.paths, back).await)?;
        if let Some(folder) = &self.storage.folder {
            let emptied = self.paths.iter().map(|path| self.entry(path));
            emptied.for_each(|entry| folder.prune(&entry));
        }
        Ok(())
    }

    /// Deletes the files that were written, then their markers.
    async fn unwrite(&self) -> Result<(), StorageError> {
        first_error(each(&self.paths, |path| self.storage.delete(path.clone())).await)?;
        self.drop_entries().await
    }

    /// Deletes what was written of a write that failed, and keeps in `self` only what is left
    /// for recovery: where a failed request may have written a file after all, or where a file
    /// stood already, only the database can say whether it is in use.
    pub(super) async fn unwrite_part(&mut self, written: &[Result<(), StorageError>]) {
        let local = self.storage.folder.is_some();
        let mut unclear = Vec::new();
        for (path, result) in self.paths.iter().zip(written) {
            let undone = match result {
                Ok(()) => self.storage.delete(path.clone()).await,
                // In a folder nothing is tried twice, so that this was not our own first try.
                Err(StorageError::Exists { .. }) if local => Ok(()),
                Err(_) => {
                    unclear.push(path.clone());
                    continue;
                }
            };
            let forgotten = match undone {
                Ok(()) => self.storage.delete(self.entry(path)).await,
                Err(error) => Err(error),
            };
            if forgotten.is_err() {
                unclear.push(path.clone());
            }
        }
        self.paths = unclear;
        if self.paths.is_empty() {
            self.end();
        }
    }

    /// Ends the operation, or leaves what could not be done to the next recovery. Rows and
    /// files agree already, so that a failure is no concern of the caller.
    pub(super) fn finish(mut self, result: Result<(), StorageError>) {
        match result {
            Ok(()) => self.end(),
            Err(error) => tracing::warn!(%error, "the trash could not be emptied"),
        }
    }

    /// Removes the folders that the operation has emptied.
    fn prune(&self) {
        if let Some(folder) = &self.storage.folder {
            self.paths.iter().for_each(|path| folder.prune(path));
        }
    }

    fn end(&mut self) {
        self.storage.operations.end(&self.operation);
        self.ended = true;
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.ended {
            tracing::warn!(
                operation = ?self.operation,
                files = self.paths.len(),
                "a change of files was left unfinished; the next recovery ends it"
            );
            self.storage.operations.abandon(&self.operation);
        }
    }
}

/// Files that are written, but that no committed row names yet.
///
/// Dropped without a word, when a request is cancelled or when nobody knows whether the commit
/// reached the database, it leaves the decision to [`Storage::recover`](super::Storage::recover).
#[derive(Debug)]
#[must_use = "call `keep` after the commit or `undo` when the transaction failed"]
pub struct Written(pub(super) Change);

impl Written {
    /// The rows are committed: the files stay.
    pub async fn keep(self) {
        let done = self.0.drop_entries().await;
        self.0.finish(done);
    }

    /// The transaction has failed: the files go. When it is not known whether it failed, drop
    /// this instead.
    pub async fn undo(self) {
        let done = self.0.unwrite().await;
        self.0.finish(done);
    }
}

/// Files that are out of sight, but not deleted yet.
///
/// Dropped without a word it leaves the decision to
/// [`Storage::recover`](super::Storage::recover), as [`Written`] does.
#[derive(Debug)]
#[must_use = "call `delete` after the commit or `restore` when the transaction failed"]
pub struct Discarded(pub(super) Change);

impl Discarded {
    /// The rows are gone: the files go for good.
    pub async fn delete(self) {
        let done = self.0.drop_entries().await;
        self.0.prune();
        self.0.finish(done);
    }

    /// The transaction has failed: the files come back. When it is not known whether it failed,
    /// drop this instead.
    ///
    /// # Errors
    ///
    /// A file could not be moved back; the next recovery does it.
    pub async fn restore(mut self) -> Result<(), StorageError> {
        self.0.unmove().await?;
        self.0.end();
        Ok(())
    }
}
