//! What readers of several caches see while the database is written: the same harness on all.
//!
//! `cargo bench -p speedwell-cache --bench consistency`
//! `… -- --reads 1000000 --seconds 900 --seed 7`: the long run of what this crate guarantees.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "../tests/consistency/faults.rs"]
mod faults;
#[path = "../tests/consistency/harness.rs"]
mod harness;
mod others;
#[path = "../tests/consistency/ours.rs"]
mod ours;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use speedwell_cache::{Cache, Mode, history::Report};
use throwaway::Redis;

use self::{
    faults::{Fault, inflict},
    harness::{Database, Plan, Scheme, run},
    others::{Cached, Foyer, Moka, Plain, Quick},
    ours::Ours,
};

struct Arguments {
    reads: u64,
    seconds: u64,
    seed: u64,
    all: bool,
}

fn arguments() -> Arguments {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = given.iter().position(|one| one == name)?;
        given.get(at + 1)?.parse().ok()
    };
    Arguments {
        reads: number("--reads").unwrap_or(u64::MAX),
        seconds: number("--seconds").unwrap_or(10),
        seed: number("--seed").unwrap_or_else(rand::random),
        all: number("--reads").is_none(),
    }
}

fn row(name: &str, processes: usize, faults: &str, report: &Report) {
    println!(
        "{name:<34} {processes:>9}  {faults:<7} {:>9} {:>7} {:>8} = {:>5.2} % {:>7.0} ms {:>9}",
        report.reads,
        report.writes,
        report.stale,
        100.0 * report.stale as f64 / report.reads.max(1) as f64,
        report.worst_staleness.as_secs_f64() * 1e3,
        report.backwards,
    );
}

fn database(plan: &Plan) -> Arc<Database> {
    Arc::new(Database::new(plan.keys, Duration::from_millis(31)))
}

async fn measure<S: Scheme>(
    name: &str,
    processes: Vec<Arc<S>>,
    plan: &Plan,
    server: Option<(Redis, &'static [Fault])>,
) {
    let (seed, until) = (plan.seed, Instant::now() + plan.duration);
    let faults = matches!(&server, Some((_, faults)) if !faults.is_empty());
    let inflicting = tokio::task::spawn_blocking(move || {
        if let Some((mut server, faults)) = server {
            if !faults.is_empty() {
                inflict(&mut server, faults, seed, Duration::from_millis(900), until);
            }
            return Some(server);
        }
        None
    });
    let report = run(&processes, plan).await.check();
    let faults = if faults { "all" } else { "none" };
    row(name, processes.len(), faults, &report);
    // It goes on until its time is over, which is no harm.
    inflicting.abort();
    drop(inflicting.await);
}

async fn ours(name: &str, mode: Mode, plan: &Plan, faults: &'static [Fault]) {
    let server = Redis::start().unwrap();
    let database = database(plan);
    let mut processes = Vec::new();
    for _ in 0..2 {
        let builder = Cache::builder("bench").mode(mode).redis(&server.url());
        processes.push(Ours::new(builder, &database, 20).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let caches: Vec<Cache> = processes.iter().map(|one| one.cache.clone()).collect();
    measure(name, processes, plan, Some((server, faults))).await;
    // What bounded mode guarantees, it guarantees while writers reach Redis.
    let delayed: u64 = caches
        .iter()
        .map(|cache| cache.stats().invalidations_delayed)
        .sum();
    if delayed > 0 {
        println!("    of these writes, {delayed} did not reach Redis in time");
    }
}

async fn others(plan: &Plan) {
    let base = database(plan);
    measure(
        "moka try_get_with + invalidate",
        vec![Moka::new(&base)],
        plan,
        None,
    )
    .await;
    let base = database(plan);
    measure(
        "quick_cache get_or_insert + remove",
        vec![Quick::new(&base)],
        plan,
        None,
    )
    .await;
    let base = database(plan);
    measure(
        "foyer get_or_fetch + remove",
        vec![Foyer::new(&base)],
        plan,
        None,
    )
    .await;
    let base = database(plan);
    measure(
        "cached get_or_set_with + delete",
        vec![Cached::in_memory(&base)],
        plan,
        None,
    )
    .await;
    for faults in [&[][..], &Fault::ALL[..]] {
        let server = Redis::start().unwrap();
        let base = database(plan);
        let mut processes = Vec::new();
        for _ in 0..2 {
            processes.push(Cached::in_redis(&server.url(), &base).await);
        }
        let name = "cached AsyncRedisCache + delete";
        measure(name, processes, plan, Some((server, faults))).await;
    }
    for faults in [&[][..], &Fault::ALL[..]] {
        let server = Redis::start().unwrap();
        let base = database(plan);
        let mut processes = Vec::new();
        for _ in 0..2 {
            processes.push(Plain::new(&server.url(), &base).await);
        }
        let name = "GET / SETEX / DEL (paper 004)";
        measure(name, processes, plan, Some((server, faults))).await;
    }
    let base = database(plan);
    let alone = Ours::new(Cache::builder("bench"), &base, 20).await;
    measure("this crate, without Redis", vec![alone], plan, None).await;
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments = arguments();
    println!("seed {}", arguments.seed);
    println!(
        "{:<34} {:>9}  {:<7} {:>9} {:>7} {:>18} {:>10} {:>9}",
        "", "processes", "faults", "reads", "writes", "stale", "worst", "backwards"
    );
    let mut plan = Plan::new(arguments.seed, Duration::from_secs(arguments.seconds));
    plan.most_reads = arguments.reads;
    let (bounded, strict) = ("this crate, bounded", "this crate, strict");
    ours(bounded, Mode::Bounded, &plan, &[]).await;
    ours(strict, Mode::Strict, &plan, &Fault::ALL).await;
    if arguments.all {
        ours(bounded, Mode::Bounded, &plan, &Fault::ALL).await;
        ours(strict, Mode::Strict, &plan, &[]).await;
        others(&plan).await;
    }
}
