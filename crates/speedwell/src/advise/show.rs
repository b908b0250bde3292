//! Advice as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use speedwell_plan::{
    Advice, AdvisedIndex, Figures, Judged, Rewrite, RewriteKind, RewriteOutcome, RowPrice, Verdict,
};
use speedwell_sql::Dialect;

use super::{seen::SeenStatement, source::Workload};
use crate::report::wording;

/// For a terminal: verdicts first, then what to do.
pub(super) fn text(advice: &Advice, workload: &Workload) -> String {
    let mut text = verdicts(advice);
    for index in &advice.indexes {
        text.push_str(&paragraph(index, wording::unit(advice.dialect)));
    }
    for refused in &advice.refused {
        let _ = writeln!(
            text,
            "\nRefused: {}\n  {} {}",
            refused.index,
            refused.statement,
            wording::refused(refused, wording::unit(advice.dialect))
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
    for note in &workload.notes {
        let _ = writeln!(text, "{note}");
    }
    text.push_str(&seen(&workload.seen));
    text
}

/// The texts behind the names, for statements that nobody wrote down.
fn seen(statements: &[SeenStatement]) -> String {
    let mut text = String::new();
    if !statements.is_empty() {
        text.push_str("\nThe statements, most time first:\n");
    }
    for statement in statements {
        let _ = writeln!(
            text,
            "  {} ({} executions, {} s)\n    {}",
            statement.name,
            statement.executions,
            digits(statement.seconds),
            one_line(&statement.sql)
        );
    }
    text
}

/// Characters of a statement that are shown; the JSON has all of them.
const SHOWN: usize = 200;

fn one_line(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() > SHOWN {
        true => line.chars().take(SHOWN - 1).chain(['…']).collect(),
        false => line,
    }
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
    if let Some(after) = judged.after {
        // What has figures with the advice and none without was given up.
        let given_up = || "given up".to_owned();
        let before = judged.before;
        let _ = write!(
            text,
            "  {:>9}  {:>9}  {:>9}  {:>9}",
            before.map_or_else(given_up, |before| count(pages(before))),
            count(pages(after)),
            before.map_or_else(given_up, |before| digits(before.millis)),
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
    let prices = priced([index.insert, index.update, index.delete], unit);
    if !prices.is_empty() {
        let _ = write!(text, ", {prices}");
    }
    text.push('\n');
    text
}

/// What a row costs more that is new, changed or deleted.
fn priced(prices: [Option<RowPrice>; 3], unit: &str) -> String {
    let names = ["new row", "changed row", "deleted row"];
    let known = names
        .into_iter()
        .zip(prices)
        .filter_map(|(what, price)| Some((what, price?)));
    let mut parts = Vec::new();
    for (what, RowPrice { pages, micros }) in known {
        let more = match parts.is_empty() {
            true => "more for each",
            false => "for each",
        };
        let (pages, micros) = (digits(pages), digits(micros));
        parts.push(format!("{pages} {unit} and {micros} µs {more} {what}"));
    }
    parts.join(", ")
}

/// A statement written otherwise, and what came of it.
fn rewritten(rewrite: &Rewrite, unit: &str) -> String {
    let what = match rewrite.kind {
        RewriteKind::Batch => "one statement for all values",
        RewriteKind::Keyset => "a page that begins behind the last row of the one before",
        RewriteKind::NoCount => "with a limit one higher, and no count beside it",
        RewriteKind::Columns => {
            "without the columns that hold most of the bytes, if the program does not look at them"
        }
        RewriteKind::FullText => "a search in a full-text table",
    };
    let prepare = rewrite.prepare.iter();
    let prepare: String = prepare.map(|each| format!("  {each};\n")).collect();
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
        RewriteOutcome::Proved => {
            let prices = priced([rewrite.insert, rewrite.update, rewrite.delete], unit);
            let costs = match prices.is_empty() {
                true => String::new(),
                false => format!("  costs  {prices}\n"),
            };
            format!(
                "\nRewrite {name}: {what}\n{prepare}  {}\n  buys   the same rows: {figures}\n{costs}",
                rewrite.sql
            )
        }
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

/// The schema is that of the types, with the database and a version. `seen` and `notes` are there
/// if statements were seen at work.
pub(super) fn json(advice: &Advice, workload: &Workload) -> Value {
    let mut value = json!({
        "version": 1,
        "database": crate::audit::dialect_name(advice.dialect),
        "statements": advice.statements,
        "indexes": advice.indexes,
        "needless": advice.needless,
        "rewrites": advice.rewrites,
        "refused": advice.refused,
        "tried": advice.tried,
        "estimated": advice.estimated,
        "executed": advice.executed,
        "seconds": {
            "copy": advice.times.copy.as_secs_f64(),
            "build": advice.times.build.as_secs_f64(),
            "draft": advice.times.draft.as_secs_f64(),
            "choose": advice.times.choose.as_secs_f64(),
            "all": advice.times.all.as_secs_f64(),
        },
    });
    if !workload.seen.is_empty() {
        value["seen"] = json!(workload.seen);
        value["notes"] = json!(workload.notes);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::sample;

    fn observed() -> Workload {
        Workload {
            seen: vec![SeenStatement {
                name: "GET /flyers #1".to_owned(),
                sql: "SELECT *\n  FROM flyers\n WHERE id = $1".to_owned(),
                executions: 1200,
                seconds: 35.24,
            }],
            notes: vec!["2 statements were left out.".to_owned()],
            ..Workload::default()
        }
    }

    #[test]
    fn advice_reads_as_a_table_and_what_each_index_buys_and_costs() {
        let mut advice = sample::advice();
        advice.rewrites.insert(1, sample::full_text("find"));
        insta::assert_snapshot!(text(&advice, &Workload::default()));
    }

    #[test]
    fn statements_that_were_seen_are_shown_with_their_names() {
        let text = text(&sample::advice(), &observed());
        let (_, behind) = text.split_once("0.9 s.\n").unwrap();
        insta::assert_snapshot!(behind);
    }

    #[test]
    fn programs_read_what_was_seen_only_where_something_was() {
        let json = |workload: &Workload| json(&sample::advice(), workload);
        assert_eq!(json(&observed())["seen"][0]["executions"], 1200);
        assert_eq!(json(&Workload::default()).get("seen"), None);
    }
}
