//! The values with which statements are measured: others than those that the advisor tries.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use speedwell_plan::Asked;

use crate::{
    bench::Bench,
    store::{Statement, Store},
};

/// Each statement with its values written into it: chosen by the queries of `values.txt`, or
/// drawn where a workload has none.
pub(crate) async fn statements<S: Store>(
    bench: &Bench,
    workload: &[Asked],
    store: &mut S,
) -> Vec<Statement> {
    let mut random = StdRng::seed_from_u64(17);
    let mut all = Vec::with_capacity(workload.len());
    for asked in workload {
        let choices = match bench.values(&asked.name, S::DIALECT) {
            Some(question) => store.literals(&question).await,
            None if bench.name == "web17" => drawn(&asked.name, bench.scale, &mut random),
            None => vec![Vec::new()],
        };
        assert!(!choices.is_empty(), "{}: no values", asked.name);
        all.push(Statement {
            name: asked.name.clone(),
            texts: choices.iter().map(|own| filled(&asked.sql, own)).collect(),
        });
    }
    all
}

fn filled(sql: &str, values: &[String]) -> String {
    let mut text = sql.to_owned();
    for (number, value) in (1..).zip(values) {
        text = text.replace(&format!("${number}"), value);
    }
    text
}

/// Values for a statement of web 17: ten choices, three for the dear ones.
fn drawn(statement: &str, scale: f64, random: &mut StdRng) -> Vec<Vec<String>> {
    let users = 9999.0 * scale;
    let challenges = (4999.0 * scale) as u64;
    let flyers = (100_000.0 * scale) as u64;
    let count = match statement {
        "title_search" | "delete_flyer" => 3,
        _ => 10,
    };
    let mut choices = Vec::with_capacity(count);
    for _ in 0..count {
        let mut user = || 1 + (users * random.random::<f64>().powi(2)) as u64;
        let (one, other) = (user(), user());
        let challenge = random.random_range(1..=challenges);
        let flyer = random.random_range(1..=flyers);
        let day = random.random_range(0..210_u64);
        let date = format!("'2025-{:02}-{:02}'", 3 + day / 30, 1 + day % 28);
        choices.push(match statement {
            "feed" => vec!["'2025-10-15'".to_owned()],
            "expire_job" => vec!["'2025-06-03'".to_owned()],
            "keyset" => vec![date, flyer.to_string()],
            "day_checkins" => vec![challenge.to_string(), date],
            "member_check" => vec![challenge.to_string(), one.to_string()],
            "challenges" => vec!["'active'".to_owned()],
            "user_search" => vec![format!("'User_{one}'")],
            "delete_flyer" => vec![flyer.to_string()],
            _ => vec![one.to_string(), other.to_string()],
        });
    }
    choices
}
