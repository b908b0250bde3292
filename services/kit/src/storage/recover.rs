//! What a start finds in the trash, and ends.

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    time::Duration,
};

use futures_util::TryStreamExt as _;
use object_store::path::Path;

use super::{
    Inner, Storage,
    error::StorageError,
    folder::Folder,
    place::{Entry, Kind, TRASH},
};

/// How old an entry of another process must be before it is touched. Nothing else says whether
/// its operation is still under way; a request ends within 30 s unless it is configured
/// otherwise, and the clocks of two machines may differ by minutes.
pub(super) const SURELY_ENDED: Duration = Duration::from_secs(15 * 60);

/// Paths that the database is asked about at once: a list of some 30 KB.
const BATCH: usize = 500;

/// What [`Storage::recover`] found and did, in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Moved back, because a row names them.
    pub restored: usize,
    /// Deleted, because no row names them.
    pub deleted: usize,
    /// In their place and named by a row; only their entry was left behind.
    pub kept: usize,
    /// Named by a row, but neither in their place nor in the trash. Nothing here loses a file:
    /// somebody else has deleted it.
    pub lost: usize,
    /// Not touched, because the operation may be under way in another process.
    pub waiting: usize,
}

impl Storage {
    /// Ends what an earlier process began and did not end. Run it at the start, before the first
    /// request; running it again later does no harm.
    ///
    /// `referenced` gets paths and gives those that a row names; it must read what is committed.
    ///
    /// In a local folder that no other process has open, every entry is dealt with at the start:
    /// whoever wrote it is dead. Otherwise, and always in a bucket, where nobody can tell who
    /// else is at work, entries younger than 15 minutes are left alone. Operations of this
    /// process are left alone as long as somebody holds them.
    ///
    /// # Errors
    ///
    /// The store or `referenced` failed. Nothing is lost; run it again.
    pub async fn recover<F, R, E>(&self, referenced: F) -> Result<Recovered, StorageError>
    where
        F: Fn(Vec<String>) -> R,
        R: Future<Output = Result<HashSet<String>, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let alone = Alone::try_from(&self.0)?;
        let (due, waiting) = self.0.entries(alone.is_some()).await?;
        let mut recovered = Recovered {
            waiting,
            ..Recovered::default()
        };
        let paths: Vec<&Path> = due.keys().collect();
        for batch in paths.chunks(BATCH) {
            let asked = batch.iter().map(ToString::to_string).collect();
            let named = referenced(asked)
                .await
                .map_err(|error| StorageError::Referenced(error.into()))?;
            for path in batch {
                let named = named.contains(path.as_ref());
                self.0
                    .settle(path, &due[*path], named, &mut recovered)
                    .await?;
            }
        }
        if let Some(alone) = alone {
            alone.folder.sweep();
        }
        tracing::info!(?recovered, "the trash of the file store is settled");
        Ok(recovered)
    }
}

/// This process is the only one at work in the folder, until this is dropped.
struct Alone<'a> {
    folder: &'a Folder,
}

impl<'a> Alone<'a> {
    /// Only before the first operation of this process: the change of the lock leaves a moment
    /// without any, in which another process could think it is alone.
    fn try_from(storage: &'a Inner) -> Result<Option<Self>, StorageError> {
        let folder = storage.folder.as_ref();
        let Some(folder) = folder.filter(|_| storage.operations.is_empty()) else {
            return Ok(None);
        };
        match folder.lock_alone() {
            Ok(alone) => Ok(alone.then_some(Self { folder })),
            Err(source) => Err(StorageError::Folder {
                folder: folder.root().to_owned(),
                source,
            }),
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.folder.share() {
            tracing::warn!(%error, "the lock of the file folder could not be taken again");
        }
    }
}

impl Inner {
    /// The entries that may be dealt with, by the path they are for, and the number of paths
    /// that have to wait.
    async fn entries(
        &self,
        alone: bool,
    ) -> Result<(BTreeMap<Path, Vec<Entry>>, usize), StorageError> {
        let trash = Path::from(TRASH);
        let mut listed = self.store.list(Some(&trash));
        let mut due: BTreeMap<Path, Vec<Entry>> = BTreeMap::new();
        let mut waiting = HashSet::new();
        let failed = |source| StorageError::store("list", &trash, source);
        while let Some(found) = listed.try_next().await.map_err(failed)? {
            let Some(entry) = Entry::parse(&found.location) else {
                tracing::warn!(path = %found.location, "a file in the trash is not ours");
                continue;
            };
            let ended = match self.operations.held(&entry.operation) {
                Some(true) => false,
                Some(false) => entry.is_older_than(self.surely_ended),
                None => alone || entry.is_older_than(self.surely_ended),
            };
            if !ended {
                waiting.insert(entry.path.clone());
            }
            due.entry(entry.path.clone()).or_default().push(entry);
        }
        // An operation under way decides about its path, whatever an earlier one left behind.
        due.retain(|path, _| !waiting.contains(path));
        Ok((due, waiting.len()))
    }

    /// Makes the file agree with the rows, and then forgets the entries.
    async fn settle(
        &self,
        path: &Path,
        entries: &[Entry],
        named: bool,
        recovered: &mut Recovered,
    ) -> Result<(), StorageError> {
        match named {
            true if self.exists(path).await? => recovered.kept += 1,
            true => match entries.iter().rfind(|entry| entry.kind == Kind::Old) {
                Some(entry) => {
                    self.rename(entry.location(), path.clone(), "move back")
                        .await?;
                    recovered.restored += 1;
                }
                None => {
                    tracing::error!(%path, "a row names a file that is not there");
                    recovered.lost += 1;
                }
            },
            false => {
                self.delete(path.clone()).await?;
                recovered.deleted += 1;
            }
        }
        for entry in entries {
            self.delete(entry.location()).await?;
            self.operations.end(&entry.operation);
        }
        if let Some(folder) = &self.folder {
            folder.remove_staged(path);
            folder.prune(path);
        }
        Ok(())
    }
}
