//! What the loads of each group of keys were found to read.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use speedwell_sql::Dialect;
use tracing::Span;

use super::found::Watch;
use crate::{
    generation::{Seen, of_tag},
    key,
    learning::{Dependencies, Tags},
    read::names,
};

/// A service has some dozens of groups; keys that are all groups of their own must not fill memory.
const GROUPS: usize = 4_096;
/// A value that is made of more tables than this would rarely be valid.
const TAGS: usize = 64;

/// What a cache has learned. Nothing is ever forgotten: who holds an old value would take it for
/// valid. What there is no room for is not learned, and its values are not kept.
pub(crate) struct Learning(Option<Observed>);

struct Observed {
    dialect: Dialect,
    groups: Mutex<HashMap<Box<[u8]>, Tags>>,
}

impl Learning {
    /// Without a dialect, nothing is observed.
    pub(crate) fn new(dialect: Option<Dialect>) -> Self {
        Self(dialect.map(|dialect| Observed {
            dialect,
            groups: Mutex::default(),
        }))
    }

    /// Begins to note the statements of a load or a write.
    pub(crate) fn watch(&self, around: &Span) -> Watch {
        match &self.0 {
            Some(observed) => Watch::begin(around, observed.dialect),
            None => Watch::unobserved(around),
        }
    }

    /// What a value of this key is known to depend on.
    pub(crate) fn tags(&self, key: &[u8]) -> Tags {
        let known = self.0.as_ref().and_then(|observed| {
            let groups = observed.groups();
            groups.get(key::group(key)).cloned()
        });
        known.unwrap_or_default()
    }

    /// Learns from a load; says whether all that it read, and all that others of its group read, was
    /// watched before it began.
    pub(crate) fn settles(&self, key: &[u8], seen: &Seen, found: &Dependencies) -> bool {
        let Some(observed) = &self.0 else { return true };
        match found {
            Dependencies::AsGiven => true,
            Dependencies::Unknown => false,
            Dependencies::Known { reads, changes } => {
                let mut groups = observed.groups();
                learn(&mut groups, key, reads);
                changes.is_empty() && covers(seen, reads) && is_current(&groups, key, seen)
            }
        }
    }

    /// Keeps a value in memory unless its group was found to read more since its load began: others
    /// may have loaded and answered a newer one meanwhile.
    pub(crate) fn keep_if_settled(&self, key: &[u8], seen: &Seen, keep: impl FnOnce()) -> bool {
        let groups = self.0.as_ref().map(Observed::groups);
        let settled = groups
            .as_ref()
            .is_none_or(|groups| is_current(groups, key, seen));
        if settled {
            keep();
        }
        settled
    }
}

impl Observed {
    fn groups(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Tags>> {
        // Nothing panics while it is held half-changed.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn learn(groups: &mut HashMap<Box<[u8]>, Tags>, key: &[u8], reads: &Tags) {
    let group = key::group(key);
    if !groups.contains_key(group) && groups.len() >= GROUPS {
        return;
    }
    let known = groups.entry(group.into()).or_default();
    if known.union(reads).count() <= TAGS {
        known.extend(reads.iter().cloned());
    }
}

fn is_current(groups: &HashMap<Box<[u8]>, Tags>, key: &[u8], seen: &Seen) -> bool {
    let known = groups.get(key::group(key));
    known.is_none_or(|known| covers(seen, known))
}

/// Whether the stamps of all these tags were seen.
fn covers(seen: &Seen, tags: &Tags) -> bool {
    let names = names(seen);
    tags.iter()
        .all(|tag| names.contains(&of_tag(tag).as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::Generations;

    fn tags(names: &[&str]) -> Tags {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    fn reads(names: &[&str]) -> Dependencies {
        Dependencies::Known {
            reads: tags(names),
            changes: Tags::new(),
        }
    }

    fn learning() -> (Learning, Generations) {
        (Learning::new(Some(Dialect::Sqlite)), Generations::new())
    }

    #[test]
    fn a_load_settles_only_if_all_that_it_read_was_watched_before() {
        let (learning, generations) = learning();
        let see = |key: &[u8]| generations.see(key, learning.tags(key));
        let first = see(b"deal:1");
        assert!(!learning.settles(b"deal:1", &first, &reads(&["deals"])));
        let second = see(b"deal:2");
        assert!(learning.settles(b"deal:2", &second, &reads(&["deals"])));
        assert!(!learning.settles(b"deal:2", &second, &reads(&["deals", "users"])));
        // A load that began before more was learned is not kept either.
        assert!(!learning.settles(b"deal:2", &second, &reads(&["deals"])));
        assert!(!learning.keep_if_settled(b"deal:2", &second, || panic!("it is kept")));
        assert!(learning.tags(b"user:1").is_empty());
    }

    #[test]
    fn what_is_unknown_or_writes_never_settles() {
        let (learning, generations) = learning();
        let seen = generations.see(b"deal:1", ["deals"]);
        let writes = Dependencies::Known {
            reads: Tags::new(),
            changes: tags(&["deals"]),
        };
        assert!(!learning.settles(b"deal:1", &seen, &writes));
        assert!(!learning.settles(b"deal:1", &seen, &Dependencies::Unknown));
        assert!(learning.settles(b"deal:1", &seen, &reads(&["deals"])));
    }

    #[test]
    fn what_there_is_no_room_for_is_not_kept() {
        let (learning, generations) = learning();
        for group in 0..=GROUPS {
            let key = format!("{group}:1");
            let seen = generations.see(key.as_bytes(), learning.tags(key.as_bytes()));
            learning.settles(key.as_bytes(), &seen, &reads(&["deals"]));
        }
        let key = format!("{GROUPS}:1");
        let seen = generations.see(key.as_bytes(), learning.tags(key.as_bytes()));
        assert!(!learning.settles(key.as_bytes(), &seen, &reads(&["deals"])));
        let many: Vec<String> = (0..=TAGS).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let seen = generations.see(b"0:1", learning.tags(b"0:1"));
        assert!(!learning.settles(b"0:1", &seen, &reads(&many)));
        assert_eq!(learning.tags(b"0:1"), tags(&["deals"]));
    }
}
