//! The cache of a service: in its memory, and in Redis where `REDIS_URL` names one.

use std::time::Duration;

use speedwell_cache::{BuildError, Builder, Cache};

use crate::config::Config;

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
