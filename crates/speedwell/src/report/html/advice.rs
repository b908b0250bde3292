//! What would help, and what came of trying it.

use maud::{Markup, html};
use speedwell_plan::{RewriteKind, RewriteOutcome, Verdict};

use super::{badge, first_words};
use crate::report::{
    AdviceReport, FindingReport, IndexAdvice, Report, RewriteAdvice, RouteAfter, StatementAdvice,
    wording::{counted, refused, significant, size, thousands, tried},
};

pub(super) fn advice(report: &Report) -> Markup {
    let Some(advice) = &report.advice else {
        return html! {};
    };
    let proved: Vec<&RewriteAdvice> = advice
        .rewrites
        .iter()
        .filter(|rewrite| rewrite.outcome == RewriteOutcome::Proved)
        .collect();
    html! {
        h2 { "Advice" }
        p.soft {
            "Built and executed on copies of the data: " (counted(advice.indexes_tried, "candidate")) ", "
            (counted(advice.executions, "execution")) "."
        }
        @if advice.indexes.is_empty() && proved.is_empty() {
            p { "No index and no rewrite makes a statement cheaper." }
        }
        @for index in &advice.indexes { (one_index(index, advice, report)) }
        @for rewrite in proved { (one_rewrite(rewrite, advice, report)) }
        @if !(advice.needless.is_empty() && advice.refused.is_empty() && advice.flips.is_empty()) {
            div.card { ul {
                @for needless in &advice.needless { li { "Needless: " (needless.why) } }
                @for each in &advice.refused { li { "Refused: " code { (each.index) } ": " (statement(report, &each.statement)) " " (refused(each, &advice.unit)) } }
                @for flip in &advice.flips { li { (flip) } }
            } }
        }
        @if let Some(note) = &advice.note { p { (note) } }
        (again(&advice.routes))
        (verdicts(advice, report))
    }
}

fn one_index(index: &IndexAdvice, advice: &AdviceReport, report: &Report) -> Markup {
    let smallest = report.scales.first().copied().unwrap_or(0);
    html! {
        div.card {
            pre { (index.ddl) ";" }
            dl.finding {
                dt { "buys" } dd { @for (fingerprint, bought) in &index.buys {
                    p { (statement(report, fingerprint)) ": " (tried(bought, &advice.unit)) }
                } }
                dt { "costs" } dd {
                    (size(index.bytes))
                    @for (what, micros) in index.prices() {
                        @if let Some(micros) = micros { ", " (significant(micros)) " µs for each " (what) }
                    }
                }
                @if index.from_scale > smallest {
                    dt { "from" } dd { (thousands(index.from_scale)) " rows on; with fewer it is not needed" }
                }
            }
        }
    }
}

fn one_rewrite(rewrite: &RewriteAdvice, advice: &AdviceReport, report: &Report) -> Markup {
    html! {
        div.card {
            pre { @for statement in &rewrite.prepare { (statement) ";\n" } (rewrite.sql) ";" }
            @match rewrite.kind {
                RewriteKind::NoCount => p { "With a limit one higher, and no count beside it." },
                RewriteKind::Columns => p { "Without the columns that hold most of the bytes, if the program does not look at them." },
                _ => {}
            }
            dl.finding {
                dt { "instead of" } dd {
                    @if rewrite.statements > 1 { (rewrite.statements) " statements, among them " }
                    (statement(report, &rewrite.fingerprint))
                }
                dt { "buys" } dd {
                    "the same rows, on " (rewrite.tried_on)
                    @if let Some(figures) = &rewrite.tried { ": " (tried(figures, &advice.unit)) }
                }
                @if rewrite.prices().iter().any(|(_, micros)| micros.is_some()) {
                    dt { "costs" } dd {
                        @for (what, micros) in rewrite.prices() {
                            @if let Some(micros) = micros { (significant(micros)) " µs for each " (what) "; " }
                        }
                    }
                }
            }
        }
    }
}

fn again(routes: &[RouteAfter]) -> Markup {
    let latency = |p95: Option<f64>| p95.map_or_else(|| "-".to_owned(), significant);
    html! {
        @if !routes.is_empty() {
            h3 { "Audited again with these indexes in place" }
            div.scroll { table {
                thead { tr { th { "route" } th { "was" } th { "is" } th.n { "p95 was, ms" } th.n { "is" } th { "why" } } }
                tbody { @for route in routes { tr {
                    td.name { (route.name) } td { (badge(route.before)) } td { (badge(route.after)) }
                    td.n { (latency(route.p95_before_ms)) } td.n { (latency(route.p95_after_ms)) }
                    td {
                        (route.reasons.join("; "))
                        @for finding in &route.findings { (remains(finding)) }
                    }
                } } }
            } }
        }
    }
}

/// A fault that no advice took away.
fn remains(finding: &FindingReport) -> Markup {
    html! {
        div { (finding.kind.name()) " "
            code { (finding.statement.as_deref().unwrap_or(&finding.summary)) }
            @for evidence in &finding.evidence { div.why { (evidence) } }
        }
    }
}

fn verdicts(advice: &AdviceReport, report: &Report) -> Markup {
    html! {
        details.card {
            summary { "The verdict on each of " (counted(advice.statements.len() as u64, "statement")) }
            div.scroll { table {
                thead { tr { th { "statement" } th { "verdict" } th { "tried" } } }
                tbody { @for each in &advice.statements { tr {
                    td { (statement(report, &each.fingerprint)) } td { (verdict(each)) }
                    td { @if let Some(figures) = &each.tried { (tried(figures, &advice.unit)) } }
                } } }
            } }
        }
    }
}

fn verdict(each: &StatementAdvice) -> String {
    match &each.verdict {
        Verdict::Improved => "improved".to_owned(),
        Verdict::AlreadyGood => "already good".to_owned(),
        Verdict::Cannot(reason) => format!("cannot: {reason}"),
    }
}

fn statement(report: &Report, fingerprint: &str) -> Markup {
    let known = report
        .statements
        .iter()
        .find(|each| each.fingerprint == fingerprint);
    html! {
        @match known {
            Some(known) => { a href={ "#statement-" (fingerprint) } { code { (first_words(&known.text)) } } }
            None => { code { (fingerprint) } }
        }
    }
}
