//! What a cache says as `tracing` events: target `speedwell::cache`, level DEBUG.
//!
//! The fields are `cache.name`, `cache.operation`, `cache.group` (of the key), `cache.key_hash`
//! (to tell keys apart without showing them), `cache.outcome` and `cache.elapsed_us`. The span
//! in which it happens gets `cache_hit`, if it has a field of that name. When Redis is given up for
//! a while there is a WARN, when it is used again an INFO, both with `cache.breaker`.

use std::time::Instant;

use tracing::{Span, debug, info, warn};

use crate::{key, memory::Freshness};

pub(crate) const TARGET: &str = "speedwell::cache";

/// How a read was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    Memory,
    Redis,
    /// Past its time to live, a load in the background has begun.
    Stale,
    /// Loaded for this reader.
    Load,
    /// Joined the load of another reader.
    Coalesced,
    /// No value: the loader failed or took too long, or there was none to ask (`get`).
    Failed,
}

impl Answered {
    pub(crate) fn with(self, freshness: Freshness) -> Self {
        match freshness {
            Freshness::Fresh | Freshness::RefreshEarly => self,
            Freshness::Revalidate | Freshness::FailSafe | Freshness::Dead => Self::Stale,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Stale => "stale",
            Self::Load => "load",
            Self::Coalesced => "coalesced",
            Self::Failed => "failed",
        }
    }

    fn is_hit(self) -> bool {
        matches!(self, Self::Memory | Self::Redis | Self::Stale)
    }
}

pub(crate) fn read(cache: &str, key: &[u8], answered: Answered, started: Instant) {
    Span::current().record("cache_hit", answered.is_hit());
    debug!(
        target: TARGET,
        { cache.name = cache,
        cache.operation = "read",
        cache.group = key::group_name(key),
        cache.key_hash = key::hash(key),
        cache.outcome = answered.name(),
        cache.elapsed_us = started.elapsed().as_micros() as u64 },
        "cache"
    );
}

/// Something other than a read of one key.
pub(crate) fn change(cache: &str, operation: &'static str, names: usize, told: bool) {
    debug!(
        target: TARGET,
        { cache.name = cache,
        cache.operation = operation,
        cache.names = names,
        cache.outcome = if told { "told" } else { "delayed" } },
        "cache"
    );
}

/// Redis is passed by from now on, or used again.
pub(crate) fn breaker(cache: &str, open: bool) {
    if open {
        warn!(
            target: TARGET,
            { cache.name = cache, cache.breaker = "open" },
            "Redis does not answer; the cache works without it"
        );
    } else {
        info!(
            target: TARGET,
            { cache.name = cache, cache.breaker = "closed" },
            "Redis answers; the cache uses it"
        );
    }
}
