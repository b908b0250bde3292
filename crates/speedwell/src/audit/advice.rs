//! Advice in an audit: what would help is tried on a copy, then the service is audited again with
//! it in place.

use std::collections::{BTreeMap, BTreeSet};

use speedwell_plan::{Advice, AdviceOptions, Asked, Figures, RewriteKind, RewriteOutcome, advise};
use speedwell_trace::{FindingKind, Proof};

use super::{evidence::AtScale, stage::Stage};
use crate::{
    progress::Progress,
    report::{
        AdviceReport, FindingReport, IndexAdvice, NeedlessAdvice, Report, RewriteAdvice,
        RouteAfter, StatementAdvice, Tried, Verdict, wording,
    },
};

/// When the audit advises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum When {
    /// Where something is over its budget or a finding counts.
    #[default]
    Needed,
    Always,
    Never,
}

impl When {
    pub(super) fn is_now(self, report: &Report) -> bool {
        let found = |finding: &FindingReport| finding.proof >= Proof::Likely;
        match self {
            Self::Needed => report.verdict == Verdict::Over || report.findings.iter().any(found),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The advice of each scale, smallest first, on the database of its stage.
pub(super) async fn ask(
    stages: &[Stage<'_>],
    scales: &[AtScale],
    findings: &[FindingReport],
    progress: &Progress,
) -> Result<Vec<(u64, Advice)>, String> {
    let looped = findings
        .iter()
        .filter(|finding| finding.kind == FindingKind::NPlusOne);
    let looped: BTreeSet<&str> = looped
        .filter_map(|finding| finding.fingerprint.as_deref())
        .collect();
    let mut all = Vec::new();
    for (stage, at) in stages.iter().zip(scales) {
        let _shown = progress.spinner(format!("trying advice at scale {}", at.scale));
        let url = stage.address().map_err(|error| error.to_string())?;
        let advice = advise(&url, &workload(at, &looped), AdviceOptions::default()).await;
        all.push((at.scale, advice.map_err(|error| error.to_string())?));
    }
    Ok(all)
}

/// Every statement that was seen, by its fingerprint; of those that run in a loop how often.
fn workload(at: &AtScale, looped: &BTreeSet<&str>) -> Vec<Asked> {
    let explained = at.explained.iter().filter(|(_, each)| each.has_plan());
    explained
        .map(|(fingerprint, each)| {
            let requests = at.probes.iter().flat_map(|probe| probe.requests());
            let executions = requests.map(|request| {
                let own = request.statements.iter();
                own.filter(|statement| statement.fingerprint == *fingerprint)
                    .count() as u64
            });
            let asked = Asked::new(fingerprint.to_string(), each.text.clone());
            match looped.contains(asked.name.as_str()) {
                true => Asked {
                    repeated: executions.max().unwrap_or(1).max(1),
                    ..asked
                },
                false => asked,
            }
        })
        .collect()
}

/// The advice of the largest scale as it is reported, with what the others say otherwise.
pub(super) fn report(all: &[(u64, Advice)], text: impl Fn(&str) -> String) -> Option<AdviceReport> {
    let (_, advice) = all.last()?;
    let unit = wording::unit(advice.dialect);
    Some(AdviceReport {
        unit: unit.to_owned(),
        indexes: advice
            .indexes
            .iter()
            .map(|index| IndexAdvice {
                name: index.name.clone(),
                table: index.table.clone(),
                ddl: index.ddl.clone(),
                bytes: index.bytes,
                from_scale: from_scale(all, &index.definition),
                buys: index
                    .buys
                    .iter()
                    .map(|bought| (bought.statement.clone(), tried(bought.without, bought.with)))
                    .collect(),
                insert_micros: index.insert.map(|price| price.micros),
                update_micros: index.update.map(|price| price.micros),
                delete_micros: index.delete.map(|price| price.micros),
            })
            .collect(),
        rewrites: advice
            .rewrites
            .iter()
            .map(|rewrite| RewriteAdvice {
                fingerprint: rewrite.statement.clone(),
                kind: rewrite.kind,
                sql: text(&rewrite.sql),
                prepare: rewrite.prepare.clone(),
                undo: rewrite.undo.clone(),
                insert_micros: rewrite.insert.map(|price| price.micros),
                update_micros: rewrite.update.map(|price| price.micros),
                delete_micros: rewrite.delete.map(|price| price.micros),
                outcome: rewrite.outcome.clone(),
                tried_on: rewrite.tried_on.clone(),
                statements: rewrite.statements,
                tried: rewrite.before.zip(rewrite.after).map(|(a, b)| tried(a, b)),
            })
            .collect(),
        needless: advice
            .needless
            .iter()
            .map(|each| NeedlessAdvice {
                index: each.index.clone(),
                table: each.table.clone(),
                why: wording::needless(each),
            })
            .collect(),
        statements: advice
            .statements
            .iter()
            .map(|judged| StatementAdvice {
                fingerprint: judged.name.clone(),
                verdict: judged.verdict.clone(),
                tried: judged.before.zip(judged.after).map(|(a, b)| tried(a, b)),
            })
            .collect(),
        refused: advice.refused.clone(),
        flips: flips(all),
        indexes_tried: advice.tried as u64,
        executions: advice.executed,
        routes: Vec::new(),
        note: None,
    })
}

fn tried(before: Figures, after: Figures) -> Tried {
    Tried {
        before: before.pages + before.trigger_pages,
        after: after.pages + after.trigger_pages,
        before_ms: before.millis,
        after_ms: after.millis,
    }
}

/// The smallest scale from which on the index is advised.
fn from_scale(all: &[(u64, Advice)], definition: &str) -> u64 {
    let has = |advice: &Advice| {
        let mut indexes = advice.indexes.iter();
        indexes.any(|index| index.definition == definition)
    };
    let held = all.iter().rev().take_while(|(_, advice)| has(advice));
    held.last().map_or(0, |(scale, _)| *scale)
}

/// Where fewer rows get other advice than more: an index that is worth having for a time only.
fn flips(all: &[(u64, Advice)]) -> Vec<String> {
    let Some(((last, largest), smaller)) = all.split_last() else {
        return Vec::new();
    };
    let mut known: BTreeMap<&str, u64> = BTreeMap::new();
    for (scale, advice) in smaller {
        for index in &advice.indexes {
            known.insert(&index.definition, *scale);
        }
    }
    let stays = |definition: &str| {
        let mut indexes = largest.indexes.iter();
        indexes.any(|index| index.definition == definition)
    };
    let gone = known
        .into_iter()
        .filter(|(definition, _)| !stays(definition));
    gone.map(|(definition, scale)| {
        format!("An index on {definition} helps at {scale} rows and no longer at {last}: it is not advised.")
    })
    .collect()
}

/// What came of the audit with the advice in place.
pub(super) fn compare(before: &Report, after: &Report) -> Vec<RouteAfter> {
    let pairs = before.routes.iter().filter_map(|route| {
        let again = after.routes.iter().find(|other| other.name == route.name)?;
        Some(RouteAfter {
            name: route.name.clone(),
            before: route.verdict,
            after: again.verdict,
            p95_before_ms: route.latency.as_ref().map(|latency| latency.p95_ms),
            p95_after_ms: again.latency.as_ref().map(|latency| latency.p95_ms),
            reasons: again.reasons.clone(),
            findings: remaining(after, &route.name),
        })
    });
    pairs.collect()
}

/// The faults of a route that count.
fn remaining(after: &Report, route: &str) -> Vec<FindingReport> {
    let own = after.findings.iter();
    own.filter(|finding| finding.name == route && finding.proof >= Proof::Likely)
        .cloned()
        .collect()
}

/// Writes into each finding what was tried for its statement.
pub(super) fn into_findings(findings: &mut [FindingReport], advice: &AdviceReport) {
    for finding in findings {
        let Some(fingerprint) = finding.fingerprint.clone() else {
            continue;
        };
        let lines = match finding.kind {
            FindingKind::NPlusOne => rewritten(advice, &fingerprint, RewriteKind::Batch),
            FindingKind::DeepOffset => rewritten(advice, &fingerprint, RewriteKind::Keyset),
            FindingKind::CountPerPage => rewritten(advice, &fingerprint, RewriteKind::NoCount),
            FindingKind::LeadingWildcard => {
                let mut lines = rewritten(advice, &fingerprint, RewriteKind::FullText);
                if lines.is_empty() {
                    lines = indexed(advice, &fingerprint);
                }
                lines
            }
            FindingKind::FullScan
            | FindingKind::UnboundedSort
            | FindingKind::AutomaticIndex
            | FindingKind::Slow => indexed(advice, &fingerprint),
            _ => continue,
        };
        if lines.is_empty() {
            continue;
        }
        // The first line says what to do. The SQL behind it was not tried, and this was.
        let has_sql = lines.iter().any(|line| line.contains(";  -- "));
        let own = finding.remedy.lines().enumerate();
        let own = own.filter(|(at, line)| *at == 0 || !has_sql && !line.ends_with("-- not tried"));
        let all: Vec<&str> = own
            .map(|(_, line)| line)
            .chain(lines.iter().map(String::as_str))
            .collect();
        finding.remedy = all.join("\n");
        finding.untried = None;
    }
}

/// The indexes that the statement is cheaper with; that there is none, if so it is.
fn indexed(advice: &AdviceReport, fingerprint: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for index in &advice.indexes {
        let bought = index
            .buys
            .iter()
            .find(|(statement, _)| statement == fingerprint);
        if let Some((_, tried)) = bought {
            lines.push(format!(
                "{};  -- tried: {}",
                index.ddl,
                wording::tried(tried, &advice.unit)
            ));
        }
    }
    let judged = advice
        .statements
        .iter()
        .find(|each| each.fingerprint == fingerprint);
    if lines.is_empty()
        && let Some(StatementAdvice {
            verdict: speedwell_plan::Verdict::Cannot(reason),
            ..
        }) = judged
    {
        lines.push(format!("No index helps it: {reason}."));
    }
    lines
}

fn rewritten(advice: &AdviceReport, fingerprint: &str, kind: RewriteKind) -> Vec<String> {
    let own = |rewrite: &&RewriteAdvice| rewrite.fingerprint == fingerprint && rewrite.kind == kind;
    let lines = advice.rewrites.iter().filter(own).map(|rewrite| {
        let figures = rewrite
            .tried
            .as_ref()
            .map(|tried| wording::tried(tried, &advice.unit));
        let figures = figures.unwrap_or_default();
        match &rewrite.outcome {
            RewriteOutcome::Proved => {
                let longer = match kind {
                    RewriteKind::NoCount => "with a limit one higher, ",
                    _ => "",
                };
                let (sql, tried_on) = (&rewrite.sql, &rewrite.tried_on);
                format!("{sql};  -- {longer}tried on {tried_on}: the same rows, {figures}")
            }
            RewriteOutcome::NotCheaper => {
                format!(
                    "Tried on {}: the same rows, and not for less ({figures}).",
                    rewrite.tried_on
                )
            }
            RewriteOutcome::Cannot(reason) => {
                format!("It cannot be rewritten mechanically: {reason}.")
            }
        }
    });
    lines.collect()
}
