//! Puts the report together: everything that was measured, with the verdict of each route.

use std::time::Duration;

use speedwell_load::Outcome;
use speedwell_plan::{Operation, Plan, PlanNode};
use speedwell_sql::{Dialect, Fingerprint, normalize};
use speedwell_trace::{Finding, Request};

use super::{
    Evidence, Options,
    evidence::{AtScale, Explained, Judged, growth::GROWS, plans::tables},
    judge::{Alone, Judging},
    measure::{cache_report, growth, ms, probe_report, typical, waterfall},
    probe::Probe,
    under_load::{errors_of, latency, load_facts, load_warnings},
};
use crate::{
    config::{Audited, RouteSpec},
    growth::median,
    report::{
        Budget, FindingReport, Kind, ProbeReport, Report, RouteReport, SampledPlan, ScaleTime,
        StatementReport, SuppressedReport, VERSION, Verdict,
    },
};

/// Everything that an audit measured.
pub(super) struct Measured<'a> {
    pub(super) audited: &'a Audited,
    pub(super) routes: &'a [&'a RouteSpec],
    pub(super) scales: Vec<AtScale>,
    pub(super) load: Option<Outcome>,
    pub(super) evidence: Evidence,
    pub(super) options: &'a Options,
    pub(super) probes: usize,
}

/// Judges every route and puts the report together.
pub(super) fn compose(measured: &Measured<'_>) -> Report {
    let (audited, largest) = (measured.audited, measured.scales.last());
    let specs = audited.setup.iter().chain(measured.routes.iter().copied());
    let routes: Vec<RouteReport> = specs.map(|spec| measured.route(spec)).collect();
    Report {
        version: VERSION,
        kind: Kind::Audit,
        service: audited.service.name.clone(),
        database: largest.map(|at| at.version.clone()).unwrap_or_default(),
        config: audited.file.clone(),
        verdict: routes
            .iter()
            .map(|route| route.verdict)
            .max()
            .unwrap_or(Verdict::Unsure),
        scales: audited.data.scales.clone(),
        probes: measured.probes as u64,
        load: measured
            .load
            .as_ref()
            .map(|outcome| load_facts(audited, largest.map_or(0, |at| at.scale), outcome)),
        findings: measured
            .evidence
            .findings
            .iter()
            .map(|found| measured.finding(found))
            .collect(),
        suppressed: measured.suppressed(),
        statements: measured.statements(),
        warnings: measured.warnings(),
        routes,
        advice: None,
    }
}

impl Measured<'_> {
    fn route(&self, spec: &RouteSpec) -> RouteReport {
        let probes: Vec<&Probe> = self
            .scales
            .iter()
            .flat_map(|at| &at.probes)
            .filter(|probe| probe.name == spec.name)
            .collect();
        let step = self
            .load
            .as_ref()
            .and_then(|outcome| outcome.steps.iter().find(|step| step.name == spec.name));
        let reports: Vec<ProbeReport> = probes
            .iter()
            .filter_map(|probe| probe_report(probe))
            .collect();
        let growth = growth(&reports);
        let mut judging = Judging::default();
        judging.probes(&spec.budget, &probes, &reports);
        judging.growth(&spec.budget, &growth);
        judging.findings(&spec.budget, &self.evidence.findings, &spec.name);
        if let Some(outcome) = &self.load {
            let alone = self.alone(probes.last().copied(), reports.last());
            judging.load(&spec.budget, step, outcome, alone.as_ref());
        }
        let last = probes.iter().rev().find_map(|probe| typical(probe));
        RouteReport {
            name: spec.name.clone(),
            route: last.map_or_else(
                || spec.method.to_string(),
                |request| request.route.to_string(),
            ),
            verdict: judging.verdict,
            reasons: judging.reasons,
            budget: Budget::from(&spec.budget),
            requests: step.map_or(0, |step| step.requests),
            errors: step.map(errors_of).unwrap_or_default(),
            latency: step
                .zip(self.load.as_ref())
                .and_then(|(step, load)| latency(step, load.steady, self.options.show_values)),
            skipped: step.map_or(0, |step| step.skipped),
            growth,
            plan: last
                .map(|request| self.plan_line(request))
                .unwrap_or_default(),
            waterfall: last.map(waterfall).unwrap_or_default(),
            cache: cache_report(&probes),
            probes: reports,
        }
    }

    /// Where the time of one probed request goes, at the largest scale and page size.
    fn alone(&self, probe: Option<&Probe>, report: Option<&ProbeReport>) -> Option<Alone> {
        let (request, report) = (typical(probe?)?, report?);
        let slowest = request
            .statements
            .iter()
            .max_by_key(|statement| statement.duration);
        Some(Alone {
            total_ms: report.total_ms,
            database_ms: report.database_ms,
            slowest: slowest.map(|statement| {
                let text = self.shown(&statement.text, statement.dialect);
                (
                    text.split_whitespace().collect::<Vec<_>>().join(" "),
                    ms(statement.duration),
                )
            }),
        })
    }

    /// Which tables a request reads by which indexes, at the largest scale.
    fn plan_line(&self, request: &Request) -> String {
        let Some(largest) = self.scales.last() else {
            return String::new();
        };
        let mut lines = Vec::new();
        for statement in &request.statements {
            let Some(explained) = largest.explained.get(&statement.fingerprint) else {
                continue;
            };
            let Ok(plan) = &explained.plan else { continue };
            let written: Vec<&str> = explained
                .shape
                .tables
                .iter()
                .filter(|table| table.written)
                .map(|table| table.name.as_str())
                .collect();
            let reads = plan
                .walk()
                .any(|node| node.table.is_some() && node.operation != Operation::Write);
            let line = match (written.is_empty(), reads) {
                (true, _) => plan.summary(),
                (false, false) => format!("writes {}", written.join(", ")),
                (false, true) => format!("writes {}: {}", written.join(", "), plan.summary()),
            };
            if !line.is_empty() && !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines.join("; ")
    }

    fn finding(&self, judged: &Judged) -> FindingReport {
        let Finding {
            kind, proof, cost, ..
        } = judged.finding;
        let finding = &judged.finding;
        let explained = self
            .scales
            .last()
            .and_then(|at| at.explained.get(&finding.fingerprint));
        let dialect = explained.map_or(Dialect::Sqlite, |explained| explained.dialect);
        let has_statement = !finding.statement.is_empty();
        let is_sql = has_statement && kind.has_sql();
        FindingReport {
            id: finding.id.to_string(),
            kind,
            proof,
            route: finding.route.to_string(),
            name: judged.name.clone(),
            summary: finding.summary.clone(),
            fingerprint: is_sql.then(|| finding.fingerprint.to_string()),
            statement: has_statement.then(|| match is_sql {
                true => self.shown(&finding.statement, dialect),
                false => finding.statement.to_string(),
            }),
            parent: finding
                .parent
                .as_ref()
                .map(|parent| self.shown(parent, dialect)),
            tables: explained.map(tables).unwrap_or_default(),
            site: finding
                .site
                .as_ref()
                .map(|site| match (&site.file, site.line) {
                    (Some(file), Some(line)) => format!("{} ({file}:{line})", site.function),
                    _ => site.function.to_string(),
                }),
            evidence: finding.evidence.clone(),
            cost_ms: ms(cost.time),
            cost_statements: cost.statements,
            cost_rows: cost.rows,
            remedy: finding.remedy.clone(),
            untried: judged.untried.clone(),
        }
    }

    /// Why there is no plan, as it may be printed: the database quotes what it does not like.
    fn refusal<'r>(&self, reason: &'r str) -> &'r str {
        match reason.split_once(": ") {
            Some((what, _)) if !self.options.show_values => what,
            _ => reason,
        }
    }

    /// A statement as it may be printed: literals are values of users.
    fn shown(&self, text: &str, dialect: Dialect) -> String {
        if self.options.show_values {
            text.to_owned()
        } else {
            normalize(text, dialect)
        }
    }

    /// A statement of this audit's database as it may be printed.
    pub(super) fn shown_here(&self, text: &str) -> String {
        let explained = self
            .scales
            .last()
            .and_then(|at| at.explained.values().next());
        self.shown(text, explained.map_or(Dialect::Sqlite, |each| each.dialect))
    }

    fn suppressed(&self) -> Vec<SuppressedReport> {
        let each = self.evidence.suppressed.iter();
        each.map(|suppressed| SuppressedReport {
            kind: suppressed.kind,
            route: suppressed.route.to_string(),
            statement: match suppressed.kind.has_sql() {
                true => self.shown(&suppressed.statement, self.dialect(suppressed.fingerprint)),
                false => suppressed.statement.to_string(),
            },
            count: suppressed.count,
            reason: suppressed.reason.clone(),
        })
        .collect()
    }

    fn dialect(&self, fingerprint: Fingerprint) -> Dialect {
        self.scales
            .last()
            .and_then(|at| at.explained.get(&fingerprint))
            .map_or(Dialect::Sqlite, |explained| explained.dialect)
    }

    fn statements(&self) -> Vec<StatementReport> {
        let Some(largest) = self.scales.last() else {
            return Vec::new();
        };
        largest
            .explained
            .iter()
            .map(|(fingerprint, explained)| self.statement(*fingerprint, explained, largest))
            .collect()
    }

    fn statement(
        &self,
        fingerprint: Fingerprint,
        explained: &Explained,
        largest: &AtScale,
    ) -> StatementReport {
        let mut routes: Vec<String> = Vec::new();
        for probe in &largest.probes {
            let runs = probe
                .requests()
                .flat_map(|request| &request.statements)
                .any(|each| each.fingerprint == fingerprint);
            if runs && !routes.contains(&probe.name) {
                routes.push(probe.name.clone());
            }
        }
        StatementReport {
            fingerprint: fingerprint.to_string(),
            text: self.shown(&explained.text, explained.dialect),
            routes,
            plan: match &explained.plan {
                Ok(plan) => plan.to_string(),
                Err(reason) => format!("no plan: {}", self.refusal(reason)),
            },
            sampled: explained
                .sampled
                .iter()
                .map(|sampled| SampledPlan {
                    label: sampled.label.to_string(),
                    plan: sampled.plan.to_string(),
                })
                .collect(),
            time_ms: self
                .scales
                .iter()
                .filter_map(|at| {
                    let times = times_of(at, fingerprint);
                    Some(ScaleTime {
                        scale: at.scale,
                        median_ms: ms(median(&times)?),
                    })
                })
                .collect(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let unseen: usize = self
            .scales
            .iter()
            .flat_map(|at| &at.probes)
            .map(|probe| probe.unseen)
            .sum();
        if unseen > 0 {
            warnings.push(format!(
                "{unseen} probed requests were answered but never reported by the service; their statements are not counted."
            ));
        }
        let Some(largest) = self.scales.last() else {
            return warnings;
        };
        warnings.extend(largest.doubt.clone());
        warnings.extend(never_analyzed(largest));
        let statements = largest
            .probes
            .iter()
            .flat_map(|probe| &probe.samples)
            .flat_map(|sample| &sample.request.statements);
        if statements
            .clone()
            .all(|statement| statement.rows_returned.is_none())
        {
            warnings.push(
                "The service does not report how many rows its statements return (span attribute db.response.returned_rows): rows are not counted, and budgets of rows are unsure."
                    .to_owned(),
            );
        }
        let explainable = largest.explained.values().filter(|each| each.has_plan());
        for explained in explainable {
            if let Err(reason) = &explained.plan {
                let text = self.shown(&explained.text, explained.dialect);
                let start: String = text.chars().take(80).collect();
                warnings.push(format!("No plan for `{start}`: {}.", self.refusal(reason)));
            }
        }
        let flips = self.plan_flips();
        warnings.extend(flips);
        warnings.extend(self.load.as_ref().into_iter().flat_map(load_warnings));
        if self.load.is_none() {
            warnings.push(
                "No load was put on the service: latency budgets were not judged.".to_owned(),
            );
        }
        warnings
    }

    /// A statement that is planned otherwise at another scale may flip again at the next.
    fn plan_flips(&self) -> Vec<String> {
        let (Some(first), Some(last)) = (self.scales.first(), self.scales.last()) else {
            return Vec::new();
        };
        let mut flips = Vec::new();
        for (fingerprint, after) in &last.explained {
            let Some(before) = first.explained.get(fingerprint) else {
                continue;
            };
            if let (Ok(small), Ok(large)) = (&before.plan, &after.plan)
                && flips_to(small, large)
            {
                flips.push(format!(
                    "The plan of `{}` is `{}` at scale {} and `{}` at scale {}.",
                    self.shown(&after.text, after.dialect)
                        .chars()
                        .take(80)
                        .collect::<String>(),
                    small.summary(),
                    first.scale,
                    large.summary(),
                    last.scale,
                ));
            }
        }
        flips
    }
}

/// Large tables of the statements whose values the planner knows nothing of.
fn never_analyzed(at: &AtScale) -> Option<String> {
    let mut names: Vec<String> = at.explained.values().flat_map(tables).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| {
        at.schema.table(name).is_some_and(|table| {
            table.never_analyzed && table.rows.is_some_and(|rows| rows >= LARGE_ROWS)
        })
    });
    let last = names.pop()?;
    let all = match names.is_empty() {
        true => last,
        false => format!("{} and {last}", names.join(", ")),
    };
    Some(format!(
        "PostgreSQL never analyzed {all}: it plans without knowing their values. End `[data] prepare` with ANALYZE, or say why not."
    ))
}

/// A table of fewer rows is planned well enough without statistics.
const LARGE_ROWS: u64 = 1000;

/// Whether a statement is planned otherwise on more rows. PostgreSQL reads small tables whole
/// and larger ones by index; there only the other way round is worth a word.
fn flips_to(small: &Plan, large: &Plan) -> bool {
    if large.system != Dialect::Postgres {
        return !same_plan(&small.nodes, &large.nodes);
    }
    let scans = |plan: &Plan, table: &Option<String>| {
        plan.walk()
            .any(|node| node.operation == Operation::Scan && node.table == *table)
    };
    large.walk().any(|node| {
        node.operation == Operation::Scan
            && node.table.is_some()
            && !scans(small, &node.table)
            && small.walk().any(|before| before.table == node.table)
    })
}

fn same_plan(a: &[PlanNode], b: &[PlanNode]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| {
            (&a.table, &a.index) == (&b.table, &b.index) && same_plan(&a.children, &b.children)
        })
}

fn times_of(at: &AtScale, fingerprint: Fingerprint) -> Vec<Duration> {
    at.probes
        .iter()
        .flat_map(|probe| &probe.samples)
        .flat_map(|sample| &sample.request.statements)
        .filter(|statement| statement.fingerprint == fingerprint)
        .map(|statement| statement.duration)
        .collect()
}

/// Whether a time exponent is worth a warning colour in the report.
pub(crate) fn grows(exponent: Option<f64>) -> bool {
    exponent.is_some_and(|exponent| exponent >= GROWS)
}
