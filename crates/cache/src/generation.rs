//! Generations: what an entry in memory was made under, and whether that still holds.
//!
//! A tag has one cell in each process. Invalidating the tag gives its cell another random
//! number; entries remember the number that they saw before their value was read, so that
//! any number of them die at once and without being visited.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::key;

/// Spreads the locks; a power of two.
const SHARDS: usize = 16;

/// A random number that no other generation has, but for one case in 2^64.
pub(crate) fn random() -> u64 {
    rand::random()
}

/// The state of one tag, group or key in this process.
#[derive(Debug)]
pub(crate) struct Cell {
    /// How its stamp is called in Redis, after the prefix. Keys have none there.
    pub(crate) name: Box<[u8]>,
    generation: AtomicU64,
}

impl Cell {
    pub(crate) fn now(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn renew(&self) {
        self.generation.store(random(), Ordering::SeqCst);
    }
}

/// What a value depends on, and the generations that held before it was read.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Of the whole cache, of the group of the key, of each tag.
    pub(crate) cells: Arc<[(Arc<Cell>, u64)]>,
    /// Of the key itself, which may be set or deleted alone.
    key: (Arc<Cell>, u64),
    /// Of all that this process holds.
    epoch: u64,
}

/// All generations of one cache in one process.
#[derive(Debug)]
pub(crate) struct Generations {
    shards: [Mutex<Shard>; SHARDS],
    /// Another number when everything in memory has become worthless: the line to Redis broke.
    epoch: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    cells: HashMap<Box<[u8]>, Weak<Cell>>,
    /// When it has grown to this, the dead are taken out.
    sweep_at: usize,
}

/// The name of the stamp that every entry depends on.
pub(crate) const ALL: &[u8] = b"a";

fn of_key(key: &[u8]) -> Vec<u8> {
    [b"k:", key].concat()
}

/// The name of the stamp of a group of keys.
pub(crate) fn of_group(group: &[u8]) -> Vec<u8> {
    [b"g:", group].concat()
}

/// The name of the stamp of a tag.
pub(crate) fn of_tag(tag: &[u8]) -> Vec<u8> {
    [b"t:", tag].concat()
}

/// The tag that a stamp is named after, if it is that of a tag.
pub(crate) fn tag_of(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"t:")
}

impl Generations {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            epoch: AtomicU64::new(random()),
        }
    }

    /// What holds now for a key with these tags. To be taken before anything is read.
    pub(crate) fn see(&self, key: &[u8], tags: impl IntoIterator<Item: AsRef<[u8]>>) -> Seen {
        let epoch = self.epoch.load(Ordering::Acquire);
        let own = self.cell(of_key(key));
        let own = (Arc::clone(&own), own.now());
        let mut names = vec![ALL.to_vec(), of_group(key::group(key))];
        names.extend(tags.into_iter().map(|tag| of_tag(tag.as_ref())));
        // The same tag twice would be two stamps to compare, and one is enough.
        names[2..].sort_unstable();
        names.dedup();
        let cells = names.into_iter().map(|name| {
            let cell = self.cell(name);
            let generation = cell.now();
            (cell, generation)
        });
        Seen {
            cells: cells.collect(),
            key: own,
            epoch,
        }
    }

    /// The same dependencies as of now: what a careless cache would take for granted.
    pub(crate) fn see_again(&self, seen: &Seen) -> Seen {
        let again = |(cell, _): &(Arc<Cell>, u64)| (Arc::clone(cell), cell.now());
        Seen {
            cells: seen.cells.iter().map(again).collect(),
            key: again(&seen.key),
            epoch: self.epoch.load(Ordering::Acquire),
        }
    }

    /// Whether nothing that the value depends on was invalidated since.
    pub(crate) fn hold(&self, seen: &Seen) -> bool {
        seen.key.0.now() == seen.key.1 && self.all_but_key_hold(seen)
    }

    /// Whether of all that the value depends on the key alone was renewed since.
    pub(crate) fn differ_by_key_alone(&self, seen: &Seen) -> bool {
        seen.key.0.now() != seen.key.1 && self.all_but_key_hold(seen)
    }

    fn all_but_key_hold(&self, seen: &Seen) -> bool {
        self.epoch.load(Ordering::Acquire) == seen.epoch
            && seen
                .cells
                .iter()
                .all(|(cell, generation)| cell.now() == *generation)
    }

    /// Invalidates all that depends on the stamp of this name.
    pub(crate) fn renew(&self, name: &[u8]) {
        let found = self.shard(name).cells.get(name).and_then(Weak::upgrade);
        // A cell that nobody holds has no entry that depends on it.
        if let Some(cell) = found {
            cell.renew();
        }
    }

    /// Invalidates what is known of one key.
    pub(crate) fn renew_key(&self, key: &[u8]) {
        self.renew(&of_key(key));
    }

    /// Invalidates all that this process holds.
    pub(crate) fn renew_all(&self) {
        self.epoch.store(random(), Ordering::SeqCst);
    }

    fn cell(&self, name: Vec<u8>) -> Arc<Cell> {
        let mut shard = self.shard(&name);
        if let Some(cell) = shard.cells.get(&*name).and_then(Weak::upgrade) {
            return cell;
        }
        shard.sweep();
        let name = name.into_boxed_slice();
        let cell = Arc::new(Cell {
            name: name.clone(),
            generation: AtomicU64::new(random()),
        });
        shard.cells.insert(name, Arc::downgrade(&cell));
        cell
    }

    fn shard(&self, name: &[u8]) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[key::hash(name) as usize % SHARDS];
        // Nothing panics while it is held half-changed.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn known(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap().cells.len())
            .sum()
    }
}

impl Seen {
    /// The tags, of those that were given and those that were learned.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &[u8]> {
        self.cells.iter().filter_map(|(cell, _)| tag_of(&cell.name))
    }

    /// What tells flights apart: a reader who sees other generations starts one of its own.
    pub(crate) fn identity(&self) -> Vec<u64> {
        let own = [self.epoch, self.key.1];
        own.into_iter()
            .chain(self.cells.iter().map(|(_, generation)| *generation))
            .collect()
    }
}

impl Shard {
    fn sweep(&mut self) {
        if self.cells.len() < self.sweep_at.max(64) {
            return;
        }
        self.cells.retain(|_, cell| cell.strong_count() > 0);
        self.sweep_at = self.cells.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [&str; 0] = [];

    #[test]
    fn what_was_seen_holds_until_one_of_its_tags_changes() {
        let generations = Generations::new();
        let seen = generations.see(b"share:1", ["a", "b"]);
        let other = generations.see(b"share:2", ["c"]);
        assert!(generations.hold(&seen));
        generations.renew(&of_tag(b"b"));
        assert!(!generations.hold(&seen));
        assert!(generations.hold(&other));
    }

    #[test]
    fn key_group_and_everything_can_be_invalidated() {
        let generations = Generations::new();
        let see = || generations.see(b"share:1", NONE);
        for renew in [
            &(|| generations.renew_key(b"share:1")) as &dyn Fn(),
            &|| generations.renew(&of_group(b"share")),
            &|| generations.renew(ALL),
            &|| generations.renew_all(),
        ] {
            let seen = see();
            assert!(generations.hold(&seen));
            renew();
            assert!(!generations.hold(&seen));
        }
    }

    #[test]
    fn setting_one_key_leaves_all_others_alone() {
        let generations = Generations::new();
        let see = |number: u32| generations.see(&number.to_be_bytes(), NONE);
        let seen: Vec<_> = (0..10_000).map(see).collect();
        generations.renew_key(&7_u32.to_be_bytes());
        let held = seen.iter().filter(|seen| generations.hold(seen)).count();
        assert_eq!(held, 9_999);
    }

    #[test]
    fn tags_that_nobody_uses_any_more_are_forgotten() {
        let generations = Generations::new();
        for number in 0..100_000 {
            drop(generations.see(b"k", [format!("tag {number}")]));
        }
        assert!(generations.known() < 5_000, "{}", generations.known());
    }

    #[test]
    fn the_order_and_number_of_equal_tags_does_not_matter() {
        let generations = Generations::new();
        let one = generations.see(b"k", ["a", "b", "a"]);
        let other = generations.see(b"k", ["b", "a"]);
        assert_eq!(one.identity(), other.identity());
    }
}
