//! The verdict of one route: every limit of its budget held against what was measured.

use speedwell_load::{Judgement, Outcome, StepOutcome, quantile};
use speedwell_trace::{Finding, Proof};

use super::{
    evidence::Judged,
    measure::{bytes_per_row, ms, rows_per_row},
    probe::Probe,
};
use crate::{
    config::{BudgetSpec, milliseconds},
    report::{Growth, ProbeReport, Verdict},
};

/// Where the time of one undisturbed request goes.
pub(super) struct Alone {
    pub(super) total_ms: f64,
    pub(super) database_ms: f64,
    /// The statement that takes most of it, as it may be printed, and its part.
    pub(super) slowest: Option<(String, f64)>,
}

impl Alone {
    /// Below this share of a request, the database is not to blame.
    const SHARE: f64 = 0.2;

    fn sentence(&self) -> String {
        let (total, database) = (self.total_ms, self.database_ms);
        if database < Self::SHARE * total {
            return format!(
                "it is not the database: alone, one request takes {total:.1} ms, {database:.1} ms of them in statements"
            );
        }
        let slowest = self
            .slowest
            .as_ref()
            .map_or_else(String::new, |(statement, time)| {
                format!(", {time:.1} ms in `{statement}`")
            });
        format!(
            "alone, one request takes {total:.1} ms, {database:.1} ms of them in statements{slowest}"
        )
    }
}

/// The limits of one route, one after the other.
pub(super) struct Judging {
    pub(super) verdict: Verdict,
    pub(super) reasons: Vec<String>,
}

impl Default for Judging {
    fn default() -> Self {
        Self {
            verdict: Verdict::Within,
            reasons: Vec::new(),
        }
    }
}

impl Judging {
    fn say(&mut self, verdict: Verdict, reason: String) {
        self.verdict = self.verdict.max(verdict);
        self.reasons.push(reason);
    }

    fn over(&mut self, what: &str, is: f64, unit: &str, limit: Option<f64>) {
        if let Some(limit) = limit
            && is > limit
        {
            self.say(
                Verdict::Over,
                format!("{what} {is:.3}{unit} is over {limit}{unit}"),
            );
        }
    }

    pub(super) fn probes(
        &mut self,
        budget: &BudgetSpec,
        probes: &[&Probe],
        reports: &[ProbeReport],
    ) {
        if let Some(failure) = probes.iter().find_map(|probe| probe.failure.as_ref()) {
            self.say(Verdict::Over, format!("a probe failed: {}", failure.what));
        }
        if reports.is_empty() {
            self.say(Verdict::Over, "no request of it was observed".to_owned());
        }
        let unseen: usize = probes.iter().map(|probe| probe.unseen).sum();
        if unseen > 0 && !reports.is_empty() {
            self.say(
                Verdict::Unsure,
                format!("{unseen} of its requests were answered and never reported by the service"),
            );
        }
        let most =
            |measure: &dyn Fn(&ProbeReport) -> f64| reports.iter().map(measure).fold(0.0, f64::max);
        let whole = |limit: Option<u64>| limit.map(|limit| limit as f64);
        self.over(
            "statements",
            most(&|p| p.statements as f64),
            "",
            whole(budget.statements),
        );
        let hidden = "the service does not report the rows of its statements";
        self.seen(
            "rows fetched",
            whole(budget.rows),
            reports,
            hidden,
            |probe| probe.rows_fetched.map(|rows| rows as f64),
        );
        self.seen(
            "rows per row",
            budget.rows_per_row,
            reports,
            hidden,
            rows_per_row,
        );
        self.seen(
            "bytes per row",
            budget.bytes_per_row,
            reports,
            "the service compresses its answers unasked, or because the route's headers ask for it",
            bytes_per_row,
        );
        self.over(
            "database time",
            most(&|p| p.database_ms),
            " ms",
            budget.database_ms,
        );
    }

    /// A limit on what the service may hide cannot be judged where it is `hidden`.
    fn seen(
        &mut self,
        what: &str,
        limit: Option<f64>,
        reports: &[ProbeReport],
        hidden: &str,
        measure: impl Fn(&ProbeReport) -> Option<f64>,
    ) {
        if limit.is_none() {
            return;
        }
        match reports.iter().map(measure).collect::<Option<Vec<f64>>>() {
            Some(rows) => self.over(what, rows.into_iter().fold(0.0, f64::max), "", limit),
            None => self.say(Verdict::Unsure, format!("{what}: {hidden}")),
        }
    }

    pub(super) fn growth(&mut self, budget: &BudgetSpec, growth: &Growth) {
        for (what, exponent) in [
            ("growth of statements", growth.by_scale.statements),
            ("growth of rows", growth.by_scale.rows),
        ] {
            match (exponent, budget.growth) {
                (Some(exponent), limit) => self.over(what, exponent, "", limit),
                (None, None) => {}
                (None, Some(_)) => self.say(
                    Verdict::Unsure,
                    format!(
                        "{what}: it needs at least two scales, and rows that the service reports"
                    ),
                ),
            }
        }
    }

    pub(super) fn findings(&mut self, budget: &BudgetSpec, findings: &[Judged], name: &str) {
        let faults: Vec<&Finding> = findings
            .iter()
            .filter(|judged| judged.name == name && judged.finding.proof >= Proof::Likely)
            .map(|judged| &judged.finding)
            .collect();
        if faults.len() as u64 > budget.findings.unwrap_or(0) {
            let kinds: Vec<&str> = faults.iter().map(|finding| finding.kind.name()).collect();
            self.say(Verdict::Over, format!("findings: {}", kinds.join(", ")));
        }
    }

    /// What the load says of the route; `alone` tells where the time goes when a percentile is
    /// over its limit.
    pub(super) fn load(
        &mut self,
        budget: &BudgetSpec,
        step: Option<&StepOutcome>,
        outcome: &Outcome,
        alone: Option<&Alone>,
    ) {
        let mut over = false;
        let limits = [("p95", 0.95, budget.p95_ms), ("p99", 0.99, budget.p99_ms)];
        for (what, q, limit) in limits {
            let Some(limit) = limit else { continue };
            let estimate = step.and_then(|step| quantile(&step.response, q));
            let Some(estimate) = estimate else {
                let verdict = match outcome.cancelled {
                    true => Verdict::Unsure,
                    false => Verdict::Over,
                };
                self.say(verdict, unmeasured(what, step, outcome));
                continue;
            };
            let is = ms(estimate.value);
            match speedwell_load::judge(Some(&estimate), milliseconds(limit), &outcome.client) {
                Judgement::Within => {}
                Judgement::Over => {
                    over = true;
                    self.say(
                        Verdict::Over,
                        format!("{what} {is:.1} ms is over {limit} ms"),
                    );
                }
                Judgement::Unsure(reason) => {
                    let reason = format!("{what} {is:.1} ms of {limit} ms: {reason}");
                    self.say(Verdict::Unsure, reason);
                }
            }
        }
        if let Some(alone) = alone.filter(|_| over) {
            self.reasons.push(alone.sentence());
        }
        self.errors(budget, step);
    }

    fn errors(&mut self, budget: &BudgetSpec, step: Option<&StepOutcome>) {
        let Some(step) = step else { return };
        let count = step.error_count();
        if count <= budget.errors.unwrap_or(0) {
            return;
        }
        let kinds: Vec<String> = step
            .errors
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let errors = if count == 1 { "error" } else { "errors" };
        self.say(
            Verdict::Over,
            format!("{count} {errors} under load: {}", kinds.join(", ")),
        );
    }
}

/// Why there is no percentile to judge.
fn unmeasured(what: &str, step: Option<&StepOutcome>, outcome: &Outcome) -> String {
    let sent = step.map_or(0, |step| step.requests);
    let skipped = step.map_or(0, |step| step.skipped);
    if sent == 0 && skipped > 0 {
        format!(
            "{skipped} turns were skipped and none was not, for there was nothing to take; there is no {what} to judge"
        )
    } else if sent > 0 {
        format!("all {sent} requests failed; there is no {what} to judge")
    } else if outcome.cancelled {
        format!("interrupted before there was a {what} to judge")
    } else if outcome.lost_users > 0 {
        format!(
            "{} of {} users did not get through the setup; there is no {what} to judge",
            outcome.lost_users, outcome.users
        )
    } else {
        format!(
            "the load sent no request to judge the {what} budget by; add the route to a [[task]]"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        time::{Duration, SystemTime},
    };

    use speedwell_load::{ClientHealth, ErrorKind, Histogram};

    use super::*;

    fn budget() -> BudgetSpec {
        BudgetSpec {
            p95_ms: Some(100.0),
            errors: Some(0),
            ..BudgetSpec::default()
        }
    }

    fn step(samples: u64, latency: Duration) -> StepOutcome {
        let mut histogram = Histogram::new();
        histogram.record_n(latency, samples);
        StepOutcome {
            name: "items".to_owned(),
            route: "GET /items".to_owned(),
            response: histogram.clone(),
            service: histogram,
            requests: samples,
            ok: samples,
            errors: BTreeMap::new(),
            first_error_sample: None,
            in_ramp: 0,
            ramp_errors: BTreeMap::new(),
            skipped: 0,
            server_timing: BTreeMap::new(),
        }
    }

    fn outcome(client: ClientHealth) -> Outcome {
        Outcome {
            steps: Vec::new(),
            tasks: Vec::new(),
            client,
            started: SystemTime::UNIX_EPOCH,
            ramp: Duration::ZERO,
            steady: Duration::from_secs(60),
            users: 10,
            lost_users: 0,
            planned_rate: None,
            achieved_rate: 0.0,
            timeline: Vec::new(),
            cancelled: false,
        }
    }

    fn alone(database_ms: f64) -> Alone {
        Alone {
            total_ms: 10.0,
            database_ms,
            slowest: Some(("SELECT a FROM t".to_owned(), database_ms)),
        }
    }

    fn judged(step: Option<&StepOutcome>, client: ClientHealth) -> Judging {
        let mut judging = Judging::default();
        judging.load(&budget(), step, &outcome(client), Some(&alone(0.5)));
        judging
    }

    fn probe(statements: u64, fetched: u64, answered: u64) -> ProbeReport {
        ProbeReport {
            scale: 1000,
            page_size: None,
            statements,
            rows_fetched: Some(fetched),
            rows_answered: answered,
            body_bytes: Some(100 * answered),
            database_ms: 1.0,
            total_ms: 2.0,
        }
    }

    #[test]
    fn enough_fast_requests_are_within() {
        let fast = step(1000, Duration::from_millis(5));
        assert_eq!(
            judged(Some(&fast), ClientHealth::default()).verdict,
            Verdict::Within
        );
    }

    #[test]
    fn slow_requests_are_over_and_say_by_how_much() {
        let slow = step(1000, Duration::from_millis(150));
        let judging = judged(Some(&slow), ClientHealth::default());
        assert_eq!(judging.verdict, Verdict::Over);
        assert!(
            judging.reasons[0].contains("p95 150.0 ms is over 100 ms"),
            "{:?}",
            judging.reasons
        );
    }

    #[test]
    fn a_slow_route_says_whether_the_database_is_to_blame() {
        let slow = step(1000, Duration::from_millis(150));
        let reason = |database_ms| {
            let mut judging = Judging::default();
            let outcome = outcome(ClientHealth::default());
            judging.load(&budget(), Some(&slow), &outcome, Some(&alone(database_ms)));
            judging.reasons.pop().unwrap()
        };
        assert_eq!(
            reason(0.5),
            "it is not the database: alone, one request takes 10.0 ms, 0.5 ms of them in statements"
        );
        assert_eq!(
            reason(8.0),
            "alone, one request takes 10.0 ms, 8.0 ms of them in statements, 8.0 ms in `SELECT a FROM t`"
        );
    }

    #[test]
    fn too_few_requests_are_unsure_however_fast() {
        let few = step(20, Duration::from_millis(5));
        assert_eq!(
            judged(Some(&few), ClientHealth::default()).verdict,
            Verdict::Unsure
        );
    }

    #[test]
    fn a_busy_client_makes_every_percentile_unsure() {
        let fast = step(1000, Duration::from_millis(5));
        let busy = ClientHealth {
            cpu_share: 0.95,
            ..ClientHealth::default()
        };
        assert_eq!(judged(Some(&fast), busy).verdict, Verdict::Unsure);
    }

    #[test]
    fn a_budget_that_no_request_exercised_fails() {
        assert_eq!(judged(None, ClientHealth::default()).verdict, Verdict::Over);
        let none = step(0, Duration::ZERO);
        assert_eq!(
            judged(Some(&none), ClientHealth::default()).verdict,
            Verdict::Over
        );
    }

    #[test]
    fn a_route_that_only_failed_is_not_told_to_join_a_task() {
        let mut failing = step(0, Duration::ZERO);
        failing.requests = 7;
        let judging = judged(Some(&failing), ClientHealth::default());
        assert!(
            judging.reasons[0].contains("all 7 requests failed"),
            "{:?}",
            judging.reasons
        );
    }

    #[test]
    fn a_route_that_never_had_anything_to_take_fails_and_says_so() {
        let mut idle = step(0, Duration::ZERO);
        idle.skipped = 3;
        let judging = judged(Some(&idle), ClientHealth::default());
        assert_eq!(judging.verdict, Verdict::Over);
        assert!(
            judging.reasons[0].contains("3 turns were skipped"),
            "{:?}",
            judging.reasons
        );
    }

    #[test]
    fn growth_that_cannot_be_measured_is_unsure() {
        let budget = BudgetSpec {
            growth: Some(0.1),
            ..BudgetSpec::default()
        };
        let mut judging = Judging::default();
        judging.growth(&budget, &Growth::default());
        assert_eq!(judging.verdict, Verdict::Unsure);
    }

    #[test]
    fn one_error_breaks_a_budget_of_none() {
        let mut failing = step(1000, Duration::from_millis(5));
        failing.errors.insert(ErrorKind::Timeout, 1);
        let judging = judged(Some(&failing), ClientHealth::default());
        assert_eq!(judging.verdict, Verdict::Over);
        assert!(
            judging.reasons[0].starts_with("1 error"),
            "{:?}",
            judging.reasons
        );
    }

    #[test]
    fn statements_and_rows_are_held_at_every_scale() {
        let budget = BudgetSpec {
            statements: Some(2),
            rows_per_row: Some(2.0),
            ..BudgetSpec::default()
        };
        let over = |reports: &[ProbeReport]| {
            let mut judging = Judging::default();
            judging.probes(&budget, &[], reports);
            judging.reasons.len()
        };
        assert_eq!(over(&[probe(2, 20, 10)]), 0);
        assert_eq!(over(&[probe(3, 20, 10), probe(2, 20, 10)]), 1);
        assert_eq!(over(&[probe(3, 21, 10)]), 2);
        assert_eq!(
            over(&[probe(1, 2, 0)]),
            0,
            "an answer without rows counts as one row"
        );
    }

    #[test]
    fn bytes_are_held_per_row_answered() {
        let budget = BudgetSpec {
            bytes_per_row: Some(100.0),
            ..BudgetSpec::default()
        };
        let judged = |body_bytes, answered| {
            let report = ProbeReport {
                body_bytes,
                ..probe(1, 1, answered)
            };
            let mut judging = Judging::default();
            judging.probes(&budget, &[], &[probe(1, 1, 1), report]);
            (judging.verdict, judging.reasons.join(""))
        };
        assert_eq!(judged(Some(1000), 10).0, Verdict::Within);
        let (verdict, reason) = judged(Some(1010), 10);
        assert_eq!(verdict, Verdict::Over);
        assert_eq!(reason, "bytes per row 101.000 is over 100");
        assert_eq!(
            judged(Some(101), 0).0,
            Verdict::Over,
            "no row counts as one"
        );
        let (verdict, reason) = judged(None, 10);
        assert_eq!(verdict, Verdict::Unsure);
        assert!(reason.contains("compresses"), "{reason}");
    }

    #[test]
    fn a_limit_on_rows_that_nobody_reports_is_unsure() {
        let unknown = ProbeReport {
            rows_fetched: None,
            ..probe(1, 0, 10)
        };
        let budget = BudgetSpec {
            rows_per_row: Some(2.0),
            ..BudgetSpec::default()
        };
        let mut judging = Judging::default();
        judging.probes(&budget, &[], &[unknown]);
        assert_eq!(judging.verdict, Verdict::Unsure);
    }

    #[test]
    fn a_route_that_was_never_observed_fails() {
        let mut judging = Judging::default();
        judging.probes(&BudgetSpec::default(), &[], &[]);
        assert_eq!(judging.verdict, Verdict::Over);
    }

    #[test]
    fn the_worst_of_several_limits_decides() {
        let mut judging = Judging::default();
        judging.say(Verdict::Over, "one".to_owned());
        judging.say(Verdict::Unsure, "two".to_owned());
        assert_eq!((judging.verdict, judging.reasons.len()), (Verdict::Over, 2));
    }
}
