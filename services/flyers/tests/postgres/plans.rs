//! Every statement reads little. The plan is that of the very text that the service runs, made for the
//! values at hand as on its connections, and it is carried out: what counts is how many rows
//! it really read.

use flyers::{
    STATEMENTS,
    feed::statement::{Filter, Statement},
};
use serde_json::Value as Json;
use service_kit::database::{Transaction, Value, query};

use crate::{
    bulk,
    lists::{lists, windows},
    running::{Running, take_time},
};

/// What a statement read.
struct Plan {
    /// Rows given and rows thrown away, in all tables and indexes and all rounds together.
    rows: f64,
    /// Tables that it read from the beginning.
    scanned: Vec<String>,
    /// For a person who looks for the fault.
    text: String,
}

fn rows_read(node: &Json) -> f64 {
    let number = |key: &str| node[key].as_f64().unwrap_or_default();
    let parts = node["Plans"].as_array().into_iter().flatten();
    let below: f64 = parts.map(rows_read).sum();
    // A bitmap of an index names no table but is read all the same.
    if node["Relation Name"].is_null() && node["Index Name"].is_null() {
        return below;
    }
    let removed = ["Rows Removed by Filter", "Rows Removed by Index Recheck"];
    let rows = number("Actual Rows") + removed.map(number).iter().sum::<f64>();
    below + rows * number("Actual Loops")
}

/// Tables that are read from the beginning. Categories are seven, and this many flyers come
/// without settings of privacy: one page each at most.
fn scanned(node: &Json) -> Vec<String> {
    let parts = node["Plans"].as_array().into_iter().flatten();
    let below = parts.flat_map(scanned);
    let here = node["Relation Name"].as_str().filter(|table| {
        node["Node Type"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("Seq Scan"))
            && !matches!(*table, "categories" | "privacy_settings")
    });
    below.chain(here.map(str::to_owned)).collect()
}

/// The type and the text of a value.
fn literal(value: &Value) -> (&'static str, Option<String>) {
    let array = |parts: Vec<String>| Some(format!("{{{}}}", parts.join(",")));
    match value {
        Value::Int(value) => ("bigint", value.map(|n| n.to_string())),
        Value::Real(value) => ("double precision", value.map(|x| format!("{x:e}"))),
        Value::Bool(value) => ("boolean", value.map(|yes| yes.to_string())),
        Value::Text(value) => ("text", value.clone()),
        Value::Time(value) => ("timestamptz", value.map(|time| time.to_rfc3339())),
        Value::Date(value) => ("date", value.map(|day| day.to_string())),
        Value::Uuid(value) => ("uuid", value.map(|id| id.to_string())),
        Value::Json(value) => ("jsonb", Some(value.to_string())),
        Value::Uuids(values) => (
            "uuid[]",
            array(values.iter().map(ToString::to_string).collect()),
        ),
        Value::Ints(values) => (
            "bigint[]",
            array(values.iter().map(i64::to_string).collect()),
        ),
        Value::Texts(values) => (
            "text[]",
            array(values.iter().map(|text| format!("\"{text}\"")).collect()),
        ),
    }
}

fn quoted(text: Option<String>) -> String {
    text.map_or_else(
        || "NULL".to_owned(),
        |text| format!("'{}'", text.replace('\'', "''")),
    )
}

/// Values for a fixed text, by their types alone: ids come first, and two that are equal
/// may not be; what follows are limits.
fn sample(types: &[String]) -> Vec<String> {
    let mut numbers = ["1", "2"].into_iter().chain(std::iter::repeat("50"));
    let mut value = |kind: &String| match kind.as_str() {
        "bigint" => numbers.next().unwrap(),
        "boolean" => "FALSE",
        "timestamp with time zone" => "now()",
        "text" => "'%yer 77%'",
        "bigint[]" => "'{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20}'",
        "text[]" => "'{flyers/1/cover.jpg,flyers/2/cover.jpg}'",
        "double precision" => "47.0",
        other => panic!("say here what a value of type {other} may be"),
    };
    types.iter().map(|kind| value(kind).to_owned()).collect()
}

async fn prepare(tx: &mut Transaction, statement: &Statement) -> Vec<String> {
    let literals: Vec<_> = statement.values.iter().map(literal).collect();
    let types: Vec<_> = literals.iter().map(|(kind, _)| *kind).collect();
    let types = match types[..] {
        [] => String::new(),
        _ => format!("({})", types.join(", ")),
    };
    query(format!("PREPARE asked{types} AS {}", statement.sql))
        .once()
        .execute(&mut *tx)
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", statement.sql));
    if !literals.is_empty() {
        return literals.into_iter().map(|(_, text)| quoted(text)).collect();
    }
    // A fixed text: the server says which types it wants.
    let types = "SELECT t::text FROM pg_prepared_statements, unnest(parameter_types) AS t WHERE name = 'asked'";
    let types: Vec<(String,)> = query(types).once().fetch_all(&mut *tx).await.unwrap();
    sample(&types.into_iter().map(|(kind,)| kind).collect::<Vec<_>>())
}

/// Carries a statement out and takes back what it did.
fn carry_out(service: &Running, statement: &Statement) -> Plan {
    let json: Json = service.runtime.block_on(async {
        let mut tx = service.database.begin().await.unwrap();
        take_time(&mut tx).await.unwrap();
        let values = prepare(&mut tx, statement).await;
        let values = match values[..] {
            [] => String::new(),
            _ => format!("({})", values.join(", ")),
        };
        let explain = format!("EXPLAIN (ANALYZE, TIMING FALSE, FORMAT JSON) EXECUTE asked{values}");
        let plan = query(explain).once().fetch_scalar(&mut tx).await;
        let plan = plan.unwrap_or_else(|error| panic!("{error}: {values}\n{}", statement.sql));
        // A prepared statement outlives the transaction.
        query("DEALLOCATE asked").execute(&mut tx).await.unwrap();
        tx.rollback().await.unwrap();
        plan
    });
    Plan {
        rows: rows_read(&json[0]["Plan"]),
        scanned: scanned(&json[0]["Plan"]),
        text: format!("{}\n{json:#}", statement.sql),
    }
}

/// The rows that a list may read of 100 000 flyers, in all tables and indexes together.
fn most_rows(list: &str) -> f64 {
    match list {
        // In no flyer: every live one is looked at.
        "short search" => 101_000.0,
        // A circle of 6 km that holds page 50, and its band of latitudes: 12 000 rows in an
        // index and in the table, once to count them and once to show them.
        "by distance" => 100_000.0,
        _ if list.contains("near") => 56_000.0,
        // User 1 has 10 000 flyers: page 50 gathers and sorts them.
        _ if list.contains("creator") || list.contains("own") => 20_000.0,
        // Page 50 ends at row 1001, and each may be read in three tables, after a thousand
        // favorites; some thousand candidates of each trigram of a text.
        _ => 9_000.0,
    }
}

/// What reading a table from the beginning is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scans {
    /// Right: some tables are a page or two.
    Right,
    Faults,
}

/// Looks at every statement.
fn faults(service: &Running, scans: Scans) -> Vec<String> {
    let mut found = Vec::new();
    let mut look = |what: String, statement: &Statement, most: f64| {
        let plan = carry_out(service, statement);
        // The limits of the first two are the samples 1 and 2: the first rows of the table do. Of
        // many hits a thousand are met soon; how many rows that takes is bounded like the rest.
        let limited = matches!(
            &*what,
            "count of hits" | "count of own flyers" | "count of many hits"
        );
        let scanned = scans == Scans::Faults && !limited && !plan.scanned.is_empty();
        if plan.rows > most || scanned {
            let tables = plan.scanned.join(", ");
            found.push(format!(
                "{what}: reads {} rows, scans [{tables}]",
                plan.rows
            ));
            if std::env::var_os("SHOW_PLANS").is_some() {
                found.push(plan.text);
            }
        }
    };
    let lists = lists(service_kit::clock::now());
    for list in &lists {
        let filter = Filter {
            viewer: Some(1),
            ..list.filter.clone()
        };
        let most = most_rows(list.name);
        for (kind, window) in windows(&list.cursor) {
            let statement = filter.page(&window, crate::DIALECT);
            look(format!("{}, {kind}", list.name), &statement, most);
        }
        let count = filter.count(crate::DIALECT);
        look(format!("count of {}", list.name), &count, most);
    }
    for (name, text) in STATEMENTS {
        let statement = Statement {
            sql: text.of(crate::DIALECT).to_owned(),
            values: Vec::new(),
        };
        // The counts of a profile are those of one creator.
        look((*name).to_owned(), &statement, 25_000.0);
    }
    found
}

/// Everybody likes and follows some: as in life, what one user does is a small part of all.
const RELATIONS: [&str; 2] = [
    "
INSERT INTO favorites (user_id, flyer_id, created_at)
SELECT u.id, 1 + (u.id * 7919 + n * 104729) % 100000, u.created_at
FROM users AS u
CROSS JOIN generate_series(1, 10) AS n
WHERE u.id > 1",
    "
INSERT INTO follows (follower_id, followed_id, created_at)
SELECT u.id, 1 + (u.id - 1 + n * 997) % 10000, u.created_at
FROM users AS u
CROSS JOIN generate_series(1, 10) AS n
WHERE u.id > 1",
];

/// With statistics: seeding makes them, and so does the server's autovacuum within minutes
/// of a large change.
#[test]
fn seed_000_plans_hold_at_100_000_flyers() {
    let service = Running::empty();
    bulk::fill(&service, 100_000);
    for relations in RELATIONS {
        service.execute(relations);
    }
    service.execute("ANALYZE");
    let found = faults(&service, Scans::Faults);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn seed_000_plans_hold_at_1000_seeded_flyers() {
    let found = faults(&Running::seeded(1000), Scans::Right);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_bad_plan_is_noticed() {
    let service = Running::empty();
    bulk::fill(&service, 10_000);
    for bad in [
        "SELECT id FROM flyers WHERE title = 'x'",
        "SELECT id FROM flyers WHERE is_active ORDER BY title LIMIT 9",
        "SELECT w.id FROM flyers AS w, flyers AS x WHERE w.title = x.title",
    ] {
        let statement = Statement {
            sql: bad.to_owned(),
            values: Vec::new(),
        };
        let plan = carry_out(&service, &statement);
        assert!(plan.rows > 9_999.0, "{}", plan.text);
    }
}
