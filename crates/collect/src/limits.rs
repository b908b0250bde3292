//! How much is kept and for how long, and what was counted.

use std::time::Duration;

/// Bounds of a receiver's memory and patience.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest body of one export in bytes, after decompression.
    pub max_body: usize,
    /// Traces kept at a time; the oldest gives way.
    pub max_traces: usize,
    /// Spans kept of one trace. Requests themselves are kept beyond it.
    pub max_spans_per_trace: usize,
    /// Spans kept in all; the oldest trace gives way.
    pub max_spans: usize,
    /// Bytes of texts kept in all: statements, paths, names. The oldest trace gives way.
    pub max_text: usize,
    /// How long after the arrival of a request's span its statements are waited for. Exporters
    /// send in batches, and a batch may end between a request and its statements.
    pub grace: Duration,
    /// How long spans without a request are kept.
    pub orphan_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 16 << 20,
            max_traces: 20_000,
            max_spans_per_trace: 10_000,
            // A span takes some 300 bytes: 300 MB at worst.
            max_spans: 1_000_000,
            max_text: 256 << 20,
            grace: Duration::from_millis(500),
            orphan_age: Duration::from_secs(30),
        }
    }
}

/// What a receiver has counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests handed out.
    pub requests: u64,
    /// Spans received.
    pub spans: u64,
    /// Exports that could not be decoded, answered with 400.
    pub malformed: u64,
    /// Exports larger than [`Limits::max_body`], answered with 413.
    pub refused_too_large: u64,
    /// Spans that came after their trace had been handed out.
    pub late: u64,
    /// Statements that belong to no request.
    pub orphaned: u64,
    /// Traces that gave way to newer ones before anybody took them.
    pub evicted: u64,
    /// Spans that say nothing about requests or SQL: connections, `PRAGMA`, other data stores,
    /// repeated deliveries of one span, spans without ids.
    pub ignored: u64,
    /// Spans beyond [`Limits::max_spans_per_trace`], or of a trace that alone holds more text than
    /// [`Limits::max_text`].
    pub dropped: u64,
}
