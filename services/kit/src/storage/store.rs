//! The store behind a [`StorageUrl`](super::StorageUrl), and single operations on it.

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt as _, PutMode, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path,
    prefix::PrefixStore,
};

use super::{Inner, error::StorageError};

/// Files of one operation that are worked on at the same time.
const PARALLEL: usize = 8;

/// How long one try of a request to S3 may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request to S3 may take with all its tries: shorter than a request to the service.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// A folder: files are written under another name, flushed to the disk and renamed.
pub(super) fn folder(root: &FilePath) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let store = LocalFileSystem::new_with_prefix(root).map_err(StorageError::Bucket)?;
    Ok(Arc::new(
        store.with_fsync(true).with_automatic_cleanup(true),
    ))
}

/// A bucket, with what the `AWS_` variables say.
pub(super) fn bucket(
    bucket: &str,
    prefix: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Arc<dyn ObjectStore>, StorageError> {
    // The first provider of a process stays; the service may have chosen this one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = AmazonS3Builder::new()
        .with_client_options(ClientOptions::new().with_timeout(TRY_TIMEOUT))
        .with_retry(RetryConfig {
            max_retries: 3,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        })
        // Deleting many keys in one request is what stand-ins for S3 most often lack.
        .with_disable_bulk_delete(true);
    for (name, value) in variables {
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase());
        if let Some(key) = key.and_then(|key| key.parse().ok()) {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let store = builder.with_bucket_name(bucket).build();
    let store = store.map_err(StorageError::Bucket)?;
    Ok(match prefix {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    })
}

impl Inner {
    pub(super) async fn put(&self, path: Path, bytes: bytes::Bytes) -> Result<(), StorageError> {
        // Never over another file: a path is used once.
        let put = self
            .store
            .put_opts(&path, bytes.into(), PutMode::Create.into());
        match put.await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => Err(StorageError::Exists {
                path: path.to_string(),
            }),
            Err(source) => Err(StorageError::store("write", &path, source)),
        }
    }

    /// A file that is missing already is deleted.
    pub(super) async fn delete(&self, path: Path) -> Result<(), StorageError> {
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(StorageError::store("delete", &path, source)),
        }
    }

    /// A file that is missing already is moved.
    pub(super) async fn rename(
        &self,
        from: Path,
        to: Path,
        action: &'static str,
    ) -> Result<(), StorageError> {
        match self.store.rename(&from, &to).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(StorageError::store(action, &from, source)),
        }
    }

    pub(super) async fn exists(&self, path: &Path) -> Result<bool, StorageError> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(StorageError::store("look at", path, source)),
        }
    }
}

/// Does something with each, to the end even when one fails: what has begun must be known.
pub(super) async fn each<'a, T, F>(
    items: &'a [T],
    work: impl Fn(&'a T) -> F,
) -> Vec<Result<(), StorageError>>
where
    F: Future<Output = Result<(), StorageError>>,
{
    let work: Vec<F> = items.iter().map(work).collect();
    stream::iter(work).buffered(PARALLEL).collect().await
}

/// The first failure of several.
pub(super) fn first_error(results: Vec<Result<(), StorageError>>) -> Result<(), StorageError> {
    results.into_iter().collect()
}
