//! The report on a terminal: the verdict first, one line a route, then the findings, worst first,
//! and what would help.

mod advice;

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use speedwell_trace::Proof;

use super::{
    FindingReport, LoadReport, Report, RouteReport, Verdict,
    columns::Columns,
    wording::{cost, counted, one_line, significant, thousands},
};

/// How the report may look.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    pub(crate) colour: bool,
    /// Columns of the terminal; longer lines are cut. `None` cuts nothing.
    pub(crate) width: Option<usize>,
}

/// The whole report as text.
pub(crate) fn terminal(report: &Report, look: Look) -> String {
    let mut page = Page {
        text: String::new(),
        look,
    };
    page.headline(report);
    page.table(report);
    page.reasons(report);
    page.findings(report);
    page.advice(report);
    page.notes(report);
    page.text
}

struct Page {
    text: String,
    look: Look,
}

const GREEN: AnsiColor = AnsiColor::Green;
const RED: AnsiColor = AnsiColor::Red;
const YELLOW: AnsiColor = AnsiColor::Yellow;

fn colour_of(verdict: Verdict) -> AnsiColor {
    match verdict {
        Verdict::Within => GREEN,
        Verdict::Unsure => YELLOW,
        Verdict::Over => RED,
    }
}

/// The word that carries the meaning; colour only repeats it.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Within => "pass",
        Verdict::Unsure => "unsure",
        Verdict::Over => "FAIL",
    }
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn painted(&self, text: &str, colour: AnsiColor) -> String {
        if !self.look.colour {
            return text.to_owned();
        }
        let style = Style::new().fg_color(Some(colour.into())).bold();
        format!("{style}{text}{style:#}")
    }

    fn headline(&mut self, report: &Report) {
        let verdict = match report.verdict {
            Verdict::Within => "within budget",
            Verdict::Unsure => "unsure",
            Verdict::Over => "OVER BUDGET",
        };
        let over = report
            .routes
            .iter()
            .filter(|route| route.verdict == Verdict::Over)
            .count();
        let unsure = report
            .routes
            .iter()
            .filter(|route| route.verdict == Verdict::Unsure)
            .count();
        let mut line = format!(
            "{}: {}",
            report.service,
            self.painted(verdict, colour_of(report.verdict))
        );
        if report.load.is_none() {
            line.push_str(", latency not judged");
        }
        let _ = write!(line, " ({}", counted(report.routes.len() as u64, "route"));
        if over > 0 {
            let _ = write!(line, ", {over} over");
        }
        if unsure > 0 {
            let _ = write!(line, ", {unsure} unsure");
        }
        line.push(')');
        self.line(&line);
        if let Some(load) = &report.load {
            self.line(&load_line(load));
        }
        self.line("");
    }

    fn table(&mut self, report: &Report) {
        let columns = Columns::of(report.kind);
        let (groups, lines) = columns.lines(&report.routes);
        if let Some(groups) = groups {
            self.line(&self.cut(&groups));
        }
        for (index, line) in lines.iter().enumerate() {
            let mut line = self.cut(line.trim_end());
            if let Some(route) = index
                .checked_sub(1)
                .and_then(|index| report.routes.get(index))
            {
                let word = word(route.verdict);
                line = line.replacen(word, &self.painted(word, colour_of(route.verdict)), 1);
            }
            self.line(&line);
        }
        self.line("");
    }

    fn cut(&self, line: &str) -> String {
        match self.look.width {
            Some(width) if line.chars().count() > width => line
                .chars()
                .take(width.saturating_sub(1))
                .chain(['…'])
                .collect(),
            _ => line.to_owned(),
        }
    }

    fn reasons(&mut self, report: &Report) {
        let not_within: Vec<&RouteReport> = report
            .routes
            .iter()
            .filter(|route| !route.reasons.is_empty())
            .collect();
        if not_within.is_empty() {
            return;
        }
        self.line("Why");
        for route in not_within {
            let source = match &route.budget.source {
                Some(source) => format!("  [{source}]"),
                None => String::new(),
            };
            let word = self.painted(word(route.verdict), colour_of(route.verdict));
            self.line(&format!(
                "  {word}  {}: {}{source}",
                route.name,
                route.reasons.join("; ")
            ));
            if let Some(sample) = route
                .latency
                .as_ref()
                .and_then(|each| each.error_sample.as_ref())
            {
                self.line(&format!(
                    "        first failed answer: {}",
                    sample.replace('\n', " ")
                ));
            }
        }
        self.line("");
    }

    fn findings(&mut self, report: &Report) {
        let (faults, possible): (Vec<_>, Vec<_>) = report
            .findings
            .iter()
            .partition(|finding| finding.proof >= Proof::Likely);
        if !faults.is_empty() {
            self.line(&format!("Findings, worst first ({})", faults.len()));
            for finding in faults {
                self.finding(finding);
            }
        }
        if !possible.is_empty() {
            self.line(&format!(
                "Possible, not counted against a budget ({})",
                possible.len()
            ));
            for finding in possible {
                self.line(&format!(
                    "  {} in {}: {}",
                    finding.kind.name(),
                    finding.name,
                    finding.summary
                ));
            }
            self.line("");
        }
    }

    fn finding(&mut self, finding: &FindingReport) {
        let proof = match finding.proof {
            Proof::Proved => "proved",
            Proof::Likely => "likely",
            Proof::Possible => "possible",
        };
        let head = self.painted(finding.kind.name(), RED);
        self.line(&format!(
            "  {head} ({proof}) in {}: {}",
            finding.name, finding.summary
        ));
        if let Some(statement) = &finding.statement {
            self.line(&format!("      statement  {}", one_line(statement)));
        }
        if let Some(parent) = &finding.parent {
            self.line(&format!("      driven by  {}", one_line(parent)));
        }
        if let Some(site) = &finding.site {
            self.line(&format!("      from       {site}"));
        }
        for evidence in &finding.evidence {
            self.line(&format!("      why        {evidence}"));
        }
        self.line(&format!("      costs      {}", cost(finding)));
        self.line(&format!(
            "      do         {}",
            finding.remedy.replace('\n', "\n                 ")
        ));
        self.line(&format!("      id         {}", finding.id));
        self.line("");
    }

    fn notes(&mut self, report: &Report) {
        if !report.warnings.is_empty() {
            self.line("Notes");
            for warning in &report.warnings {
                self.line(&format!("  {warning}"));
            }
            self.line("");
        }
        if !report.suppressed.is_empty() {
            self.line(&format!(
                "Looked at and left out, with reasons in report.json and report.html: {}.",
                report.suppressed.len()
            ));
        }
    }
}

/// The load in one sentence.
fn load_line(load: &LoadReport) -> String {
    let model = match load.rate {
        Some(rate) => format!("{rate} iterations/s over {} connections", load.users),
        None => format!("{} users", load.users),
    };
    let rows = match load.scale {
        0 => String::new(),
        rows => format!(" at {} rows", thousands(rows)),
    };
    let target = load.target.as_ref();
    format!(
        "{model} for {} s{rows}{}: {} requests, {}/s, {} errors; load engine at {:.0} % CPU",
        significant(load.steady_s),
        target.map_or_else(String::new, |target| format!(" on {target}")),
        thousands(load.requests),
        significant(load.requests_per_s),
        load.errors,
        load.client_cpu_share * 100.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{loaded, sample};

    #[test]
    fn a_load_alone_has_its_own_columns() {
        insta::assert_snapshot!(terminal(&loaded(), Look::default()));
    }

    #[test]
    fn the_verdict_comes_first_then_the_findings() {
        insta::assert_snapshot!(terminal(&sample(), Look::default()));
    }

    #[test]
    fn colour_adds_nothing_to_the_words() {
        let plain = terminal(&sample(), Look::default());
        let coloured = terminal(
            &sample(),
            Look {
                colour: true,
                width: None,
            },
        );
        assert_eq!(anstream_free(&coloured), plain);
    }

    #[test]
    fn a_narrow_terminal_cuts_the_table_and_nothing_else() {
        let narrow = terminal(
            &sample(),
            Look {
                colour: false,
                width: Some(80),
            },
        );
        let table = narrow.lines().skip(3).take_while(|line| !line.is_empty());
        assert!(table.clone().all(|line| line.chars().count() <= 80));
        assert!(narrow.contains("Read them in one statement: SELECT id, name FROM authors"));
    }

    /// The text without its escape sequences.
    fn anstream_free(text: &str) -> String {
        let mut parts = text.split('\u{1b}');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            text + part.split_once('m').map_or("", |(_, rest)| rest)
        })
    }
}
