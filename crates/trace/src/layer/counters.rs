//! What the layer saw, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ReadOutcome;

/// Running totals of one layer; read them with [`Counters::read`].
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    statements: AtomicU64,
    unattributed: AtomicU64,
    dropped: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
}

/// The totals at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests that ended, those left out by sampling included.
    pub requests: u64,
    /// Statements that ran inside a request.
    pub statements: u64,
    /// Statements that ran outside any request: start-up, background work, or a task that was
    /// spawned without its span (`tokio::spawn` without `.in_current_span()`).
    pub unattributed: u64,
    /// Statements inside a request that were not kept, because it ran more than the layer keeps.
    pub dropped: u64,
    /// Reads inside a request that the cache answered, an old value included.
    pub cache_hits: u64,
    /// Reads inside a request that the cache could not answer by itself.
    pub cache_misses: u64,
}

impl Counters {
    /// The totals now.
    pub fn read(&self) -> Counts {
        Counts {
            requests: self.requests.load(Ordering::Relaxed),
            statements: self.statements.load(Ordering::Relaxed),
            unattributed: self.unattributed.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            cache_hits: self.cache_hits.load(Ordering::Relaxed),
            cache_misses: self.cache_misses.load(Ordering::Relaxed),
        }
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unattributed(&self) {
        self.unattributed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn cache_read(&self, outcome: ReadOutcome) {
        let counter = match outcome.is_hit() {
            true => &self.cache_hits,
            false => &self.cache_misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
