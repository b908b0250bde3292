//! One request as the detectors look at it: statements with their shapes, grouped by fingerprint.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use speedwell_sql::{Dialect, Kind, Shape, shape};
use twox_hash::XxHash3_64;

use super::Thresholds;
use crate::{
    Budget, Cost, Finding, FindingId, FindingKind, Fingerprint, Proof, Request, Site, Statement,
    Suppressed, Values, showable::showable_arc,
};

/// One request, prepared for the detectors.
pub struct View<'a> {
    /// The request.
    pub request: &'a Request,
    /// The budget of its route, if there is one.
    pub budget: Option<&'a Budget>,
    /// From where on a fault is reported.
    pub thresholds: &'a Thresholds,
    /// Every statement in order of its start.
    pub runs: Vec<Run<'a>>,
    /// Groups of equal fingerprint, in order of their first statement.
    pub groups: Vec<Group>,
}

/// One execution and what its statement does.
pub struct Run<'a> {
    /// The execution.
    pub statement: &'a Statement,
    /// What the statement does.
    pub shape: Arc<Shape>,
    /// Whether it belongs to the request's work: not transaction control, not housekeeping.
    pub is_work: bool,
}

/// The executions of one fingerprint.
pub struct Group {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// Positions in [`View::runs`], ascending, never empty.
    pub runs: Vec<usize>,
}

/// What an execution was run with, as far as it can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum ValueKey {
    /// The values were not seen.
    Hidden,
    /// Equal numbers mean equal values.
    Seen(u64),
}

impl<'a> View<'a> {
    pub(super) fn new(
        request: &'a Request,
        budget: Option<&'a Budget>,
        thresholds: &'a Thresholds,
        shapes: &Shapes,
    ) -> Self {
        let mut order: Vec<&Statement> = request.statements.iter().collect();
        order.sort_by_key(|statement| statement.offset);
        let runs: Vec<Run<'a>> = order
            .into_iter()
            .map(|statement| {
                let shape = shapes.of(statement);
                let is_work = is_work(&shape);
                Run {
                    statement,
                    shape,
                    is_work,
                }
            })
            .collect();
        let groups = group(&runs);
        Self {
            request,
            budget,
            thresholds,
            runs,
            groups,
        }
    }

    /// Executions that belong to the request's work, with their positions.
    pub fn work(&self) -> impl Iterator<Item = (usize, &Run<'a>)> {
        self.runs.iter().enumerate().filter(|(_, run)| run.is_work)
    }

    /// Groups of statements of which `wanted` holds.
    pub fn groups_of(&self, wanted: impl Fn(&Shape) -> bool) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |group| {
            let first = &self.runs[group.runs[0]];
            first.is_work && wanted(&first.shape)
        })
    }

    /// The text of an execution as a finding shows it.
    pub fn text(&self, position: usize) -> Arc<str> {
        showable_arc(self.runs[position].statement)
    }

    /// Whether any of the tables that `position` reads is written between it and `later`.
    pub(super) fn written_between(&self, position: usize, later: usize) -> bool {
        let read = &self.runs[position].shape.tables;
        self.runs[position + 1..later]
            .iter()
            .any(|run| match run.shape.kind {
                Kind::Select | Kind::Transaction | Kind::Utility => {
                    run.shape.tables.iter().any(|table| {
                        table.written && read.iter().any(|other| other.name == table.name)
                    })
                }
                Kind::Definition | Kind::Other => true,
                Kind::Insert | Kind::Update | Kind::Delete => {
                    !run.shape.tables.iter().any(|table| table.written)
                        || run.shape.tables.iter().any(|table| {
                            table.written && read.iter().any(|other| other.name == table.name)
                        })
                }
            })
    }

    /// A finding about the statement at `position`, its sentences still to be written.
    pub(super) fn finding(&self, kind: FindingKind, position: usize, proof: Proof) -> Finding {
        let statement = self.runs[position].statement;
        let function = statement.site.as_ref().map(|site| &*site.function);
        Finding {
            id: FindingId::new(kind, &self.request.route, statement.fingerprint, function),
            kind,
            route: self.request.route.clone(),
            fingerprint: statement.fingerprint,
            statement: self.text(position),
            parent: None,
            site: statement.site.clone(),
            proof,
            count: 1,
            cost: Cost::default(),
            summary: String::new(),
            evidence: Vec::new(),
            remedy: String::new(),
        }
    }

    /// A group that is not reported, and why.
    pub(super) fn suppressed(
        &self,
        kind: FindingKind,
        position: usize,
        count: u64,
        reason: impl Into<String>,
    ) -> Suppressed {
        Suppressed {
            kind,
            route: self.request.route.clone(),
            fingerprint: self.runs[position].statement.fingerprint,
            statement: self.text(position),
            count,
            reason: reason.into(),
        }
    }

    /// Time of the executions at `positions` together.
    pub(super) fn time(&self, positions: &[usize]) -> Duration {
        positions.iter().fold(Duration::ZERO, |sum, &position| {
            sum.saturating_add(self.runs[position].statement.duration)
        })
    }

    /// Rows of the executions at `positions` together, as far as they were seen.
    pub(super) fn rows(&self, positions: &[usize]) -> u64 {
        positions
            .iter()
            .filter_map(|&position| self.runs[position].statement.rows_returned)
            .fold(0, u64::saturating_add)
    }
}

impl Run<'_> {
    /// The function that ran it, if known.
    pub(super) fn function(&self) -> Option<&str> {
        self.statement
            .site
            .as_ref()
            .map(|site: &Site| &*site.function)
    }

    pub(super) fn value_key(&self) -> ValueKey {
        match &self.statement.values {
            Values::Hidden => ValueKey::Hidden,
            Values::InText => ValueKey::Seen(XxHash3_64::oneshot(self.statement.text.as_bytes())),
            Values::Hashed(hashes) => {
                let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
                ValueKey::Seen(XxHash3_64::oneshot(&bytes))
            }
        }
    }
}

/// Whether a statement is a request's own work: not transaction control, not a setting, not a
/// driver reading the system catalogue.
fn is_work(shape: &Shape) -> bool {
    let catalogue = !shape.tables.is_empty()
        && shape
            .tables
            .iter()
            .all(|table| table.name.starts_with("pg_"));
    !matches!(shape.kind, Kind::Transaction | Kind::Utility) && !catalogue
}

/// Whether a statement counts against a budget of statements: transaction control, settings and
/// a driver's look into the system catalogue do not.
pub fn counts_as_work(statement: &Statement) -> bool {
    is_work(&shape(&statement.text, statement.dialect))
}

fn group(runs: &[Run<'_>]) -> Vec<Group> {
    let mut places: HashMap<Fingerprint, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (position, run) in runs.iter().enumerate() {
        let fingerprint = run.statement.fingerprint;
        let place = *places.entry(fingerprint).or_insert_with(|| {
            groups.push(Group {
                fingerprint,
                runs: Vec::new(),
            });
            groups.len() - 1
        });
        groups[place].runs.push(position);
    }
    groups
}

/// A bounded memory of shapes, because reading one costs more than all else a detector does.
#[derive(Debug, Default)]
pub(super) struct Shapes(Mutex<HashMap<(u64, Dialect), Arc<Shape>>>);

/// Shapes remembered; forgotten all at once when full, which a healthy service never is.
const SHAPES_REMEMBERED: usize = 4_096;

impl Shapes {
    fn of(&self, statement: &Statement) -> Arc<Shape> {
        let key = (
            XxHash3_64::oneshot(statement.text.as_bytes()),
            statement.dialect,
        );
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = known.get(&key) {
            return Arc::clone(shape);
        }
        if known.len() >= SHAPES_REMEMBERED {
            known.clear();
        }
        let shape = Arc::new(shape(&statement.text, statement.dialect));
        known.insert(key, Arc::clone(&shape));
        shape
    }
}
