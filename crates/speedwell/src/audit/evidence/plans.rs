//! What the database's plans prove: lints of every explained statement, weighed by growth.

use std::collections::{BTreeMap, BTreeSet};

use speedwell_plan::{Certainty, Lint, LintContext, LintKind, lint, unused_indexes};
use speedwell_sql::Fingerprint;
use speedwell_trace::{Cost, Finding, FindingId, FindingKind, Proof, Route, Statement};

use super::{
    Explained, Weighing, distinct,
    growth::{Growing, time},
    route_of,
};
use crate::{audit::probe::Probe, config::BudgetSpec};

/// A statement that may be at fault and takes this share of the route's p95 budget is taken
/// seriously when its time grows.
const SHARE_OF_BUDGET: f64 = 0.1;

impl Weighing<'_> {
    /// Lints the plan of every statement, route by route.
    pub(super) fn inspect_plans(&mut self, budgets: &BTreeMap<&str, &BudgetSpec>) {
        let mut found = Vec::new();
        for probe in &self.largest.probes {
            let budget_ms = budgets
                .get(probe.name.as_str())
                .and_then(|budget| budget.p95_ms);
            for (fingerprint, statement) in distinct(probe) {
                let Some(explained) = self.largest.explained.get(&fingerprint) else {
                    continue;
                };
                for lint in self.lints(explained) {
                    let proof = self.proof(&lint, probe, fingerprint, budget_ms);
                    found.push((probe.name.clone(), finding(lint, proof, probe, statement)));
                }
            }
        }
        for (name, (finding, untried)) in found {
            self.add(&name, finding, untried);
        }
    }

    fn lints(&self, explained: &Explained) -> Vec<Lint> {
        let Ok(plan) = &explained.plan else {
            return Vec::new();
        };
        lint(&LintContext {
            plan,
            sampled: &explained.sampled,
            shape: &explained.shape,
            structure: explained.structure.as_ref(),
            schema: &self.largest.schema,
            growing: &|table| self.growing.contains(table),
        })
    }

    /// What the plan says is made surer by time that grows, and by its share of the budget.
    fn proof(
        &self,
        lint: &Lint,
        probe: &Probe,
        fingerprint: Fingerprint,
        budget_ms: Option<f64>,
    ) -> (Proof, Option<String>) {
        let Growing::Proved(evidence) = self.time_grows(&probe.name, fingerprint) else {
            // What is sorted may be bounded by what the service stores; a scan never is.
            let flat = match lint.kind {
                LintKind::UnboundedSort => self.time_is_flat(&probe.name, fingerprint),
                _ => None,
            };
            return match (lint.certainty, flat) {
                (Certainty::Likely, None) => (Proof::Likely, None),
                (_, flat) => (Proof::Possible, flat),
            };
        };
        let taken_ms = time(probe, fingerprint).unwrap_or_default().as_secs_f64() * 1000.0;
        let heavy = budget_ms.is_some_and(|budget| taken_ms >= SHARE_OF_BUDGET * budget);
        match lint.certainty {
            Certainty::Possible if !heavy => (Proof::Possible, Some(evidence)),
            _ => (Proof::Proved, Some(evidence)),
        }
    }

    /// Lints of the whole workload: what no observed statement needs.
    pub(super) fn inspect_workload(&mut self) {
        let plans: Vec<_> = self
            .largest
            .explained
            .values()
            .flat_map(|each| {
                let sampled = each.sampled.iter().map(|sampled| &sampled.plan);
                each.plan.as_ref().ok().into_iter().chain(sampled)
            })
            .collect();
        for lint in unused_indexes(&self.largest.schema, &plans) {
            let route = Route("*".into());
            // The index is the identity here, for there is no statement.
            let name = lint.index.clone().unwrap_or_else(|| lint.table.clone());
            let fingerprint = Fingerprint(0);
            let finding = Finding {
                id: FindingId::new(FindingKind::UnusedIndex, &route, fingerprint, Some(&name)),
                kind: FindingKind::UnusedIndex,
                route,
                fingerprint,
                statement: "".into(),
                parent: None,
                site: None,
                proof: Proof::Possible,
                count: 0,
                cost: Cost::default(),
                summary: lint.summary,
                evidence: lint.evidence,
                remedy: format!(
                    "If nothing outside this workload needs it, drop it: every write keeps it up to date. DROP INDEX {name};"
                ),
            };
            self.add("the whole workload", finding, None);
        }
    }
}

fn finding(
    lint: Lint,
    (proof, growth): (Proof, Option<String>),
    probe: &Probe,
    statement: &Statement,
) -> (Finding, Option<String>) {
    let kind = match lint.kind {
        // Each of them reads rows to throw them away.
        LintKind::FullScan | LintKind::CastOnColumn | LintKind::DiscardingFilter => {
            FindingKind::FullScan
        }
        LintKind::UnboundedSort => FindingKind::UnboundedSort,
        LintKind::AutomaticIndex => FindingKind::AutomaticIndex,
        LintKind::UnusedIndex => FindingKind::UnusedIndex,
    };
    let route = route_of(probe);
    let function = statement.site.as_ref().map(|site| &*site.function);
    let untried = lint
        .suggestion
        .as_ref()
        .map(|suggestion| suggestion.ddl.clone());
    let remedy = match &lint.suggestion {
        Some(suggestion) => format!("{}\n{};  -- not tried", suggestion.reason, suggestion.ddl),
        None => "No index follows from the statement's structure; rewrite it so that it asks for fewer rows.".to_owned(),
    };
    let finding = Finding {
        id: FindingId::new(kind, &route, statement.fingerprint, function),
        kind,
        route,
        fingerprint: statement.fingerprint,
        statement: statement.text.clone(),
        parent: None,
        site: statement.site.clone(),
        proof,
        count: 1,
        cost: Cost {
            statements: 0,
            rows: 0,
            time: time(probe, statement.fingerprint).unwrap_or_default(),
        },
        summary: lint.summary,
        evidence: lint.evidence.into_iter().chain(growth).collect(),
        remedy,
    };
    (finding, untried)
}

/// Names of the tables that a statement of this fingerprint touches.
pub(crate) fn tables(explained: &Explained) -> Vec<String> {
    let names: BTreeSet<&str> = explained
        .shape
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .collect();
    names.into_iter().map(str::to_owned).collect()
}
