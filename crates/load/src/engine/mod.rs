//! The run: users on worker threads, one recorder each, merged at the end.
//!
//! Every worker thread has a runtime of its own and keeps its users from start to end, so that
//! nothing on the way of a request is shared between threads.

mod plan;
mod recorder;
mod user;
mod worker;

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, SystemTime},
};

use thiserror::Error;
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior},
};

use self::{plan::Plan, recorder::Recorder, worker::Finished};
use crate::{
    cancel::CancelHandle,
    histogram::Histogram,
    options::{LoadOptions, Model},
    outcome::{ClientHealth, Outcome, Phase, Progress, Recent, Second, StepOutcome, TaskOutcome},
    scenario::Scenario,
};

/// How often the caller hears of progress: a percentile of less than a second would only flicker.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Why a run could not begin or be finished.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The scenario or the options contradict themselves.
    #[error("cannot run this load: {0}")]
    Invalid(String),
    /// A worker could not be started.
    #[error("cannot start a worker thread: {0}")]
    Start(#[from] std::io::Error),
    /// A worker ended without its result; its panic message is on standard error.
    #[error("a worker thread ended before the run was over")]
    Worker,
}

/// Loads the service as the scenario and the options say, and returns what was measured.
///
/// `progress` is called once a second. A cancelled run returns what it measured until then.
/// Dropping the future stops the run as well.
///
/// # Errors
/// When scenario or options contradict themselves, or a worker thread cannot be started. A
/// service that fails is no error: it is in the outcome.
pub async fn run(
    scenario: Arc<Scenario>,
    options: &LoadOptions,
    progress: impl Fn(&Progress) + Send + Sync,
    cancel: CancelHandle,
) -> Result<Outcome, LoadError> {
    let plan = Arc::new(Plan::new(scenario, *options).map_err(LoadError::Invalid)?);
    let begun = (Instant::now(), SystemTime::now());
    let dropped = StopWhenDropped(CancelHandle::new());
    let mut recorders = Vec::new();
    let mut finished = Vec::new();
    let users = options.model.users();
    // A thread without users would only dilute the share of CPU that the others use.
    let workers = options.workers.min(users);
    for worker in 0..workers {
        let recorder = Arc::new(Mutex::new(Recorder::new(&plan)));
        let (sender, receiver) = oneshot::channel();
        let job = worker::Job {
            plan: Arc::clone(&plan),
            recorder: Arc::clone(&recorder),
            users: (0..options.model.users())
                .skip(worker)
                .step_by(options.workers)
                .collect(),
            stops: [cancel.clone(), dropped.0.clone()],
        };
        std::thread::Builder::new()
            .name(format!("load-{worker}"))
            .spawn(move || sender.send(worker::run(job)))?;
        recorders.push(recorder);
        finished.push(receiver);
    }
    let mut before = Counted::at(begun.0);
    let health = wait(finished, || {
        progress(&progress_of(&plan, &recorders, &mut before));
    })
    .await?;
    let recorder = merged(&plan, &recorders);
    Ok(outcome(
        &plan,
        recorder,
        &health,
        begun,
        cancel.is_cancelled(),
    ))
}

/// Stops the workers when the caller gives up on the run.
struct StopWhenDropped(CancelHandle);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Waits for all workers and reports progress meanwhile.
async fn wait(
    finished: Vec<oneshot::Receiver<Result<Finished, std::io::Error>>>,
    mut report: impl FnMut(),
) -> Result<Vec<Finished>, LoadError> {
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut done = Vec::new();
    for mut receiver in finished {
        loop {
            tokio::select! {
                result = &mut receiver => {
                    done.push(result.map_err(|_| LoadError::Worker)??);
                    break;
                }
                _ = tick.tick() => report(),
            }
        }
    }
    if done.iter().any(|finished| finished.panicked) {
        return Err(LoadError::Worker);
    }
    report();
    Ok(done)
}

/// What had been counted at the last report of progress.
struct Counted {
    at: Instant,
    requests: u64,
    errors: u64,
}

impl Counted {
    fn at(at: Instant) -> Self {
        Self {
            at,
            requests: 0,
            errors: 0,
        }
    }

    /// What has happened since, and from now on counted from here.
    fn since(&mut self, requests: u64, errors: u64, times: &Histogram) -> Recent {
        let now = Instant::now();
        let seconds = (now - self.at).as_secs_f64();
        let recent = Recent {
            requests_per_s: match seconds > 0.0 {
                true => (requests - self.requests) as f64 / seconds,
                false => 0.0,
            },
            errors: errors - self.errors,
            p50: times.percentile(0.5),
            p95: times.percentile(0.95),
        };
        *self = Self {
            at: now,
            requests,
            errors,
        };
        recent
    }
}

fn progress_of(plan: &Plan, recorders: &[Arc<Mutex<Recorder>>], before: &mut Counted) -> Progress {
    let mut progress = Progress {
        elapsed: Duration::ZERO,
        planned: plan.options.ramp + plan.options.steady,
        phase: Phase::Setup,
        active_users: 0,
        requests: 0,
        errors: 0,
        recent: Recent::default(),
    };
    if let Some(start) = plan.clock.start() {
        progress.elapsed = start.elapsed();
        progress.phase = match progress.elapsed {
            elapsed if elapsed < plan.options.ramp => Phase::Ramp,
            elapsed if elapsed < progress.planned => Phase::Steady,
            _ => Phase::Drain,
        };
    }
    let mut times = Histogram::new();
    for recorder in recorders {
        let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        progress.active_users += recorder.active;
        progress.requests += recorder.requests;
        progress.errors += recorder.errors;
        times.merge(&recorder.recent);
        recorder.recent = Histogram::new();
    }
    progress.recent = before.since(progress.requests, progress.errors, &times);
    progress
}

fn merged(plan: &Plan, recorders: &[Arc<Mutex<Recorder>>]) -> Recorder {
    let mut all = Recorder::new(plan);
    for recorder in recorders {
        all.merge(&recorder.lock().unwrap_or_else(PoisonError::into_inner));
    }
    all
}

fn outcome(
    plan: &Plan,
    mut recorder: Recorder,
    health: &[Finished],
    (begun, begun_at): (Instant, SystemTime),
    cancelled: bool,
) -> Outcome {
    let now = Instant::now();
    if !cancelled {
        count_never_begun(plan, &mut recorder, now);
    }
    let start = plan.clock.start().unwrap_or(begun);
    let steady = now
        .saturating_duration_since(start + plan.options.ramp)
        .min(plan.options.steady);
    let steps = plan
        .scenario
        .steps
        .iter()
        .zip(recorder.steps)
        .map(|(step, record)| StepOutcome {
            name: step.name.clone(),
            route: step.route.clone(),
            response: record.response,
            service: record.service,
            requests: record.requests,
            ok: record.requests - record.errors.values().sum::<u64>(),
            errors: record.errors,
            first_error_sample: record.first_error.map(|(_, sample)| sample),
            in_ramp: record.in_ramp,
            ramp_errors: record.ramp_errors,
            skipped: record.skipped,
            server_timing: record.server_timing,
        })
        .collect();
    Outcome {
        steps,
        tasks: tasks(plan, &recorder.begun),
        client: client(
            &recorder.lateness,
            health,
            recorder.open_at_end,
            recorder.connects,
        ),
        started: begun_at + start.saturating_duration_since(begun),
        ramp: plan.options.ramp,
        steady,
        users: plan.options.model.users(),
        lost_users: recorder.lost_users,
        planned_rate: match plan.options.model {
            Model::Open { rate, .. } => Some(rate),
            Model::Closed { .. } => None,
        },
        achieved_rate: if steady.is_zero() {
            0.0
        } else {
            recorder.begun_steady as f64 / steady.as_secs_f64()
        },
        timeline: timeline(recorder.timeline, plan.options.ramp + plan.options.steady),
        cancelled,
    }
}

/// Arrivals that came due and found no connection until the run was over: each would have been a
/// request of the first step of its task, and has waited since it was due.
fn count_never_begun(plan: &Plan, recorder: &mut Recorder, now: Instant) {
    let (Some(arrivals), Some(start)) = (&plan.arrivals, plan.clock.start()) else {
        return;
    };
    for number in plan.next_arrival.load(Ordering::Relaxed).. {
        let due = match arrivals.due(number) {
            Some(offset) if start + offset <= now => start + offset,
            _ => break,
        };
        let Some(&step) = plan.scenario.tasks[plan.task_of_arrival(number)]
            .steps
            .first()
        else {
            continue;
        };
        let waited = now.saturating_duration_since(due);
        recorder.open(step, due >= plan.clock.steady_from(start), waited, None);
    }
}

fn tasks(plan: &Plan, begun: &[u64]) -> Vec<TaskOutcome> {
    let weights: f64 = plan
        .scenario
        .tasks
        .iter()
        .map(|task| f64::from(task.weight))
        .sum();
    let all: u64 = begun.iter().sum();
    plan.scenario
        .tasks
        .iter()
        .zip(begun)
        .map(|(task, &begun)| TaskOutcome {
            name: task.name.clone(),
            planned_share: f64::from(task.weight) / weights,
            achieved_share: begun as f64 / all.max(1) as f64,
            begun,
        })
        .collect()
}

fn client(
    lateness: &Histogram,
    health: &[Finished],
    (open_at_end, oldest_open): (u64, Duration),
    connects: u64,
) -> ClientHealth {
    let shares: f64 = health.iter().map(|worker| worker.cpu_share).sum();
    ClientHealth {
        cpu_share: shares / health.len().max(1) as f64,
        // A histogram cannot hold zero: below 1 µs is not late.
        lateness_p99: lateness
            .percentile(0.99)
            .saturating_sub(Duration::from_micros(1)),
        open_at_end,
        oldest_open,
        connects,
    }
}

/// One entry for every second of the plan, and for those after it in which answers came.
fn timeline(mut seconds: Vec<Second>, planned: Duration) -> Vec<Second> {
    let planned = planned.as_secs_f64().ceil() as usize;
    while seconds.len() > planned && seconds.last() == Some(&Second::default()) {
        seconds.pop();
    }
    seconds
}
