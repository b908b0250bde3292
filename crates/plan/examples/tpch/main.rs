//! TPC-H by the protocol of "Magic mirror in my hand, which is the best in the land?" (Kossmann et
//! al., PVLDB 2020): no keys, one variant of each query, the planner's cost with a set of indexes
//! relative to its cost with none; beside it the measured time, which is what counts.
//!
//! `cargo run --release -p speedwell-plan --example tpch -- [--scale 0.1] [--within MB] [--all]`
//!
//! Advice is sought without a bound on the indexes' size and within those that others were given, or
//! within that of `--within` alone.
//!
//! The protocol leaves out queries 2, 17 and 20: without an index they take hours. `--all` asks
//! for advice for them too, in which the advisor gives them a minute.

// A program for people: it prints, and stops where it cannot go on.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

#[path = "../shared/postgres.rs"]
mod server;
#[path = "../shared/show.rs"]
mod show;
mod tables;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use speedwell_plan::{Advice, AdviceOptions, Asked, Goal, Verdict, advise};
use sqlx::{Connection as _, PgConnection, Row as _};

use self::server::{explained, figure, rebuild, run, tried};

/// What the protocol leaves out.
const LEFT_OUT: [&str; 3] = ["q2", "q17", "q20"];
/// Turns of each query; the quickest counts.
const TURNS: usize = 2;
/// What is given up, and counts as long as this. Query 21 takes hours without an index at a scale of 1.
const MOST_TIME: Duration = Duration::from_secs(120);
/// Nothing is executed again that took so long.
const LONG: Duration = Duration::from_secs(20);
/// The bytes that other advisors were given, at a scale of 1.
const BUDGETS: [u64; 2] = [500_000_000, 1_500_000_000];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let Options { scale, within, all } = options();
    let server = throwaway::Postgres::start().expect("PostgreSQL is installed");
    let home = server.database().expect("a database");
    let mut database = PgConnection::connect(&home.url()).await.expect("connected");
    let begun = Instant::now();
    fill(&mut database, scale).await;
    println!(
        "filled at scale {scale} in {:.1} s",
        begun.elapsed().as_secs_f64()
    );

    let queries = queries(all);
    let measurable: Vec<&Asked> = queries
        .iter()
        .filter(|asked| !LEFT_OUT.contains(&asked.name.as_str()))
        .collect();
    let none = measured(&mut database, &measurable).await;
    let budgets = match within {
        Some(megabytes) => vec![Some(megabytes * 1_000_000)],
        None => {
            let usual = BUDGETS.map(|bytes| Some((bytes as f64 * scale) as u64));
            [None].into_iter().chain(usual).collect()
        }
    };
    for most_bytes in budgets {
        rebuild(&mut database, &[]).await;
        let begun = Instant::now();
        let options = AdviceOptions {
            goal: Goal::Total,
            // Shares of a sample would not be those that others were measured by.
            most_rows: Some(u64::MAX),
            most_bytes,
            ..AdviceOptions::default()
        };
        let advice = advise(&home.url(), &queries, options).await;
        let advice = advice.expect("advice");
        let within = most_bytes.map_or("without a budget".to_owned(), |bytes| {
            format!("within {:.0} MB", bytes as f64 / 1e6)
        });
        println!(
            "\nadvice for {} queries {within} in {:.1} s",
            queries.len(),
            begun.elapsed().as_secs_f64()
        );
        show::times(&advice);
        show::indexes(&advice);
        compare(&mut database, &advice, &measurable, &none).await;
    }
}

struct Options {
    scale: f64,
    /// Megabytes.
    within: Option<u64>,
    all: bool,
}

fn options() -> Options {
    let mut options = Options {
        scale: 0.1,
        within: None,
        all: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().expect("a number behind it");
        match word.as_str() {
            "--scale" => options.scale = number().parse().expect("a number"),
            "--within" => options.within = Some(number().parse().expect("megabytes")),
            "--all" => options.all = true,
            _ => panic!("usage: tpch [--scale 0.1] [--within MB] [--all]"),
        }
    }
    options
}

fn file(name: &str) -> String {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = home.join("../../bench/tpch").join(name);
    std::fs::read_to_string(path).expect(name)
}

async fn fill(database: &mut PgConnection, scale: f64) {
    for table in file("schema.sql").split_inclusive(");\n") {
        run(database, table.to_owned()).await;
    }
    tables::copy(database, scale).await;
    run(database, "VACUUM ANALYZE".to_owned()).await;
}

/// The queries by their names: `-- q1` stands above each.
fn queries(all: bool) -> Vec<Asked> {
    let text = file("queries.sql");
    let parts = text.split("\n-- ").skip(1);
    let asked = parts.map(|part| {
        let (name, sql) = part.split_once('\n').expect("a name above the query");
        Asked::new(name, sql.trim().trim_end_matches(';'))
    });
    let is_wanted = |asked: &Asked| all || !LEFT_OUT.contains(&asked.name.as_str());
    asked.filter(is_wanted).collect()
}

/// What a query costs with a set of indexes.
struct Measured {
    /// By the planner.
    cost: f64,
    /// By the clock.
    millis: f64,
}

/// Every query with no index and with ours.
async fn compare(
    database: &mut PgConnection,
    advice: &Advice,
    measurable: &[&Asked],
    none: &[Measured],
) {
    let ours = advice.indexes.iter();
    let ours: Vec<String> = ours.map(|index| index.definition.clone()).collect();
    rebuild(database, &ours).await;
    let with = measured(database, measurable).await;

    println!(
        "\n{:<6} {:<13} {:>12} {:>12} {:>10} {:>9}",
        "query", "verdict", "cost was", "is", "ms was", "is"
    );
    for judged in &advice.statements {
        let (verdict, reason) = match &judged.verdict {
            Verdict::Improved => ("improved", None),
            Verdict::AlreadyGood => ("already good", None),
            Verdict::Cannot(reason) => ("cannot", Some(reason)),
        };
        match measurable
            .iter()
            .position(|asked| asked.name == judged.name)
        {
            Some(at) => println!(
                "{:<6} {verdict:<13} {:>12.0} {:>12.0} {:>10.1} {:>9.1}",
                judged.name, none[at].cost, with[at].cost, none[at].millis, with[at].millis
            ),
            None => println!("{:<6} {verdict}", judged.name),
        }
        if let Some(reason) = reason {
            println!("    {reason}");
        }
    }
    summary(database, none, &with, ours.len()).await;
}

async fn summary(
    database: &mut PgConnection,
    none: &[Measured],
    with: &[Measured],
    indexes: usize,
) {
    let cost = |all: &[Measured]| all.iter().map(|m| m.cost).sum::<f64>();
    let millis = |all: &[Measured]| all.iter().map(|m| m.millis).sum::<f64>();
    let bytes = size(database).await;
    println!(
        "\n{indexes} indexes of {:.0} MB: cost {:.0} -> {:.0} ({:.3} of it), time {:.2} -> {:.2} s ({:.3} of it)",
        bytes as f64 / 1e6,
        cost(none),
        cost(with),
        cost(with) / cost(none),
        millis(none) / 1000.0,
        millis(with) / 1000.0,
        millis(with) / millis(none)
    );
}

fn limit(time: Duration) -> String {
    format!("SET statement_timeout = {}", time.as_millis())
}

async fn measured(database: &mut PgConnection, queries: &[&Asked]) -> Vec<Measured> {
    run(
        database,
        "SET max_parallel_workers_per_gather = 0".to_owned(),
    )
    .await;
    let mut all = Vec::with_capacity(queries.len());
    for asked in queries {
        let planned = explained(database, "COSTS ON", &asked.sql).await;
        let mut millis = f64::MAX;
        for _ in 0..TURNS {
            let begun = Instant::now();
            run(database, limit(MOST_TIME)).await;
            let top = tried(database, "ANALYZE, TIMING OFF", &asked.sql).await;
            run(database, limit(Duration::ZERO)).await;
            let time = top.map_or(MOST_TIME.as_secs_f64() * 1000.0, |top| {
                top["Execution Time"].as_f64().expect("a time")
            });
            millis = millis.min(time);
            // The second turn is for the pages that the first had to fetch.
            if begun.elapsed() > LONG {
                break;
            }
        }
        all.push(Measured {
            cost: figure(&planned, "Total Cost"),
            millis,
        });
    }
    all
}

/// Bytes of all indexes.
async fn size(database: &mut PgConnection) -> i64 {
    let question = "SELECT coalesce(sum(pg_relation_size(oid)), 0)::BIGINT FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::REGNAMESPACE";
    let row = sqlx::query(question).fetch_one(database).await;
    row.expect("a size").get(0)
}
