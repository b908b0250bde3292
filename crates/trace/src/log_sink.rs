//! Warnings in the log: slow statements, N+1, cache reads in a loop, stampedes; one per statement or
//! group and request.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use crate::{
    Finding, FindingKind, Fingerprint, Observation, Proof, Request, Sink, Statement, Thresholds,
    cache::CACHE_READ, detect::wording::one_line, showable_text,
};

/// Writes a `tracing` warning (target `speedwell`) for each slow statement, each N+1, each loop of
/// cache reads and each stampede of a request, when the request ends.
///
/// The messages are fixed, so that alerts can match them:
///
/// ```text
/// SLOW QUERY (523.45ms): <first 500 characters>...
/// Potential N+1 query detected: Same query pattern executed 15 times: <first 100 characters>...
/// Potential N+1 through the cache: 15 reads, one after the other: cache read of deals/share
/// Cache stampede: 3 loads at the same time: cache read of deals/share
/// ```
///
/// What they say is in fields as well: `slow_query`, `query_duration_ms`, `query_statement`;
/// `n_plus_one_warning`, `query_count`, `query_signature`; `cache_read_loop_warning` or
/// `stampede_warning`, `cache_read_count`, `cache_group`; and on all `http.route`, `trace_id`
/// and, when known, `code.function.name`.
#[derive(Debug, Clone)]
pub struct LogSink {
    slow: Duration,
    n_plus_one: u64,
}

/// Length of a text in the warning of a slow statement, in characters.
const STATEMENT_LENGTH: usize = 500;

/// Length of a text in the warning of an N+1, in characters.
const SIGNATURE_LENGTH: usize = 100;

impl Default for LogSink {
    fn default() -> Self {
        let thresholds = Thresholds::default();
        Self {
            slow: thresholds.slow,
            n_plus_one: thresholds.n_plus_one,
        }
    }
}

impl LogSink {
    /// Slow over 500 ms, N+1 from 5 executions on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Warns of statements that take longer than `threshold`.
    pub fn slow(mut self, threshold: Duration) -> Self {
        self.slow = threshold;
        self
    }

    /// Warns of an N+1 of at least `executions`. The layer's own thresholds decide what an N+1 is;
    /// this can only raise them.
    pub fn n_plus_one(mut self, executions: u64) -> Self {
        self.n_plus_one = executions;
        self
    }

    fn warn_of_slow(&self, request: &Request, statement: &Statement) {
        let text = cut(&showable_text(statement), STATEMENT_LENGTH);
        // Whole microseconds, so that the field reads as the message does.
        let ms = statement.duration.as_micros() as f64 / 1_000.0;
        tracing::warn!(
            target: "speedwell",
            slow_query = true,
            query_duration_ms = ms,
            query_statement = text,
            http.route = &*request.route.0,
            trace_id = %request.trace_id,
            code.function.name = statement.site.as_ref().map(|site| &*site.function),
            "SLOW QUERY ({ms:.2}ms): {text}...",
        );
    }

    fn warn_of_cache(request: &Request, finding: &Finding, is_stampede: bool) {
        let count = finding.count;
        let group = &*finding.statement;
        let sentence = match is_stampede {
            true => format!("Cache stampede: {count} loads at the same time: {group}"),
            false => format!(
                "Potential N+1 through the cache: {count} reads, one after the other: {group}"
            ),
        };
        tracing::warn!(
            target: "speedwell",
            cache_read_loop_warning = (!is_stampede).then_some(true),
            stampede_warning = is_stampede.then_some(true),
            cache_read_count = count,
            cache_group = group.strip_prefix(CACHE_READ).unwrap_or(group),
            http.route = &*request.route.0,
            trace_id = %request.trace_id,
            code.function.name = finding.site.as_ref().map(|site| &*site.function),
            "{sentence}",
        );
    }
}

impl Sink for LogSink {
    fn request(&self, request: &Arc<Request>, observation: &Observation) {
        for statement in slowest(&request.statements, self.slow) {
            self.warn_of_slow(request, statement);
        }
        let mut warned: Vec<Fingerprint> = Vec::new();
        for finding in &observation.findings {
            match finding.kind {
                FindingKind::Stampede => Self::warn_of_cache(request, finding, true),
                // A loop that memory answers alone is possible only, and too cheap for a warning.
                FindingKind::CacheReadLoop if finding.proof >= Proof::Likely => {
                    Self::warn_of_cache(request, finding, false);
                }
                _ => {}
            }
            let is_loop = finding.kind == FindingKind::NPlusOne && finding.count >= self.n_plus_one;
            if !is_loop || warned.contains(&finding.fingerprint) {
                continue;
            }
            warned.push(finding.fingerprint);
            let count = finding.count;
            let signature = cut(&finding.statement, SIGNATURE_LENGTH);
            tracing::warn!(
                target: "speedwell",
                n_plus_one_warning = true,
                query_count = count,
                query_signature = signature,
                http.route = &*request.route.0,
                trace_id = %request.trace_id,
                code.function.name = finding.site.as_ref().map(|site| &*site.function),
                "Potential N+1 query detected: Same query pattern executed {count} times: \
                 {signature}...",
            );
        }
    }
}

/// The slowest execution of each fingerprint that is over the threshold, slowest first.
fn slowest(statements: &[Statement], threshold: Duration) -> Vec<&Statement> {
    let mut slowest: HashMap<Fingerprint, &Statement> = HashMap::new();
    for statement in statements
        .iter()
        .filter(|statement| statement.duration > threshold)
    {
        let known = slowest.entry(statement.fingerprint).or_insert(statement);
        if statement.duration > known.duration {
            *known = statement;
        }
    }
    let mut slowest: Vec<_> = slowest.into_values().collect();
    slowest.sort_by_key(|statement| (Reverse(statement.duration), statement.offset));
    slowest
}

/// The first `length` characters, on one line.
fn cut(text: &str, length: usize) -> String {
    let line = one_line(text);
    match line.char_indices().nth(length) {
        Some((end, _)) => line[..end].to_owned(),
        None => line,
    }
}
