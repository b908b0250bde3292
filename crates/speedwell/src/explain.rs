//! `speedwell explain`: the plan of one statement and what is wrong with it.

use std::fmt::Write;

use serde_json::json;
use speedwell_plan::{Certainty, Database, Lint, LintContext, LintKind, lint};
use speedwell_sql::{shape, structure};

use crate::{
    OVER, WITHIN,
    audit::dialect_name,
    cli::{ExplainArgs, Format, print},
};

/// Without a second size to compare with, a table of this many rows counts as one that grows.
const GROWING_ROWS: u64 = 1000;

/// Prints the plan and its lints; the code says whether a lint is more than possible.
pub(crate) async fn explain(args: &ExplainArgs) -> anyhow::Result<u8> {
    let mut database = Database::open(&args.database).await?;
    let plan = database.explain(&args.sql).await?;
    let schema = database.schema().await?;
    let columns = |table: &str| schema.columns(table);
    let structure = structure(&args.sql, plan.system, &columns);
    let lints = lint(&LintContext {
        plan: &plan,
        sampled: &[],
        shape: &shape(&args.sql, plan.system),
        structure: structure.as_ref().ok(),
        schema: &schema,
        growing: &|table| {
            let rows = schema.table(table).and_then(|table| table.rows);
            rows.is_some_and(|rows| rows >= GROWING_ROWS)
        },
    });
    match args.format {
        Format::Text => {
            let mut text = format!("Plan ({})\n", dialect_name(plan.system));
            match plan.nodes.is_empty() {
                true => text.push_str("no table is read\n\n"),
                false => {
                    let _ = writeln!(text, "{plan}");
                }
            }
            if let Err(error) = &structure {
                let _ = writeln!(text, "No index can be suggested: {error}.");
            }
            for lint in &lints {
                text.push_str(&paragraph(lint));
            }
            if lints.is_empty() {
                text.push_str("Nothing is wrong with this plan.\n");
            }
            print(&text)?;
        }
        Format::Json => {
            let lints: Vec<_> = lints.iter().map(as_json).collect();
            let value = json!({
                "version": 1,
                "database": dialect_name(plan.system),
                "plan": plan.to_string(),
                "lints": lints,
            });
            print(&format!("{value:#}\n"))?;
        }
    }
    let faulty = lints.iter().any(|lint| lint.certainty == Certainty::Likely);
    Ok(if faulty { OVER } else { WITHIN })
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
