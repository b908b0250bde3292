//! Whether indexes of the database can go: every statement tried without them.

use std::collections::BTreeSet;

use super::{
    choice::is_worse,
    error::AdviceError,
    ground::Ground,
    hygiene::{Needless, NeedlessIndex, needless},
    prove::Proved,
    trial::{Cost, Trials},
};
use crate::{Index, Schema, Table};

/// All the values that a statement has.
const ALL: usize = usize::MAX;
/// A statement may look at this share more pages without an index that is said to be needless.
const NOTICEABLE: f64 = 1.05;
/// And so many pages.
const NOTICEABLE_PAGES: f64 = 0.5;

/// The indexes without which, all of them together, no statement is dearer; those that failed to
/// build besides. Sorted as [`needless`] sorts, unused ones last.
pub(crate) async fn drops<G: Ground>(
    trials: &mut Trials<G>,
    proved: &Proved,
    schema: &Schema,
) -> Result<Vec<NeedlessIndex>, AdviceError> {
    let mut found = Vec::new();
    // Writes that were taken back have moved rows since, and plans follow.
    trials.forget_costs();
    let structural = needless(schema);
    let unused = unused(trials, schema, &structural);
    for each in structural.into_iter().chain(unused) {
        if each.why == Needless::Invalid || can_go(trials, proved, &each).await? {
            found.push(each);
        }
    }
    trials.besides.clear();
    Ok(found)
}

/// Tries every statement of the table without the index; it stays away if nothing needs it.
async fn can_go<G: Ground>(
    trials: &mut Trials<G>,
    proved: &Proved,
    each: &NeedlessIndex,
) -> Result<bool, AdviceError> {
    let concerned = trials.concerned(&each.table);
    let away = std::mem::take(&mut trials.besides);
    let with = trials.costs(&concerned, &proved.chosen, ALL).await?;
    trials.besides = away;
    trials.besides.insert(each.index.clone());
    let without = trials.costs(&concerned, &proved.chosen, ALL).await?;
    let mut pairs = concerned.iter().zip(with.iter().zip(&without));
    let needed = pairs.any(|(statement, (with, without))| {
        let writes = trials.statements[*statement].facts.write.is_some();
        is_dearer(with, without, writes)
    });
    if needed {
        trials.besides.remove(&each.index);
    }
    Ok(!needed)
}

/// Whether a statement needs what is away. What a write looks at depends on where there is room for its
/// rows, so that only a clear difference counts.
fn is_dearer(with: &Cost, without: &Cost, writes: bool) -> bool {
    match (with, without) {
        (Cost::Measured(_), Cost::Measured(_)) if writes => is_worse(with, without),
        (Cost::Measured(_), Cost::Measured(_)) => {
            without.pages() > with.pages() * NOTICEABLE + NOTICEABLE_PAGES
        }
        (Cost::Measured(_), Cost::Failed(_) | Cost::TookTooLong) => true,
        (Cost::Failed(_) | Cost::TookTooLong, _) => false,
    }
}

/// The indexes of the workload's tables that may serve nobody: not those that keep something
/// unique, not the only one that serves a foreign key, and none that the database's own statistics
/// have seen used.
fn unused<G: Ground>(
    trials: &Trials<G>,
    schema: &Schema,
    structural: &[NeedlessIndex],
) -> Vec<NeedlessIndex> {
    let known: BTreeSet<&str> = structural.iter().map(|each| each.index.as_str()).collect();
    let mut found = Vec::new();
    for table in schema.tables.values() {
        if trials.concerned(&table.name).is_empty() {
            continue;
        }
        let may_go = |index: &&Index| {
            index.declared
                && !index.unique
                && index.valid
                && !known.contains(index.name.as_str())
                && !serves_key(index, table)
                && trials.ground.scans(&index.name).unwrap_or(0) == 0
        };
        found.extend(
            table
                .indexes
                .iter()
                .filter(may_go)
                .map(|index| NeedlessIndex {
                    index: index.name.clone(),
                    table: table.name.clone(),
                    why: Needless::Unused,
                    beside: None,
                }),
        );
    }
    found
}

/// Whether a row that goes elsewhere is looked for in this index.
fn serves_key(index: &Index, table: &Table) -> bool {
    let first = index.columns.first().map(|column| column.name.as_str());
    table
        .foreign_keys
        .iter()
        .any(|key| key.columns.first().map(String::as_str) == first)
}
