//! What an audit found, as it is written to `report.json`: stable, documented, units in names.
//!
//! A field is never renamed or given another meaning within one `version`; new ones may appear.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use speedwell_plan::{Refused, RewriteKind, RewriteOutcome, Verdict as StatementVerdict};
use speedwell_trace::{FindingKind, Proof};

use crate::config::BudgetSpec;

/// The version of this format.
pub(crate) const VERSION: u32 = 1;

/// What was done with the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Probes, plans, growth and load. Reports of earlier builds are of this kind.
    #[default]
    Audit,
    /// The load alone: nothing is known of statements.
    Load,
}

/// Everything that one audit, or one load, of one service found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Version of this format.
    pub(crate) version: u32,
    #[serde(default)]
    pub(crate) kind: Kind,
    pub(crate) service: String,
    /// Name and version of the database; empty in reports of earlier builds.
    #[serde(default)]
    pub(crate) database: String,
    /// The configuration file, as the user named it.
    pub(crate) config: String,
    pub(crate) verdict: Verdict,
    /// Rows of the main table, ascending.
    pub(crate) scales: Vec<u64>,
    /// Requests sent per route, scale and page size to count statements and rows.
    pub(crate) probes: u64,
    pub(crate) load: Option<LoadReport>,
    pub(crate) routes: Vec<RouteReport>,
    /// Worst first.
    pub(crate) findings: Vec<FindingReport>,
    /// What looked like a fault and is not one, and why.
    pub(crate) suppressed: Vec<SuppressedReport>,
    /// Every distinct statement that was seen.
    pub(crate) statements: Vec<StatementReport>,
    /// What the reader should know before believing the numbers.
    pub(crate) warnings: Vec<String>,
    /// What would help, tried; left out where nobody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<AdviceReport>,
}

/// What would help, as the trials on copies of the largest scale's database showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AdviceReport {
    /// What `before` and `after` count: `pages`, or on SQLite `steps`, hundreds of instructions of
    /// its machine.
    pub(crate) unit: String,
    pub(crate) indexes: Vec<IndexAdvice>,
    pub(crate) rewrites: Vec<RewriteAdvice>,
    /// Indexes without which, all together, no statement is dearer.
    pub(crate) needless: Vec<NeedlessAdvice>,
    /// A verdict on every statement that could have a plan.
    pub(crate) statements: Vec<StatementAdvice>,
    /// Indexes with which a statement got worse.
    pub(crate) refused: Vec<Refused>,
    /// Where fewer rows get other advice.
    pub(crate) flips: Vec<String>,
    pub(crate) indexes_tried: u64,
    pub(crate) executions: u64,
    /// Every route, audited again with the indexes in place; empty where there are none or the
    /// database is not the audit's own.
    pub(crate) routes: Vec<RouteAfter>,
    /// Why the audit was not repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// An index to build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IndexAdvice {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) ddl: String,
    pub(crate) bytes: u64,
    /// The smallest scale from which on it is advised.
    pub(crate) from_scale: u64,
    /// The statements that are dearer without it alone, by fingerprint.
    pub(crate) buys: Vec<(String, Tried)>,
    /// Microseconds more for each new row, as far as they could be measured.
    pub(crate) insert_micros: Option<f64>,
    /// For each row whose columns of it are set.
    pub(crate) update_micros: Option<f64>,
    /// For each row that goes.
    pub(crate) delete_micros: Option<f64>,
}

/// A statement written otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RewriteAdvice {
    pub(crate) fingerprint: String,
    pub(crate) kind: RewriteKind,
    pub(crate) sql: String,
    /// What must be executed once before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) prepare: Vec<String>,
    /// What takes that back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) undo: Vec<String>,
    /// Microseconds more for each new row once it is prepared, as far as they could be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) insert_micros: Option<f64>,
    /// For each row whose columns are set that it searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) update_micros: Option<f64>,
    /// For each row that goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delete_micros: Option<f64>,
    pub(crate) outcome: RewriteOutcome,
    pub(crate) tried_on: String,
    /// Statements of the old way.
    pub(crate) statements: u64,
    pub(crate) tried: Option<Tried>,
}

/// Microseconds that a written row costs more, by what is done with it.
pub(crate) type Prices = [(&'static str, Option<f64>); 3];

impl IndexAdvice {
    pub(crate) fn prices(&self) -> Prices {
        prices(self.insert_micros, self.update_micros, self.delete_micros)
    }
}

impl RewriteAdvice {
    pub(crate) fn prices(&self) -> Prices {
        prices(self.insert_micros, self.update_micros, self.delete_micros)
    }
}

fn prices(insert: Option<f64>, update: Option<f64>, delete: Option<f64>) -> Prices {
    [
        ("new row", insert),
        ("changed row", update),
        ("deleted row", delete),
    ]
}

/// An index that can go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NeedlessAdvice {
    pub(crate) index: String,
    pub(crate) table: String,
    /// A sentence.
    pub(crate) why: String,
}

/// What becomes of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatementAdvice {
    pub(crate) fingerprint: String,
    pub(crate) verdict: StatementVerdict,
    pub(crate) tried: Option<Tried>,
}

/// Means over the values that were tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tried {
    pub(crate) before: f64,
    pub(crate) after: f64,
    pub(crate) before_ms: f64,
    pub(crate) after_ms: f64,
}

/// A route without and with the indexes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RouteAfter {
    pub(crate) name: String,
    pub(crate) before: Verdict,
    pub(crate) after: Verdict,
    pub(crate) p95_before_ms: Option<f64>,
    pub(crate) p95_after_ms: Option<f64>,
    /// Why it is not within with them.
    pub(crate) reasons: Vec<String>,
    /// The faults that remain.
    #[serde(default)]
    pub(crate) findings: Vec<FindingReport>,
}

/// What is said of a route and of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Every limit holds.
    Within,
    /// Too few samples, or a client too busy, to say.
    Unsure,
    /// A limit does not hold.
    Over,
}

/// The load that was put on the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    /// The service that was running already; `None` when it was started for the load.
    #[serde(default)]
    pub(crate) target: Option<String>,
    /// Rows of the main table during the load; 0 when they are not known.
    pub(crate) scale: u64,
    /// Simulated users, or connections of an open model.
    pub(crate) users: u64,
    /// Iterations per second of an open model.
    pub(crate) rate: Option<f64>,
    pub(crate) ramp_s: f64,
    /// Steady time that was measured; shorter than asked for when the load was interrupted.
    pub(crate) steady_s: f64,
    #[serde(default)]
    pub(crate) interrupted: bool,
    pub(crate) requests: u64,
    pub(crate) requests_per_s: f64,
    pub(crate) errors: u64,
    /// Processor time of the load engine per second and worker thread, 0 to 1.
    pub(crate) client_cpu_share: f64,
    /// How late the engine itself was, 99th percentile.
    pub(crate) client_lateness_p99_ms: f64,
    /// Requests still open when the load had ended.
    pub(crate) open_at_end: u64,
}

/// One route: what was measured, what was allowed, what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RouteReport {
    /// Name from the configuration.
    pub(crate) name: String,
    /// Method and template, as the service reports it.
    pub(crate) route: String,
    pub(crate) verdict: Verdict,
    /// Why it is not within, a sentence each.
    pub(crate) reasons: Vec<String>,
    pub(crate) budget: Budget,
    /// Requests under load that count, failed ones included.
    #[serde(default)]
    pub(crate) requests: u64,
    /// Failed requests among them, by kind.
    #[serde(default)]
    pub(crate) errors: BTreeMap<String, u64>,
    /// Under load; `None` when no request of it says how long it takes.
    pub(crate) latency: Option<Latency>,
    /// Turns under load in which it was not asked because there was nothing left to take.
    #[serde(default)]
    pub(crate) skipped: u64,
    /// One row for each scale and page size.
    pub(crate) probes: Vec<ProbeReport>,
    pub(crate) growth: Growth,
    /// One line: which tables by which indexes, at the largest scale.
    pub(crate) plan: String,
    /// The statements of one request at the largest scale, in order.
    pub(crate) waterfall: Waterfall,
    /// What the probed requests did with the cache; left out when they never used one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache: Option<CacheReport>,
}

/// The limits of a route, as the configuration set them. What is `None` is not limited. A type of
/// its own: the configuration refuses keys that it does not know, a report may hold newer ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Budget {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p95_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statements: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows_per_row: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_per_row: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) database_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) growth: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) errors: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) findings: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
}

impl From<&BudgetSpec> for Budget {
    fn from(spec: &BudgetSpec) -> Self {
        Self {
            p95_ms: spec.p95_ms,
            p99_ms: spec.p99_ms,
            statements: spec.statements,
            rows: spec.rows,
            rows_per_row: spec.rows_per_row,
            bytes_per_row: spec.bytes_per_row,
            database_ms: spec.database_ms,
            growth: spec.growth,
            errors: spec.errors,
            findings: spec.findings,
            source: spec.source.clone(),
        }
    }
}

/// Latency of one route under load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) samples: u64,
    /// From the intended start, so that waiting for a stalled server counts.
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// 95 % interval of the p95 by order statistics; no upper end with too few samples.
    pub(crate) p95_low_ms: f64,
    pub(crate) p95_high_ms: Option<f64>,
    /// From the moment the request was sent.
    pub(crate) service_p95_ms: f64,
    pub(crate) requests_per_s: f64,
    /// Failed requests by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// One failed answer, shortened.
    pub(crate) error_sample: Option<String>,
    /// Counts by bounds that widen with the latency.
    pub(crate) histogram: Vec<Bucket>,
}

/// One bar of a latency histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) from_ms: f64,
    pub(crate) up_to_ms: f64,
    pub(crate) count: u64,
}

/// Medians over the probes of one route at one scale and page size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProbeReport {
    pub(crate) scale: u64,
    pub(crate) page_size: Option<u64>,
    pub(crate) statements: u64,
    /// `None` when the service does not report how many rows its statements return.
    pub(crate) rows_fetched: Option<u64>,
    /// Elements of arrays in the answer, at any depth.
    pub(crate) rows_answered: u64,
    /// Bytes of the answer's body; `None` when the service compressed it.
    pub(crate) body_bytes: Option<u64>,
    pub(crate) database_ms: f64,
    pub(crate) total_ms: f64,
}

/// Exponents of growth: 0 does not grow, 1 grows as the size does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Growth {
    /// With the number of rows in the database.
    pub(crate) by_scale: Exponents,
    /// With the size of the page.
    pub(crate) by_page: Exponents,
}

impl Growth {
    /// Growth of statements with the rows in the database or with the page, whichever is more:
    /// both make an N+1.
    pub(crate) fn statements(&self) -> Option<f64> {
        let both = [self.by_scale.statements, self.by_page.statements];
        both.into_iter().flatten().max_by(f64::total_cmp)
    }
}

/// One exponent for each cost; `None` when fewer than two sizes were measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Exponents {
    pub(crate) statements: Option<f64>,
    pub(crate) rows: Option<f64>,
    pub(crate) time: Option<f64>,
}

/// One request, taken apart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Waterfall {
    pub(crate) total_ms: f64,
    pub(crate) bars: Vec<Bar>,
    /// Uses of the cache, in order; left out when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cache: Vec<CacheBar>,
}

/// One use of the cache in a waterfall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CacheBar {
    pub(crate) start_ms: f64,
    pub(crate) duration_ms: f64,
    /// Name of the cache.
    pub(crate) cache: String,
    /// `read`, `write`, `invalidate`, `set`, `delete`, `delete_pattern`, `clear`.
    pub(crate) operation: String,
    /// The group of the key that was read.
    pub(crate) group: Option<String>,
    /// Of a read: `memory`, `redis`, `stale`, `load`, `coalesced`, `failed`; of a change: `told`,
    /// `delayed`.
    pub(crate) outcome: String,
    /// Function that ran it.
    pub(crate) function: Option<String>,
}

/// What the probed requests of one route did with the cache, all scales and page sizes together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct CacheReport {
    /// Requests that were looked at.
    pub(crate) requests: u64,
    /// Reads that the cache answered, with an old value included.
    pub(crate) hits: u64,
    /// Reads that it did not answer by itself.
    pub(crate) misses: u64,
    /// Writes, invalidations, sets and deletions.
    pub(crate) changes: u64,
}

/// One statement of a waterfall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bar {
    pub(crate) start_ms: f64,
    pub(crate) duration_ms: f64,
    pub(crate) rows: Option<u64>,
    /// Key into `statements`.
    pub(crate) fingerprint: String,
    /// Function that ran it.
    pub(crate) function: Option<String>,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FindingReport {
    /// The same in every run for the same fault.
    pub(crate) id: String,
    pub(crate) kind: FindingKind,
    pub(crate) proof: Proof,
    /// Method and template; `*` for the whole workload.
    pub(crate) route: String,
    /// Name of the route in the configuration.
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) fingerprint: Option<String>,
    pub(crate) statement: Option<String>,
    /// The statement whose rows drive it.
    pub(crate) parent: Option<String>,
    /// Tables of the statement.
    pub(crate) tables: Vec<String>,
    /// Function, file and line that ran it.
    pub(crate) site: Option<String>,
    pub(crate) evidence: Vec<String>,
    /// What it costs in one request.
    pub(crate) cost_ms: f64,
    pub(crate) cost_statements: u64,
    pub(crate) cost_rows: u64,
    /// What to do.
    pub(crate) remedy: String,
    /// A change to the database that should help, not tried.
    pub(crate) untried: Option<String>,
}

/// A group of statements that was looked at and left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuppressedReport {
    pub(crate) kind: FindingKind,
    pub(crate) route: String,
    pub(crate) statement: String,
    pub(crate) count: u64,
    pub(crate) reason: String,
}

/// One distinct statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatementReport {
    pub(crate) fingerprint: String,
    /// Values left out unless they were asked for.
    pub(crate) text: String,
    /// Routes that run it.
    pub(crate) routes: Vec<String>,
    /// The plan as a tree, at the largest scale; why there is none otherwise.
    pub(crate) plan: String,
    /// Plans with values from the database in place of placeholders, where they were asked for.
    #[serde(default)]
    pub(crate) sampled: Vec<SampledPlan>,
    /// Median time at each scale, milliseconds.
    pub(crate) time_ms: Vec<ScaleTime>,
}

/// A plan of one statement with values from the database, which it does not show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SampledPlan {
    /// `hot`: frequent values; `cold`: rare ones; `absent`: values that are not there.
    pub(crate) label: String,
    pub(crate) plan: String,
}

/// Time of one statement at one scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScaleTime {
    pub(crate) scale: u64,
    pub(crate) median_ms: f64,
}
