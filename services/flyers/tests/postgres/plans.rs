//! Every statement reads little, however PostgreSQL plans it: once for all values (generic)
//! or for those at hand (custom), without statistics, with them, and after most flyers were
//! swept away. The plan is that of the very text that the service runs, and it is carried
//! out: what counts is how many rows it really read.

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

/// How a plan comes about. PostgreSQL itself takes the generic one from the sixth execution
/// of a prepared statement on, if it seems no dearer.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Generic,
    Custom,
}

const MODES: [Mode; 2] = [Mode::Generic, Mode::Custom];

impl Mode {
    fn setting(self) -> &'static str {
        match self {
            Self::Generic => "SET LOCAL plan_cache_mode = force_generic_plan",
            Self::Custom => "SET LOCAL plan_cache_mode = force_custom_plan",
        }
    }
}

/// A part of a plan that reads a table, once carried out.
#[derive(Debug)]
struct Read {
    kind: String,
    table: String,
    index: Option<String>,
    /// Rows given and rows thrown away, of all rounds together.
    rows: f64,
}

/// What a statement read.
struct Plan {
    reads: Vec<Read>,
    /// For a person who looks for the fault.
    text: String,
}

impl Plan {
    fn rows(&self) -> f64 {
        self.reads.iter().map(|read| read.rows).sum()
    }

    fn uses(&self, index: &str) -> bool {
        self.reads
            .iter()
            .any(|read| read.index.as_deref() == Some(index))
    }

    /// Tables that were read from end to end though they grow.
    fn whole_tables<'p>(&'p self, large: &'p [String]) -> impl Iterator<Item = &'p Read> {
        self.reads
            .iter()
            .filter(|read| read.kind == "Seq Scan" && large.contains(&read.table))
    }
}

fn collect(node: &Json, reads: &mut Vec<Read>) {
    let text = |key: &str| node[key].as_str().map(str::to_owned);
    let number = |key: &str| node[key].as_f64().unwrap_or_default();
    let removed = ["Rows Removed by Filter", "Rows Removed by Index Recheck"];
    let rows = number("Actual Rows") + removed.map(number).iter().sum::<f64>();
    let kind = text("Node Type").unwrap();
    // A bitmap of an index has no table but is read all the same.
    if let Some(table) = text("Relation Name").or_else(|| text("Index Name")) {
        reads.push(Read {
            kind,
            table,
            index: text("Index Name"),
            rows: rows * number("Actual Loops"),
        });
    }
    for part in node["Plans"].as_array().into_iter().flatten() {
        collect(part, reads);
    }
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

/// Values for a fixed text, by their types alone.
fn sample(types: &[String]) -> Vec<String> {
    let value = |kind: &String| match kind.as_str() {
        "bigint" => "1",
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
fn carry_out(service: &Running, statement: &Statement, mode: Mode) -> Plan {
    let json: Json = service.runtime.block_on(async {
        let mut tx = service.database.begin().await.unwrap();
        take_time(&mut tx).await.unwrap();
        query(mode.setting()).execute(&mut tx).await.unwrap();
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
    let mut reads = Vec::new();
    collect(&json[0]["Plan"], &mut reads);
    let text = format!("{reads:#?}\n{}\n{json:#}", statement.sql);
    Plan { reads, text }
}

/// The indexes that the plan of every page of a list must use, and the rows that it may
/// read where every flyer is live.
fn expected(list: &str) -> (&'static [&'static str], f64) {
    // A thousand and one rows of the page with the highest number, and as many ids.
    const PAGE: f64 = 2_500.0;
    match list {
        "feed" | "feed with distance" | "many hits" => (&["flyers_live_recent"], PAGE),
        // In no flyer: every live one is looked at.
        "short search" => (&["flyers_live_recent"], 101_000.0),
        "creator" | "creator with distance" | "creator, search" => (&["flyers_live_creator"], PAGE),
        _ => (&[], PAGE),
    }
}

/// Tables that are too large to be read from end to end.
fn large_tables(service: &Running) -> Vec<String> {
    let sql = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND pg_relation_size(oid) > 64 * 8192";
    let rows: Vec<(String,)> = service.rows(query(sql));
    rows.into_iter().map(|(name,)| name).collect()
}

/// Looks at every statement; `more` times as many rows as usual may be read.
fn faults(service: &Running, when: &str, more: f64) -> Vec<String> {
    let large = large_tables(service);
    let mut found = Vec::new();
    let mut look = |what: String, statement: &Statement, indexes: &[&str], most: f64| {
        for mode in MODES {
            let plan = carry_out(service, statement, mode);
            let mut say = |fault: String| {
                found.push(format!("{when}: {what}, {mode:?}: {fault}"));
                if std::env::var_os("SHOW_PLANS").is_some() {
                    found.push(plan.text.clone());
                }
            };
            for read in plan.whole_tables(&large) {
                say(format!("reads all of {}", read.table));
            }
            if plan.rows() > most * more {
                say(format!("reads {} rows", plan.rows()));
            }
            for index in indexes {
                if !large.is_empty() && !plan.uses(index) {
                    say(format!("does not use {index}"));
                }
            }
        }
    };
    for list in lists(service_kit::clock::now()) {
        let filter = Filter {
            viewer: Some(1),
            ..list.filter.clone()
        };
        let (indexes, most) = expected(list.name);
        for (kind, window) in windows(&list.cursor) {
            let statement = filter.page(&window, crate::DIALECT);
            look(format!("{}, {kind}", list.name), &statement, indexes, most);
        }
        let count = filter.count(crate::DIALECT);
        look(format!("count of {}", list.name), &count, &[], most);
    }
    for (name, text) in STATEMENTS {
        let statement = Statement {
            sql: text.of(crate::DIALECT).to_owned(),
            values: Vec::new(),
        };
        look((*name).to_owned(), &statement, &[], 2_500.0);
    }
    found
}

fn every_plan_is_good(service: &Running, when: &str, more: f64) {
    let found = faults(service, when, more);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn forget_statistics(service: &Running) {
    service.execute("DELETE FROM pg_statistic WHERE starelid >= 16384");
    service.execute("UPDATE pg_class SET reltuples = -1 WHERE relkind = 'r' AND oid >= 16384");
}

/// Of twenty rows that are walked one is shown.
const UNSWEPT: f64 = 21.0;

#[test]
fn seed_000_plans_hold_at_100_000_flyers_through_a_mass_expiry() {
    let service = Running::empty();
    bulk::fill(&service, 100_000);
    every_plan_is_good(&service, "never analyzed", 1.0);
    service.execute("ANALYZE");
    every_plan_is_good(&service, "analyzed", 1.0);

    let expired = service.execute(bulk::EXPIRE_19_OF_20);
    assert_eq!(expired, 95_000);
    every_plan_is_good(&service, "expired, old statistics", UNSWEPT);
    service.execute("ANALYZE");
    every_plan_is_good(&service, "expired, analyzed", UNSWEPT);

    let swept = service.execute(bulk::SWEEP);
    assert!(swept >= expired, "{swept}");
    every_plan_is_good(&service, "swept, old statistics", 1.0);
    service.execute("ANALYZE");
    every_plan_is_good(&service, "swept, analyzed", 1.0);
    forget_statistics(&service);
    every_plan_is_good(&service, "swept, no statistics", 1.0);
}

#[test]
fn seed_000_plans_hold_at_1000_seeded_flyers() {
    let service = Running::seeded(1000);
    every_plan_is_good(&service, "seeded", 1.0);
    forget_statistics(&service);
    every_plan_is_good(&service, "without statistics", 1.0);
}

#[test]
fn a_bad_plan_is_noticed() {
    let service = Running::empty();
    bulk::fill(&service, 10_000);
    let large = large_tables(&service);
    for bad in [
        "SELECT id FROM flyers WHERE title = 'x'",
        "SELECT id FROM flyers WHERE is_active ORDER BY title LIMIT 9",
        "SELECT w.id FROM flyers AS w, flyers AS x WHERE w.title = x.title",
    ] {
        let statement = Statement {
            sql: bad.to_owned(),
            values: Vec::new(),
        };
        for mode in MODES {
            let plan = carry_out(&service, &statement, mode);
            assert!(plan.whole_tables(&large).count() > 0, "{}", plan.text);
            assert!(plan.rows() > 9_999.0, "{}", plan.text);
        }
    }
}
