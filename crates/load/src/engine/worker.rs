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
    /// The caller's switch, and the run's own, which stops all workers.
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
    let others = StopOthers(job.stops[1].clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let finished = runtime.block_on(work(job));
    if !finished.panicked {
        std::mem::forget(others);
    }
    Ok(finished)
}

/// Stops the whole run when a worker ends before its time: users of the other workers may be
/// waiting for its users, and there will be no outcome.
struct StopOthers(CancelHandle);

impl Drop for StopOthers {
    fn drop(&mut self) {
        self.0.cancel();
    }
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
                Some(Err(error)) if error.is_panic() => {
                    panicked = true;
                    break;
                }
                Some(_) => {}
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

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener},
        sync::mpsc,
    };

    use super::*;
    use crate::{
        options::{LoadOptions, Model},
        scenario::{Scenario, Step, Task},
        template::Template,
    };

    /// A server that lets user 0 in and nobody else.
    fn lets_in_user_0() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut request = [0; 4096];
                    while let Ok(read @ 1..) = stream.read(&mut request) {
                        let status = match request[..read].starts_with(b"GET /login/0 ") {
                            true => "200 OK",
                            false => "401 Unauthorized",
                        };
                        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
                    }
                });
            }
        });
        address
    }

    /// A plan whose setup goes on to a step that does not exist, so that user 0, who gets there,
    /// panics, while user 1, who is refused, waits for it.
    fn plan_with_a_panic() -> Plan {
        let path = Template::parse("/login/${user}").unwrap();
        let mut scenario = Scenario {
            target: lets_in_user_0(),
            steps: vec![Step::new("login", http::Method::GET, path)],
            setup: vec![0],
            tasks: vec![Task {
                name: "login".to_owned(),
                weight: 1,
                steps: vec![0],
            }],
            rows: None,
            constants: Vec::new(),
        };
        let options = LoadOptions {
            model: Model::Open {
                rate: 1.0,
                connections: 2,
            },
            ..LoadOptions::default()
        };
        let mut plan = Plan::new(Arc::new(scenario.clone()), options).unwrap();
        scenario.setup.push(99);
        plan.scenario = Arc::new(scenario);
        plan
    }

    #[test]
    fn a_user_that_panics_before_the_start_ends_the_run_on_every_worker() {
        let plan = Arc::new(plan_with_a_panic());
        let stop = CancelHandle::new();
        let (sender, finished) = mpsc::channel();
        for number in 0..2 {
            let job = Job {
                recorder: Arc::new(Mutex::new(Recorder::new(&plan))),
                plan: Arc::clone(&plan),
                users: vec![number],
                stops: [CancelHandle::new(), stop.clone()],
            };
            let sender = sender.clone();
            std::thread::spawn(move || sender.send(run(job).unwrap().panicked));
        }
        let panicked: Vec<bool> = (0..2)
            .map(|_| finished.recv_timeout(Duration::from_secs(8)).unwrap())
            .collect();
        assert!(panicked.contains(&true));
    }
}
