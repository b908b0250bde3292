//! N+1: a statement that runs once per row of an earlier one.

use std::collections::HashSet;

use speedwell_sql::{Comparison, Kind, Operand};

use super::{
    Detector, Group, View,
    batched::Batched,
    thresholds::HIDDEN_WITHOUT_PARENT,
    view::ValueKey,
    wording::{beginning, list, millis, number, rows as in_rows, times},
};
use crate::{Cost, Finding, FindingKind, Observation, Proof, Values};

/// Reads that ran often enough with different, or with hidden, values.
pub(super) struct NPlusOne;

impl Detector for NPlusOne {
    fn kind(&self) -> FindingKind {
        FindingKind::NPlusOne
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        for group in view.groups_of(|shape| shape.kind == Kind::Select) {
            if group.runs.len() < 2 {
                continue;
            }
            for siblings in siblings(view, group) {
                inspect_siblings(view, &siblings, out);
            }
        }
    }
}

/// The executions of one fingerprint by the function that ran them. Failed ones are left out: to
/// try again is no loop. Those whose function is not known join the largest party: a spawned task or an uninstrumented call is still the same loop.
fn siblings(view: &View<'_>, group: &Group) -> Vec<Vec<usize>> {
    let mut parties: Vec<(Option<&str>, Vec<usize>)> = Vec::new();
    let succeeded = |position: &&usize| !view.runs[**position].statement.failed;
    for &position in group.runs.iter().filter(succeeded) {
        let function = view.runs[position].function();
        match parties.iter_mut().find(|(known, _)| *known == function) {
            Some((_, party)) => party.push(position),
            None => parties.push((function, vec![position])),
        }
    }
    if let Some(nameless) = parties.iter().position(|(function, _)| function.is_none())
        && parties.len() > 1
    {
        let (_, orphans) = parties.remove(nameless);
        // The first of the largest, so that the choice does not hang on chance.
        let largest = (0..parties.len())
            .min_by_key(|&place| (std::cmp::Reverse(parties[place].1.len()), place))
            .unwrap_or(0);
        parties[largest].1.extend(orphans);
        parties[largest].1.sort_unstable();
    }
    parties.into_iter().map(|(_, party)| party).collect()
}

/// What the values of the executions say.
enum Seen {
    /// So many different ones.
    Different(u64),
    /// Nothing.
    Hidden,
}

fn inspect_siblings(view: &View<'_>, siblings: &[usize], out: &mut Observation) {
    let count = siblings.len() as u64;
    let keys: HashSet<ValueKey> = siblings
        .iter()
        .map(|&position| view.runs[position].value_key())
        .collect();
    let seen = if keys.contains(&ValueKey::Hidden) {
        Seen::Hidden
    } else {
        Seen::Different(keys.len() as u64)
    };
    if count < 2 || matches!(seen, Seen::Different(1)) {
        return;
    }
    let parent = parent(view, siblings);
    match reason_to_suppress(view, siblings, &seen, parent) {
        Some(reason) => {
            let suppressed = view.suppressed(FindingKind::NPlusOne, siblings[0], count, reason);
            out.suppressed.push(suppressed);
        }
        None => out.findings.push(report(view, siblings, &seen, parent)),
    }
}

fn reason_to_suppress(
    view: &View<'_>,
    siblings: &[usize],
    seen: &Seen,
    parent: Option<Parent>,
) -> Option<String> {
    let count = siblings.len() as u64;
    let first = &view.runs[siblings[0]];
    if first.shape.batch && is_batch(first) {
        return Some("each execution reads a batch by a list of values".to_owned());
    }
    if is_page_walk(first) {
        return Some("each execution reads the next page of one list".to_owned());
    }
    match seen {
        Seen::Different(different) if *different < view.thresholds.n_plus_one => Some(format!(
            "only {different} different values; {} are needed to call it a loop",
            view.thresholds.n_plus_one
        )),
        Seen::Hidden if count < view.thresholds.n_plus_one_hidden => Some(format!(
            "values hidden and only {count} executions; {} are needed to call it a loop",
            view.thresholds.n_plus_one_hidden
        )),
        Seen::Hidden if count < HIDDEN_WITHOUT_PARENT && !parent.is_some_and(|p| p.fits) => {
            Some(format!(
                "values hidden, only {count} executions, and no earlier list returned as many rows"
            ))
        }
        Seen::Hidden if count < HIDDEN_WITHOUT_PARENT && all_written_between(view, siblings) => {
            Some("values hidden, and a write lies before each further execution".to_owned())
        }
        _ => None,
    }
}

fn all_written_between(view: &View<'_>, siblings: &[usize]) -> bool {
    siblings
        .windows(2)
        .all(|pair| view.written_between(pair[0], pair[1]))
}

/// Whether the list that makes the statement a batch changes from one execution to the next. A list
/// of constants (`status IN ('new', 'open')`) beside `owner = $1` does not. Where the values stand
/// in the text, constants and values look alike, and the benefit of the doubt goes to the batch.
fn is_batch(run: &super::Run<'_>) -> bool {
    if run.statement.values == Values::InText {
        return true;
    }
    let Some(structure) = run.known.structure(run.statement) else {
        return true;
    };
    let mut lists = structure
        .predicates
        .iter()
        .filter(|p| p.comparison == Comparison::In);
    let is_constant = |operand: &Operand| matches!(operand, Operand::Literal(_));
    let mut constants = lists.clone().filter(|list| is_constant(&list.operand));
    constants.next().is_none() || lists.any(|list| !is_constant(&list.operand))
}

/// Whether the statement reads page after page of one list: it has a limit, and nothing in it is
/// bound to one value.
fn is_page_walk(run: &super::Run<'_>) -> bool {
    if run.shape.limit.is_none() {
        return false;
    }
    let Some(structure) = run.known.structure(run.statement) else {
        return false;
    };
    let bound = |p: &speedwell_sql::Predicate| {
        p.comparison == Comparison::Equal
            && matches!(p.operand, Operand::Placeholder | Operand::Literal(_))
    };
    let moving = run.shape.offset.is_some()
        || structure
            .predicates
            .iter()
            .any(|p| p.comparison == Comparison::Range);
    moving && !structure.predicates.iter().any(bound)
}

/// The statement whose rows seem to drive the loop.
#[derive(Clone, Copy)]
struct Parent {
    position: usize,
    rows: Option<u64>,
    /// Whether it returned about as many rows as the loop ran.
    fits: bool,
}

/// The nearest earlier list of as many rows; then a read that is itself in a loop and returned as
/// many in all; then a list of about as many; failing all, the nearest earlier read.
fn parent(view: &View<'_>, siblings: &[usize]) -> Option<Parent> {
    let count = siblings.len() as u64;
    // A few rows may need no child (NULL, cache), or need two.
    let enough = count.div_ceil(2).max(2);
    let candidate = |position: usize| {
        let rows = view.runs[position].statement.rows_returned;
        Parent {
            position,
            rows,
            fits: rows.is_some_and(|rows| rows >= enough),
        }
    };
    let candidates = || {
        (0..siblings[0])
            .rev()
            .filter(|&at| drives(view, siblings, at))
            .map(candidate)
    };
    candidates()
        .find(|parent| parent.rows.is_some_and(|rows| rows >= count))
        .or_else(|| looped_parent(view, siblings).filter(|parent| parent.rows >= Some(count)))
        .or_else(|| candidates().find(|parent| parent.fits))
        .or_else(|| candidates().next())
}

/// Whether the read at `position` may be what the siblings run once per row of.
fn drives(view: &View<'_>, siblings: &[usize], position: usize) -> bool {
    let run = &view.runs[position];
    let own = view.runs[siblings[0]].statement.fingerprint;
    run.is_work && run.shape.kind == Kind::Select && run.statement.fingerprint != own
}

/// In nested loops the driver runs many times itself, each time just before its children.
fn looped_parent(view: &View<'_>, siblings: &[usize]) -> Option<Parent> {
    let position = (0..siblings[0])
        .rev()
        .find(|&at| drives(view, siblings, at))?;
    let fingerprint = view.runs[position].statement.fingerprint;
    let last = *siblings.last()?;
    let runs = || {
        view.runs[..last]
            .iter()
            .filter(|run| run.statement.fingerprint == fingerprint)
    };
    let rows = runs()
        .filter_map(|run| run.statement.rows_returned)
        .reduce(u64::saturating_add);
    (runs().count() > 1).then_some(Parent {
        position,
        rows,
        fits: true,
    })
}

fn report(view: &View<'_>, siblings: &[usize], seen: &Seen, parent: Option<Parent>) -> Finding {
    let count = siblings.len() as u64;
    let time = view.time(siblings);
    // A finding names the function if any execution does.
    let named = siblings
        .iter()
        .copied()
        .find(|&place| view.runs[place].function().is_some());
    let first = named.unwrap_or(siblings[0]);
    Finding {
        parent: parent.map(|parent| view.text(parent.position)),
        count,
        cost: Cost {
            statements: count - 1,
            rows: 0,
            time,
        },
        summary: summary(view, siblings, parent),
        evidence: evidence(view, siblings, seen, parent),
        remedy: remedy(view, siblings),
        ..view.finding(FindingKind::NPlusOne, first, Proof::Likely)
    }
}

fn summary(view: &View<'_>, siblings: &[usize], parent: Option<Parent>) -> String {
    let tables = list(
        view.runs[siblings[0]]
            .shape
            .tables
            .iter()
            .map(|table| &*table.name),
    );
    let of = if tables.is_empty() {
        String::new()
    } else {
        format!(" of {tables}")
    };
    let driver = match parent {
        Some(Parent {
            rows: Some(rows),
            fits: true,
            ..
        }) => {
            format!(", after a read that returned {}", in_rows(rows))
        }
        _ => String::new(),
    };
    format!(
        "One read{of} ran {} in one request{driver}, {} in all.",
        times(siblings.len() as u64),
        millis(view.time(siblings)),
    )
}

fn evidence(
    view: &View<'_>,
    siblings: &[usize],
    seen: &Seen,
    parent: Option<Parent>,
) -> Vec<String> {
    let count = number(siblings.len() as u64);
    let mut evidence = vec![match seen {
        Seen::Different(different) => {
            format!(
                "{count} executions of one statement carried {} different values.",
                number(*different)
            )
        }
        Seen::Hidden => format!(
            "{count} executions of one statement. The values are hidden: if they are all equal, \
             this is one read repeated {count} times, which one read mends as well."
        ),
    }];
    if let Some(Parent {
        position,
        rows,
        fits,
    }) = parent
    {
        let text = beginning(&view.text(position), 120);
        evidence.push(match rows {
            Some(rows) if fits => format!("Before them, this returned {}: {text}", in_rows(rows)),
            _ => format!("The nearest read before them, which may drive the loop: {text}"),
        });
    }
    evidence
}

fn remedy(view: &View<'_>, siblings: &[usize]) -> String {
    let run = &view.runs[siblings[0]];
    match run
        .known
        .batched(run.statement, varying_value(view, siblings))
    {
        Some(Batched {
            text,
            column,
            adds_column,
        }) => {
            let pick = if adds_column {
                " (now selected too)"
            } else {
                ""
            };
            format!("Read all of them at once and hand the rows out by {column}{pick}:\n{text}")
        }
        None => {
            let tables = list(run.shape.tables.iter().map(|table| &*table.name));
            format!(
                "Collect the values first, read {} once with `IN (…)` or a join in place of the \
                 condition that changes, and hand the rows out by that column.",
                if tables.is_empty() { "them" } else { &tables }
            )
        }
    }
}

/// Which placeholder, counted from zero, is the only one whose value changes.
fn varying_value(view: &View<'_>, siblings: &[usize]) -> Option<usize> {
    let values: Vec<&[u64]> = siblings
        .iter()
        .map(|&place| match &view.runs[place].statement.values {
            Values::Hashed(hashes) => Some(&**hashes),
            Values::InText | Values::Hidden => None,
        })
        .collect::<Option<_>>()?;
    let first = *values.first()?;
    let changes = |place: &usize| {
        values
            .iter()
            .any(|other| other.get(*place) != first.get(*place))
    };
    let mut changing = (0..first.len()).filter(changes);
    let only = changing.next()?;
    changing.next().is_none().then_some(only)
}
