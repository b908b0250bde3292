//! Many readers and writers of a few registers behind caches, with faults; everything that they
//! saw is recorded.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use speedwell_cache::history::{Event, History, Kind, now};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// The database: registers that take a while to read and to write.
#[derive(Debug)]
pub(crate) struct Database {
    registers: Vec<AtomicU64>,
    /// Loads so far.
    pub(crate) loads: AtomicU64,
    slowest_us: u64,
}

/// A load that failed, on purpose.
#[derive(Debug)]
pub(crate) struct Failed;

impl Database {
    pub(crate) fn new(keys: u64, slowest: Duration) -> Self {
        Self {
            registers: (0..keys).map(|_| AtomicU64::new(0)).collect(),
            loads: AtomicU64::new(0),
            slowest_us: slowest.as_micros() as u64,
        }
    }

    /// Reads at some moment between asking and answering.
    pub(crate) async fn read(&self, key: u64) -> u64 {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.pause().await;
        let version = self.registers[key as usize].load(Ordering::SeqCst);
        self.pause().await;
        version
    }

    /// Commits at some moment between asking and answering.
    pub(crate) async fn write(&self, key: u64) -> u64 {
        self.pause().await;
        let version = self.registers[key as usize].fetch_add(1, Ordering::SeqCst) + 1;
        self.pause().await;
        version
    }

    async fn pause(&self) {
        // Most are quick, some are slow.
        let draw: f64 = rand::random();
        let micros = 100.0 + self.slowest_us as f64 * draw.powi(4) / 2.0;
        sleep(Duration::from_micros(micros as u64)).await;
    }
}

/// A cache in front of the database, as one process has it.
pub(crate) trait Scheme: Send + Sync + 'static {
    /// The version of a key; nothing if it could not be had.
    fn read(&self, key: u64) -> impl Future<Output = Option<u64>> + Send;
    /// Writes a key; the version written, if the write returned Ok.
    fn write(&self, key: u64) -> impl Future<Output = Option<u64>> + Send;
}

/// How hard it is made.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) keys: u64,
    /// Of each process.
    pub(crate) readers: usize,
    pub(crate) writers: usize,
    /// A writer pauses up to twice so long.
    pub(crate) write_pause: Duration,
    pub(crate) duration: Duration,
    /// Ends earlier with so many reads.
    pub(crate) most_reads: u64,
    /// One in so many calls is cancelled; 0: none.
    pub(crate) cancels: u32,
}

impl Plan {
    pub(crate) fn new(seed: u64, duration: Duration) -> Self {
        Self {
            seed,
            keys: 8,
            readers: 8,
            writers: 2,
            write_pause: Duration::from_millis(10),
            duration,
            most_reads: u64::MAX,
            cancels: 50,
        }
    }
}

/// Runs readers and writers over these processes.
pub(crate) async fn run<S: Scheme>(processes: &[Arc<S>], plan: &Plan) -> History {
    let mut tasks = JoinSet::new();
    let reads = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + plan.duration;
    let mut seed = plan.seed;
    for process in processes {
        for _ in 0..plan.readers {
            seed += 1;
            let (scheme, plan, reads) = (Arc::clone(process), plan.clone(), Arc::clone(&reads));
            tasks.spawn(read_on(scheme, plan, seed, until, reads));
        }
        for _ in 0..plan.writers {
            seed += 1;
            let (scheme, plan, reads) = (Arc::clone(process), plan.clone(), Arc::clone(&reads));
            tasks.spawn(write_on(scheme, plan, seed, until, reads));
        }
    }
    let mut history = History::default();
    while let Some(done) = tasks.join_next().await {
        history.append(done.unwrap());
    }
    history
}

async fn read_on<S: Scheme>(
    scheme: Arc<S>,
    plan: Plan,
    seed: u64,
    until: Instant,
    reads: Arc<AtomicU64>,
) -> History {
    let mut random = StdRng::seed_from_u64(seed);
    let mut history = History::default();
    while Instant::now() < until && reads.load(Ordering::Relaxed) < plan.most_reads {
        let key = random.random_range(0..plan.keys);
        let start = now();
        let read = maybe_cancelled(&mut random, plan.cancels, scheme.read(key)).await;
        if let Some(version) = read {
            reads.fetch_add(1, Ordering::Relaxed);
            history.add(Event {
                key,
                kind: Kind::Read,
                version,
                start,
                end: now(),
            });
        }
        // A hit does not wait for anything: others must have their turn.
        if random.random_range(0..16) == 0 {
            sleep(Duration::from_micros(random.random_range(0..400))).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
    history
}

async fn write_on<S: Scheme>(
    scheme: Arc<S>,
    plan: Plan,
    seed: u64,
    until: Instant,
    reads: Arc<AtomicU64>,
) -> History {
    let mut random = StdRng::seed_from_u64(seed);
    let mut history = History::default();
    while Instant::now() < until && reads.load(Ordering::Relaxed) < plan.most_reads {
        sleep(plan.write_pause.mul_f64(random.random_range(0.0..2.0))).await;
        let key = random.random_range(0..plan.keys);
        let start = now();
        // A write that was cancelled may have happened: it says nothing.
        let written = maybe_cancelled(&mut random, plan.cancels, scheme.write(key)).await;
        if let Some(version) = written {
            history.add(Event {
                key,
                kind: Kind::Write,
                version,
                start,
                end: now(),
            });
        }
    }
    history
}

async fn maybe_cancelled<T>(
    random: &mut StdRng,
    one_in: u32,
    call: impl Future<Output = Option<T>>,
) -> Option<T> {
    if one_in > 0 && random.random_range(0..one_in) == 0 {
        let patience = Duration::from_micros(random.random_range(0..3000));
        return timeout(patience, call).await.ok().flatten();
    }
    call.await
}
