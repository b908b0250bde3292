//! Plans that need not be asked for: an index that a plan does not use can be taken away without
//! changing it, so that one answer tells the plan under many sets of indexes.

use std::{collections::HashMap, sync::Arc};

use super::ground::Set;

/// The plans of statements with each of their values, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Plans(HashMap<(usize, usize), Vec<Planned>>);

/// A plan, as the database gave it.
#[derive(Debug)]
struct Planned {
    /// The indexes that were there.
    among: Set,
    /// Those of them that it uses.
    used: Set,
    /// Many sets have the same one.
    plan: Arc<str>,
}

impl Plans {
    /// Notes what the database answered when the indexes `among` were there, of which the plan uses
    /// some.
    pub(crate) fn note(&mut self, of: (usize, usize), among: Set, used: Set, plan: &str) {
        let all = self.0.entry(of).or_default();
        let same = all.iter().find(|one| *one.plan == *plan);
        let plan = same.map_or_else(|| Arc::from(plan), |one| Arc::clone(&one.plan));
        all.push(Planned { among, used, plan });
    }

    /// The plan with a set of indexes, if it was chosen among these and others that it does not use.
    pub(crate) fn known(&self, of: (usize, usize), set: &Set) -> Option<&str> {
        let all = self.0.get(&of)?;
        let same = |one: &&Planned| one.used.is_subset(set) && set.is_subset(&one.among);
        all.iter().find(same).map(|one| &*one.plan)
    }
}

#[cfg(test)]
mod tests {
    use super::{Plans, Set};

    fn set(indexes: &[usize]) -> Set {
        indexes.iter().copied().collect()
    }

    #[test]
    fn a_plan_stays_while_only_what_it_does_not_use_is_taken_away() {
        let mut plans = Plans::default();
        plans.note((0, 1), set(&[1, 2, 3]), set(&[2]), "by 2");
        for (asked, known) in [
            (set(&[1, 2, 3]), Some("by 2")),
            (set(&[2]), Some("by 2")),
            (set(&[1, 3]), None),
            (set(&[2, 4]), None),
        ] {
            assert_eq!(plans.known((0, 1), &asked), known, "with {asked:?}");
        }
        assert_eq!(plans.known((0, 0), &set(&[2])), None, "another value");
        assert_eq!(plans.known((1, 1), &set(&[2])), None, "another statement");
    }
}
