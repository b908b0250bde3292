//! The memo that makes a fingerprint cheap: raw text to digest, bounded, shared.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twox_hash::XxHash3_64;

use crate::Dialect;
use crate::fingerprint::{Digest, Tags, digest};

/// Longer texts are digested but not remembered: they are bulk inserts, each its own text.
const LONGEST_REMEMBERED: usize = 64 * 1024;

/// Texts may be long; on average they may have this many bytes before old ones must go.
const BYTES_PER_TEXT: usize = 4 * 1024;

/// Enough that a few dozen threads seldom meet at one lock.
const MOST_SHARDS: usize = 16;

/// A shard of fewer texts would forget by chance of hashing rather than by age.
const FEWEST_PER_SHARD: usize = 64;

/// A bounded memo from raw text to [`Digest`]; cheap to share between threads.
///
/// A hit costs one hash of the text, one lock and one comparison of the text, so that two
/// texts with the same hash are never taken for each other. Each shard keeps two
/// generations: texts seen lately and texts seen before. When the first is full it becomes
/// the second, and what was not seen since is forgotten.
///
/// Not remembered are texts of more than 64 KiB, and texts whose comments carry a
/// `traceparent` or `tracestate` tag: those never come again.
pub struct Memo {
    dialect: Dialect,
    seed: u64,
    shards: Box<[Mutex<Shard>]>,
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo")
            .field("dialect", &self.dialect)
            .field("len", &self.len())
            .finish()
    }
}

impl Memo {
    /// A memo of at most `capacity` texts.
    pub fn new(dialect: Dialect, capacity: usize) -> Self {
        let shards = (capacity / FEWEST_PER_SHARD).clamp(1, MOST_SHARDS);
        let per_shard = capacity / shards;
        Self {
            dialect,
            // A seed of this process, so that nobody can choose texts that collide.
            seed: RandomState::new().hash_one(0u8),
            shards: (0..shards)
                .map(|_| Mutex::new(Shard::new(per_shard)))
                .collect(),
        }
    }

    /// The digest of `sql`, from memory if it was seen before.
    pub fn digest(&self, sql: &str) -> Arc<Digest> {
        let key = XxHash3_64::oneshot_with_seed(self.seed, sql.as_bytes());
        if let Some(known) = self.shard(key).get(key, sql) {
            return known;
        }
        // Computed outside of the lock; two threads may do it at once, with equal results.
        let digest = Arc::new(digest(sql, self.dialect));
        if sql.len() <= LONGEST_REMEMBERED && !names_a_trace(&digest.tags) {
            let text = if *digest.text == *sql {
                digest.text.clone()
            } else {
                sql.into()
            };
            self.shard(key).put(
                key,
                Entry {
                    text,
                    digest: digest.clone(),
                },
            );
        }
        digest
    }

    /// How many texts are remembered now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        // The table inside uses the low bits and the top seven: these are others.
        lock(&self.shards[(key >> 40) as usize % self.shards.len()])
    }
}

fn names_a_trace(tags: &Tags) -> bool {
    tags.contains_key("traceparent") || tags.contains_key("tracestate")
}

/// A panic while a shard is locked leaves it usable: every entry is whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One text and what is known of it.
struct Entry {
    text: Arc<str>,
    digest: Arc<Digest>,
}

type Generation = HashMap<u64, Entry, BuildHasherDefault<KeyIsHash>>;

struct Shard {
    /// Texts seen since the last turn.
    young: Generation,
    /// Texts seen before it.
    old: Generation,
    young_bytes: usize,
    /// The most texts one generation may hold; 0 for a memo that remembers nothing.
    most: usize,
    /// Whether there is room for a second generation.
    keeps_old: bool,
}

impl Shard {
    fn new(capacity: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            young_bytes: 0,
            most: if capacity < 2 { capacity } else { capacity / 2 },
            keeps_old: capacity >= 2,
        }
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn get(&mut self, key: u64, text: &str) -> Option<Arc<Digest>> {
        if let Some(entry) = self.young.get(&key) {
            return (*entry.text == *text).then(|| entry.digest.clone());
        }
        let entry = self.old.remove(&key)?;
        if *entry.text != *text {
            return None;
        }
        let digest = entry.digest.clone();
        self.put(key, entry);
        Some(digest)
    }

    fn put(&mut self, key: u64, entry: Entry) {
        if self.most == 0 {
            return;
        }
        self.old.remove(&key);
        let full = self.young.len() >= self.most && !self.young.contains_key(&key);
        if full || self.young_bytes > self.most * BYTES_PER_TEXT {
            self.turn();
        }
        self.young_bytes += entry.text.len();
        if let Some(replaced) = self.young.insert(key, entry) {
            self.young_bytes -= replaced.text.len();
        }
    }

    /// The young generation becomes the old one.
    fn turn(&mut self) {
        self.old = std::mem::take(&mut self.young);
        if !self.keeps_old {
            self.old.clear();
        }
        self.young_bytes = 0;
    }
}

/// The key of a generation is a hash already.
#[derive(Default)]
struct KeyIsHash(u64);

impl Hasher for KeyIsHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = XxHash3_64::oneshot(bytes);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
