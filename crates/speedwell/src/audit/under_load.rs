//! What a load measured, as the report tells it: for each route, and for the load as a whole.

use std::time::Duration;

use speedwell_load::{Outcome, StepOutcome, quantile};

use super::{judge::Judging, measure::ms};
use crate::{
    config::{Audited, BudgetSpec, RouteSpec},
    report::{
        Bucket, Budget, Growth, Kind, Latency, LoadReport, Report, RouteReport, VERSION, Verdict,
        Waterfall,
    },
};

/// A load without an audit around it.
pub(crate) struct Loaded<'a> {
    pub(crate) audited: &'a Audited,
    /// The routes that were asked for, without the setup.
    pub(crate) routes: &'a [&'a RouteSpec],
    /// Rows of the main table, where they are known.
    pub(crate) scale: Option<u64>,
    /// The service that was running already.
    pub(crate) target: Option<String>,
    pub(crate) outcome: &'a Outcome,
    /// Whether bodies of failed answers may be printed.
    pub(crate) show_values: bool,
    /// What else the reader should know.
    pub(crate) warnings: Vec<String>,
}

/// Judges every route by what the load measured alone, and puts the report together.
pub(crate) fn load_report(loaded: Loaded<'_>) -> Report {
    let Loaded {
        audited, outcome, ..
    } = loaded;
    let setup = audited.setup.iter();
    let routes: Vec<RouteReport> = setup
        .chain(loaded.routes.iter().copied())
        .map(|spec| route(spec, outcome, loaded.show_values))
        .collect();
    let worst = routes.iter().map(|route| route.verdict).max();
    let mut warnings = load_warnings(outcome);
    let mut verdict = worst.unwrap_or(Verdict::Unsure);
    if outcome.cancelled {
        verdict = verdict.max(Verdict::Unsure);
        warnings.insert(0, interrupted(audited, outcome));
    }
    warnings.extend(loaded.warnings);
    Report {
        version: VERSION,
        kind: Kind::Load,
        service: audited.service.name.clone(),
        database: String::new(),
        config: audited.file.clone(),
        verdict,
        scales: Vec::new(),
        probes: 0,
        load: Some(LoadReport {
            target: loaded.target,
            ..load_facts(audited, loaded.scale.unwrap_or(0), outcome)
        }),
        routes,
        findings: Vec::new(),
        suppressed: Vec::new(),
        statements: Vec::new(),
        warnings,
        advice: None,
    }
}

fn interrupted(audited: &Audited, outcome: &Outcome) -> String {
    format!(
        "Interrupted: {:.1} s of {:.1} s of steady load were measured, so the verdict is unsure at best.",
        outcome.steady.as_secs_f64(),
        audited.load.steady.as_secs_f64()
    )
}

fn route(spec: &RouteSpec, outcome: &Outcome, show_values: bool) -> RouteReport {
    let step = outcome.steps.iter().find(|step| step.name == spec.name);
    let budget = of_load(&spec.budget);
    let mut judging = Judging::default();
    judging.load(&budget, step, outcome, None);
    RouteReport {
        name: spec.name.clone(),
        route: format!("{} {}", spec.method, spec.path),
        verdict: judging.verdict,
        reasons: judging.reasons,
        budget: Budget::from(&budget),
        requests: step.map_or(0, |step| step.requests),
        errors: step.map(errors_of).unwrap_or_default(),
        latency: step.and_then(|step| latency(step, outcome.steady, show_values)),
        skipped: step.map_or(0, |step| step.skipped),
        probes: Vec::new(),
        growth: Growth::default(),
        plan: String::new(),
        waterfall: Waterfall::default(),
        cache: None,
    }
}

/// The part of a budget that a load can be held against: the rest was not judged.
fn of_load(budget: &BudgetSpec) -> BudgetSpec {
    BudgetSpec {
        p95_ms: budget.p95_ms,
        p99_ms: budget.p99_ms,
        errors: budget.errors,
        source: budget.source.clone(),
        ..BudgetSpec::default()
    }
}

/// Failed requests that count, by kind.
pub(super) fn errors_of(step: &StepOutcome) -> std::collections::BTreeMap<String, u64> {
    step.errors
        .iter()
        .map(|(kind, count)| (kind.to_string(), *count))
        .collect()
}

/// Percentiles of a route; `None` when no request of it says how long it takes.
pub(super) fn latency(step: &StepOutcome, steady: Duration, show_values: bool) -> Option<Latency> {
    let p95 = quantile(&step.response, 0.95)?;
    let steady = steady.as_secs_f64();
    Some(Latency {
        samples: p95.samples,
        p50_ms: ms(step.response.percentile(0.5)),
        p95_ms: ms(p95.value),
        p99_ms: ms(step.response.percentile(0.99)),
        max_ms: ms(step.response.max()),
        p95_low_ms: ms(p95.low),
        p95_high_ms: p95.high.map(ms),
        service_p95_ms: ms(step.service.percentile(0.95)),
        requests_per_s: if steady > 0.0 {
            step.requests as f64 / steady
        } else {
            0.0
        },
        errors: errors_of(step),
        error_sample: step
            .first_error_sample
            .as_ref()
            .map(|sample| answer(sample, show_values)),
        histogram: step
            .response
            .buckets()
            .into_iter()
            .map(|bucket| Bucket {
                from_ms: ms(bucket.low),
                up_to_ms: ms(bucket.high),
                count: bucket.count,
            })
            .collect(),
    })
}

/// A failed answer as it may be printed: its body may hold what belongs to users.
fn answer(sample: &str, show_values: bool) -> String {
    match sample.split_once(": ") {
        Some((status, _)) if !show_values => status.to_owned(),
        _ => sample.to_owned(),
    }
}

/// The load as a whole, on a service that was started for it.
pub(super) fn load_facts(audited: &Audited, scale: u64, outcome: &Outcome) -> LoadReport {
    let load = &audited.load;
    let requests: u64 = outcome.steps.iter().map(|step| step.requests).sum();
    let setup = audited.setup.len();
    let of_tasks = outcome.steps.iter().skip(setup);
    let steady: u64 = of_tasks.map(|step| step.requests).sum();
    LoadReport {
        target: None,
        scale,
        users: load.users as u64,
        rate: load.rate,
        ramp_s: load.ramp.as_secs_f64(),
        steady_s: outcome.steady.as_secs_f64(),
        interrupted: outcome.cancelled,
        requests,
        requests_per_s: steady as f64 / outcome.steady.as_secs_f64().max(1e-3),
        errors: outcome.errors(),
        client_cpu_share: outcome.client.cpu_share,
        client_lateness_p99_ms: ms(outcome.client.lateness_p99),
        open_at_end: outcome.client.open_at_end,
    }
}

/// What the load would rather not have to say.
pub(super) fn load_warnings(outcome: &Outcome) -> Vec<String> {
    let mut warnings = Vec::new();
    if outcome.lost_users > 0 {
        warnings.push(format!(
            "{} of {} users did not get through the setup and sent no task.",
            outcome.lost_users, outcome.users
        ));
    }
    for step in outcome.steps.iter().filter(|step| step.skipped > 0) {
        warnings.push(format!(
            "`{}` was skipped in {} turns under load, beside {} requests: the user's pool had nothing left to take.",
            step.name,
            step.skipped,
            step.requests + step.in_ramp
        ));
    }
    let in_ramp: u64 = outcome
        .steps
        .iter()
        .flat_map(|step| step.ramp_errors.values())
        .sum();
    if in_ramp > 0 {
        warnings.push(format!(
            "{in_ramp} requests failed during the ramp, which is not judged."
        ));
    }
    warnings
}
