//! Numbers, costs, limits and statements as people read them, alike on the terminal and the page.

use speedwell_plan::{Figures, Needless, NeedlessIndex, Refused};
use speedwell_sql::Dialect;
use speedwell_trace::FindingKind;

use super::{Budget, FindingReport, Tried};

/// Three significant digits, without an exponent: `0.482`, `4.82`, `48.2`, `482`, `4,820`.
pub(super) fn significant(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let digits = match value.abs() {
        size if size < 0.0005 => return "0".to_owned(),
        size if size < 1.0 => 3,
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => return thousands(value.round().abs() as u64),
    };
    format!("{value:.digits$}")
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(count))
}

/// A count, or a dash when it is not known.
pub(super) fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), thousands)
}

/// What the trials count: PostgreSQL's pages, or SQLite's machine instructions in hundreds.
pub(crate) fn unit(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "pages",
        _ => "steps",
    }
}

/// What a trial showed.
pub(crate) fn tried(tried: &Tried, unit: &str) -> String {
    format!(
        "{} -> {} {unit}, {} -> {} ms",
        significant(tried.before),
        significant(tried.after),
        significant(tried.before_ms),
        significant(tried.after_ms)
    )
}

/// Why an index can go.
pub(crate) fn needless(needless: &NeedlessIndex) -> String {
    let index = format!("{} on {}", needless.index, needless.table);
    let beside = needless.beside.as_deref().unwrap_or("another");
    match needless.why {
        Needless::Duplicate => format!("{index} is the same as {beside}"),
        Needless::Prefix => format!("{index}: {beside} begins with its columns"),
        Needless::BesideKey => format!("{index}: the unique key {beside} begins with its columns"),
        Needless::Implied => format!("{index}: {beside} holds all rows and serves as well"),
        Needless::Unused => {
            format!("{index}: no statement of this workload is dearer without it")
        }
        Needless::Invalid => format!("{index} is not valid: its building failed; build it again"),
    }
}

/// Bytes of an index.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0 => "size unknown".to_owned(),
        bytes if bytes < 1024 * 1024 => format!("{} kB", bytes.div_ceil(1024)),
        bytes => format!("{:.1} MB", bytes as f64 / (1024.0 * 1024.0)),
    }
}

/// What a fault costs in one request.
pub(super) fn cost(finding: &FindingReport) -> String {
    if finding.kind == FindingKind::UncachedWrite {
        return "no time: readers get old values".to_owned();
    }
    let place = match finding.kind.has_sql() {
        true => "database",
        false => "cache",
    };
    let mut costs = Vec::new();
    if finding.cost_statements > 0 {
        costs.push(format!(
            "{} too many",
            counted(finding.cost_statements, "statement")
        ));
    }
    if finding.cost_rows > 0 {
        costs.push(format!("{} too many", counted(finding.cost_rows, "row")));
    }
    costs.push(format!(
        "{} ms in the {place}",
        significant(finding.cost_ms)
    ));
    format!("{} a request", costs.join(", "))
}

/// The limits of a budget, a few words each.
pub(super) fn limits(budget: &Budget) -> String {
    let number = |before: &str, limit: Option<f64>, after: &str| {
        limit.map(|limit| format!("{before}{limit}{after}"))
    };
    let limits = [
        number("p95 ", budget.p95_ms, " ms"),
        number("p99 ", budget.p99_ms, " ms"),
        budget.statements.map(|limit| counted(limit, "statement")),
        budget.rows.map(|limit| counted(limit, "row")),
        number("", budget.rows_per_row, " rows per row"),
        number("", budget.bytes_per_row, " bytes per row"),
        number("database ", budget.database_ms, " ms"),
        number("growth ", budget.growth, ""),
    ];
    limits.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A growth exponent, or a dash when it was not measured.
pub(super) fn exponent(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| format!("{value:.1}").replace("-0.0", "0.0"),
    )
}

/// At most `width` characters; what is cut off is marked.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// White space folded, so that a statement fits a line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// By how much a statement got worse with an index.
pub(crate) fn refused(refused: &Refused, unit: &str) -> String {
    let figures = |figures: &Figures| {
        let pages = significant(figures.pages + figures.trigger_pages);
        format!("{pages} {unit} and {} ms", significant(figures.millis))
    };
    let with = refused.with.as_ref().map(figures);
    let without = refused.without.as_ref().map(figures);
    format!(
        "takes {} with it, {} without",
        with.unwrap_or_else(|| "too long".to_owned()),
        without.unwrap_or_else(|| "too long".to_owned())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        let shown: Vec<String> = [0.0, 0.0001, 0.4821, 4.821, 48.21, 482.1, 4821.0, f64::NAN]
            .map(significant)
            .into();
        assert_eq!(
            shown,
            ["0", "0", "0.482", "4.82", "48.2", "482", "4,821", "-"]
        );
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(
            (counted(1, "row"), counted(2000, "row")),
            ("1 row".into(), "2,000 rows".into())
        );
        assert_eq!(exponent(Some(-0.01)), "0.0");
    }
}
