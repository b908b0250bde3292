//! What one worker thread has measured so far.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::plan::Plan;
use crate::{
    answer::{Received, ServerTiming},
    failure::ErrorKind,
    histogram::Histogram,
    outcome::{Second, TimingSum},
};

/// Metrics of `Server-Timing` that are kept for one step; a service that puts ids into their
/// names must not fill memory.
const MOST_TIMINGS: usize = 32;

/// Characters of an answer that are kept as a sample of an error.
const SAMPLE_CHARS: usize = 200;

/// All that one worker thread measured.
pub(crate) struct Recorder {
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) timeline: Vec<Second>,
    /// How late timers fired in the steady time, beyond what a timer may.
    pub(crate) lateness: Histogram,
    /// Times each task was begun.
    pub(crate) begun: Vec<u64>,
    /// Tasks begun in the steady time.
    pub(crate) begun_steady: u64,
    pub(crate) active: usize,
    pub(crate) lost_users: usize,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// Response times since the last report of progress.
    pub(crate) recent: Histogram,
    pub(crate) connects: u64,
    /// Requests open at the end and the age of the oldest.
    pub(crate) open_at_end: (u64, Duration),
    /// The run was stopped from outside: requests in flight are nobody's fault.
    pub(crate) cancelled: bool,
}

/// What was measured of one step.
pub(crate) struct StepRecord {
    pub(crate) response: Histogram,
    pub(crate) service: Histogram,
    pub(crate) requests: u64,
    pub(crate) errors: BTreeMap<ErrorKind, u64>,
    pub(crate) first_error: Option<(Instant, String)>,
    pub(crate) in_ramp: u64,
    pub(crate) ramp_errors: BTreeMap<ErrorKind, u64>,
    pub(crate) skipped: u64,
    pub(crate) server_timing: BTreeMap<String, TimingSum>,
}

impl StepRecord {
    fn new() -> Self {
        Self {
            response: Histogram::new(),
            service: Histogram::new(),
            requests: 0,
            errors: BTreeMap::new(),
            first_error: None,
            in_ramp: 0,
            ramp_errors: BTreeMap::new(),
            skipped: 0,
            server_timing: BTreeMap::new(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.response.merge(&other.response);
        self.service.merge(&other.service);
        self.requests += other.requests;
        self.in_ramp += other.in_ramp;
        self.skipped += other.skipped;
        for (mine, theirs) in [
            (&mut self.errors, &other.errors),
            (&mut self.ramp_errors, &other.ramp_errors),
        ] {
            for (kind, count) in theirs {
                *mine.entry(*kind).or_default() += count;
            }
        }
        let earlier =
            |theirs: &Instant| self.first_error.as_ref().is_none_or(|(at, _)| theirs < at);
        if let Some((at, sample)) = &other.first_error
            && earlier(at)
        {
            self.first_error = Some((*at, sample.clone()));
        }
        for (name, timing) in &other.server_timing {
            let mine = self.server_timing.entry(name.clone()).or_default();
            mine.samples += timing.samples;
            mine.total += timing.total;
        }
    }

    fn add_timings(&mut self, timings: Vec<ServerTiming>) {
        for timing in timings {
            let Some(duration) = timing.duration else {
                continue;
            };
            if self.server_timing.len() >= MOST_TIMINGS
                && !self.server_timing.contains_key(&timing.name)
            {
                continue;
            }
            let sum = self.server_timing.entry(timing.name).or_default();
            sum.samples += 1;
            sum.total += duration;
        }
    }
}

/// A kind of error with what is shown of the first one.
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) detail: String,
}

impl Failure {
    /// An answer with the wrong status: the status and the beginning of the body.
    pub(crate) fn status(kind: ErrorKind, answer: &impl Received) -> Self {
        // Four bytes hold any character.
        let body = answer.body();
        let start = &body[..body.len().min(4 * SAMPLE_CHARS)];
        let text: String = String::from_utf8_lossy(start)
            .chars()
            .take(SAMPLE_CHARS)
            .collect();
        Self {
            kind,
            detail: format!("{}: {text}", answer.status()),
        }
    }
}

/// One request that is over.
pub(crate) struct Finished {
    pub(crate) step: usize,
    pub(crate) counts: bool,
    pub(crate) end: Instant,
    pub(crate) response: Duration,
    pub(crate) service: Duration,
    /// Whether the latencies say something about the service: it answered well, or too late.
    pub(crate) timed: bool,
    pub(crate) failure: Option<Failure>,
    /// What the answer said of the service's own times.
    pub(crate) timings: Vec<ServerTiming>,
}

impl Recorder {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            steps: plan
                .scenario
                .steps
                .iter()
                .map(|_| StepRecord::new())
                .collect(),
            timeline: Vec::new(),
            lateness: Histogram::new(),
            begun: vec![0; plan.scenario.tasks.len()],
            begun_steady: 0,
            active: 0,
            lost_users: 0,
            requests: 0,
            errors: 0,
            recent: Histogram::new(),
            connects: 0,
            open_at_end: (0, Duration::ZERO),
            cancelled: false,
        }
    }

    /// Counts a request that is over. `start` is the start of the ramp, when it is known.
    pub(crate) fn finish(&mut self, finished: Finished, start: Option<Instant>) {
        let failed = finished.failure.is_some();
        self.requests += 1;
        self.errors += u64::from(failed);
        self.recent.record(finished.response);
        if let Some(start) = start {
            let second = self.second(finished.end.saturating_duration_since(start));
            second.requests += 1;
            second.errors += u64::from(failed);
            second.response_sum += finished.response;
            second.response_max = second.response_max.max(finished.response);
        }
        let record = &mut self.steps[finished.step];
        if finished.counts {
            record.requests += 1;
            if finished.timed {
                record.response.record(finished.response);
                record.service.record(finished.service);
            }
            record.add_timings(finished.timings);
        } else {
            record.in_ramp += 1;
        }
        if let Some(failure) = finished.failure {
            let errors = if finished.counts {
                &mut record.errors
            } else {
                &mut record.ramp_errors
            };
            *errors.entry(failure.kind).or_default() += 1;
            record
                .first_error
                .get_or_insert((finished.end, failure.detail));
        }
    }

    /// Counts a request that is still unanswered, or was never begun (`service` is `None`), at
    /// the end of the run.
    pub(crate) fn open(
        &mut self,
        step: usize,
        counts: bool,
        response: Duration,
        service: Option<Duration>,
    ) {
        self.open_at_end.0 += 1;
        self.open_at_end.1 = self.open_at_end.1.max(response);
        if self.cancelled {
            return;
        }
        self.requests += 1;
        self.errors += 1;
        let record = &mut self.steps[step];
        let detail = match service {
            Some(service) => format!("still unanswered after {:.1} s", service.as_secs_f64()),
            None => format!("due for {:.1} s and never begun", response.as_secs_f64()),
        };
        if counts {
            record.requests += 1;
            record.response.record(response);
            if let Some(service) = service {
                record.service.record(service);
            }
            *record.errors.entry(ErrorKind::OpenAtEnd).or_default() += 1;
        } else {
            record.in_ramp += 1;
            *record.ramp_errors.entry(ErrorKind::OpenAtEnd).or_default() += 1;
        }
        record.first_error.get_or_insert((Instant::now(), detail));
    }

    /// Counts a timer that fired late in the steady time.
    pub(crate) fn late(&mut self, late: Duration) {
        self.lateness.record(late.saturating_sub(TIMER_TOLERANCE));
    }

    /// The entry of the timeline for a moment after the start.
    pub(crate) fn second(&mut self, after: Duration) -> &mut Second {
        let index = after.as_secs() as usize;
        if self.timeline.len() <= index {
            self.timeline.resize(index + 1, Second::default());
        }
        &mut self.timeline[index]
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.steps.iter_mut().zip(&other.steps) {
            mine.merge(theirs);
        }
        for (index, second) in other.timeline.iter().enumerate() {
            self.second(Duration::from_secs(index as u64)).merge(second);
        }
        self.lateness.merge(&other.lateness);
        for (mine, theirs) in self.begun.iter_mut().zip(&other.begun) {
            *mine += theirs;
        }
        self.begun_steady += other.begun_steady;
        self.active += other.active;
        self.lost_users += other.lost_users;
        self.requests += other.requests;
        self.errors += other.errors;
        self.connects += other.connects;
        self.open_at_end.0 += other.open_at_end.0;
        self.open_at_end.1 = self.open_at_end.1.max(other.open_at_end.1);
        self.cancelled |= other.cancelled;
    }
}

/// Timers count in whole milliseconds and are rounded up twice, by the runtime and by the
/// kernel's wait: on an idle machine they fire 1 to 2 ms late.
const TIMER_TOLERANCE: Duration = Duration::from_millis(2);
