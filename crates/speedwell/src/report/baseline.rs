//! Two audits side by side: before and after, route by route.

use std::{collections::BTreeMap, fmt::Write};

use speedwell_trace::Proof;

use super::{Report, RouteReport, wording::significant};
use crate::growth::median;

/// A table of `before` and `after`, with what appeared and what went away.
pub(crate) fn compare(before: &Report, after: &Report) -> String {
    let mut text = String::from("Against the baseline (before -> after)\n");
    let rows: Vec<[String; 5]> = after
        .routes
        .iter()
        .map(|route| row(before, route))
        .collect();
    let heading = ["route", "p95 ms", "", "stmts", "rows"].map(str::to_owned);
    let widths: Vec<usize> = (0..5)
        .map(|column| {
            rows.iter()
                .chain([&heading])
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in [&heading].into_iter().chain(&rows) {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let of = |report: &Report| report.load.as_ref().map(|load| (load.scale, load.users));
    if before.scales != after.scales || of(before) != of(after) {
        text.push_str(
            "  the baseline was taken at other scales or with other users: times do not compare\n",
        );
    }
    text.push_str(&shift(before, after));
    for route in &before.routes {
        if !after.routes.iter().any(|other| other.name == route.name) {
            let _ = writeln!(text, "  gone: {}", route.name);
        }
    }
    text.push_str(&findings(before, after));
    text
}

fn row(before: &Report, route: &RouteReport) -> [String; 5] {
    let old = before.routes.iter().find(|other| other.name == route.name);
    let pair = |was: Option<String>, is: Option<String>| {
        let show = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        format!("{} -> {}", show(was), show(is))
    };
    let probe = |route: &RouteReport| route.probes.last().cloned();
    let p95 = |route: &RouteReport| route.latency.as_ref().map(|each| significant(each.p95_ms));
    [
        route.name.clone(),
        pair(old.and_then(p95), p95(route)),
        overlap(old, route).to_owned(),
        pair(
            old.and_then(probe).map(|each| each.statements.to_string()),
            probe(route).map(|each| each.statements.to_string()),
        ),
        pair(
            old.and_then(probe)
                .and_then(|each| each.rows_fetched)
                .map(|rows| rows.to_string()),
            probe(route)
                .and_then(|each| each.rows_fetched)
                .map(|rows| rows.to_string()),
        ),
    ]
}

/// How much all p95s moved together: what they share is the machine's doing, not a route's.
fn shift(before: &Report, after: &Report) -> String {
    let p95 = |route: &RouteReport| route.latency.as_ref().map(|each| each.p95_ms);
    let ratios: Vec<f64> = after
        .routes
        .iter()
        .filter_map(|route| {
            let old = before
                .routes
                .iter()
                .find(|other| other.name == route.name)?;
            Some(p95(route)? / p95(old)?)
        })
        .filter(|ratio| ratio.is_finite())
        .collect();
    match median(&ratios) {
        Some(ratio) if ratios.len() >= 3 => {
            format!(
                "  median of all p95s: {} of the baseline's\n",
                significant(ratio)
            )
        }
        _ => String::new(),
    }
}

/// Two p95s differ only if their intervals do not overlap.
fn overlap(old: Option<&RouteReport>, new: &RouteReport) -> &'static str {
    let (Some(old), Some(new)) = (
        old.and_then(|old| old.latency.as_ref()),
        new.latency.as_ref(),
    ) else {
        return "";
    };
    let high = |high: Option<f64>| high.unwrap_or(f64::INFINITY);
    if new.p95_low_ms > high(old.p95_high_ms) {
        "slower"
    } else if high(new.p95_high_ms) < old.p95_low_ms {
        "faster"
    } else {
        "same"
    }
}

fn findings(before: &Report, after: &Report) -> String {
    let faults = |report: &Report| -> BTreeMap<String, String> {
        report
            .findings
            .iter()
            .filter(|finding| finding.proof >= Proof::Likely)
            .map(|finding| {
                (
                    finding.id.clone(),
                    format!("{} in {}", finding.kind.name(), finding.name),
                )
            })
            .collect()
    };
    let (old, new) = (faults(before), faults(after));
    let mut text = String::new();
    for (id, what) in new.iter().filter(|(id, _)| !old.contains_key(*id)) {
        let _ = writeln!(text, "  new: {what} ({id})");
    }
    // What was not audited this time is not mended.
    let audited = |name: &str| after.routes.iter().any(|route| route.name == name);
    for finding in &before.findings {
        let gone = old.contains_key(&finding.id) && !new.contains_key(&finding.id);
        if gone && audited(&finding.name) {
            let _ = writeln!(text, "  mended: {} ({})", old[&finding.id], finding.id);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn before_and_after_stand_side_by_side() {
        let before = sample();
        let mut after = sample();
        let latency = after.routes[1].latency.as_mut().unwrap();
        (latency.p95_ms, latency.p95_low_ms, latency.p95_high_ms) = (6.0, 5.5, Some(6.4));
        for probe in &mut after.routes[1].probes {
            probe.statements = 2;
        }
        after.findings.clear();
        insta::assert_snapshot!(compare(&before, &after));
    }
}
