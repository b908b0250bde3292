//! The alerts of the paper, evaluated in the service over the last five minutes.
//!
//! | rule | critical | warning |
//! |---|---|---|
//! | `slow_statement` | a statement over 1000 ms | one over 500 ms |
//! | `cache_hit_rate`: reads without a load of their own | under 50 % | under 70 % |
//! | `n_plus_one` | any | |
//! | `slow_collection` | | a collection that took over 200 ms |
//!
//! They stand in `/metrics`, and in the log when they begin and when they end. What is sampled
//! (`TRACE_SAMPLE`) is all that they see.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use speedwell_trace::{CacheOperation, FindingKind, Observation, ReadOutcome, Request, Sink};
use tokio::{task::JoinHandle, time::interval};

/// How far back is looked.
pub const WINDOW: Duration = Duration::from_secs(300);
/// What happened within one of these is counted together.
const BUCKET: Duration = Duration::from_secs(5);
/// How often the log is told.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A share of fewer reads says nothing.
const FEWEST_READS: u64 = 50;

const SLOW: Duration = Duration::from_millis(500);
const VERY_SLOW: Duration = Duration::from_millis(1000);
const SLOW_COLLECTION: Duration = Duration::from_millis(200);
const HIT_RATE: f64 = 0.7;
const LOW_HIT_RATE: f64 = 0.5;

/// Routes that show a collection.
const COLLECTION_ROUTES: [&str; 3] = [
    "GET /api/v1/collections/{id}/",
    "GET /api/v1/collections/public/{id}/",
    "GET /api/v1/collections/shared/{token}/",
];

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// To be looked at.
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A rule and how bad it is if it is broken.
pub type Rule = (&'static str, Severity);

/// All of them.
pub const RULES: [Rule; 6] = [
    ("slow_statement", Severity::Critical),
    ("slow_statement", Severity::Warning),
    ("cache_hit_rate", Severity::Critical),
    ("cache_hit_rate", Severity::Warning),
    ("n_plus_one", Severity::Critical),
    ("slow_collection", Severity::Warning),
];

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    slow: u64,
    very_slow: u64,
    n_plus_one: u64,
    slow_collections: u64,
    hits: u64,
    misses: u64,
}

#[derive(Debug, Default)]
struct Window {
    /// The newest at the back.
    buckets: VecDeque<(Instant, Seen)>,
    total: Seen,
}

/// What was seen lately. Cheap to clone; a sink of the tracing layer.
#[derive(Debug, Clone, Default)]
pub struct Alerts(Arc<Mutex<Window>>);

impl Seen {
    fn of(request: &Request, observation: &Observation) -> Self {
        let over = |limit: Duration| {
            let slow = request.statements.iter();
            slow.filter(|statement| statement.duration > limit).count() as u64
        };
        let found = observation.findings.iter();
        let n_plus_one = found
            .filter(|finding| finding.kind == FindingKind::NPlusOne)
            .count();
        let is_collection = COLLECTION_ROUTES.contains(&&*request.route.0);
        // Who joined the load of another cost no load: five hundred first readers are one miss.
        let reads = request.cache.iter().filter_map(CacheOperation::read);
        let (misses, hits): (Vec<_>, Vec<_>) =
            reads.partition(|read| matches!(read, ReadOutcome::Load | ReadOutcome::Failed));
        Self {
            slow: over(SLOW),
            very_slow: over(VERY_SLOW),
            n_plus_one: n_plus_one as u64,
            slow_collections: u64::from(is_collection && request.duration > SLOW_COLLECTION),
            hits: hits.len() as u64,
            misses: misses.len() as u64,
        }
    }

    fn add(&mut self, other: &Self) {
        self.slow += other.slow;
        self.very_slow += other.very_slow;
        self.n_plus_one += other.n_plus_one;
        self.slow_collections += other.slow_collections;
        self.hits += other.hits;
        self.misses += other.misses;
    }

    fn hit_rate(&self) -> Option<f64> {
        let reads = self.hits + self.misses;
        (reads >= FEWEST_READS).then(|| self.hits as f64 / reads as f64)
    }

    fn breaks(&self, rule: Rule) -> bool {
        let below = |limit: f64| self.hit_rate().is_some_and(|rate| rate < limit);
        match rule {
            ("slow_statement", Severity::Critical) => self.very_slow > 0,
            ("slow_statement", Severity::Warning) => self.slow > 0,
            ("cache_hit_rate", Severity::Critical) => below(LOW_HIT_RATE),
            ("cache_hit_rate", Severity::Warning) => below(HIT_RATE),
            ("n_plus_one", _) => self.n_plus_one > 0,
            _ => self.slow_collections > 0,
        }
    }
}

impl Alerts {
    /// The rules that are broken now.
    pub fn firing(&self) -> Vec<Rule> {
        self.firing_at(Instant::now())
    }

    fn firing_at(&self, now: Instant) -> Vec<Rule> {
        let seen = self.lately(now);
        RULES
            .into_iter()
            .filter(|rule| seen.breaks(*rule))
            .collect()
    }

    /// As Prometheus reads it.
    pub fn prometheus(&self) -> String {
        let now = Instant::now();
        let (seen, total) = (self.lately(now), self.lock().total);
        let mut text = String::from(
            "# HELP deals_alert 1 while a rule was broken within the last five minutes.\n# TYPE deals_alert gauge\n",
        );
        for rule in RULES {
            let (name, severity) = (rule.0, rule.1.name());
            let value = u8::from(seen.breaks(rule));
            let _infallible = writeln!(
                text,
                "deals_alert{{rule=\"{name}\",severity=\"{severity}\"}} {value}"
            );
        }
        for (name, help, value) in [
            ("slow_statements", "Statements over 500 ms.", total.slow),
            (
                "very_slow_statements",
                "Statements over 1000 ms.",
                total.very_slow,
            ),
            (
                "n_plus_one",
                "N+1 patterns found in requests.",
                total.n_plus_one,
            ),
            (
                "slow_collections",
                "Collections that took over 200 ms.",
                total.slow_collections,
            ),
            (
                "cache_request_hits",
                "Reads of requests that the cache answered.",
                total.hits,
            ),
            (
                "cache_request_misses",
                "Reads of requests that were loaded.",
                total.misses,
            ),
        ] {
            let _infallible = write!(
                text,
                "# HELP deals_{name}_total {help}\n# TYPE deals_{name}_total counter\ndeals_{name}_total {value}\n"
            );
        }
        if let Some(rate) = seen.hit_rate() {
            let _infallible = write!(
                text,
                "# HELP deals_cache_hit_ratio Share of reads that the cache answered, within five minutes.\n# TYPE deals_cache_hit_ratio gauge\ndeals_cache_hit_ratio {rate}\n"
            );
        }
        text
    }

    fn note(&self, seen: &Seen, now: Instant) {
        let mut window = self.lock();
        window.total.add(seen);
        let is_current = |bucket: &(Instant, Seen)| now.duration_since(bucket.0) < BUCKET;
        match window
            .buckets
            .back_mut()
            .filter(|bucket| is_current(bucket))
        {
            Some((_, bucket)) => bucket.add(seen),
            None => window.buckets.push_back((now, *seen)),
        }
        window.forget(now);
    }

    fn lately(&self, now: Instant) -> Seen {
        let mut window = self.lock();
        window.forget(now);
        let mut all = Seen::default();
        for (_, bucket) in &window.buckets {
            all.add(bucket);
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn forget(&mut self, now: Instant) {
        while self
            .buckets
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            self.buckets.pop_front();
        }
    }
}

impl Sink for Alerts {
    fn request(&self, request: &Arc<Request>, observation: &Observation) {
        self.note(&Seen::of(request, observation), Instant::now());
    }
}

/// Says in the log when an alert begins and when it ends, until it is aborted.
pub fn tell_the_log(alerts: Alerts) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut rounds = interval(LOOK_EVERY);
        let mut before = Vec::new();
        loop {
            rounds.tick().await;
            let now = alerts.firing();
            tell(&before, &now);
            before = now;
        }
    })
}

fn tell(before: &[Rule], now: &[Rule]) {
    for (rule, severity) in now.iter().filter(|rule| !before.contains(rule)) {
        let alert = severity.name();
        match severity {
            Severity::Critical => tracing::error!(alert, rule, "alert begins: {rule}"),
            Severity::Warning => tracing::warn!(alert, rule, "alert begins: {rule}"),
        }
    }
    for (rule, severity) in before.iter().filter(|rule| !now.contains(rule)) {
        tracing::info!(alert = severity.name(), rule, "alert ended: {rule}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_broken_by_its_own_fault_and_mends_when_the_window_has_passed() {
        let reads = |hits, misses| Seen {
            hits,
            misses,
            ..Seen::default()
        };
        let cases: [(Seen, &[Rule]); 7] = [
            (
                Seen {
                    slow: 1,
                    ..Seen::default()
                },
                &[("slow_statement", Severity::Warning)],
            ),
            (
                Seen {
                    slow: 1,
                    very_slow: 1,
                    ..Seen::default()
                },
                &[
                    ("slow_statement", Severity::Critical),
                    ("slow_statement", Severity::Warning),
                ],
            ),
            (
                Seen {
                    n_plus_one: 1,
                    ..Seen::default()
                },
                &[("n_plus_one", Severity::Critical)],
            ),
            (
                Seen {
                    slow_collections: 1,
                    ..Seen::default()
                },
                &[("slow_collection", Severity::Warning)],
            ),
            (reads(60, 40), &[("cache_hit_rate", Severity::Warning)]),
            (
                reads(40, 60),
                &[
                    ("cache_hit_rate", Severity::Critical),
                    ("cache_hit_rate", Severity::Warning),
                ],
            ),
            (reads(0, 10), &[]),
        ];
        for (seen, expected) in cases {
            let (alerts, start) = (Alerts::default(), Instant::now());
            alerts.note(&seen, start);
            assert_eq!(alerts.firing_at(start), expected, "{seen:?}");
            assert_eq!(alerts.firing_at(start + WINDOW), expected, "{seen:?}");
            let later = start + WINDOW + Duration::from_millis(1);
            assert_eq!(alerts.firing_at(later), [], "{seen:?}");
        }
    }

    #[test]
    fn every_metric_says_what_it_is() {
        let alerts = Alerts::default();
        alerts.note(
            &Seen {
                hits: 90,
                misses: 10,
                ..Seen::default()
            },
            Instant::now(),
        );
        let text = alerts.prometheus();
        assert!(text.contains("deals_alert{rule=\"n_plus_one\",severity=\"critical\"} 0\n"));
        assert!(text.contains("deals_cache_hit_ratio 0.9\n"));
        let described = text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .count();
        assert_eq!(described, 8);
    }
}
