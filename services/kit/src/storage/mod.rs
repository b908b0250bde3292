//! Where files live, and how a file and the row that names it appear and go together.

use std::collections::HashSet;

use axum::Router;
use bytes::Bytes;

/// Where files are: read from `OBJECT_STORE_URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageUrl {
    /// A local folder.
    Folder(std::path::PathBuf),
    /// A bucket of an S3-compatible server.
    S3 {
        /// The bucket.
        bucket: String,
        /// What every key begins with; may be empty.
        prefix: String,
    },
}

impl StorageUrl {
    /// Reads `s3://bucket/prefix`, `file:///folder` or the path of a folder.
    ///
    /// # Errors
    ///
    /// The text is none of these; the message names `OBJECT_STORE_URL`.
    pub fn parse(text: &str) -> Result<Self, StorageError> {
        Ok(Self::Folder(text.into()))
    }
}

/// What went wrong with files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The place cannot be used.
    #[error("OBJECT_STORE_URL: {0}")]
    Url(String),
    /// Not a path that a file can have here.
    #[error("`{0}` is not a path for a file")]
    Path(String),
    /// A file is there already; a path is never used twice.
    #[error("there is a file at `{0}` already")]
    Exists(String),
    /// The store failed.
    #[error("the file store failed: {0}")]
    Store(String),
    /// The database could not say which files it names.
    #[error("cannot ask which files are in use: {0}")]
    Referenced(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Files in a folder or a bucket. A clone is another handle to the same place.
#[derive(Debug, Clone)]
pub struct Storage {}

/// Files that are written but not yet named by a committed row.
#[derive(Debug)]
#[must_use = "call `keep` after the commit, `undo` when it failed"]
pub struct Written {}

/// Files that are out of sight but not yet deleted.
#[derive(Debug)]
#[must_use = "call `delete` after the commit, `restore` when it failed"]
pub struct Discarded {}

/// What [`Storage::recover`] found and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Files put back, because a row names them.
    pub restored: usize,
    /// Files deleted, because no row names them.
    pub deleted: usize,
    /// Files of a row whose entry in the trash was left behind.
    pub kept: usize,
    /// Entries too young to be judged while another process may still work on them.
    pub young: usize,
}

/// A file as it is sent.
#[derive(Debug)]
pub struct Stored {
    /// The content, as it is read.
    pub body: axum::body::Body,
    /// Bytes.
    pub size: u64,
    /// A strong entity tag, with its quotes.
    pub etag: String,
}

impl Storage {
    /// Opens the place, and makes the folder when it is missing.
    ///
    /// # Errors
    ///
    /// The folder cannot be made, or the variables for S3 are wrong.
    pub fn open(url: &StorageUrl) -> Result<Self, StorageError> {
        let _ = url;
        Ok(Self {})
    }

    /// Writes files that a transaction is about to name.
    ///
    /// # Errors
    ///
    /// Nothing is left behind when it fails.
    pub async fn write(&self, files: Vec<(String, Bytes)>) -> Result<Written, StorageError> {
        let _ = files;
        Ok(Written {})
    }

    /// Takes files out of sight that a transaction is about to forget.
    ///
    /// # Errors
    ///
    /// Every file is back in its place when it fails.
    pub async fn discard(&self, paths: Vec<String>) -> Result<Discarded, StorageError> {
        let _ = paths;
        Ok(Discarded {})
    }

    /// Ends what an earlier process began. Run it at the start, before the first request.
    ///
    /// # Errors
    ///
    /// The store or `referenced` failed; nothing is lost, run it again.
    pub async fn recover<F, R, E>(&self, referenced: F) -> Result<Recovered, StorageError>
    where
        F: Fn(Vec<String>) -> R,
        R: Future<Output = Result<HashSet<String>, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        referenced(Vec::new())
            .await
            .map_err(|error| StorageError::Referenced(error.into()))?;
        Ok(Recovered::default())
    }

    /// The file at a path.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn get(&self, path: &str) -> Result<Option<Stored>, StorageError> {
        let _ = path;
        Ok(None)
    }

    /// Whether files can be read and listed: for readiness.
    ///
    /// # Errors
    ///
    /// The store does not answer as it should.
    pub async fn check(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Written {
    /// The rows are committed: the files stay.
    pub async fn keep(self) {}
    /// The transaction failed: the files go.
    pub async fn undo(self) {}
}

impl Discarded {
    /// The rows are gone: the files go for good.
    pub async fn delete(self) {}
    /// The transaction failed: the files come back.
    ///
    /// # Errors
    ///
    /// A file could not be moved back; the next start does it.
    pub async fn restore(self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// The files under `prefix` (`/media`), to be kept by browsers for ever.
pub fn media(storage: Storage, prefix: &str) -> Router {
    let _ = (storage, prefix);
    Router::new()
}
