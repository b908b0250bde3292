//! Advice as text, as JSON and as migrations.

use std::fmt::Write as _;

use serde_json::{Value, json};
use speedwell_plan::{
    Advice, AdvisedIndex, Figures, Judged, Rewrite, RewriteKind, RewriteOutcome, RowPrice, Verdict,
};
use speedwell_sql::Dialect;

use crate::report::wording;

/// For a terminal: verdicts first, then what to do.
pub(super) fn text(advice: &Advice) -> String {
    let mut text = verdicts(advice);
    for index in &advice.indexes {
        text.push_str(&paragraph(index, wording::unit(advice.dialect)));
    }
    for refused in &advice.refused {
        let _ = writeln!(
            text,
            "\nRefused: {refused}\n  a statement got worse with it"
        );
    }
    for rewrite in &advice.rewrites {
        text.push_str(&rewritten(rewrite, wording::unit(advice.dialect)));
    }
    for needless in &advice.needless {
        let _ = writeln!(text, "\nNeedless: {}", wording::needless(needless));
    }
    let improved = advice
        .statements
        .iter()
        .filter(|judged| judged.verdict == Verdict::Improved)
        .count();
    let _ = writeln!(
        text,
        "\n{} of {} statements improved by {} indexes; {} indexes built and tried on a scratch copy, {} executions, {:.1} s.",
        improved,
        advice.statements.len(),
        advice.indexes.len(),
        advice.tried,
        advice.executed,
        advice.times.all.as_secs_f64()
    );
    if advice.dialect != Dialect::Postgres {
        text.push_str("Steps are hundreds of instructions of SQLite's machine.\n");
    }
    text
}

fn verdicts(advice: &Advice) -> String {
    let width = advice
        .statements
        .iter()
        .map(|judged| judged.name.chars().count())
        .max()
        .unwrap_or(0)
        .max("statement".len());
    let unit = wording::unit(advice.dialect);
    let mut text = format!(
        "{:<width$}  {:<12}  {:>9}  {:>9}  {:>9}  {:>9}\n",
        "statement",
        "verdict",
        format!("{unit} was"),
        "is",
        "ms was",
        "is"
    );
    for judged in &advice.statements {
        text.push_str(&line(judged, width));
    }
    text
}

fn line(judged: &Judged, width: usize) -> String {
    let (word, reason) = match &judged.verdict {
        Verdict::Improved => ("improved", None),
        Verdict::AlreadyGood => ("already good", None),
        Verdict::Cannot(reason) => ("cannot", Some(reason)),
    };
    let mut text = format!("{:<width$}  {word:<12}", judged.name);
    if let (Some(before), Some(after)) = (judged.before, judged.after) {
        let _ = write!(
            text,
            "  {:>9}  {:>9}  {:>9}  {:>9}",
            count(pages(before)),
            count(pages(after)),
            digits(before.millis),
            digits(after.millis)
        );
    }
    if let Some(reason) = reason {
        let _ = write!(text, "  {reason}");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn paragraph(index: &AdvisedIndex, unit: &str) -> String {
    let mut text = format!("\n{};\n", index.ddl);
    for bought in &index.buys {
        let _ = writeln!(
            text,
            "  buys   {}: {} {unit} without it, {} with it",
            bought.statement,
            count(pages(bought.without)),
            count(pages(bought.with))
        );
    }
    let _ = write!(text, "  costs  {}", wording::size(index.bytes));
    let prices = [
        ("new row", index.insert),
        ("changed row", index.update),
        ("deleted row", index.delete),
    ];
    let mut first = true;
    for (what, price) in prices {
        let Some(RowPrice { pages, micros }) = price else {
            continue;
        };
        let more = match first {
            true => "more for each",
            false => "for each",
        };
        first = false;
        let _ = write!(
            text,
            ", {} {unit} and {} µs {more} {what}",
            digits(pages),
            digits(micros)
        );
    }
    text.push('\n');
    text
}

/// A statement written otherwise, and what came of it.
fn rewritten(rewrite: &Rewrite, unit: &str) -> String {
    let what = match rewrite.kind {
        RewriteKind::Batch => "one statement for all values",
        RewriteKind::Keyset => "a page that begins behind the last row of the one before",
        RewriteKind::NoCount => "with a limit one higher, and no count beside it",
    };
    let name = &rewrite.statement;
    let figures = match (rewrite.before, rewrite.after) {
        (Some(before), Some(after)) => format!(
            "{} -> {} {unit}, {} -> {} ms, on {}",
            count(pages(before)),
            count(pages(after)),
            digits(before.millis),
            digits(after.millis),
            rewrite.tried_on
        ),
        _ => String::new(),
    };
    match &rewrite.outcome {
        RewriteOutcome::Proved => format!(
            "\nRewrite {name}: {what}\n  {}\n  buys   the same rows: {figures}\n",
            rewrite.sql
        ),
        RewriteOutcome::NotCheaper => {
            format!("\nTried for {name} and not cheaper: {what}\n  {figures}\n")
        }
        RewriteOutcome::Cannot(reason) => {
            format!("\nNot for {name}: {what}\n  {reason}\n")
        }
    }
}

fn pages(figures: Figures) -> f64 {
    figures.pages + figures.trigger_pages
}

fn count(pages: f64) -> String {
    match pages < 10.0 {
        true => format!("{pages:.1}"),
        false => format!("{pages:.0}"),
    }
}

/// Three significant digits.
fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        n if n >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

/// The schema is that of the types, with the database and a version.
pub(super) fn json(advice: &Advice) -> Value {
    json!({
        "version": 1,
        "database": crate::audit::dialect_name(advice.dialect),
        "statements": advice.statements,
        "indexes": advice.indexes,
        "needless": advice.needless,
        "rewrites": advice.rewrites,
        "refused": advice.refused,
        "tried": advice.tried,
        "executed": advice.executed,
        "seconds": {
            "copy": advice.times.copy.as_secs_f64(),
            "build": advice.times.build.as_secs_f64(),
            "choose": advice.times.choose.as_secs_f64(),
            "all": advice.times.all.as_secs_f64(),
        },
    })
}

/// The migration that builds the indexes.
pub(super) fn up(advice: &Advice) -> String {
    let statements = advice.indexes.iter().map(|index| index.up.as_str());
    migration(advice, statements)
}

/// The migration that takes them back.
pub(super) fn down(advice: &Advice) -> String {
    let statements = advice.indexes.iter().rev().map(|index| index.down.as_str());
    migration(advice, statements)
}

fn migration<'a>(advice: &Advice, statements: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    if advice.dialect == Dialect::Postgres {
        text.push_str(
            "-- CONCURRENTLY cannot run in a transaction: run these statements outside of one.\n",
        );
        text.push_str(
            "-- If one fails, drop the invalid index that it left behind and run it again.\n",
        );
        let trigrams = advice
            .indexes
            .iter()
            .any(|index| index.ddl.contains("gin_trgm_ops"));
        if trigrams {
            text.push_str("CREATE EXTENSION IF NOT EXISTS pg_trgm;\n");
        }
    }
    for statement in statements {
        let _ = writeln!(text, "{statement};");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use speedwell_plan::{Bought, Needless, NeedlessIndex, Times};

    use super::*;

    fn advice() -> Advice {
        let figures = |pages, millis| Figures {
            pages,
            trigger_pages: 0.0,
            millis,
        };
        let judged = |name: &str, verdict, before, after| Judged {
            name: name.to_owned(),
            verdict,
            before,
            after,
            values: 6,
        };
        let seconds = Duration::from_millis;
        Advice {
            dialect: Dialect::Postgres,
            statements: vec![
                judged("feed", Verdict::Improved, Some(figures(4167.0, 21.8)), Some(figures(5.5, 0.05))),
                judged("one flyer", Verdict::AlreadyGood, Some(figures(3.0, 0.02)), Some(figures(3.0, 0.02))),
                judged("broken", Verdict::Cannot("column \"x\" does not exist".to_owned()), None, None),
            ],
            indexes: vec![AdvisedIndex {
                name: "flyers_created_at_idx".to_owned(),
                table: "flyers".to_owned(),
                definition: "flyers (created_at DESC)".to_owned(),
                ddl: "CREATE INDEX flyers_created_at_idx ON flyers (created_at DESC)".to_owned(),
                up: "CREATE INDEX CONCURRENTLY IF NOT EXISTS flyers_created_at_idx ON flyers (created_at DESC)".to_owned(),
                down: "DROP INDEX CONCURRENTLY IF EXISTS flyers_created_at_idx".to_owned(),
                bytes: 2_300_000,
                buys: vec![Bought {
                    statement: "feed".to_owned(),
                    without: figures(4167.0, 21.8),
                    with: figures(5.5, 0.05),
                }],
                insert: Some(RowPrice { pages: 3.02, micros: 1.4 }),
                update: Some(RowPrice { pages: 3.5, micros: 1.9 }),
                delete: None,
            }],
            needless: vec![NeedlessIndex {
                index: "flyers_a".to_owned(),
                table: "flyers".to_owned(),
                why: Needless::Prefix,
                beside: Some("flyers_a_b".to_owned()),
            }],
            rewrites: vec![
                Rewrite {
                    statement: "page".to_owned(),
                    kind: RewriteKind::Keyset,
                    sql: "SELECT id FROM flyers WHERE (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $1".to_owned(),
                    outcome: RewriteOutcome::Proved,
                    tried_on: "the page behind 10000 rows".to_owned(),
                    before: Some(figures(9871.0, 12.4)),
                    after: Some(figures(5.5, 0.05)),
                    statements: 1,
                },
                Rewrite {
                    statement: "report".to_owned(),
                    kind: RewriteKind::Keyset,
                    sql: String::new(),
                    outcome: RewriteOutcome::Cannot("its outputs look across rows".to_owned()),
                    tried_on: String::new(),
                    before: None,
                    after: None,
                    statements: 1,
                },
            ],
            tried: 4,
            refused: vec!["flyers (title)".to_owned()],
            executed: 31,
            times: Times {
                copy: seconds(500),
                build: seconds(100),
                choose: seconds(200),
                all: seconds(900),
            },
        }
    }

    #[test]
    fn advice_reads_as_a_table_and_what_each_index_buys_and_costs() {
        insta::assert_snapshot!(text(&advice()));
    }

    #[test]
    fn migrations_build_and_take_back() {
        insta::assert_snapshot!(format!("{}\n{}", up(&advice()), down(&advice())));
    }
}
