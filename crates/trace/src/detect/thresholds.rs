//! From where on a fault is worth a word.

use std::time::Duration;

/// From where on a fault is reported. What stays below is listed as suppressed, with the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// A statement is slow when it takes longer than this. 500 ms: what trace products agree on;
    /// a route with a budget says its own (`Budget::statement_time`).
    pub slow: Duration,
    /// Executions with different values that make an N+1. 5: fewer cost less than a person's time
    /// in production; growth shows them anyway.
    pub n_plus_one: u64,
    /// Executions with hidden values that make an N+1. Below 5 they need an earlier list with at
    /// least as many rows, because two reads by id are not yet a loop.
    pub n_plus_one_hidden: u64,
    /// Writes of one shape that make a loop. 5, as for reads.
    pub write_loop: u64,
    /// Rows fetched per row answered. 2.0: a row and one row that belongs to it.
    pub over_fetch_ratio: f64,
    /// Rows fetched beyond those answered below which over-fetching costs nothing to speak of.
    pub over_fetch_excess: u64,
    /// Rows skipped by `OFFSET`. 1,000: about where skipping costs more than a page itself.
    pub deep_offset: u64,
    /// Rows that a list without limit must return to be worth a word.
    pub unbounded_rows: u64,
    /// Reads of one group of the cache with different keys that make a loop. 5, as for statements;
    /// also in tests, where two reads of different things are not yet a loop.
    pub cache_read_loop: u64,
    /// Loads of one key at the same time that make a stampede. 3: two may meet where a value was
    /// thrown out while it was being loaded.
    pub stampede: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            slow: Duration::from_millis(500),
            n_plus_one: 5,
            n_plus_one_hidden: 5,
            write_loop: 5,
            over_fetch_ratio: 2.0,
            over_fetch_excess: 20,
            deep_offset: 1_000,
            unbounded_rows: 100,
            cache_read_loop: 5,
            stampede: 3,
        }
    }
}

impl Thresholds {
    /// For tests: their data is small, so two executions with different values are a loop.
    pub fn tests() -> Self {
        Self {
            n_plus_one: 2,
            n_plus_one_hidden: 2,
            ..Self::default()
        }
    }
}

/// Executions with hidden values that are a loop whatever came before them.
pub(super) const HIDDEN_WITHOUT_PARENT: u64 = 5;
