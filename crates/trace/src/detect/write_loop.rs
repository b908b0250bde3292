//! Write loop: a write that runs once per row instead of once for all.

use speedwell_sql::{Kind, Shape};

use super::{
    Detector, View,
    wording::{list, millis, number, times},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof};

/// Writes of one shape that ran often enough.
pub(super) struct WriteLoop;

/// Whether a statement writes one row, or the rows of one value.
pub(super) fn is_single_write(shape: &Shape) -> bool {
    matches!(shape.kind, Kind::Insert | Kind::Update | Kind::Delete) && !shape.batch
}

impl Detector for WriteLoop {
    fn kind(&self) -> FindingKind {
        FindingKind::WriteLoop
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        for group in view.groups_of(is_single_write) {
            let count = group.runs.len() as u64;
            let first = group.runs[0];
            if count < 2 {
                continue;
            }
            if count < view.thresholds.write_loop {
                out.suppressed.push(view.suppressed(
                    FindingKind::WriteLoop,
                    first,
                    count,
                    format!(
                        "only {count} writes; {} are needed to call it a loop",
                        view.thresholds.write_loop
                    ),
                ));
                continue;
            }
            let time = view.time(&group.runs);
            out.findings.push(Finding {
                count,
                cost: Cost {
                    statements: count - 1,
                    rows: 0,
                    time,
                },
                summary: format!(
                    "One {} ran {} in one request, {} in all.",
                    name(view, first),
                    times(count),
                    millis(time)
                ),
                evidence: vec![format!(
                    "{} executions of one statement that writes one row, or the rows of one \
                     value, at a time.",
                    number(count)
                )],
                remedy: remedy(view, first),
                ..view.finding(FindingKind::WriteLoop, first, Proof::Likely)
            });
        }
    }
}

/// `INSERT into tags`, `UPDATE of flyers`.
pub(super) fn name(view: &View<'_>, place: usize) -> String {
    let shape = &view.runs[place].shape;
    let (verb, preposition) = match shape.kind {
        Kind::Insert => ("INSERT", "into"),
        Kind::Delete => ("DELETE", "from"),
        _ => ("UPDATE", "of"),
    };
    let written = shape.tables.iter().filter(|table| table.written);
    let tables = list(written.map(|table| &*table.name));
    if tables.is_empty() {
        verb.to_owned()
    } else {
        format!("{verb} {preposition} {tables}")
    }
}

fn remedy(view: &View<'_>, place: usize) -> String {
    let run = &view.runs[place];
    let batched = match run.shape.kind {
        Kind::Insert => run.known.rows_of_values(run.statement),
        Kind::Delete => run
            .known
            .batched(run.statement, None)
            .map(|batched| batched.text),
        _ => None,
    };
    match batched {
        Some(batched) => format!("Write all rows in one statement:\n{batched}"),
        None if run.shape.kind == Kind::Update => {
            "Write all rows in one statement: UPDATE … FROM a list of keys and values (VALUES, \
             unnest or json_each), joined by key."
                .to_owned()
        }
        None => "Write all rows in one statement, with a list of values.".to_owned(),
    }
}
