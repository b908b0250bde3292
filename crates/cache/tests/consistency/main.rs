//! The guarantees, checked: what readers and writers saw, with faults, and with safeguards taken
//! out.
//!
//! Each test prints its seed; `SPEEDWELL_SEED` runs it with another, `SPEEDWELL_SECONDS` for
//! longer.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod faults;
mod harness;
mod ours;
mod proxy;
mod ready;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use speedwell_cache::{
    Builder, Cache, Mode,
    history::{History, Report},
};
use throwaway::Redis;

use self::{
    faults::{Fault, inflict},
    harness::{Database, Plan, run},
    ours::Ours,
    proxy::LateMessages,
    ready::until_ready,
};

fn seed() -> u64 {
    let chosen = std::env::var("SPEEDWELL_SEED").ok();
    let seed = chosen.map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("SPEEDWELL_SEED={seed}");
    seed
}

fn seconds(usual: u64) -> Duration {
    let chosen = std::env::var("SPEEDWELL_SECONDS").ok();
    Duration::from_secs(chosen.map_or(usual, |seconds| seconds.parse().unwrap()))
}

/// Two processes over one Redis, and what they have seen so far.
struct Pair {
    server: Redis,
    processes: Vec<Arc<Ours>>,
    /// The way of the second to the server, if it hears late.
    _late: Option<LateMessages>,
    seen: History,
}

impl Pair {
    async fn start(
        builder: impl Fn(Builder) -> Builder,
        mode: Mode,
        plan: &Plan,
        faults: &[Fault],
        fails: u32,
    ) -> Self {
        let server = match faults.contains(&Fault::ClockStep) {
            true => Redis::start_with_clock().unwrap(),
            false => Redis::start().unwrap(),
        };
        let database = Arc::new(Database::new(plan.keys, Duration::from_millis(31)));
        let late = faults
            .contains(&Fault::LateMessages)
            .then(|| LateMessages::before(server.port(), plan.seed));
        let second = late
            .as_ref()
            .map_or_else(|| server.url(), LateMessages::url);
        let mut processes = Vec::new();
        for url in [server.url(), second] {
            let made = builder(Cache::builder("test").mode(mode).redis(&url));
            processes.push(Ours::new(made, &database, fails).await);
        }
        for process in &processes {
            until_ready(&process.cache).await;
        }
        Self {
            server,
            processes,
            _late: late,
            seen: History::default(),
        }
    }

    /// Goes on as planned, with faults if there are any; reports on all that was seen.
    async fn go_on(mut self, plan: &Plan, faults: &'static [Fault]) -> (Self, Report) {
        let (seed, until) = (plan.seed, Instant::now() + plan.duration);
        let inflicting = tokio::task::spawn_blocking(move || {
            if !faults.is_empty() {
                // One kind of mishap alone may come often.
                let pause = Duration::from_millis(if faults.len() > 1 { 900 } else { 50 });
                let count = inflict(&mut self.server, faults, seed, pause, until);
                println!("{count} faults");
            }
            self.server
        });
        self.seen.append(run(&self.processes, plan).await);
        let report = self.seen.check();
        println!("{report}");
        for process in &self.processes {
            println!("{:?}", process.cache.stats());
        }
        self.server = inflicting.await.unwrap();
        (self, report)
    }
}

async fn over_redis(
    builder: impl Fn(Builder) -> Builder,
    mode: Mode,
    plan: &Plan,
    faults: &'static [Fault],
    fails: u32,
) -> Report {
    let pair = Pair::start(builder, mode, plan, faults, fails).await;
    pair.go_on(plan, faults).await.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_without_redis_is_strict() {
    let plan = Plan::new(seed(), seconds(4));
    let database = Arc::new(Database::new(plan.keys, Duration::from_millis(31)));
    let process = Ours::new(Cache::builder("test"), &database, 20).await;
    let report = run(&[process], &plan).await.check();
    println!("{report}");
    assert!(report.is_clean() && report.reads > 10_000, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_holds_while_redis_is_killed_frozen_flushed_and_cut_off() {
    let plan = Plan::new(seed(), seconds(15));
    let report = over_redis(|one| one, Mode::Strict, &plan, &Fault::ALL, 20).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.reads > 5_000 && report.writes > 20, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_holds_while_the_clock_of_redis_is_set_forward_and_back() {
    let plan = Plan::new(seed(), seconds(8));
    let faults = &[Fault::ClockStep, Fault::Disconnect];
    let report = over_redis(|one| one, Mode::Strict, &plan, faults, 20).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.reads > 5_000 && report.writes > 20, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_holds_without_faults() {
    let plan = Plan::new(seed(), seconds(5));
    let report = over_redis(|one| one, Mode::Strict, &plan, &[], 20).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.reads > 20_000 && report.writes > 300, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounded_is_never_stale_without_faults() {
    let plan = Plan::new(seed(), seconds(5));
    let report = over_redis(|one| one, Mode::Bounded, &plan, &[], 20).await;
    assert!(report.is_within(Duration::ZERO), "{report}");
    assert!(report.reads > 20_000 && report.writes > 300, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounded_is_stale_by_no_more_than_its_bound_with_faults() {
    let plan = Plan::new(seed(), seconds(10));
    let bound = Duration::from_secs(1);
    let shorter = |one: Builder| one.max_stale(bound);
    let report = over_redis(shorter, Mode::Bounded, &plan, &Fault::ALL, 20).await;
    assert!(report.is_within(bound), "{report}");
}

#[cfg(feature = "mutants")]
mod mutants {
    use speedwell_cache::Mutant;

    use super::*;

    /// Most are caught within the first of these; the others need a new server after some.
    const SLICE: Duration = Duration::from_secs(1);
    const SLICES: u32 = 5;

    /// Runs until the checker finds something, for a minute at most.
    async fn is_caught(mutant: Mutant, mode: Mode, faults: &'static [Fault]) {
        let started = Instant::now();
        let mut plan = Plan::new(seed(), SLICE);
        while started.elapsed() < Duration::from_secs(60) {
            let wrong = |one: Builder| one.mutant(mutant);
            let mut pair = Pair::start(wrong, mode, &plan, faults, 0).await;
            for _ in 0..SLICES {
                let report;
                (pair, report) = pair.go_on(&plan, faults).await;
                let caught = match mode {
                    Mode::Strict => !report.is_clean(),
                    Mode::Bounded | Mode::Ttl => report.stale > 0,
                };
                if caught {
                    println!("{mutant:?}: caught after {:?}", started.elapsed());
                    return;
                }
                plan.seed = plan.seed.wrapping_add(1);
            }
        }
        panic!("{mutant:?} was not caught within a minute");
    }

    macro_rules! caught {
        ($($name:ident: $mutant:ident, $mode:ident, $faults:expr;)+) => {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                is_caught(Mutant::$mutant, Mode::$mode, $faults).await;
            }
        )+};
    }

    caught! {
        a_fill_without_comparing_is_caught: FillWithoutComparing, Bounded, &[];
        a_flight_without_generations_is_caught: FlightsWithoutGenerations, Bounded, &[];
        renewing_before_the_commit_is_caught: RenewBeforeCommit, Bounded, &[];
        a_write_without_a_mark_is_caught: NoMark, Strict, &[];
        memory_without_a_lease_is_caught: NoLease, Strict, &[Fault::LateMessages];
        counters_as_stamps_are_caught: CountersAsStamps, Bounded, &[Fault::EvictStamps];
    }
}
