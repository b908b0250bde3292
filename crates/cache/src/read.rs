//! Looking for a value in memory and in Redis.

use std::{
    collections::HashSet,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    Mode, Policy,
    cache::{Cached, Inner, Read},
    envelope::{Body, Envelope, decode_value, schema_of},
    flight::Under,
    generation::Seen,
    memory::{Entry, Freshness, Value},
    mutant::Mutant,
    redis::{self, Found},
};

/// What a tier says of a key.
pub(crate) enum Look<T> {
    Answer(Option<Arc<T>>),
    /// To be answered; a load in the background should begin.
    Refresh(Option<Arc<T>>, Freshness),
    /// Only if nothing better can be had.
    Resort(Option<Arc<T>>),
    Nothing,
}

/// What is below memory.
pub(crate) enum Below<T> {
    Found(Look<T>),
    /// It must be loaded; with what may be answered if that fails.
    Load(Ground, Option<Option<Arc<T>>>),
}

/// What is known before a load begins.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// Who may join the load.
    pub(crate) under: Under,
    /// What must still hold for the value to be stored in Redis.
    pub(crate) redis: Option<redis::Ground>,
    /// Whether the value may be kept in memory even if it is not in Redis.
    pub(crate) memory_alone: bool,
}

impl Ground {
    /// Nothing is known, so nothing may be kept.
    pub(crate) fn unknown() -> Self {
        Self {
            under: Under::Nothing,
            redis: None,
            memory_alone: false,
        }
    }
}

impl<T: Cached> Look<T> {
    fn of(entry: &Entry, now: Instant, policy: &Policy, absent_counts: bool) -> Self {
        let value = match &entry.value {
            None if absent_counts => None,
            None => return Self::Nothing,
            Some(value) => match Arc::clone(value).downcast() {
                Ok(value) => Some(value),
                // The key is used for another type, too.
                Err(_) => return Self::Nothing,
            },
        };
        match entry.freshness(now, policy.early_refresh) {
            Freshness::Fresh => Self::Answer(value),
            freshness @ (Freshness::RefreshEarly | Freshness::Revalidate) => {
                Self::Refresh(value, freshness)
            }
            Freshness::FailSafe => Self::Resort(value),
            Freshness::Dead => Self::Nothing,
        }
    }
}

impl Inner {
    pub(crate) fn look<T: Cached>(
        &self,
        key: &[u8],
        policy: &Policy,
        now: Instant,
        absent_counts: bool,
    ) -> Look<T> {
        let Some(entry) = self.memory.get(key) else {
            return Look::Nothing;
        };
        // In this order: with a lease, every write that returned before has been heard of, and
        // only then do the generations tell.
        if !self.may_use_memory(now) && !self.mutation.is(Mutant::NoLease) {
            return Look::Nothing;
        }
        if !self.generations.hold(&entry.seen) {
            self.memory.remove_entry(key, &entry);
            return Look::Nothing;
        }
        Look::of(&entry, now, policy, absent_counts)
    }

    /// What a load that has ended since has left in memory.
    pub(crate) fn fresh_in_memory<T: Cached>(&self, read: &Read<'_>) -> Option<Option<Arc<T>>> {
        match self.look(read.key, &read.policy, Instant::now(), read.absent_counts) {
            Look::Answer(value) => Some(value),
            Look::Refresh(..) | Look::Resort(_) | Look::Nothing => None,
        }
    }

    pub(crate) async fn look_below<T: Cached>(&self, read: &Read<'_>) -> Below<T> {
        let Some(line) = &self.line else {
            return Below::Load(self.ground_without_redis(&read.seen), None);
        };
        let schema = schema_of::<T>(self.version);
        let found = line
            .find(read.key, &names(&read.seen), schema, self.max_value_bytes)
            .await;
        match found {
            Err(redis::Unavailable) => Below::Load(self.ground_without_redis(&read.seen), None),
            Ok(Found::Marked) => Below::Load(Ground::unknown(), None),
            Ok(Found::Nothing(ground)) => Below::Load(self.ground(&read.seen, ground), None),
            Ok(Found::Valid(envelope, left, ground)) => match self.promote(read, *envelope, left) {
                found @ (Look::Answer(_) | Look::Refresh(..)) => Below::Found(found),
                Look::Resort(value) => Below::Load(self.ground(&read.seen, ground), Some(value)),
                Look::Nothing => Below::Load(self.ground(&read.seen, ground), None),
            },
        }
    }

    /// Takes an entry of Redis into memory.
    fn promote<T: Cached>(&self, read: &Read<'_>, envelope: Envelope, left: Duration) -> Look<T> {
        let (value, size): (Value, usize) = match &envelope.body {
            Body::Absent => (None, 0),
            Body::Tombstone => return Look::Nothing,
            Body::Value(bytes) => match decode_value::<T>(bytes) {
                Some(value) => (Some(Arc::new(value)), bytes.len()),
                None => {
                    self.counters.unreadable.one();
                    return Look::Nothing;
                }
            },
        };
        let age = envelope.lifetime.whole().saturating_sub(left);
        let entry = Entry::new(
            value,
            read.seen.clone(),
            envelope.lifetime,
            age,
            envelope.load_time,
            size,
        );
        let look = Look::of(&entry, Instant::now(), &read.policy, read.absent_counts);
        if matches!(look, Look::Answer(_) | Look::Refresh(..)) {
            self.memory.insert(read.key, entry);
        }
        look
    }

    /// For a load in the background. Nothing, if another process has loaded it meanwhile.
    pub(crate) async fn ground_for_refresh<T: Cached>(
        &self,
        key: &[u8],
        seen: &Seen,
        policy: &Policy,
    ) -> Option<Ground> {
        let Some(line) = &self.line else {
            return Some(self.ground_without_redis(seen));
        };
        let schema = schema_of::<T>(self.version);
        let names = names(seen);
        let found = line.find(key, &names, schema, self.max_value_bytes);
        match found.await {
            Err(redis::Unavailable) => Some(self.ground_without_redis(seen)),
            // The write makes it invalid: nothing to refresh.
            Ok(Found::Marked) => None,
            Ok(Found::Nothing(ground)) => Some(self.ground(seen, ground)),
            Ok(Found::Valid(envelope, left, ground)) => {
                let read = Read {
                    key,
                    policy: *policy,
                    seen: seen.clone(),
                    started: Instant::now(),
                    absent_counts: true,
                };
                match self.promote::<T>(&read, *envelope, left) {
                    Look::Answer(_) => None,
                    Look::Refresh(..) | Look::Resort(_) | Look::Nothing => {
                        Some(self.ground(seen, ground))
                    }
                }
            }
        }
    }

    fn ground(&self, seen: &Seen, ground: redis::Ground) -> Ground {
        let mut under = seen.identity();
        under.extend(&ground.stamps);
        Ground {
            under: self.under(under),
            redis: Some(ground),
            memory_alone: false,
        }
    }

    fn ground_without_redis(&self, seen: &Seen) -> Ground {
        let alone = self.line.is_none() || self.mode == Mode::Ttl;
        if !alone {
            self.counters.bypasses.one();
            return Ground::unknown();
        }
        Ground {
            under: self.under(seen.identity()),
            redis: None,
            memory_alone: true,
        }
    }

    fn under(&self, generations: Vec<u64>) -> Under {
        if self.mutation.is(Mutant::FlightsWithoutGenerations) {
            return Under::Generations(Vec::new());
        }
        Under::Generations(generations)
    }

    /// The right to load in the background, unless that is under way for the key.
    pub(crate) fn begins_refresh(self: &Arc<Self>, key: &[u8]) -> Option<Refreshing> {
        let began = self.refreshing().insert(key.into());
        began.then(|| Refreshing(Arc::clone(self), key.into()))
    }

    fn refreshing(&self) -> MutexGuard<'_, HashSet<Box<[u8]>>> {
        self.refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load in the background, as long as it runs.
pub(crate) struct Refreshing(Arc<Inner>, Box<[u8]>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.refreshing().remove(&self.1);
    }
}

/// The names of the stamps that a value depends on.
pub(crate) fn names(seen: &Seen) -> Vec<&[u8]> {
    seen.cells.iter().map(|(cell, _)| &*cell.name).collect()
}
