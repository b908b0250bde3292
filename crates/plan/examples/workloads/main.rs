//! The workloads of `bench/` under no index, under our advice and under that of others.
//!
//! `cargo run -p speedwell-plan --example workloads -- web17|desk [--scale 0.1] [--sqlite]`
//!
//! Fills a throwaway database, asks `speedwell_plan::advise` for indexes, asks SQLite's `.expert`
//! where the program `sqlite3` is installed, and measures every set of indexes with the same
//! values, as the README beside the workload says. A scale of 1 is the published size.

// A program for people: it prints, and stops where it cannot go on.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

mod bench;
mod expert;
mod postgres;
#[path = "../shared/show.rs"]
mod show;
mod sqlite;
mod store;
mod table;
mod values;

use std::time::Instant;

use speedwell_plan::{Advice, AdviceOptions, Asked, advise};

use self::{bench::Bench, store::Store};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let on_sqlite = words.iter().position(|word| word == "--sqlite");
    if let Some(place) = on_sqlite {
        words.remove(place);
    }
    let (name, scale) = match words.as_slice() {
        [name] => (name, 1.0),
        [name, flag, scale] if flag == "--scale" => (name, scale.parse().expect("a number")),
        _ => panic!("usage: workloads web17|desk [--scale 0.1] [--sqlite]"),
    };
    let bench = Bench::open(name, scale);
    match on_sqlite {
        Some(_) => compare(&bench, sqlite::fill(&bench).await).await,
        None => compare(&bench, postgres::fill(&bench).await).await,
    }
}

/// Advice, then every set of indexes measured, then advice on the migrated database.
async fn compare<S: Store>(bench: &Bench, mut store: S) {
    let workload = bench.workload(S::DIALECT);
    let advice = asked(&store, &workload).await;
    show::times(&advice);
    show::indexes(&advice);

    let statements = values::statements(bench, &workload, &mut store).await;
    let sets = sets(bench, &advice, S::IS_RIVALS_HOME).await;
    let mut none = Vec::new();
    table::heading::<S>();
    for (name, indexes) in sets {
        store.rebuild(&indexes).await;
        let measured = store.measure(&statements).await;
        let write = store.write(bench).await;
        table::line(&name, indexes.len(), &measured, write);
        match name.as_str() {
            "none" => none = measured,
            "ours" => {
                table::worse(&none, &measured);
                table::statements::<S>(&advice, &none, &measured);
                table::heading::<S>();
            }
            _ => table::worse(&none, &measured),
        }
    }

    store.rebuild(&[]).await;
    store.migrate(&advice).await;
    let again = asked(&store, &workload).await;
    println!(
        "\non the migrated database: {} indexes advised",
        again.indexes.len()
    );
    show::indexes(&again);
}

async fn asked<S: Store>(store: &S, workload: &[Asked]) -> Advice {
    let begun = Instant::now();
    let advice = advise(&store.url(), workload, AdviceOptions::default())
        .await
        .expect("advice");
    println!(
        "\nadvice for {} statements in {:.1} s",
        workload.len(),
        begun.elapsed().as_secs_f64()
    );
    advice
}

/// None, ours, and those of others: what `.expert` says now, and what is on record.
async fn sets(bench: &Bench, advice: &Advice, all: bool) -> Vec<(String, Vec<String>)> {
    let ours = advice.indexes.iter();
    let ours = ours.map(|index| index.definition.clone()).collect();
    let mut sets = vec![("none".to_owned(), Vec::new()), ("ours".to_owned(), ours)];
    let expert = expert::advice(bench).await;
    match &expert {
        Some(indexes) => sets.push(("sqlite .expert".to_owned(), indexes.clone())),
        None => println!("sqlite3 is not installed: its .expert was not asked"),
    }
    if all {
        let recorded = bench.rivals().into_iter();
        sets.extend(recorded.filter(|(name, _)| !(name.contains(".expert") && expert.is_some())));
    }
    sets
}
