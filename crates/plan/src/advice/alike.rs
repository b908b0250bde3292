//! Which indexes begin alike, so that the one does a part of what the other does.

use super::{
    candidate::Candidate,
    ground::{Built, Set},
};
use crate::Schema;

/// Indexes that begin with the same column as one of those built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Alike {
    /// Whether the database has one already.
    pub(crate) is_there: bool,
    pub(crate) built: Set,
    /// Whether that is sorted by all the same columns, and only holds others beside.
    pub(crate) twin_is_there: bool,
    pub(crate) twins: Set,
}

/// For each of those built what begins like it.
pub(crate) fn alike(built: &[Built], schema: &Schema) -> Vec<Alike> {
    built
        .iter()
        .map(|one| alike_to(one, built, schema))
        .collect()
}

fn alike_to(one: &Built, built: &[Built], schema: &Schema) -> Alike {
    let own = &one.candidate;
    let sorted_by = |candidate: &Candidate| -> Vec<String> {
        let keys = candidate.keys.iter();
        keys.map(|key| key.term.clone()).collect()
    };
    let terms = sorted_by(own);
    let mut alike = Alike::default();
    for (at, other) in built.iter().enumerate() {
        let other = &other.candidate;
        if other.table != own.table || other.method != own.method {
            continue;
        }
        if sorted_by(other).first() == terms.first() {
            alike.built.insert(at);
        }
        if other.keys == own.keys && other.condition == own.condition {
            alike.twins.insert(at);
        }
    }
    let table = schema.table(&own.table);
    for index in table.into_iter().flat_map(|table| &table.indexes) {
        let columns: Vec<String> = index.columns.iter().map(|own| own.name.clone()).collect();
        if !index.is_ordered() || columns.first() != terms.first() {
            continue;
        }
        alike.is_there = true;
        alike.twin_is_there |=
            columns.starts_with(&terms) && index.partial.is_some() == own.condition.is_some();
    }
    alike
}
