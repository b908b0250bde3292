//! Which indexes can change what a statement costs.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    candidate::Candidate,
    facts::{Facts, Search, WriteKind},
    ground::Set,
};
use crate::Schema;

/// For each table those whose rows refer to it, directly or through others.
pub(crate) type Fired = BTreeMap<String, BTreeSet<String>>;

/// For each statement the indexes that can change what it costs.
pub(crate) fn felt<'f>(
    statements: impl Iterator<Item = &'f Facts>,
    candidates: Vec<&Candidate>,
    fired: &Fired,
    schema: &Schema,
) -> Vec<Set> {
    let of_one = |facts: &Facts| {
        let all = candidates.iter().enumerate();
        let felt = all.filter(|(_, index)| is_felt(facts, index, fired, schema));
        felt.map(|(place, _)| place).collect()
    };
    statements.map(of_one).collect()
}

/// Whether the statement keeps the index up, may use it itself, or sets off triggers of foreign
/// keys that may.
pub(crate) fn is_felt(facts: &Facts, index: &Candidate, fired: &Fired, schema: &Schema) -> bool {
    let mut written = facts.write.iter().filter(|write| write.keeps_up);
    written.any(|write| write.table == index.table)
        || facts.searches.iter().any(|search| is_usable(search, index))
        || is_fired(facts, index, fired, schema)
}

/// Whether rows that refer to those that go are looked for by what the index begins with.
pub(crate) fn is_fired(facts: &Facts, index: &Candidate, fired: &Fired, schema: &Schema) -> bool {
    let Some(write) = &facts.write else {
        return false;
    };
    let parent = schema.table(&write.table);
    let fires = match &write.kind {
        WriteKind::Insert => false,
        WriteKind::Delete => true,
        WriteKind::Update(set) => {
            parent.is_some_and(|table| table.primary_key.iter().any(|key| set.contains(key)))
        }
    };
    let children = fired.get(&write.table);
    let child = schema.table(&index.table);
    fires
        && children.is_some_and(|children| children.contains(&index.table))
        && index.keys.first().is_some_and(|first| {
            let mut keys = child.into_iter().flat_map(|child| &child.foreign_keys);
            keys.any(|key| key.columns.contains(&first.term))
        })
}

/// Whether a search can use the index: it speaks of what the index begins with or is limited to,
/// or finds all that it reads in it.
fn is_usable(search: &Search, index: &Candidate) -> bool {
    if search.table != index.table {
        return false;
    }
    let begins = index.keys.first().is_some_and(|key| match key.expression {
        true => search.used.iter().any(|name| key.term.contains(name)),
        false => search.used.contains(&key.term),
    });
    let condition = index.condition.as_deref().unwrap_or_default();
    let limits = |text: &String| condition.contains(text.as_str());
    let holds = |name: &String| {
        index.included.contains(name) || index.keys.iter().any(|key| key.term == *name)
    };
    begins
        || search.constants.values().any(limits)
        || (!search.uses_all && search.used.iter().all(holds))
}
