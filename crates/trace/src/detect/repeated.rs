//! Repeated: the same statement with the same values, and nothing written in between.

use std::collections::HashMap;

use speedwell_sql::Kind;

use super::{
    Detector, Group, View,
    thresholds::HIDDEN_WITHOUT_PARENT,
    view::ValueKey,
    wording::{millis, times},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Reads whose answer was known already.
pub(super) struct Repeated;

impl Detector for Repeated {
    fn kind(&self) -> FindingKind {
        FindingKind::Repeated
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        for group in view.groups_of(|shape| shape.kind == Kind::Select) {
            if group.runs.len() > 1 {
                inspect_group(view, group, out);
            }
        }
    }
}

fn inspect_group(view: &View<'_>, group: &Group, out: &mut Observation) {
    for (key, positions) in by_value(view, group) {
        let count = positions.len() as u64;
        if count < 2 {
            continue;
        }
        let suppress =
            |reason: &str| view.suppressed(FindingKind::Repeated, positions[0], count, reason);
        if key == ValueKey::Hidden {
            // From five on, the N+1 detector reports them and says that values are hidden.
            if count < HIDDEN_WITHOUT_PARENT {
                out.suppressed
                    .push(suppress("values hidden: they may differ"));
            }
        } else if view.runs[positions[0]].shape.tables.is_empty() {
            out.suppressed.push(suppress("it reads no table"));
        } else {
            let needless = needless(view, &positions);
            if needless.is_empty() {
                out.suppressed
                    .push(suppress("justified by a write in between"));
            } else {
                out.findings.push(report(view, &positions, &needless));
            }
        }
    }
}

/// Executions by what they were run with, in order of the first. A failed one is left out: to try
/// again is no fault.
fn by_value(view: &View<'_>, group: &Group) -> Vec<(ValueKey, Vec<usize>)> {
    let mut places: HashMap<ValueKey, usize> = HashMap::new();
    let mut parties: Vec<(ValueKey, Vec<usize>)> = Vec::new();
    for &position in &group.runs {
        if view.runs[position].statement.failed {
            continue;
        }
        let key = view.runs[position].value_key();
        let place = *places.entry(key).or_insert_with(|| {
            parties.push((key, Vec::new()));
            parties.len() - 1
        });
        parties[place].1.push(position);
    }
    parties
}

/// Executions before which nothing was written since the one before.
fn needless(view: &View<'_>, positions: &[usize]) -> Vec<usize> {
    positions
        .windows(2)
        .filter(|pair| !view.written_between(pair[0], pair[1]))
        .map(|pair| pair[1])
        .collect()
}

fn report(view: &View<'_>, positions: &[usize], needless: &[usize]) -> Finding {
    let count = positions.len() as u64;
    let saved = needless.len() as u64;
    let time = view.time(needless);
    let mut evidence =
        vec!["The values are equal, and nothing was written to its tables in between.".to_owned()];
    if saved + 1 < count {
        evidence.push(format!(
            "Of {count} executions, {} followed a write and are not counted.",
            count - 1 - saved
        ));
    }
    Finding {
        count: saved + 1,
        cost: Cost {
            statements: saved,
            rows: view.rows(needless),
            time,
        },
        summary: format!(
            "The same read with the same values ran {} in one request; {} of {} could be spared.",
            times(saved + 1),
            millis(time),
            millis(view.time(positions)),
        ),
        evidence,
        remedy: "Read it once and pass the result on, or keep it for the time of the request."
            .to_owned(),
        ..view.finding(FindingKind::Repeated, positions[0], Proof::Proved)
    }
}
