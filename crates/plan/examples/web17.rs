//! The table of bench/web17: seventeen statements of a web application under no index, under our
//! advice and under the indexes that other advisors gave for them.
//!
//! `cargo run -p speedwell-plan --example web17 [SCALE]`; a scale of 1 is the published size.

// A program for people: it prints, and stops where it cannot go on.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::{path::PathBuf, time::Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use speedwell_plan::{Advice, Asked, Verdict, advise};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let scale: f64 = std::env::args().nth(1).map_or(1.0, |scale| {
        scale.parse().expect("a scale such as 1 or 0.1")
    });
    let server = throwaway::Postgres::start().expect("PostgreSQL is installed");
    let home = server.database().expect("a database");
    let mut database = PgConnection::connect(&home.url())
        .await
        .expect("a connection");
    fill(&mut database, scale).await;
    let workload = workload();

    let begun = Instant::now();
    let advice = advise(&home.url(), None, &workload).await.expect("advice");
    println!(
        "advice in {:.1} s: copy {:.1} s, build {:.1} s, choose {:.1} s; {} indexes tried, {} executions",
        begun.elapsed().as_secs_f64(),
        advice.times.copy.as_secs_f64(),
        advice.times.build.as_secs_f64(),
        advice.times.choose.as_secs_f64(),
        advice.tried,
        advice.executed,
    );
    show(&advice);

    let ours: Vec<String> = advice
        .indexes
        .iter()
        .map(|index| index.definition.clone())
        .collect();
    let statements = literal(&workload, scale);
    println!(
        "\n{:<24} {:>7} {:>9} {:>9} {:>9} {:>9}",
        "advice", "indexes", "pages", "ms", "fk ms", "write ms"
    );
    let mut base = Vec::new();
    for (name, indexes) in rivals(&ours) {
        rebuild(&mut database, &indexes).await;
        let measured = measure(&mut database, &statements).await;
        let write = write(&mut database, scale).await;
        let sum = |of: fn(&Measured) -> f64| measured.iter().map(of).sum::<f64>();
        println!(
            "{name:<24} {:>7} {:>9.0} {:>9.1} {:>9.2} {write:>9.0}",
            indexes.len(),
            sum(|m| m.pages),
            sum(|m| m.millis),
            sum(|m| m.trigger_millis),
        );
        if name == "none" {
            base = measured;
            continue;
        }
        for (before, after) in base.iter().zip(&measured) {
            if after.pages > before.pages * 1.1 + 16.0 {
                println!(
                    "    worse than without: {} {:.0} -> {:.0} pages",
                    after.name, before.pages, after.pages
                );
            }
        }
        if name == "ours" {
            for (before, after) in base.iter().zip(&measured) {
                println!(
                    "    {:<16} {:>8.1} -> {:>7.1} pages {:>8.2} -> {:>6.2} ms",
                    after.name,
                    before.pages,
                    after.pages,
                    before.millis + before.trigger_millis,
                    after.millis + after.trigger_millis
                );
            }
        }
    }

    rebuild(&mut database, &[]).await;
    for index in &advice.indexes {
        database
            .execute(AssertSqlSafe(index.ddl.clone()))
            .await
            .expect("our index is built");
    }
    database.execute("VACUUM ANALYZE").await.expect("vacuum");
    let again = advise(&home.url(), None, &workload).await.expect("advice");
    println!(
        "\non the migrated database: {} indexes advised",
        again.indexes.len()
    );
    for index in &again.indexes {
        println!("    {}", index.definition);
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../bench/web17")
}

fn workload() -> Vec<Asked> {
    let text = std::fs::read_to_string(folder().join("queries.txt")).expect("queries.txt");
    let lines = text.lines().filter_map(|line| line.split_once('|'));
    lines.map(|(name, sql)| Asked::new(name, sql)).collect()
}

/// The schema and its rows; each count of rows is multiplied by the scale.
async fn fill(database: &mut PgConnection, scale: f64) {
    let text = std::fs::read_to_string(folder().join("schema.sql")).expect("schema.sql");
    for line in text.lines().filter(|line| !line.starts_with('\\')) {
        let mut line = line.to_owned();
        if scale != 1.0
            && let Some((before, rest)) = line.split_once("generate_series(1,")
            && let Some((count, after)) = rest.split_once(')')
        {
            let rows = (count.parse::<f64>().expect("a count") * scale) as u64;
            line = format!("{before}generate_series(1,{rows}){after}");
            for most in ["9999", "99999", "4999"] {
                let small = (most.parse::<f64>().expect("a number") * scale) as u64;
                line = line.replace(&format!("({most}*"), &format!("({small}*"));
            }
        }
        database
            .execute(AssertSqlSafe(line))
            .await
            .expect("the schema is made");
    }
}

/// Each statement with its values as literals: ten choices, three for the dear ones.
fn literal(workload: &[Asked], scale: f64) -> Vec<(String, Vec<String>)> {
    let mut random = StdRng::seed_from_u64(17);
    let users = 9999.0 * scale;
    let challenges = (4999.0 * scale) as u64;
    let flyers = (100_000.0 * scale) as u64;
    let mut all = Vec::new();
    for asked in workload {
        let count = match asked.name.as_str() {
            "title_search" | "delete_flyer" => 3,
            _ => 10,
        };
        let mut texts = Vec::new();
        for _ in 0..count {
            let mut user = || 1 + (users * random.random::<f64>().powi(2)) as u64;
            let (one, other) = (user(), user());
            let challenge = random.random_range(1..=challenges);
            let flyer = random.random_range(1..=flyers);
            let day = random.random_range(0..210_u64);
            let date = format!("'2025-{:02}-{:02}'", 3 + day / 30, 1 + day % 28);
            let values: Vec<String> = match asked.name.as_str() {
                "feed" => vec!["'2025-10-15'".to_owned()],
                "expire_job" => vec!["'2025-06-03'".to_owned()],
                "keyset" => vec![date, flyer.to_string()],
                "day_checkins" => vec![challenge.to_string(), date],
                "member_check" => vec![challenge.to_string(), one.to_string()],
                "challenges" => vec!["'active'".to_owned()],
                "user_search" => vec![format!("'User_{one}'")],
                "delete_flyer" => vec![flyer.to_string()],
                _ => vec![one.to_string(), other.to_string()],
            };
            let mut text = asked.sql.clone();
            for (number, value) in (1..).zip(values) {
                text = text.replace(&format!("${number}"), &value);
            }
            texts.push(text);
        }
        all.push((asked.name.clone(), texts));
    }
    all
}

/// Ours after none, then the others'.
fn rivals(ours: &[String]) -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(folder().join("rivals.json")).expect("rivals.json");
    let known: Value = serde_json::from_str(&text).expect("rivals.json is JSON");
    let mut sets = Vec::new();
    for (name, indexes) in known.as_object().expect("an object") {
        let indexes = indexes.as_array().expect("a list").iter();
        let indexes = indexes.map(|index| index.as_str().expect("a text").to_owned());
        sets.push((name.clone(), indexes.collect()));
        if name == "none" {
            sets.push(("ours".to_owned(), ours.to_vec()));
        }
    }
    sets
}

async fn rebuild(database: &mut PgConnection, indexes: &[String]) {
    let secondary = "
        SELECT format('DROP INDEX %I', c.relname)
        FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indexrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public'
          AND NOT i.indisprimary";
    for row in database
        .fetch_all(secondary)
        .await
        .expect("a list of indexes")
    {
        let drop: String = row.get(0);
        database
            .execute(AssertSqlSafe(drop))
            .await
            .expect("an index is dropped");
    }
    database
        .execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        .await
        .expect("pg_trgm");
    for index in indexes {
        let ddl = format!("CREATE INDEX ON {index}");
        database
            .execute(AssertSqlSafe(ddl))
            .await
            .expect("an index is built");
    }
    database.execute("VACUUM ANALYZE").await.expect("vacuum");
}

struct Measured {
    name: String,
    pages: f64,
    millis: f64,
    trigger_millis: f64,
}

async fn measure(
    database: &mut PgConnection,
    statements: &[(String, Vec<String>)],
) -> Vec<Measured> {
    let mut all = Vec::new();
    for (name, texts) in statements {
        let (mut pages, mut millis, mut triggers) = (0.0, Vec::new(), 0.0);
        for warm in [true, false] {
            for text in texts.iter().take(if warm { 1 } else { texts.len() }) {
                let plan = explain(database, text).await;
                if warm {
                    continue;
                }
                let top = &plan[0];
                let of = |name: &str| top["Plan"][name].as_f64().unwrap_or(0.0);
                pages += of("Shared Hit Blocks") + of("Shared Read Blocks");
                let all_triggers = top["Triggers"].as_array().into_iter().flatten();
                let own: f64 = all_triggers.filter_map(|t| t["Time"].as_f64()).sum();
                triggers += own;
                millis.push(top["Execution Time"].as_f64().unwrap_or(0.0) - own);
            }
        }
        millis.sort_by(f64::total_cmp);
        all.push(Measured {
            name: name.clone(),
            pages: pages / texts.len() as f64,
            millis: millis[millis.len() / 2],
            trigger_millis: triggers / texts.len() as f64,
        });
    }
    all
}

async fn explain(database: &mut PgConnection, text: &str) -> Value {
    // Without timing the time of foreign keys is not told.
    let timing = if text.starts_with("DELETE") {
        "ON"
    } else {
        "OFF"
    };
    let question = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING {timing}, FORMAT JSON) {text}");
    let mut transaction = database.begin().await.expect("a transaction");
    let row = transaction
        .fetch_one(sqlx::query(AssertSqlSafe(question)).persistent(false))
        .await
        .expect("a plan");
    transaction.rollback().await.expect("rolled back");
    row.get(0)
}

/// Best of three, in milliseconds.
async fn write(database: &mut PgConnection, scale: f64) -> f64 {
    let rows = |count: f64| (count * scale) as u64;
    let statements = [
        format!(
            "INSERT INTO notifications SELECT 10000000 + g, 1 + g % 9999, 'friend_request', 'Title ' || g, repeat('n', 90), false, now() FROM generate_series(1, {}) AS g",
            rows(20_000.0)
        ),
        format!(
            "INSERT INTO flyers SELECT 10000000 + g, 1 + g % {}, 'Flyer ' || md5(g::text), repeat(md5(g::text), 6), 47, 8, true, NULL, now(), now() FROM generate_series(1, {}) AS g",
            rows(9999.0),
            rows(10_000.0)
        ),
        format!(
            "UPDATE notifications SET is_read = true WHERE id <= {}",
            rows(10_000.0)
        ),
    ];
    let mut best = f64::MAX;
    for _ in 0..3 {
        let mut transaction = database.begin().await.expect("a transaction");
        let begun = Instant::now();
        for statement in &statements {
            let statement = AssertSqlSafe(statement.clone());
            transaction
                .execute(statement)
                .await
                .expect("rows are written");
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1000.0);
        transaction.rollback().await.expect("rolled back");
    }
    best
}

fn show(advice: &Advice) {
    for judged in &advice.statements {
        let verdict = match &judged.verdict {
            Verdict::Improved => "improved".to_owned(),
            Verdict::AlreadyGood => "already good".to_owned(),
            Verdict::Cannot(reason) => format!("cannot: {reason}"),
        };
        let figures = match (judged.before, judged.after) {
            (Some(before), Some(after)) => format!(
                "{:.0} -> {:.0} pages, {:.2} -> {:.2} ms",
                before.pages + before.trigger_pages,
                after.pages + after.trigger_pages,
                before.millis,
                after.millis
            ),
            _ => String::new(),
        };
        println!("{:<16} {verdict:<14} {figures}", judged.name);
    }
    for index in &advice.indexes {
        println!("{}", index.ddl);
    }
    for refused in &advice.refused {
        println!("refused: {refused}");
    }
}
