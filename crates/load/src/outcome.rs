//! What a run measured.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use crate::{failure::ErrorKind, histogram::Histogram};

/// Everything a run measured.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// One for each step of the scenario, in its order.
    pub steps: Vec<StepOutcome>,
    /// One for each task of the scenario, in its order.
    pub tasks: Vec<TaskOutcome>,
    /// Whether the client was fit to measure.
    pub client: ClientHealth,
    /// When the ramp began; in an open model, after all users were set up.
    pub started: SystemTime,
    /// Length of the ramp.
    pub ramp: Duration,
    /// Length of the time that was judged; shorter than asked for when the run was cancelled.
    pub steady: Duration,
    /// Users, or connections, asked for.
    pub users: usize,
    /// Users whose setup failed for good. They sent no task.
    pub lost_users: usize,
    /// Open model: tasks a second asked for.
    pub planned_rate: Option<f64>,
    /// Tasks begun in a second of the steady time.
    pub achieved_rate: f64,
    /// Every second from `started` on.
    pub timeline: Vec<Second>,
    /// Whether the run was stopped early.
    pub cancelled: bool,
}

impl Outcome {
    /// Requests of all steps that count.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.steps.iter().map(|step| step.requests).sum()
    }

    /// Errors of all steps that count.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.steps.iter().map(StepOutcome::error_count).sum()
    }
}

/// What one step measured.
///
/// Requests of tasks count when their intended start lies in the steady time; requests of the
/// setup count whenever they were sent.
///
/// The histograms hold requests that were answered with an expected status, and those that timed
/// out or were still open at the end, at the time waited so far. They leave out quick failures,
/// which would make the percentiles look better than a user found them.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// Name of the step.
    pub name: String,
    /// Route of the step.
    pub route: String,
    /// From the intended start to the last byte: what a user waits, queueing included.
    pub response: Histogram,
    /// From the request being written to the last byte: what the service admits to.
    pub service: Histogram,
    /// Requests that count, errors included.
    pub requests: u64,
    /// Requests that count and had nothing wrong with them.
    pub ok: u64,
    /// Errors of requests that count.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// The first error, ramp included: status and up to 200 characters of the body, or what
    /// failed. No headers.
    pub first_error_sample: Option<String>,
    /// Task requests of the ramp, which do not count; 0 for setup.
    pub in_ramp: u64,
    /// Errors of those.
    pub ramp_errors: BTreeMap<ErrorKind, u64>,
    /// Turns in which the step was not sent because the pool that it takes from was empty, ramp
    /// and setup included. They are no requests and no errors.
    pub skipped: u64,
    /// Metrics of `Server-Timing` headers by name.
    pub server_timing: BTreeMap<String, TimingSum>,
}

impl StepOutcome {
    /// Errors of all kinds that count.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// The sum of one `Server-Timing` metric over the answers that had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimingSum {
    /// Answers that had the metric with a duration.
    pub samples: u64,
    /// Sum of the durations.
    pub total: Duration,
}

impl TimingSum {
    /// Mean of the durations.
    #[must_use]
    pub fn mean(&self) -> Duration {
        self.total.div_f64(self.samples.max(1) as f64)
    }
}

/// How often one task was begun.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskOutcome {
    /// Name of the task.
    pub name: String,
    /// Its weight as a share of all weights, 0 to 1.
    pub planned_share: f64,
    /// Its part of the tasks begun, 0 to 1; 0 when none was.
    pub achieved_share: f64,
    /// Times begun, ramp included.
    pub begun: u64,
}

/// Whether the client itself was fit to measure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ClientHealth {
    /// CPU time of the worker threads in the steady time, divided by its length and their
    /// number: 1 is all that they could use.
    pub cpu_share: f64,
    /// How late a worker's timers fired, at p99, beyond the 2 ms that a timer on an idle machine
    /// may take: while a worker is late it can neither send nor look at the clock.
    pub lateness_p99: Duration,
    /// Requests in flight, or due and not begun, when the time to drain was over.
    pub open_at_end: u64,
    /// Age of the oldest of them.
    pub oldest_open: Duration,
    /// Connections opened; more than the users when some were lost.
    pub connects: u64,
}

/// One second of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Second {
    /// Requests completed, errors included.
    pub requests: u64,
    /// Errors among them.
    pub errors: u64,
    /// Most users active at once: set up and not yet done.
    pub active_users: usize,
    /// Sum of the response times of requests completed.
    pub response_sum: Duration,
    /// Longest of them.
    pub response_max: Duration,
}

impl Second {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.active_users += other.active_users;
        self.response_sum += other.response_sum;
        self.response_max = self.response_max.max(other.response_max);
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Open model: users log in before the schedule begins.
    Setup,
    /// Users join, or the rate rises.
    Ramp,
    /// The time that is judged.
    Steady,
    /// Requests in flight are awaited.
    Drain,
}

/// How far a run is; given to the caller once a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Since the start of the ramp.
    pub elapsed: Duration,
    /// Length of ramp and steady time.
    pub planned: Duration,
    /// Where the run is.
    pub phase: Phase,
    /// Users that are set up and not yet done.
    pub active_users: usize,
    /// Requests completed so far, ramp and setup included.
    pub requests: u64,
    /// Errors among them.
    pub errors: u64,
    /// What happened since the last report.
    pub recent: Recent,
}

/// What happened between two reports of progress, ramp and setup included.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Recent {
    /// Requests completed in a second, errors included.
    pub requests_per_s: f64,
    /// Errors among the requests completed.
    pub errors: u64,
    /// Median of their response times; zero when none was completed.
    pub p50: Duration,
    /// 95th percentile of their response times.
    pub p95: Duration,
}
