//! What can go wrong with files.

use std::{error::Error, io, path::PathBuf, time::Duration};

use crate::problem::Problem;

/// What went wrong with files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The setting cannot be used.
    #[error("OBJECT_STORE_URL is `{url}`: {reason}")]
    Url {
        /// The setting.
        url: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The variables that go with `s3://` cannot be used.
    #[error("cannot open the bucket of OBJECT_STORE_URL; look at the AWS_ variables")]
    Bucket(#[source] object_store::Error),
    /// The folder cannot be used.
    #[error("cannot use the folder `{}` of OBJECT_STORE_URL", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not a path that a file can have here.
    #[error("`{path}` cannot be the path of a file: {reason}")]
    Path {
        /// The path.
        path: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A path is used once and never again, so that browsers may keep what they got for ever.
    #[error("there is a file at `{path}` already; choose a path that was never used")]
    Exists {
        /// The path.
        path: String,
    },
    /// The folder or the bucket failed.
    #[error("cannot {action} `{path}`")]
    Store {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: String,
        /// What the store says.
        source: object_store::Error,
    },
    /// The database could not say which files it names.
    #[error("cannot ask the database which files it names")]
    Referenced(#[source] Box<dyn Error + Send + Sync>),
}

impl StorageError {
    pub(super) fn store(
        action: &'static str,
        path: &impl ToString,
        source: object_store::Error,
    ) -> Self {
        Self::Store {
            action,
            path: path.to_string(),
            source,
        }
    }
}

/// How long a client should wait before it tries again when the store fails.
const RETRY: Duration = Duration::from_secs(5);

impl From<StorageError> for Problem {
    /// A store that fails may work again; every other failure is ours. Both go to the log.
    fn from(error: StorageError) -> Self {
        let source = Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, source, "the file store failed");
        match error {
            StorageError::Store { .. } => {
                Self::unavailable("files cannot be stored now, try again", RETRY)
            }
            _ => Self::internal(),
        }
    }
}
