//! The table of routes on a terminal: which columns there are, and how they line up.

use super::{
    Kind, RouteReport,
    terminal::word,
    wording::{exponent, known, limits, shortened, significant, thousands},
};

/// The columns of one kind of report.
pub(super) struct Columns {
    heading: &'static [&'static str],
    /// Headings over several columns, each with the first of them.
    groups: &'static [(usize, &'static str)],
    /// Columns that hold texts, which stand to the left; numbers stand to the right.
    texts: &'static [usize],
    cells: fn(&RouteReport) -> Vec<String>,
}

const AUDIT: Columns = Columns {
    heading: &[
        "", "route", "p50", "p95", "p99", "stmts", "rows f/a", "stmts", "rows", "time", "plan",
        "budget",
    ],
    groups: &[(2, "under load, ms"), (5, "one request"), (7, "growth")],
    texts: &[0, 1, 10],
    cells: of_audit,
};

const LOAD: Columns = Columns {
    heading: &[
        "", "route", "requests", "req/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors",
        "budget",
    ],
    groups: &[],
    texts: &[0, 1, 8],
    cells: of_load,
};

/// A longer plan is in the report's other forms.
const PLAN_WIDTH: usize = 34;

impl Columns {
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Audit => AUDIT,
            Kind::Load => LOAD,
        }
    }

    /// The headings over several columns, if there are any, then the heading and a line for each
    /// route.
    pub(super) fn lines(&self, routes: &[RouteReport]) -> (Option<String>, Vec<String>) {
        let heading = self.heading.iter().map(|&cell| cell.to_owned()).collect();
        let mut rows: Vec<Vec<String>> = vec![heading];
        rows.extend(routes.iter().map(self.cells));
        let widths: Vec<usize> = (0..self.heading.len())
            .map(|column| {
                let lengths = rows.iter().map(|row| row[column].chars().count());
                lengths.max().unwrap_or(0)
            })
            .collect();
        let groups = (!self.groups.is_empty()).then(|| self.grouped(&widths));
        let lines = rows.iter().map(|row| self.line(row, &widths)).collect();
        (groups, lines)
    }

    fn grouped(&self, widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, group) in self.groups {
            let before: usize = widths[..*column].iter().map(|width| width + 2).sum();
            let space = before.saturating_sub(line.chars().count());
            line.push_str(&" ".repeat(space));
            line.push_str(group);
        }
        line
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let last = row.len().saturating_sub(1);
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                column if column == last => cell.clone(),
                column if self.texts.contains(&column) => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        cells.join("  ")
    }
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), significant)
}

fn of_audit(route: &RouteReport) -> Vec<String> {
    let latency = route.latency.as_ref();
    let probe = route.probes.last();
    let growth = &route.growth.by_scale;
    vec![
        word(route.verdict).to_owned(),
        route.name.clone(),
        ms(latency.map(|each| each.p50_ms)),
        ms(latency.map(|each| each.p95_ms)),
        ms(latency.map(|each| each.p99_ms)),
        probe.map_or_else(|| "-".to_owned(), |probe| probe.statements.to_string()),
        probe.map_or_else(
            || "-".to_owned(),
            |probe| {
                format!(
                    "{}/{}",
                    known(probe.rows_fetched),
                    thousands(probe.rows_answered)
                )
            },
        ),
        exponent(route.growth.statements()),
        exponent(growth.rows),
        exponent(growth.time),
        shortened(&route.plan, PLAN_WIDTH),
        budget(route),
    ]
}

fn of_load(route: &RouteReport) -> Vec<String> {
    let latency = route.latency.as_ref();
    vec![
        word(route.verdict).to_owned(),
        route.name.clone(),
        thousands(route.requests),
        ms(latency.map(|each| each.requests_per_s)),
        ms(latency.map(|each| each.p50_ms)),
        ms(latency.map(|each| each.p95_ms)),
        ms(latency.map(|each| each.p99_ms)),
        ms(latency.map(|each| each.max_ms)),
        errors(route),
        budget(route),
    ]
}

/// Failed requests by kind: `2 5xx, 1 timeout`.
pub(super) fn errors(route: &RouteReport) -> String {
    if route.errors.is_empty() {
        return "0".to_owned();
    }
    let kinds = route.errors.iter();
    let kinds: Vec<String> = kinds
        .map(|(kind, count)| format!("{} {kind}", thousands(*count)))
        .collect();
    kinds.join(", ")
}

/// The limits of a route and who asks for them.
fn budget(route: &RouteReport) -> String {
    let source = route
        .budget
        .source
        .as_ref()
        .map(|source| format!(" ({source})"));
    limits(&route.budget) + &source.unwrap_or_default()
}
