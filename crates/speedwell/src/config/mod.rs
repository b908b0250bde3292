//! `speedwell.toml`: what is audited, with which data, under which load, against which budgets.

mod file;
mod form;
mod resolve;
mod route;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Deserialize;
use serde_json::Value;

pub(crate) use file::nearest;
pub(crate) use form::{Field, Form};
pub(crate) use resolve::{load, read_text};

/// A configuration that cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read `{path}`: {reason}; {hint}")]
    Unreadable {
        path: String,
        reason: String,
        hint: String,
    },
    #[error("`{path}`, line {line}: {message}")]
    Invalid {
        path: String,
        line: usize,
        message: String,
    },
    #[error("`{path}`: {message}")]
    Wrong { path: String, message: String },
}

/// What the configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The service is started, so how to start it must be said.
    Start,
    /// Only the scenario is wanted: the service runs somewhere, or does not matter.
    Scenario,
}

/// One service with all that an audit of it needs.
#[derive(Debug, Clone)]
pub(crate) struct Audited {
    /// The file it was read from, as named by the user.
    pub(crate) file: String,
    pub(crate) service: Service,
    pub(crate) data: Data,
    pub(crate) load: Load,
    /// Routes that run once per user before anything else; they are routes like the others.
    pub(crate) setup: Vec<RouteSpec>,
    pub(crate) routes: Vec<RouteSpec>,
    pub(crate) tasks: Vec<TaskSpec>,
}

/// How the service is built, started and reached. Where only the scenario is used
/// ([`Use::Scenario`]), `command`, `ready` and `database` may be empty.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Where commands run.
    pub(crate) directory: PathBuf,
    pub(crate) build: Option<String>,
    pub(crate) command: String,
    /// Path that answers 2xx when the service can take requests.
    pub(crate) ready: String,
    pub(crate) ready_timeout: Duration,
    /// A fixed address; a free port is taken when there is none.
    pub(crate) listen: Option<String>,
    pub(crate) database: String,
    pub(crate) env: BTreeMap<String, String>,
}

/// How the data is made.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub(crate) prepare: Option<String>,
    /// Rows of the main table, ascending.
    pub(crate) scales: Vec<u64>,
    /// A CSV file with one row per simulated user.
    pub(crate) users: Option<String>,
}

/// The load that is put on the service at its largest scale.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) users: usize,
    /// Iterations per second; an open model when present.
    pub(crate) rate: Option<f64>,
    pub(crate) think: speedwell_load::Think,
    pub(crate) ramp: Duration,
    pub(crate) steady: Duration,
    pub(crate) timeout: Duration,
    /// Open model: how long the users' setup may take before the schedule begins.
    pub(crate) setup: Duration,
    pub(crate) seed: u64,
}

/// What a simulated user does in one turn.
#[derive(Debug, Clone)]
pub(crate) struct TaskSpec {
    pub(crate) weight: u32,
    /// Names of routes, in order.
    pub(crate) routes: Vec<String>,
}

/// One route: the request that stands for it and its budget.
#[derive(Debug, Clone)]
pub(crate) struct RouteSpec {
    pub(crate) name: String,
    pub(crate) method: http::Method,
    /// Path and query with `${…}` in them.
    pub(crate) path: String,
    pub(crate) json: Option<Value>,
    /// A form instead of `json`.
    pub(crate) multipart: Option<Form>,
    pub(crate) bearer: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    /// Page sizes to probe, ascending; empty when the route has no pages.
    pub(crate) page_sizes: Vec<u64>,
    /// Values taken from the answer: name and JSON path.
    pub(crate) capture: BTreeMap<String, String>,
    /// Accepted status codes; every 2xx when empty.
    pub(crate) expect: Vec<u16>,
    /// How often the route is drawn when the file has no tasks.
    pub(crate) weight: u32,
    pub(crate) budget: BudgetSpec,
}

/// The limits of a route. What is `None` is not limited.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetSpec {
    /// 95th percentile of the response time under load, milliseconds.
    pub(crate) p95_ms: Option<f64>,
    /// 99th percentile of the response time under load, milliseconds.
    pub(crate) p99_ms: Option<f64>,
    /// Statements of one request.
    pub(crate) statements: Option<u64>,
    /// Rows fetched by one request.
    pub(crate) rows: Option<u64>,
    /// Rows fetched per row answered.
    pub(crate) rows_per_row: Option<f64>,
    /// Bytes of the answer's body, uncompressed, per row answered.
    pub(crate) bytes_per_row: Option<f64>,
    /// Time of one request in the database, milliseconds.
    pub(crate) database_ms: Option<f64>,
    /// Largest growth exponent of statements and rows with the size of the data.
    pub(crate) growth: Option<f64>,
    /// Failed requests under load.
    pub(crate) errors: Option<u64>,
    /// Likely or proved findings.
    pub(crate) findings: Option<u64>,
    /// Who asks for it: a paper and its criterion.
    pub(crate) source: Option<String>,
}

impl BudgetSpec {
    /// This budget, with what it leaves open taken from `default`.
    fn or(self, default: &Self) -> Self {
        Self {
            p95_ms: self.p95_ms.or(default.p95_ms),
            p99_ms: self.p99_ms.or(default.p99_ms),
            statements: self.statements.or(default.statements),
            rows: self.rows.or(default.rows),
            rows_per_row: self.rows_per_row.or(default.rows_per_row),
            bytes_per_row: self.bytes_per_row.or(default.bytes_per_row),
            database_ms: self.database_ms.or(default.database_ms),
            growth: self.growth.or(default.growth),
            errors: self.errors.or(default.errors),
            findings: self.findings.or(default.findings),
            source: self.source.or_else(|| default.source.clone()),
        }
    }

    /// The part of the budget that one request can be held against.
    pub(crate) fn of_request(&self) -> speedwell_trace::Budget {
        speedwell_trace::Budget {
            statements: self.statements,
            rows: self.rows,
            rows_per_row: self.rows_per_row,
            database_time: self.database_ms.map(milliseconds),
            ..speedwell_trace::Budget::default()
        }
    }
}

/// A duration from a number of milliseconds that was checked to be finite and not negative.
pub(crate) fn milliseconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value / 1000.0).unwrap_or(Duration::MAX)
}
