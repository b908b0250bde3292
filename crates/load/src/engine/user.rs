//! One simulated user: logs in, then works through tasks until the time is over.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    plan::Plan,
    recorder::{Failure, Finished, Recorder},
};
use crate::{
    answer::{Received, ServerTiming},
    connection::{Connection, Times},
    failure::ErrorKind,
    options::Model,
    scenario::Step,
    session::Session,
    template::RenderError,
};

/// Attempts at the setup after the first. A service that has just started may refuse the first
/// logins; one that still fails after these will not take the user at all.
const SETUP_RETRIES: u32 = 3;

/// Pause before the first of them; it doubles each time.
const SETUP_BACKOFF: Duration = Duration::from_millis(250);

/// Least pause of a user whose request could not even be sent: without it, a user without think
/// time would fail a million times a second.
const UNSENT_PAUSE: Duration = Duration::from_millis(100);

/// A user and what it works with.
struct User {
    number: usize,
    session: Session,
    connection: Connection,
    connects_counted: u64,
    recorder: Arc<Mutex<Recorder>>,
}

/// When a task should begin.
#[derive(Clone, Copy)]
struct Turn {
    /// By the schedule: decides whether it belongs to the steady time.
    due: Instant,
    /// What its first request is counted from: `due`, unless the client's own timer was late.
    intended: Instant,
}

/// The whole life of user `number`.
pub(crate) async fn run(plan: Arc<Plan>, recorder: Arc<Mutex<Recorder>>, number: usize) {
    let mut user = User {
        number,
        session: plan.session(number),
        connection: Connection::new(plan.scenario.target, plan.options.timeout),
        connects_counted: 0,
        recorder,
    };
    match plan.options.model {
        Model::Closed { .. } => user.closed(&plan).await,
        Model::Open { .. } => user.open(&plan).await,
    }
}

impl User {
    /// Joins during the ramp, then a task and a pause in turn.
    async fn closed(&mut self, plan: &Plan) {
        let start = plan.clock.start_now();
        let (deadline, steady_from) = (plan.clock.deadline(start), plan.clock.steady_from(start));
        let share = self.number as f64 / plan.options.model.users() as f64;
        sleep_until(start + plan.options.ramp.mul_f64(share)).await;
        if !self.set_up(plan, Some(deadline)).await {
            return;
        }
        let mut now = Instant::now();
        while now < deadline {
            let task = plan.next_task(&mut self.session);
            let turn = Turn {
                due: now,
                intended: now,
            };
            let result = self.task(plan, task, turn, steady_from, deadline).await;
            let mut pause = self.session.draw_pause(plan.think());
            if result.is_err_and(was_not_sent) {
                pause = pause.max(UNSENT_PAUSE);
            }
            now = result.unwrap_or_else(|_| Instant::now());
            if !pause.is_zero() {
                if !self.sleep(now + pause, deadline, steady_from).await {
                    break;
                }
                now = Instant::now();
            }
        }
        self.record().active -= 1;
    }

    /// Waits until all users are set up, then takes whatever arrival is due next.
    async fn open(&mut self, plan: &Plan) {
        let ready = self.set_up_in_turn(plan).await;
        plan.set_up.wait().await;
        let Some(arrivals) = plan.arrivals.as_ref().filter(|_| ready) else {
            return;
        };
        let start = plan.clock.start_now();
        let (deadline, steady_from) = (plan.clock.deadline(start), plan.clock.steady_from(start));
        let end = plan.clock.end(start);
        loop {
            let number = plan.next_arrival.fetch_add(1, Ordering::Relaxed);
            let Some(due) = arrivals.due(number).map(|offset| start + offset) else {
                break;
            };
            let task = plan.possible(plan.task_of_arrival(number), &self.session);
            // Late only if the arrival was due before this connection was free: the lateness of
            // the client's own timer is not the service's.
            let intended = if due > Instant::now() {
                self.sleep(due, deadline, steady_from).await;
                Instant::now()
            } else {
                due
            };
            if self
                .task(plan, task, Turn { due, intended }, steady_from, end)
                .await
                .is_err()
            {
                // A request that cannot be sent waits for nothing; others must have their turn.
                tokio::task::yield_now().await;
            }
        }
        self.record().active -= 1;
    }

    /// Open model: takes the setup when it is the user's turn; false when that takes too long,
    /// for all others wait meanwhile.
    async fn set_up_in_turn(&mut self, plan: &Plan) -> bool {
        let deadline = plan.begun + plan.options.setup;
        let in_turn = async {
            // The semaphore is never closed, so this cannot fail.
            let _turn = plan.logins.acquire().await;
            // Whoever gave up has just made room.
            if Instant::now() >= deadline {
                return None;
            }
            Some(self.set_up(plan, Some(deadline)).await)
        };
        match timeout_at(deadline, in_turn).await {
            Ok(Some(ready)) => ready,
            Ok(None) | Err(_) => {
                self.record().lost_users += 1;
                false
            }
        }
    }

    /// Sleeps until `target` and notes how late that was; false when the deadline comes first.
    async fn sleep(&self, target: Instant, deadline: Instant, steady_from: Instant) -> bool {
        sleep_until(target.min(deadline)).await;
        if target >= deadline {
            return false;
        }
        if target >= steady_from {
            self.record().late(target.elapsed());
        }
        true
    }

    /// Takes the setup steps until they succeed; gives up after a few attempts.
    async fn set_up(&mut self, plan: &Plan, deadline: Option<Instant>) -> bool {
        if plan.scenario.setup.is_empty() {
            // Connecting is no part of a request. A failure shows with the first request.
            let _ = self.connection.open().await;
            self.count_connects();
            self.record().active += 1;
            return true;
        }
        for attempt in 0..=SETUP_RETRIES {
            if attempt > 0 {
                tokio::time::sleep(SETUP_BACKOFF * (1 << (attempt - 1))).await;
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    break;
                }
            }
            match self.setup_steps(plan).await {
                Ok(()) => {
                    self.record().active += 1;
                    return true;
                }
                // What is missing now will be missing again.
                Err(Stopped::Failed(ErrorKind::Template)) => break,
                Err(_) => {}
            }
        }
        self.record().lost_users += 1;
        false
    }

    async fn setup_steps(&mut self, plan: &Plan) -> Result<(), Stopped> {
        for &step in &plan.scenario.setup {
            match self.step(plan, step, Instant::now(), true).await {
                // Nothing to clear away: the user is as ready as one that had something.
                Ok(_) | Err(Stopped::Skipped) => {}
                Err(failed) => return Err(failed),
            }
        }
        Ok(())
    }

    /// Takes the steps of a task; the first is counted from its turn, each other one from the end
    /// of the one before. Returns when the last was over.
    async fn task(
        &mut self,
        plan: &Plan,
        task: usize,
        turn: Turn,
        steady_from: Instant,
        until: Instant,
    ) -> Result<Instant, Stopped> {
        {
            let mut recorder = self.record();
            recorder.begun[task] += 1;
            recorder.begun_steady += u64::from(turn.due >= steady_from);
        }
        let Turn {
            mut due,
            mut intended,
        } = turn;
        for (position, &step) in plan.scenario.tasks[task].steps.iter().enumerate() {
            if position > 0 && due >= until {
                break;
            }
            intended = self.step(plan, step, intended, due >= steady_from).await?;
            due = intended;
        }
        Ok(intended)
    }

    /// Sends one request and records how it went; returns when the user was free again.
    async fn step(
        &mut self,
        plan: &Plan,
        index: usize,
        intended: Instant,
        counts: bool,
    ) -> Result<Instant, Stopped> {
        let begin = Instant::now();
        let Some(went) = self.request(plan, index, intended, counts, begin).await else {
            self.record().steps[index].skipped += 1;
            return Err(Stopped::Skipped);
        };
        let end = went.times.map_or_else(Instant::now, |times| times.end);
        let service = went.times.map_or(begin, |times| times.begin);
        let kind = went.failure.as_ref().map(|failure| failure.kind);
        self.record().finish(
            Finished {
                step: index,
                counts,
                end,
                response: end.saturating_duration_since(intended),
                service: end.saturating_duration_since(service),
                timed: matches!(
                    kind,
                    None | Some(ErrorKind::Timeout | ErrorKind::Check | ErrorKind::Capture)
                ),
                failure: went.failure,
                timings: went.timings,
            },
            plan.clock.start(),
        );
        match kind {
            Some(kind) => Err(Stopped::Failed(kind)),
            // To look into an answer is the client's own time, no part of any request.
            None if plan.scenario.steps[index].ignores_body() => Ok(end),
            None => Ok(Instant::now()),
        }
    }

    /// Fills the templates, sends the request and looks at its answer. None when nothing was sent
    /// because there is nothing left to take.
    async fn request(
        &mut self,
        plan: &Plan,
        index: usize,
        intended: Instant,
        counts: bool,
        begin: Instant,
    ) -> Option<Went> {
        let step = &plan.scenario.steps[index];
        let filled;
        let prepared = match &plan.ready[index] {
            Some(ready) => ready,
            None => match self.session.prepare(step) {
                Ok(prepared) => {
                    filled = prepared;
                    &filled
                }
                Err(RenderError::NothingToTake(_)) => return None,
                Err(error) => return Some(Went::failed(ErrorKind::Template, error.to_string())),
            },
        };
        let flight = InFlight {
            recorder: &self.recorder,
            step: index,
            counts,
            intended,
            begin,
        };
        let sent = self.connection.exchange(prepared, None).await;
        flight.landed();
        self.count_connects();
        Some(match sent {
            Ok(times) => {
                let reply = self.connection.reply();
                Went {
                    times: Some(times),
                    failure: judge(step, &mut self.session, &reply),
                    timings: reply.server_timing(),
                }
            }
            Err(kind) => Went::failed(
                kind,
                match self.connection.last_error() {
                    Some(detail) => format!("{kind}: {detail}"),
                    None => kind.to_string(),
                },
            ),
        })
    }

    fn count_connects(&mut self) {
        let opened = self.connection.connects();
        if opened != self.connects_counted {
            self.record().connects += opened - self.connects_counted;
            self.connects_counted = opened;
        }
    }

    fn record(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request went.
struct Went {
    /// None when there was no answer.
    times: Option<Times>,
    failure: Option<Failure>,
    timings: Vec<ServerTiming>,
}

impl Went {
    fn failed(kind: ErrorKind, detail: String) -> Self {
        Self {
            times: None,
            failure: Some(Failure { kind, detail }),
            timings: Vec::new(),
        }
    }
}

/// What is wrong with an answer; takes its captures when nothing is.
fn judge(step: &Step, session: &mut Session, answer: &impl Received) -> Option<Failure> {
    if let Some(kind) = step.expect.error(answer.status()) {
        return Some(Failure::status(kind, answer));
    }
    let error = session.take(step, answer).err()?;
    let kind = match error {
        crate::capture::CaptureError::Required(_) => ErrorKind::Check,
        _ => ErrorKind::Capture,
    };
    Some(Failure {
        kind,
        detail: format!("{}: {error}", answer.status()),
    })
}

/// Why a task went no further than it did.
#[derive(Clone, Copy)]
enum Stopped {
    Failed(ErrorKind),
    /// The step takes from a pool that is empty.
    Skipped,
}

fn was_not_sent(stopped: Stopped) -> bool {
    matches!(
        stopped,
        Stopped::Skipped | Stopped::Failed(ErrorKind::Connect | ErrorKind::Template)
    )
}

/// A request on its way. Dropped with its user at the end of the run, it counts as open.
struct InFlight<'a> {
    recorder: &'a Mutex<Recorder>,
    step: usize,
    counts: bool,
    intended: Instant,
    begin: Instant,
}

impl InFlight<'_> {
    fn landed(self) {
        std::mem::forget(self);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.intended.elapsed();
        recorder.open(self.step, self.counts, waited, Some(self.begin.elapsed()));
    }
}
