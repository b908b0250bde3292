//! From probes to figures: medians of each route at each scale and page size, and how they grow.

use std::time::Duration;

use speedwell_sql::{Kind, shape};
use speedwell_trace::{CacheOperation, Request, Statement, detect::counts_as_work};

use super::{evidence::growth::TIME_FLOOR_MS, probe::Probe};
use crate::{
    growth::{exponent, median},
    report::{Bar, CacheBar, CacheReport, Exponents, Growth, ProbeReport, Waterfall},
};

/// The request with the median number of statements; among those the median time.
pub(super) fn typical(probe: &Probe) -> Option<&Request> {
    let mut requests: Vec<&Request> = probe.samples.iter().map(|sample| &sample.request).collect();
    requests.sort_by_key(|request| (request.statements.len(), request.duration));
    requests.get(requests.len().checked_sub(1)? / 2).copied()
}

pub(super) fn waterfall(request: &Request) -> Waterfall {
    Waterfall {
        total_ms: ms(request.duration),
        bars: request
            .statements
            .iter()
            .map(|statement| Bar {
                start_ms: ms(statement.offset),
                duration_ms: ms(statement.duration),
                rows: statement.rows_returned,
                fingerprint: statement.fingerprint.to_string(),
                function: statement
                    .site
                    .as_ref()
                    .map(|site| site.function.to_string()),
            })
            .collect(),
        cache: request.cache.iter().map(cache_bar).collect(),
    }
}

fn cache_bar(operation: &CacheOperation) -> CacheBar {
    CacheBar {
        start_ms: ms(operation.offset),
        duration_ms: ms(operation.duration),
        cache: operation.cache.to_string(),
        operation: operation.operation().to_owned(),
        group: operation.group().map(str::to_owned),
        outcome: operation.outcome().to_owned(),
        function: operation
            .site
            .as_ref()
            .map(|site| site.function.to_string()),
    }
}

/// What the probed requests of a route did with the cache; `None` if they never used one.
pub(super) fn cache_report(probes: &[&Probe]) -> Option<CacheReport> {
    let samples = probes.iter().flat_map(|probe| &probe.samples);
    let mut report = CacheReport::default();
    for request in samples.map(|sample| &sample.request) {
        let (hits, misses) = request.cache_hits_and_misses();
        let changes = request.cache.iter().filter(|each| each.is_change()).count();
        report.requests += 1;
        report.hits += hits;
        report.misses += misses;
        report.changes += changes as u64;
    }
    (report.hits + report.misses + report.changes > 0).then_some(report)
}

pub(super) fn probe_report(probe: &Probe) -> Option<ProbeReport> {
    let of = |measure: &dyn Fn(&Request) -> u64| {
        let values: Vec<u64> = probe
            .samples
            .iter()
            .map(|sample| measure(&sample.request))
            .collect();
        median(&values)
    };
    let totals: Vec<Duration> = probe.samples.iter().map(|sample| sample.total).collect();
    let database =
        of(&|request| u64::try_from(request.database_time().as_micros()).unwrap_or(u64::MAX))?;
    Some(ProbeReport {
        scale: probe.scale,
        page_size: probe.page_size,
        statements: of(&|request| {
            request
                .statements
                .iter()
                .filter(|each| counts_as_work(each))
                .count() as u64
                + request.statements_dropped
        })?,
        rows_fetched: rows_fetched(probe),
        rows_answered: of(&|request| request.rows_answered.unwrap_or(0))?,
        body_bytes: body_bytes(probe),
        database_ms: database as f64 / 1000.0,
        total_ms: ms(median(&totals)?),
    })
}

pub(super) fn growth(probes: &[ProbeReport]) -> Growth {
    let largest_page = probes.iter().map(|probe| probe.page_size).max().flatten();
    let largest_scale = probes.iter().map(|probe| probe.scale).max();
    let by_scale: Vec<(u64, &ProbeReport)> = probes
        .iter()
        .filter(|probe| probe.page_size == largest_page)
        .map(|probe| (probe.scale, probe))
        .collect();
    let by_page: Vec<(u64, &ProbeReport)> = probes
        .iter()
        .filter(|probe| Some(probe.scale) == largest_scale)
        .filter_map(|probe| Some((probe.page_size?, probe)))
        .collect();
    Growth {
        by_scale: exponents(&by_scale),
        by_page: exponents(&by_page),
    }
}

fn exponents(points: &[(u64, &ProbeReport)]) -> Exponents {
    let fit = |cost: &dyn Fn(&ProbeReport) -> f64, floor: f64| {
        exponent(
            points.iter().map(|(size, probe)| (*size, cost(probe))),
            floor,
        )
    };
    Exponents {
        statements: fit(&|probe| probe.statements as f64, 1.0),
        rows: points
            .iter()
            .map(|(size, probe)| Some((*size, probe.rows_fetched? as f64)))
            .collect::<Option<Vec<_>>>()
            .and_then(|rows| exponent(rows, 1.0)),
        time: fit(&|probe| probe.database_ms, TIME_FLOOR_MS),
    }
}

fn is_read(statement: &Statement) -> bool {
    counts_as_work(statement) && shape(&statement.text, statement.dialect).kind == Kind::Select
}

/// Rows of the median request; unknown when the source does not see the rows of every read.
fn rows_fetched(probe: &Probe) -> Option<u64> {
    let rows: Vec<u64> = probe
        .samples
        .iter()
        .map(|sample| &sample.request)
        .map(|request| {
            let reads = request
                .statements
                .iter()
                .filter(|each| !each.failed && is_read(each));
            match reads.clone().all(|each| each.rows_returned.is_some()) {
                true => Some(request.rows_fetched().unwrap_or(0)),
                false => None,
            }
        })
        .collect::<Option<_>>()?;
    median(&rows)
}

/// Rows fetched per row answered; an answer without rows counts as one row.
pub(crate) fn rows_per_row(probe: &ProbeReport) -> Option<f64> {
    Some(probe.rows_fetched? as f64 / probe.rows_answered.max(1) as f64)
}

/// Bytes of the median answer; unknown when one of them came compressed.
fn body_bytes(probe: &Probe) -> Option<u64> {
    let bytes: Vec<u64> = probe
        .samples
        .iter()
        .map(|sample| sample.body_bytes)
        .collect::<Option<_>>()?;
    median(&bytes)
}

/// Bytes of the body per row answered; an answer without rows counts as one row.
pub(crate) fn bytes_per_row(probe: &ProbeReport) -> Option<f64> {
    Some(probe.body_bytes? as f64 / probe.rows_answered.max(1) as f64)
}

/// Milliseconds, to the microsecond: no measurement here is finer.
pub(super) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
