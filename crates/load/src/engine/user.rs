//! One simulated user: logs in, then works through tasks until the time is over.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    plan::Plan,
    recorder::{Failure, Finished, Recorder},
};
use crate::{
    connection::{Answer, Connection},
    failure::ErrorKind,
    options::Model,
    scenario::Step,
    session::Session,
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
        while Instant::now() < deadline {
            let task = plan.next_task(&mut self.session);
            let now = Instant::now();
            let turn = Turn {
                due: now,
                intended: now,
            };
            let result = self.task(plan, task, turn, steady_from, deadline).await;
            let mut pause = self.session.draw_pause(plan.think());
            if result.is_err_and(was_not_sent) {
                pause = pause.max(UNSENT_PAUSE);
            }
            if !pause.is_zero()
                && !self
                    .sleep(Instant::now() + pause, deadline, steady_from)
                    .await
            {
                break;
            }
        }
        self.record().active -= 1;
    }

    /// Waits until all users are set up, then takes whatever arrival is due next.
    async fn open(&mut self, plan: &Plan) {
        let ready = {
            // The semaphore is never closed, so this cannot fail.
            let _turn = plan.logins.acquire().await;
            self.set_up(plan, None).await
        };
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
                Err(ErrorKind::Template) => break,
                Err(_) => {}
            }
        }
        self.record().lost_users += 1;
        false
    }

    async fn setup_steps(&mut self, plan: &Plan) -> Result<(), ErrorKind> {
        for &step in &plan.scenario.setup {
            self.step(plan, step, Instant::now(), true).await?;
        }
        Ok(())
    }

    /// Takes the steps of a task; the first is counted from its turn, each other one from the end
    /// of the one before.
    async fn task(
        &mut self,
        plan: &Plan,
        task: usize,
        turn: Turn,
        steady_from: Instant,
        until: Instant,
    ) -> Result<(), ErrorKind> {
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
        Ok(())
    }

    /// Sends one request and records how it went; returns when it was over.
    async fn step(
        &mut self,
        plan: &Plan,
        index: usize,
        intended: Instant,
        counts: bool,
    ) -> Result<Instant, ErrorKind> {
        let step = &plan.scenario.steps[index];
        let begin = Instant::now();
        let filled;
        let prepared = match &plan.ready[index] {
            Some(ready) => ready,
            None => match self.session.prepare(step) {
                Ok(prepared) => {
                    filled = prepared;
                    &filled
                }
                Err(error) => {
                    let failure = Failure {
                        kind: ErrorKind::Template,
                        detail: error.to_string(),
                    };
                    return self.finish(plan, index, counts, intended, begin, None, Some(failure));
                }
            },
        };
        let flight = InFlight {
            recorder: &self.recorder,
            step: index,
            counts,
            intended,
            begin,
        };
        let sent = self.connection.send(prepared, None).await;
        flight.landed();
        self.count_connects();
        let (answer, failure) = match sent {
            Ok(answer) => {
                let failure = judge(step, &mut self.session, &answer);
                (Some(answer), failure)
            }
            Err(kind) => {
                let detail = match self.connection.last_error() {
                    Some(detail) => format!("{kind}: {detail}"),
                    None => kind.to_string(),
                };
                (None, Some(Failure { kind, detail }))
            }
        };
        self.finish(
            plan,
            index,
            counts,
            intended,
            begin,
            answer.as_ref(),
            failure,
        )
    }

    #[allow(clippy::too_many_arguments)] // All of them are what is known of one request.
    fn finish(
        &self,
        plan: &Plan,
        step: usize,
        counts: bool,
        intended: Instant,
        begin: Instant,
        answer: Option<&Answer>,
        failure: Option<Failure>,
    ) -> Result<Instant, ErrorKind> {
        let end = Instant::now();
        let kind = failure.as_ref().map(|failure| failure.kind);
        self.record().finish(
            Finished {
                step,
                counts,
                end,
                response: end.saturating_duration_since(intended),
                service: answer.map_or(end - begin, |answer| answer.service_time),
                timed: matches!(
                    kind,
                    None | Some(ErrorKind::Timeout | ErrorKind::Check | ErrorKind::Capture)
                ),
                failure,
                answer,
            },
            plan.clock.start(),
        );
        kind.map_or(Ok(end), Err)
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

/// What is wrong with an answer; takes its captures when nothing is.
fn judge(step: &Step, session: &mut Session, answer: &Answer) -> Option<Failure> {
    if let Some(kind) = step.expect.error(answer.status) {
        return Some(Failure::status(kind, answer));
    }
    let error = session.absorb(step, answer).err()?;
    let kind = match error {
        crate::capture::CaptureError::Required(_) => ErrorKind::Check,
        _ => ErrorKind::Capture,
    };
    Some(Failure {
        kind,
        detail: format!("{}: {error}", answer.status),
    })
}

fn was_not_sent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Connect | ErrorKind::Template)
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
