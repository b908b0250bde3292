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

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use speedwell_cache::{Builder, Cache, Mode, history::Report};
use throwaway::Redis;

use self::{
    faults::{Fault, inflict},
    harness::{Database, Plan, run},
    ours::Ours,
    proxy::LateMessages,
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

/// Two processes over one Redis, with faults if there are any; one of them hears late then.
async fn over_redis(
    builder: impl Fn(Builder) -> Builder,
    mode: Mode,
    plan: &Plan,
    faults: &'static [Fault],
    fails: u32,
) -> Report {
    let mut server = match faults.contains(&Fault::ClockStep) {
        true => Redis::start_with_clock().unwrap(),
        false => Redis::start().unwrap(),
    };
    let database = Arc::new(Database::new(plan.keys, Duration::from_millis(31)));
    let mut processes = Vec::new();
    let late = LateMessages::before(server.port(), plan.seed);
    let second = match faults.contains(&Fault::LateMessages) {
        true => late.url(),
        false => server.url(),
    };
    for url in [server.url(), second] {
        let made = builder(Cache::builder("test").mode(mode).redis(&url));
        processes.push(Ours::new(made, &database, fails).await);
    }
    // A new server is young at first.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (seed, until) = (plan.seed, Instant::now() + plan.duration);
    let inflicting = tokio::task::spawn_blocking(move || {
        if !faults.is_empty() {
            // One kind of mishap alone may come often.
            let pause = Duration::from_millis(if faults.len() > 1 { 900 } else { 50 });
            let count = inflict(&mut server, faults, seed, pause, until);
            println!("{count} faults");
        }
        server
    });
    let report = run(&processes, plan).await.check();
    println!("{mode:?}: {report}");
    for process in &processes {
        println!("{:?}", process.cache.stats());
    }
    drop(inflicting.await.unwrap());
    report
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

    /// Runs until the checker finds something, for a minute at most.
    async fn is_caught(mutant: Mutant, mode: Mode, faults: &'static [Fault]) {
        let started = Instant::now();
        let first = seed();
        for round in 0.. {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{mutant:?} was not caught within a minute"
            );
            let plan = Plan::new(first.wrapping_add(round), Duration::from_secs(5));
            let report = over_redis(|one| one.mutant(mutant), mode, &plan, faults, 0).await;
            let caught = match mode {
                Mode::Strict => !report.is_clean(),
                Mode::Bounded | Mode::Ttl => report.stale > 0,
            };
            if caught {
                println!("{mutant:?}: caught after {:?}: {report}", started.elapsed());
                return;
            }
        }
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
