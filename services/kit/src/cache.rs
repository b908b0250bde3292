//! The cache of a service: in its memory, and in Redis where `REDIS_URL` names one.

use std::{future::Future, sync::Arc, time::Duration};

use speedwell_cache::{BuildError, Builder, Cache, Cached, LoadError, Policy, Write, WriteError};

use crate::{config::Config, problem::Problem};

/// A Redis that knows nothing of this cache yet is trusted after 1.5 s.
const PATIENCE: Duration = Duration::from_secs(2);

/// Opens the cache of this service. Keys of another `version` are not read: raise it when what is
/// cached changes its meaning.
///
/// A Redis that does not answer is no error: the service waits for it for a moment, works without,
/// and finds it when it comes.
///
/// # Errors
/// `REDIS_URL` cannot be understood.
pub async fn open(config: &Config, version: u64) -> Result<Cache, BuildError> {
    let cache = builder(config, version).build().await?;
    cache.ready(PATIENCE).await;
    Ok(cache)
}

/// The same, for a service that wants more of it.
pub fn builder(config: &Config, version: u64) -> Builder {
    let builder = Cache::builder(config.service).version(version);
    match &config.redis {
        Some(url) => builder.redis(url.expose()),
        None => builder,
    }
}

/// A value, or the problem that loading it met.
///
/// # Errors
/// The database fails, or takes too long.
pub async fn find<T, Fut>(
    cache: &Cache,
    key: &str,
    policy: &Policy,
    tags: impl IntoIterator<Item: AsRef<[u8]>>,
    load: impl FnOnce() -> Fut + Send + 'static,
) -> Result<Option<Arc<T>>, Problem>
where
    T: Cached,
    Fut: Future<Output = Result<Option<T>, sqlx::Error>> + Send + 'static,
{
    let found = cache.find_or_load(key, policy, tags, load).await;
    found.map_err(|error| match error {
        LoadError::Failed(error) => Problem::from(&*error),
        LoadError::TimedOut { .. } | LoadError::Aborted => {
            Problem::unavailable("the database is slow, try again", Duration::from_secs(1))
        }
    })
}

/// Writes, and makes what depends on these tags invalid for everybody.
///
/// # Errors
/// That of the transaction; or it took too long.
pub async fn write<T, Fut>(
    cache: &Cache,
    tags: impl IntoIterator<Item: AsRef<[u8]>>,
    transaction: impl FnOnce(Write) -> Fut + Send + 'static,
) -> Result<T, Problem>
where
    T: Send + 'static,
    Fut: Future<Output = Result<T, Problem>> + Send + 'static,
{
    cache
        .write(tags, transaction)
        .await
        .map_err(|error| match error {
            WriteError::Failed(problem) => problem,
            WriteError::Aborted | WriteError::Unmarked { .. } => Problem::internal(),
            WriteError::Refused | WriteError::TimedOut { .. } | WriteError::Untold => {
                Problem::unavailable(
                    "the write took too long; look whether it was done",
                    Duration::from_secs(1),
                )
            }
        })
}
