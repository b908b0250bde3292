//! One request as the detectors look at it: statements with their shapes, grouped by fingerprint.

use std::{collections::HashMap, sync::Arc, time::Duration};

use speedwell_sql::{Kind, Shape, shape};
use twox_hash::XxHash3_64;

use super::{
    Thresholds,
    known::{Known, KnownTexts},
};
use crate::{
    Budget, Cost, Finding, FindingId, FindingKind, Fingerprint, Proof, Request, Site, Statement,
    Suppressed, Values,
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
    /// What else is known of its text.
    pub(super) known: Arc<Known>,
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
        texts: &KnownTexts,
    ) -> Self {
        let mut order: Vec<&Statement> = request.statements.iter().collect();
        order.sort_by_key(|statement| statement.offset);
        let mut view = Self {
            request,
            budget,
            thresholds,
            runs: Vec::with_capacity(order.len()),
            groups: Vec::new(),
        };
        let mut places = HashMap::new();
        for statement in order {
            view.add(statement, texts, &mut places);
        }
        view
    }

    /// Adds one execution to its group. `places`: where the group of each fingerprint is.
    fn add(
        &mut self,
        statement: &'a Statement,
        texts: &KnownTexts,
        places: &mut HashMap<Fingerprint, usize>,
    ) {
        let fingerprint = statement.fingerprint;
        let place = *places.entry(fingerprint).or_insert(self.groups.len());
        if place == self.groups.len() {
            self.groups.push(Group {
                fingerprint,
                runs: Vec::new(),
            });
        }
        let group = &mut self.groups[place];
        // A loop runs one text again and again, and most sources share it.
        let before = group.runs.last().map(|&position| &self.runs[position]);
        let known = match before {
            Some(run) if run.is_of_text(statement) => Arc::clone(&run.known),
            _ => texts.of(statement),
        };
        group.runs.push(self.runs.len());
        self.runs.push(Run {
            statement,
            shape: Arc::clone(&known.shape),
            is_work: is_work(&known.shape),
            known,
        });
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
        self.runs[position]
            .known
            .showable(self.runs[position].statement)
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
    fn is_of_text(&self, other: &Statement) -> bool {
        Arc::ptr_eq(&self.statement.text, &other.text) && self.statement.dialect == other.dialect
    }

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
