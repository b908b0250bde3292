//! Repeated: the same statement with the same values, and nothing written in between.

use std::collections::HashMap;

use speedwell_sql::Kind;

use super::{
    Detector, Group, View,
    thresholds::HIDDEN_WITHOUT_PARENT,
    view::ValueKey,
    wording::{millis, number, times},
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
    let mut faults: Vec<Fault> = Vec::new();
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
                add(view, &mut faults, &positions, &needless);
            }
        }
    }
    out.findings
        .extend(faults.iter().map(|fault| report(view, fault)));
}

/// The repeated values of one statement in one function: one fault, however many they are.
struct Fault {
    values: u64,
    /// All executions with these values.
    positions: Vec<usize>,
    needless: Vec<usize>,
}

/// Adds one value to the fault of the function that read it first.
fn add(view: &View<'_>, faults: &mut Vec<Fault>, positions: &[usize], needless: &[usize]) {
    let function = |positions: &[usize]| view.runs[positions[0]].function();
    let same = |fault: &&mut Fault| function(&fault.positions) == function(positions);
    match faults.iter_mut().find(same) {
        Some(fault) => {
            fault.values += 1;
            fault.positions.extend(positions);
            fault.needless.extend(needless);
        }
        None => faults.push(Fault {
            values: 1,
            positions: positions.to_vec(),
            needless: needless.to_vec(),
        }),
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

fn report(view: &View<'_>, fault: &Fault) -> Finding {
    let Fault {
        values,
        positions,
        needless,
    } = fault;
    let ran = positions.len() as u64;
    let saved = needless.len() as u64;
    let concerned = saved + values;
    let time = view.time(needless);
    let mut evidence =
        vec!["The values are equal, and nothing was written to its tables in between.".to_owned()];
    if concerned < ran {
        evidence.push(format!(
            "Of {} executions, {} followed a write and are not counted.",
            number(ran),
            number(ran - concerned)
        ));
    }
    let spared = format!(
        "{} of {} could be spared.",
        millis(time),
        millis(view.time(positions))
    );
    let repeated = times(concerned);
    let summary = match values {
        1 => format!("The same read with the same values ran {repeated} in one request; {spared}"),
        values => format!(
            "One read ran {repeated} in one request with only {} different values; {spared}",
            number(*values)
        ),
    };
    Finding {
        count: concerned,
        cost: Cost {
            statements: saved,
            rows: view.rows(needless),
            time,
        },
        summary,
        evidence,
        remedy: "Read it once and pass the result on, or keep it for the time of the request."
            .to_owned(),
        ..view.finding(FindingKind::Repeated, positions[0], Proof::Proved)
    }
}
