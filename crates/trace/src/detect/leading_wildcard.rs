//! Leading wildcard: a pattern that begins with a wildcard reads every row.

use super::{Detector, View, wording::millis};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Statements with a pattern like `'%word'` or `'%' || $1 || '%'`.
pub(super) struct LeadingWildcard;

impl Detector for LeadingWildcard {
    fn kind(&self) -> FindingKind {
        FindingKind::LeadingWildcard
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        // Literals do not count for a fingerprint, so `'a%'` and `'%a'` may be one group.
        let leads = |&place: &usize| view.runs[place].shape.leading_wildcard == Some(true);
        for group in view.groups_of(|_| true) {
            let runs: Vec<usize> = group.runs.iter().copied().filter(leads).collect();
            let Some(&first) = runs.first() else { continue };
            let time = view.time(&runs);
            out.findings.push(Finding {
                count: runs.len() as u64,
                cost: Cost {
                    statements: 0,
                    rows: 0,
                    time,
                },
                summary: format!(
                    "A pattern begins with a wildcard, so no ordinary index serves it; {} here.",
                    millis(time)
                ),
                evidence: vec![
                    "An index is sorted by the first characters, and the pattern leaves them open."
                        .to_owned(),
                ],
                remedy: "Use a text index (FTS5 with the trigram tokenizer in SQLite, pg_trgm in \
                         PostgreSQL), or let the pattern begin with what was typed."
                    .to_owned(),
                ..view.finding(FindingKind::LeadingWildcard, first, Proof::Likely)
            });
        }
    }
}
