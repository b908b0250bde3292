//! One worker thread: its users, its clock and an eye on itself.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{task::JoinSet, time::Instant};

use super::{plan::Plan, recorder::Recorder, user};
use crate::cancel::CancelHandle;

/// How often the worker looks whether it is late. A request that comes back meanwhile waits as
/// long as the worker is late, so this samples the client's own share in the latencies.
const HEARTBEAT: Duration = Duration::from_millis(10);

/// What a worker needs to begin.
pub(crate) struct Job {
    pub(crate) plan: Arc<Plan>,
    pub(crate) recorder: Arc<Mutex<Recorder>>,
    pub(crate) users: Vec<usize>,
    pub(crate) stops: [CancelHandle; 2],
}

/// How a worker ended.
pub(crate) struct Finished {
    /// CPU time of the thread in the steady time, as a share of that time.
    pub(crate) cpu_share: f64,
    /// A user's task panicked.
    pub(crate) panicked: bool,
}

/// Runs all users of the worker on the current thread.
pub(crate) fn run(job: Job) -> Result<Finished, io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work(job)))
}

async fn work(job: Job) -> Finished {
    let Job {
        plan,
        recorder,
        users,
        stops: [cancel, dropped],
    } = job;
    let mut tasks = JoinSet::new();
    for number in users {
        tasks.spawn(user::run(Arc::clone(&plan), Arc::clone(&recorder), number));
    }
    let mut stopped = std::pin::pin!(async {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = dropped.cancelled() => {}
        }
    });
    let mut cpu = CpuMeter::default();
    let mut panicked = false;
    let mut beat = Instant::now() + HEARTBEAT;
    let mut timer = std::pin::pin!(tokio::time::sleep_until(beat));
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => {
                recorder.lock().unwrap_or_else(PoisonError::into_inner).cancelled = true;
                break;
            }
            () = &mut timer => {
                let now = Instant::now();
                if look(&plan, &recorder, &mut cpu, now, beat) {
                    break;
                }
                beat = now + HEARTBEAT;
                timer.as_mut().reset(beat);
            }
            joined = tasks.join_next() => match joined {
                None => break,
                Some(result) => panicked |= result.is_err_and(|error| error.is_panic()),
            },
        }
    }
    tasks.shutdown().await;
    Finished {
        cpu_share: cpu.share(),
        panicked,
    }
}

/// Notes lateness, CPU time and active users; true when the run is over.
fn look(
    plan: &Plan,
    recorder: &Mutex<Recorder>,
    cpu: &mut CpuMeter,
    now: Instant,
    beat: Instant,
) -> bool {
    let Some(start) = plan.clock.start() else {
        return false;
    };
    let (steady_from, deadline) = (plan.clock.steady_from(start), plan.clock.deadline(start));
    let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
    if now < deadline {
        let active = recorder.active;
        let second = recorder.second(now.saturating_duration_since(start));
        second.active_users = second.active_users.max(active);
    }
    if beat >= steady_from && beat < deadline {
        recorder.late(now.saturating_duration_since(beat));
    }
    if now >= steady_from {
        cpu.look(now, now >= deadline);
    }
    now >= plan.clock.end(start)
}

/// CPU time of this thread between two moments.
#[derive(Default)]
struct CpuMeter {
    from: Option<(Instant, Duration)>,
    to: Option<(Instant, Duration)>,
    last: bool,
}

impl CpuMeter {
    /// Remembers the first look and the newest, until one is the last.
    fn look(&mut self, now: Instant, last: bool) {
        if self.last {
            return;
        }
        let reading = (now, thread_cpu());
        self.from.get_or_insert(reading);
        self.to = Some(reading);
        self.last = last;
    }

    fn share(&self) -> f64 {
        match (self.from, self.to) {
            (Some((from, before)), Some((to, after))) if to > from => {
                (after.saturating_sub(before)).as_secs_f64() / (to - from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

/// CPU time that this thread has used since it began.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
