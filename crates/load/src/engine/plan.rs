//! Scenario and options, checked and worked out as far as possible before the first request.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    sync::{Barrier, Semaphore},
    time::Instant,
};

use crate::{
    options::{LoadOptions, Model, Think},
    request::Prepared,
    scenario::{Scenario, Step, Task},
    session::{Session, below},
};

/// Users that log in at the same time before an open schedule begins: a hundred password checks
/// at once would keep a service busy for seconds and time out.
const LOGINS_AT_ONCE: usize = 8;

/// A checked scenario and everything that can be known before it runs.
pub(crate) struct Plan {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) options: LoadOptions,
    /// When the run began: the setup of an open model counts from here, alike for all users.
    pub(crate) begun: Instant,
    pub(crate) clock: Clock,
    /// The requests of steps without places to fill.
    pub(crate) ready: Vec<Option<Prepared>>,
    /// The schedule of an open model.
    pub(crate) arrivals: Option<Arrivals>,
    /// The first arrival that no connection has taken yet.
    pub(crate) next_arrival: AtomicU64,
    /// Open model: all users wait here until the last is set up.
    pub(crate) set_up: Barrier,
    pub(crate) logins: Semaphore,
    /// Values that a task needs from earlier tasks.
    needs: Vec<Vec<String>>,
    weights: u64,
}

impl Plan {
    pub(crate) fn new(scenario: Arc<Scenario>, options: LoadOptions) -> Result<Self, String> {
        check_scenario(&scenario)?;
        check_options(&options)?;
        let ready = scenario
            .steps
            .iter()
            .map(|step| {
                let mut nobody = Session::new(0, 0, None);
                step.is_constant()
                    .then(|| nobody.prepare(step).ok())
                    .flatten()
            })
            .collect();
        let (arrivals, clock) = match options.model {
            Model::Open { rate, .. } => (
                Some(Arrivals {
                    rate,
                    ramp: options.ramp,
                    end: options.ramp + options.steady,
                }),
                Clock::unset(&options),
            ),
            Model::Closed { .. } => (None, Clock::unset(&options)),
        };
        let needs = scenario
            .tasks
            .iter()
            .map(|task| needs(&scenario, task))
            .collect();
        let weights = scenario
            .tasks
            .iter()
            .map(|task| u64::from(task.weight))
            .sum();
        Ok(Self {
            options,
            begun: Instant::now(),
            clock,
            ready,
            arrivals,
            next_arrival: AtomicU64::new(0),
            set_up: Barrier::new(options.model.users()),
            logins: Semaphore::new(LOGINS_AT_ONCE),
            needs,
            weights,
            scenario,
        })
    }

    /// The pause of the users of a closed model.
    pub(crate) fn think(&self) -> Think {
        match self.options.model {
            Model::Closed { think, .. } => think,
            Model::Open { .. } => Think::None,
        }
    }

    /// The state a user begins with.
    pub(crate) fn session(&self, user: usize) -> Session {
        let user = user as u64;
        let row = self.scenario.rows.as_ref().and_then(|rows| rows.get(user));
        let mut session = Session::new(self.options.seed, user, row);
        for (name, value) in &self.scenario.constants {
            session.set(name, value.clone());
        }
        session
    }

    /// The task that a user of a closed model draws next.
    pub(crate) fn next_task(&self, session: &mut Session) -> usize {
        let drawn = self.weighted(session.draw_task());
        self.possible(drawn, session)
    }

    /// The task of an arrival, whichever connection takes it.
    pub(crate) fn task_of_arrival(&self, number: u64) -> usize {
        self.weighted(scramble(self.options.seed ^ scramble(number)))
    }

    fn weighted(&self, draw: u64) -> usize {
        let mut left = below(draw, self.weights);
        for (index, task) in self.scenario.tasks.iter().enumerate() {
            match left.checked_sub(u64::from(task.weight)) {
                Some(rest) => left = rest,
                None => return index,
            }
        }
        0
    }

    /// The task itself, or, while the user lacks a value that it needs, the task that captures
    /// this value: nobody opens a challenge before having seen the list, and who has deleted all
    /// that was on it looks again. When no task captures
    /// it, the task itself, which then reports what is missing.
    pub(crate) fn possible(&self, drawn: usize, session: &Session) -> usize {
        let mut task = drawn;
        // Each hop goes to a task that provides for the one before; a circle ends the search.
        for _ in 0..self.needs.len() {
            let missing = self.needs[task].iter().find(|name| session.lacks(name));
            let Some(missing) = missing else { return task };
            let provider = (0..self.needs.len()).find(|&other| {
                let steps = &self.scenario.tasks[other].steps;
                other != task
                    && steps
                        .iter()
                        .any(|&step| captures(&self.scenario, step, missing))
            });
            match provider {
                Some(provider) => task = provider,
                None => return drawn,
            }
        }
        drawn
    }
}

/// A good mixer of 64 bits (the finaliser of SplitMix64).
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn captures(scenario: &Scenario, step: usize, name: &str) -> bool {
    scenario.steps[step]
        .captures
        .iter()
        .any(|capture| capture.name == name)
}

/// What the steps of a task use and none of its earlier steps captures.
fn needs(scenario: &Scenario, task: &Task) -> Vec<String> {
    let mut known: HashSet<&str> = HashSet::new();
    let mut needed = Vec::new();
    for &index in &task.steps {
        let step: &Step = &scenario.steps[index];
        for reference in step.names() {
            if let Some(name) = reference.captured()
                && !known.contains(name)
                && !needed.iter().any(|other| other == name)
            {
                needed.push(name.to_owned());
            }
        }
        known.extend(step.captures.iter().map(|capture| capture.name.as_str()));
    }
    needed
}

fn check_scenario(scenario: &Scenario) -> Result<(), String> {
    let in_range = |&index: &usize| index < scenario.steps.len();
    if scenario.tasks.iter().all(|task| task.weight == 0) {
        return Err("no task has a weight above 0".to_owned());
    }
    for task in &scenario.tasks {
        if task.steps.is_empty() {
            return Err(format!("task `{}` has no steps", task.name));
        }
        if !task.steps.iter().all(in_range) {
            return Err(format!(
                "task `{}` refers to a step that does not exist",
                task.name
            ));
        }
    }
    if !scenario.setup.iter().all(in_range) {
        return Err("the setup refers to a step that does not exist".to_owned());
    }
    Ok(())
}

fn check_options(options: &LoadOptions) -> Result<(), String> {
    let wrong = match options.model {
        Model::Closed { users: 0, .. } => "`users` must be at least 1",
        Model::Open { connections: 0, .. } => "an open model needs at least 1 connection",
        Model::Open { rate, .. } if !(rate.is_finite() && rate > 0.0) => {
            "`rate` must be above 0 tasks a second"
        }
        _ if options.steady.is_zero() => "the steady time must be above 0",
        Model::Open { .. } if options.setup.is_zero() => {
            "an open model needs time for its setup above 0"
        }
        _ if options.timeout.is_zero() => "the timeout must be above 0",
        _ if options.workers == 0 => "at least 1 worker is needed",
        _ => return Ok(()),
    };
    Err(wrong.to_owned())
}

/// When the parts of the run begin and end.
pub(crate) struct Clock {
    start: OnceLock<Instant>,
    ramp: Duration,
    steady: Duration,
    drain: Duration,
}

impl Clock {
    fn unset(options: &LoadOptions) -> Self {
        Self {
            start: OnceLock::new(),
            ramp: options.ramp,
            steady: options.steady,
            drain: options.drain,
        }
    }

    /// Start of the ramp, once it is known.
    pub(crate) fn start(&self) -> Option<Instant> {
        self.start.get().copied()
    }

    /// Starts the ramp now, unless it was started.
    pub(crate) fn start_now(&self) -> Instant {
        *self.start.get_or_init(Instant::now)
    }

    pub(crate) fn steady_from(&self, start: Instant) -> Instant {
        start + self.ramp
    }

    /// No task begins after this.
    pub(crate) fn deadline(&self, start: Instant) -> Instant {
        start + self.ramp + self.steady
    }

    /// Nothing is awaited after this.
    pub(crate) fn end(&self, start: Instant) -> Instant {
        self.deadline(start) + self.drain
    }
}

/// The fixed schedule of an open model: evenly rising from nothing during the ramp, evenly
/// spaced after it.
pub(crate) struct Arrivals {
    rate: f64,
    ramp: Duration,
    end: Duration,
}

impl Arrivals {
    /// When arrival `number` (from 0) is due after the start; `None` when that is after the end.
    pub(crate) fn due(&self, number: u64) -> Option<Duration> {
        let ramp = self.ramp.as_secs_f64();
        let in_ramp = self.rate * ramp / 2.0;
        let number = number as f64;
        let seconds = if number < in_ramp {
            (2.0 * number * ramp / self.rate).sqrt()
        } else {
            ramp + (number - in_ramp) / self.rate
        };
        let due = Duration::try_from_secs_f64(seconds).ok()?;
        (due < self.end).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_rise_during_the_ramp_and_are_even_after_it() {
        let seconds = Duration::from_secs;
        let arrivals = Arrivals {
            rate: 100.0,
            ramp: seconds(2),
            end: seconds(5),
        };
        let due: Vec<Duration> = (0..).map_while(|number| arrivals.due(number)).collect();
        // 2 s at half the rate on average, 3 s at the full rate.
        assert_eq!(due.len(), 400);
        assert!(due.is_sorted());
        let first_second = due.iter().filter(|due| **due < seconds(1)).count();
        assert!((24..=26).contains(&first_second), "{first_second}");
        assert_eq!(
            due[200] - due[150],
            Duration::from_millis(500) + (due[100] - seconds(2))
        );
    }

    #[test]
    fn without_a_ramp_the_first_arrival_is_due_at_once() {
        let second = Duration::from_secs(1);
        let arrivals = Arrivals {
            rate: 10.0,
            ramp: Duration::ZERO,
            end: second,
        };
        assert_eq!(arrivals.due(0), Some(Duration::ZERO));
        assert_eq!(arrivals.due(9), Some(Duration::from_millis(900)));
        assert_eq!(arrivals.due(10), None);
    }
}
