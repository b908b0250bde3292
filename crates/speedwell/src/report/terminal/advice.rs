//! What would help, and what came of trying it.

use speedwell_plan::{RewriteKind, RewriteOutcome};

use super::{Page, colour_of, word};
use crate::report::{
    AdviceReport, FindingReport, IndexAdvice, Prices, Report, RewriteAdvice, RouteAfter, Verdict,
    wording::{counted, one_line, refused as refused_because, significant, size, tried},
};

impl Page {
    pub(super) fn advice(&mut self, report: &Report) {
        let Some(advice) = &report.advice else { return };
        self.line(&format!(
            "Advice, tried on copies of the data ({} and {})",
            counted(advice.indexes_tried, "candidate"),
            counted(advice.executions, "execution")
        ));
        if advice.indexes.is_empty() && proved(advice).next().is_none() {
            self.line("  No index and no rewrite makes a statement cheaper.");
        }
        for index in &advice.indexes {
            self.index(index, advice, report);
        }
        for rewrite in proved(advice) {
            self.rewrite(rewrite, advice);
        }
        for needless in &advice.needless {
            self.line(&format!("  needless   {}", needless.why));
        }
        for refused in &advice.refused {
            self.line(&format!(
                "  refused    {}: {}: {}",
                refused.index,
                statement(report, &refused.statement),
                refused_because(refused, &advice.unit)
            ));
        }
        for flip in &advice.flips {
            self.line(&format!("  {flip}"));
        }
        if let Some(note) = &advice.note {
            self.line(&format!("  {note}"));
        }
        self.line("");
        self.again(&advice.routes);
    }

    fn index(&mut self, index: &IndexAdvice, advice: &AdviceReport, report: &Report) {
        self.line(&format!("  {};", index.ddl));
        for (fingerprint, bought) in &index.buys {
            self.line(&format!(
                "      buys   {}: {}",
                statement(report, fingerprint),
                tried(bought, &advice.unit)
            ));
        }
        let mut costs = vec![size(index.bytes)];
        costs.extend(priced(index.prices()));
        self.line(&format!("      costs  {}", costs.join(", ")));
        let smallest = report.scales.first().copied().unwrap_or(0);
        if index.from_scale > smallest {
            self.line(&format!(
                "      from   {} rows on; with fewer it is not needed",
                crate::report::thousands(index.from_scale)
            ));
        }
    }

    fn rewrite(&mut self, rewrite: &RewriteAdvice, advice: &AdviceReport) {
        let longer = match rewrite.kind {
            RewriteKind::NoCount => "  -- with a limit one higher, and no count beside it",
            RewriteKind::Columns => "  -- if the program does not look at the other columns",
            _ => "",
        };
        for statement in &rewrite.prepare {
            self.line(&format!("  {};", one_line(statement)));
        }
        self.line(&format!("  {};{longer}", one_line(&rewrite.sql)));
        let figures = rewrite
            .tried
            .as_ref()
            .map(|figures| tried(figures, &advice.unit));
        let instead = match rewrite.statements {
            1 => String::new(),
            count => format!(" in place of {count} statements"),
        };
        self.line(&format!(
            "      buys   the same rows{instead}, on {}: {}",
            rewrite.tried_on,
            figures.unwrap_or_default()
        ));
        let costs = priced(rewrite.prices());
        if !costs.is_empty() {
            self.line(&format!("      costs  {}", costs.join(", ")));
        }
    }

    /// A fault that no advice took away.
    fn remains(&mut self, finding: &FindingReport) {
        let statement = finding.statement.as_deref().map(one_line);
        self.line(&format!(
            "      {}  {}",
            finding.kind.name(),
            statement.as_deref().unwrap_or(&finding.summary)
        ));
        for evidence in &finding.evidence {
            self.line(&format!("        why  {evidence}"));
        }
    }

    fn again(&mut self, routes: &[RouteAfter]) {
        if routes.is_empty() {
            return;
        }
        self.line("With these indexes in place, audited again");
        let width = routes.iter().map(|route| route.name.chars().count()).max();
        let width = width.unwrap_or(0);
        let (changed, as_before): (Vec<_>, Vec<_>) = routes
            .iter()
            .partition(|route| route.before != route.after || route.after == Verdict::Over);
        for route in changed {
            let after = self.painted(word(route.after), colour_of(route.after));
            let latency = match (route.p95_before_ms, route.p95_after_ms) {
                (Some(before), Some(after)) => {
                    format!("  p95 {} -> {} ms", significant(before), significant(after))
                }
                _ => String::new(),
            };
            let reasons = match route.reasons.is_empty() {
                true => String::new(),
                false => format!("  {}", route.reasons.join("; ")),
            };
            self.line(&format!(
                "  {:<width$}  {} -> {after}{latency}{reasons}",
                route.name,
                word(route.before)
            ));
            for finding in &route.findings {
                self.remains(finding);
            }
        }
        if !as_before.is_empty() {
            let count = counted(as_before.len() as u64, "route");
            self.line(&format!("  {count} as before"));
        }
        self.line("");
    }
}

/// The statement of a fingerprint, on one line.
fn statement(report: &Report, fingerprint: &str) -> String {
    let found = report
        .statements
        .iter()
        .find(|each| each.fingerprint == fingerprint);
    found.map_or_else(|| fingerprint.to_owned(), |each| one_line(&each.text))
}

fn proved(advice: &AdviceReport) -> impl Iterator<Item = &RewriteAdvice> {
    let rewrites = advice.rewrites.iter();
    rewrites.filter(|rewrite| rewrite.outcome == RewriteOutcome::Proved)
}

/// What written rows cost more, in words.
fn priced(prices: Prices) -> Vec<String> {
    let known = prices
        .into_iter()
        .filter_map(|(what, micros)| Some((what, micros?)));
    known
        .map(|(what, micros)| format!("{} µs for each {what}", significant(micros)))
        .collect()
}
