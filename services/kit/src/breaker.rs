//! A circuit breaker: stops calling what keeps failing, and tries again after a while.
//!
//! Nygard, *Release It!*, "Circuit Breaker": closed while calls succeed, open after so many
//! failures in a row, half-open (one call at a time, to see) after a pause.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// When a breaker changes its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Failed calls in a row that open it; 0 counts as 1.
    pub failures_to_open: u32,
    /// How long it stays open before a call may try again.
    pub open_for: Duration,
    /// Successes in a row that close it again; 0 counts as 1.
    pub successes_to_close: u32,
}

/// What a breaker does with the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed,
    /// Calls are refused. It stays so after its time until the next call comes.
    Open,
    /// One call at a time passes, to see how it goes.
    HalfOpen,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// The call is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker is open for another {} s", retry_after.as_secs_f64().ceil())]
pub struct Refused {
    /// Until a call may be tried; zero when another call is being tried now.
    pub retry_after: Duration,
}

/// Guards the calls to one thing outside. Measures time with tokio's clock.
#[derive(Debug)]
pub struct Breaker {
    name: &'static str,
    core: Mutex<Core>,
}

/// Leave to make one call. Dropped without a result (the caller gave up), it counts as
/// neither success nor failure.
#[derive(Debug)]
#[must_use = "say how the call went"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    period: u64,
    settled: bool,
}

impl Breaker {
    /// A closed breaker. The name stands in log lines.
    pub fn new(name: &'static str, settings: Settings) -> Self {
        Self {
            name,
            core: Mutex::new(Core::new(settings)),
        }
    }

    /// Asks for leave to make a call.
    ///
    /// # Errors
    /// The breaker is open, or half-open with a call under way.
    pub fn acquire(&self) -> Result<Permit<'_>, Refused> {
        let period = self.change(|core| core.acquire(Instant::now()))?;
        Ok(Permit {
            breaker: self,
            period,
            settled: false,
        })
    }

    /// The state as the last call left it, for metrics.
    pub fn state(&self) -> State {
        self.lock().state()
    }

    /// Runs `step` and says so in the log when it changed the state.
    fn change<T>(&self, step: impl FnOnce(&mut Core) -> T) -> T {
        let (before, result, after) = {
            let mut core = self.lock();
            let before = core.state();
            let result = step(&mut core);
            (before, result, core.state())
        };
        match after {
            _ if before == after => {}
            State::Open => {
                tracing::warn!(breaker = self.name, from = %before, to = %after, "circuit breaker changed");
            }
            State::Closed | State::HalfOpen => {
                tracing::info!(breaker = self.name, from = %before, to = %after, "circuit breaker changed");
            }
        }
        result
    }

    /// No step panics half way, so a poisoned lock holds a whole state.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The call went well.
    pub fn succeed(self) {
        self.settle(Outcome::Success);
    }

    /// The call failed.
    pub fn fail(self) {
        self.settle(Outcome::Failure);
    }

    fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        let period = self.period;
        self.breaker
            .change(|core| core.settle(period, outcome, Instant::now()));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let period = self.period;
            self.breaker
                .change(|core| core.settle(period, Outcome::Abandoned, Instant::now()));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Abandoned,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { successes: u32, trying: bool },
}

/// The state machine, told what time it is.
#[derive(Debug)]
struct Core {
    settings: Settings,
    phase: Phase,
    /// Counts changes of phase: a call that began before the last change says nothing
    /// about what holds after it.
    period: u64,
}

impl Core {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Closed { failures: 0 },
            period: 0,
        }
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.period += 1;
    }

    /// The period of the call, if it may be made.
    fn acquire(&mut self, now: Instant) -> Result<u64, Refused> {
        match &mut self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } if now < *until => {
                return Err(Refused {
                    retry_after: *until - now,
                });
            }
            Phase::Open { .. } => self.enter(Phase::HalfOpen {
                successes: 0,
                trying: true,
            }),
            Phase::HalfOpen { trying: true, .. } => {
                return Err(Refused {
                    retry_after: Duration::ZERO,
                });
            }
            Phase::HalfOpen { trying, .. } => *trying = true,
        }
        Ok(self.period)
    }

    fn settle(&mut self, period: u64, outcome: Outcome, now: Instant) {
        if period != self.period {
            return;
        }
        let open = Phase::Open {
            until: now + self.settings.open_for,
        };
        match (&mut self.phase, outcome) {
            (Phase::Closed { failures }, Outcome::Success) => *failures = 0,
            (Phase::Closed { failures }, Outcome::Failure) => {
                *failures += 1;
                if *failures >= self.settings.failures_to_open {
                    self.enter(open);
                }
            }
            (Phase::HalfOpen { successes, trying }, Outcome::Success) => {
                *trying = false;
                *successes += 1;
                if *successes >= self.settings.successes_to_close {
                    self.enter(Phase::Closed { failures: 0 });
                }
            }
            (Phase::HalfOpen { .. }, Outcome::Failure) => self.enter(open),
            (Phase::HalfOpen { trying, .. }, Outcome::Abandoned) => *trying = false,
            (Phase::Closed { .. }, Outcome::Abandoned) | (Phase::Open { .. }, _) => {}
        }
    }
}

#[cfg(test)]
mod tests;
