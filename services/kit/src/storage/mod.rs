//! Where files live, and how a file and the row that names it appear and go together.
//!
//! A database and a file store share no transaction. What they share here is an order, so that a
//! process may be killed at any point and the next start finds out what is to be done:
//!
//! | | before the transaction | the transaction | after its commit | when it fails |
//! |---|---|---|---|---|
//! | create | an empty marker `trash/new-…/<path>`, then the file | names the file | [`Written::keep`]: the marker goes | [`Written::undo`]: the file goes, then the marker |
//! | delete | the file moves to `trash/old-…/<path>` | names it no more | [`Discarded::delete`]: the entry goes | [`Discarded::restore`]: the file moves back |
//!
//! To replace is to do both around one transaction. At every point one of two things is true of
//! a file: the rows and the files agree about it, or there is an entry in the trash with its
//! path. [`Storage::recover`] asks the database about every path in the trash, and the database
//! alone decides: a file that a row names is moved back or kept, any other is deleted. Running it
//! twice, or being killed while it runs, changes nothing, because an entry goes last.
//!
//! Two rules make this hold. A path is used once: [`Storage::write`] refuses one that is taken,
//! so that no operation ever undoes the file of another (and browsers may keep a file for ever).
//! And an entry is not touched while its operation may still be under way; see
//! [`Storage::recover`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = folder.path().to_str().unwrap();
//! # async fn commit_row() -> Result<(), std::io::Error> { Ok(()) }
//! use service_kit::storage::{Storage, StorageUrl};
//!
//! let storage = Storage::open(&StorageUrl::parse(url)?)?;
//! let written = storage.write(vec![("flyers/7/a1.jpg".into(), "jpeg".into())]).await?;
//! match commit_row().await {
//!     Ok(()) => written.keep().await,
//!     Err(_) => written.undo().await,
//! }
//! assert_eq!(storage.get("flyers/7/a1.jpg").await?.unwrap().size, 4);
//! # Ok(()) }
//! ```

mod change;
#[cfg(test)]
mod crash;
mod error;
mod folder;
mod media;
mod place;
mod recover;
mod store;
mod url;

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt as _, path::Path};

use change::Change;
use folder::Folder;
use place::{Kind, Operation, Operations, TRASH, checked};
use store::{each, first_error};

pub use change::{Discarded, Written};
pub use error::StorageError;
pub use media::media;
pub use recover::Recovered;
pub use url::StorageUrl;

/// Files up to this size are read at once: a picture of a page has 10 to 200 KB, and reading it
/// in parts costs more than the memory.
const AT_ONCE: u64 = 1 << 20;

/// Files in a folder or a bucket. A clone is another handle to the same place.
#[derive(Debug, Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    store: Arc<dyn ObjectStore>,
    folder: Option<Folder>,
    operations: Operations,
    /// How old an entry must be when it is not known whether its operation has ended.
    surely_ended: Duration,
}

/// Without the store, which holds credentials.
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A file as it is sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stored {
    /// The content, as it is read.
    pub body: Body,
    /// Bytes.
    pub size: u64,
    /// A strong entity tag, with its quotes.
    pub etag: String,
}

impl Storage {
    /// Opens the folder, which is made when it is missing, or the bucket, which must exist. For
    /// a bucket the usual `AWS_` variables of the environment give credentials, region and
    /// endpoint; an endpoint may be `http://`.
    ///
    /// # Errors
    ///
    /// The folder cannot be used, or a variable is wrong. A bucket is not asked for anything yet:
    /// see [`Storage::check`].
    pub fn open(url: &StorageUrl) -> Result<Self, StorageError> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::open_with(url, std::env::vars_os().filter_map(text))
    }

    /// As [`Storage::open`], with other variables than those of the environment.
    ///
    /// # Errors
    ///
    /// As [`Storage::open`].
    pub fn open_with(
        url: &StorageUrl,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StorageError> {
        match url {
            StorageUrl::Folder(root) => {
                let folder = Folder::open(root)?;
                Ok(Self::new(store::folder(folder.root())?, Some(folder)))
            }
            StorageUrl::S3 { bucket, prefix } => {
                Ok(Self::new(store::bucket(bucket, prefix, variables)?, None))
            }
        }
    }

    fn new(store: Arc<dyn ObjectStore>, folder: Option<Folder>) -> Self {
        Self(Arc::new(Inner {
            store,
            folder,
            operations: Operations::default(),
            surely_ended: recover::SURELY_ENDED,
        }))
    }

    /// Writes files that a transaction is about to name.
    ///
    /// # Errors
    ///
    /// [`StorageError::Path`] or [`StorageError::Exists`] for a path that cannot be used,
    /// [`StorageError::Store`] when the store fails. No new file is there then, but for one
    /// of which the store does not say whether it was written: it waits for the next recovery.
    pub async fn write(&self, files: Vec<(String, Bytes)>) -> Result<Written, StorageError> {
        let contents = files
            .into_iter()
            .map(|(path, bytes)| Ok((checked(&path)?, bytes)))
            .collect::<Result<Vec<_>, StorageError>>()?;
        let paths = distinct(contents.iter().map(|(path, _)| path))?;
        let mut change = Change::begin(&self.0, Operation::start(Kind::New), paths);
        // Markers before files: a file without either row or marker would never be found.
        let marked = each(change.paths(), |path| {
            self.0.put(change.entry(path), Bytes::new())
        });
        if let Err(error) = first_error(marked.await) {
            let unmarked = change.drop_entries().await;
            change.finish(unmarked);
            return Err(error);
        }
        let written = each(&contents, |(path, bytes)| {
            self.0.put(path.clone(), bytes.clone())
        })
        .await;
        if written.iter().any(Result::is_err) {
            change.unwrite_part(&written).await;
        }
        first_error(written)?;
        Ok(Written(change))
    }

    /// Moves files out of sight that a transaction is about to forget. A file that is missing
    /// already is no error.
    ///
    /// # Errors
    ///
    /// [`StorageError::Path`] for what cannot be a path, [`StorageError::Store`] when the store
    /// fails. Every file is in its place then.
    pub async fn discard(&self, paths: Vec<String>) -> Result<Discarded, StorageError> {
        let paths: Result<Vec<_>, _> = paths.iter().map(|path| checked(path)).collect();
        let paths = distinct(paths?.iter())?;
        let change = Change::begin(&self.0, Operation::start(Kind::Old), paths);
        let moved = each(change.paths(), |path| {
            self.0.rename(path.clone(), change.entry(path), "discard")
        });
        if let Err(error) = first_error(moved.await) {
            let unmoved = change.unmove().await;
            change.finish(unmoved);
            return Err(error);
        }
        Ok(Discarded(change))
    }

    /// Copies a file to a path that was never used; in a folder both are names of the same bytes.
    ///
    /// For filling a store: unlike [`Storage::write`] it leaves no entry in the trash, so that
    /// whoever is killed before a row names the copy leaves a file behind.
    ///
    /// # Errors
    ///
    /// [`StorageError::Path`] for what cannot be a path, [`StorageError::Store`] when the store
    /// fails or there is no such file.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let (from, to) = (checked(from)?, checked(to)?);
        let copied = self.0.store.copy(&from, &to).await;
        copied.map_err(|source| StorageError::store("copy", &from, source))
    }

    /// The file at a path; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`StorageError::Store`] when the store fails.
    pub async fn get(&self, path: &str) -> Result<Option<Stored>, StorageError> {
        self.read(path, GetOptions::new()).await
    }

    /// As [`Storage::get`], with an empty body.
    ///
    /// # Errors
    ///
    /// As [`Storage::get`].
    pub async fn head(&self, path: &str) -> Result<Option<Stored>, StorageError> {
        self.read(path, GetOptions::new().with_head(true)).await
    }

    async fn read(&self, path: &str, options: GetOptions) -> Result<Option<Stored>, StorageError> {
        let Ok(path) = checked(path) else {
            return Ok(None);
        };
        let failed = |source| StorageError::store("read", &path, source);
        let head = options.head;
        let found = match self.0.store.get_opts(&path, options).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let size = found.meta.size;
        let etag = etag(&found);
        let body = match head {
            true => Body::empty(),
            false if size <= AT_ONCE => Body::from(found.bytes().await.map_err(failed)?),
            false => Body::from_stream(found.into_stream()),
        };
        Ok(Some(Stored { body, size, etag }))
    }

    /// Whether files can be written or at least listed: for readiness.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to, or the bucket does not answer.
    pub async fn check(&self) -> Result<(), StorageError> {
        if let Some(folder) = &self.0.folder {
            return folder.check().map_err(|source| StorageError::Folder {
                folder: folder.root().to_owned(),
                source,
            });
        }
        let trash = Path::from(TRASH);
        match self.0.store.list(Some(&trash)).next().await {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(source)) => Err(StorageError::store("list", &trash, source)),
        }
    }
}

/// The tag of the store; one made of time and size for a store that gives none.
fn etag(found: &GetResult) -> String {
    match &found.meta.e_tag {
        Some(tag) => format!("\"{}\"", tag.trim_start_matches("W/").trim_matches('"')),
        None => format!(
            "\"{:x}-{:x}\"",
            found.meta.last_modified.timestamp_micros(),
            found.meta.size
        ),
    }
}

fn distinct<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<Vec<Path>, StorageError> {
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for path in paths {
        if !seen.insert(path) {
            return Err(StorageError::Path {
                path: path.to_string(),
                reason: "it is given twice",
            });
        }
        list.push(path.clone());
    }
    Ok(list)
}
