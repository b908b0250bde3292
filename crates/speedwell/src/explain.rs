//! `speedwell explain`: the plan of one statement and what is wrong with it.

use std::fmt::Write;

use serde_json::json;
use speedwell_plan::{Certainty, Database, Lint, LintContext, LintKind, Plan, Sampled, lint};
use speedwell_sql::{shape, structure};

use crate::{
    OVER, WITHIN,
    audit::dialect_name,
    cli::{ExplainArgs, Format, print},
};

/// Without a second size to compare with, a table of this many rows counts as one that grows.
const GROWING_ROWS: u64 = 1000;

/// A statement with all that the database says of it.
struct Told {
    plan: Plan,
    sampled: Vec<Sampled>,
    lints: Vec<Lint>,
    /// Why no index can be suggested.
    unread: Option<String>,
}

/// Prints the plans and their lints; the code says whether a lint is more than possible.
pub(crate) async fn explain(args: &ExplainArgs) -> anyhow::Result<u8> {
    let told = ask(&args.database, &args.sql).await?;
    match args.format {
        Format::Text => print(&text(&told, args.show_values))?,
        Format::Json => print(&format!("{:#}\n", json(&told, args.show_values)))?,
    }
    let likely = |lint: &Lint| lint.certainty == Certainty::Likely;
    Ok(if told.lints.iter().any(likely) {
        OVER
    } else {
        WITHIN
    })
}

async fn ask(address: &str, sql: &str) -> anyhow::Result<Told> {
    let mut database = Database::open(address).await?;
    let plan = database.explain(sql).await?;
    let sampled = database.explain_sampled(sql).await?;
    let schema = database.schema().await?;
    let columns = |table: &str| schema.columns(table);
    let structure = structure(sql, plan.system, &columns);
    let lints = lint(&LintContext {
        plan: &plan,
        sampled: &sampled,
        shape: &shape(sql, plan.system),
        structure: structure.as_ref().ok(),
        schema: &schema,
        growing: &|table| {
            let rows = schema.table(table).and_then(|table| table.rows);
            rows.is_some_and(|rows| rows >= GROWING_ROWS)
        },
    });
    Ok(Told {
        plan,
        sampled,
        lints,
        unread: structure.err().map(|error| error.to_string()),
    })
}

fn text(told: &Told, show_values: bool) -> String {
    let of_any = match told.sampled.is_empty() {
        true => "",
        false => ", for any values",
    };
    let mut text = format!("Plan ({}{of_any})\n", dialect_name(told.plan.system));
    match told.plan.nodes.is_empty() {
        true => text.push_str("no table is read\n\n"),
        false => {
            let _ = writeln!(text, "{}", told.plan);
        }
    }
    let mut shown: Vec<(&Sampled, Vec<String>)> = Vec::new();
    for sampled in &told.sampled {
        let label = sampled.label.to_string();
        let same = |(other, _): &&mut (&Sampled, _)| {
            !show_values && other.plan.to_string() == sampled.plan.to_string()
        };
        match shown.iter_mut().find(same) {
            Some((_, labels)) => labels.push(label),
            None => shown.push((sampled, vec![label])),
        }
    }
    for (sampled, labels) in shown {
        let _ = writeln!(text, "With {} values", labels.join(", "));
        if show_values {
            for (number, value) in (1..).zip(sampled.values.reveal()) {
                let _ = writeln!(text, "  ${number} = {value}");
            }
        }
        let _ = writeln!(text, "{}", sampled.plan);
    }
    if let Some(why) = &told.unread {
        let _ = writeln!(text, "No index can be suggested: {why}.");
    }
    for lint in &told.lints {
        text.push_str(&paragraph(lint));
    }
    if told.lints.is_empty() {
        text.push_str("Nothing is wrong with this plan.\n");
    }
    text
}

fn json(told: &Told, show_values: bool) -> serde_json::Value {
    let lints: Vec<_> = told.lints.iter().map(as_json).collect();
    let sampled = told.sampled.iter().map(|sampled| {
        let values = show_values.then(|| sampled.values.reveal());
        json!({
            "label": sampled.label.to_string(),
            "plan": sampled.plan.to_string(),
            "values": values,
        })
    });
    json!({
        "version": 1,
        "database": dialect_name(told.plan.system),
        "plan": told.plan.to_string(),
        "sampled": sampled.collect::<Vec<_>>(),
        "lints": lints,
        "unread": told.unread,
    })
}

fn paragraph(lint: &Lint) -> String {
    let certainty = certainty(lint);
    let mut text = format!("{} ({certainty}): {}\n", kind(lint), lint.summary);
    for evidence in &lint.evidence {
        let _ = writeln!(text, "  why  {evidence}");
    }
    if let Some(suggestion) = &lint.suggestion {
        let _ = writeln!(text, "  do   {}", suggestion.reason);
        let _ = writeln!(text, "       {}  (not tried)", suggestion.ddl);
    }
    text
}

fn kind(lint: &Lint) -> &'static str {
    match lint.kind {
        LintKind::FullScan => "full_scan",
        LintKind::UnboundedSort => "unbounded_sort",
        LintKind::AutomaticIndex => "automatic_index",
        LintKind::UnusedIndex => "unused_index",
        LintKind::CastOnColumn => "cast_on_column",
        LintKind::DiscardingFilter => "discarding_filter",
    }
}

fn certainty(lint: &Lint) -> &'static str {
    match lint.certainty {
        Certainty::Possible => "possible",
        Certainty::Likely => "likely",
    }
}

fn as_json(lint: &Lint) -> serde_json::Value {
    json!({
        "kind": kind(lint),
        "certainty": certainty(lint),
        "table": lint.table,
        "summary": lint.summary,
        "evidence": lint.evidence,
        "suggestion": lint.suggestion.as_ref().map(|suggestion| json!({
            "ddl": suggestion.ddl,
            "reason": suggestion.reason,
            "tried": false,
        })),
    })
}
