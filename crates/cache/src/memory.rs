//! What this process holds: typed values, ready to be answered.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter, sync::Cache as Store};

use crate::{generation::Seen, metrics::Counters, policy::Lifetime};

/// What an entry takes beside its key and value, about: its own struct, the table, the cells, and
/// its key once more.
const OVERHEAD: usize = 350;
/// For the sizing of the table only; it grows with the entries.
const USUAL_BYTES: u64 = 1024;

/// A value without its type; none: it is known that there is nothing.
pub(crate) type Value = Option<Arc<dyn Any + Send + Sync>>;

/// A value and what its use depends on.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) seen: Seen,
    pub(crate) load_time: Duration,
    /// Encoded, in bytes.
    pub(crate) size: usize,
    fresh_until: Instant,
    revalidate_until: Instant,
    fail_safe_until: Instant,
}

/// What a value may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// Still fresh; one load in the background should begin.
    RefreshEarly,
    /// Expired; may be answered while one load runs in the background.
    Revalidate,
    /// Expired; may be answered if loading fails.
    FailSafe,
    Dead,
}

impl Entry {
    /// `age`: how long ago the value was loaded.
    pub(crate) fn new(
        value: Value,
        seen: Seen,
        lifetime: Lifetime,
        age: Duration,
        load_time: Duration,
        size: usize,
    ) -> Self {
        let now = Instant::now();
        // Saturating: what is over must not be revived by an overflow.
        let after = |time: Duration| now + time.saturating_sub(age);
        Self {
            value,
            seen,
            load_time,
            size,
            fresh_until: after(lifetime.ttl),
            revalidate_until: after(lifetime.ttl + lifetime.revalidate),
            fail_safe_until: after(lifetime.ttl + lifetime.fail_safe),
        }
    }

    /// `beta` as in [`crate::Policy::early_refresh`].
    pub(crate) fn freshness(&self, now: Instant, beta: f64) -> Freshness {
        if now < self.fresh_until {
            if self.is_due_early(self.fresh_until - now, beta) {
                return Freshness::RefreshEarly;
            }
            return Freshness::Fresh;
        }
        if now < self.revalidate_until {
            Freshness::Revalidate
        } else if now < self.fail_safe_until {
            Freshness::FailSafe
        } else {
            Freshness::Dead
        }
    }

    fn is_due_early(&self, left: Duration, beta: f64) -> bool {
        // -ln(random) is above 20 in one of 500 million draws: no number is drawn for those.
        let reach = self.load_time.as_secs_f64() * beta;
        let left = left.as_secs_f64();
        left < reach * 20.0 && left < reach * -rand::random::<f64>().max(f64::MIN_POSITIVE).ln()
    }

    fn is_dead(&self, now: Instant) -> bool {
        now >= self.revalidate_until.max(self.fail_safe_until)
    }
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Box<[u8]>, Arc<Entry>> for Bytes {
    fn weight(&self, key: &Box<[u8]>, entry: &Arc<Entry>) -> u64 {
        (key.len() + entry.size + OVERHEAD) as u64
    }
}

/// Counts what goes because room is needed.
#[derive(Debug, Clone)]
struct Evictions(Arc<Counters>);

impl Lifecycle<Box<[u8]>, Arc<Entry>> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Box<[u8]>, _: Arc<Entry>) {
        self.0.evictions.one();
    }
}

/// The entries of this process, the least useful of which go when it is full.
#[derive(Debug)]
pub(crate) struct Memory {
    store: Store<Box<[u8]>, Arc<Entry>, Bytes, DefaultHashBuilder, Evictions>,
}

impl Memory {
    pub(crate) fn new(capacity: u64, counters: &Arc<Counters>) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity((capacity / USUAL_BYTES).clamp(64, 1 << 20) as usize)
            .weight_capacity(capacity.max(1))
            .build();
        // Both numbers that the options need are given.
        let options = match options {
            Ok(options) => options,
            Err(error) => unreachable!("{error}"),
        };
        let store = Store::with_options(
            options,
            Bytes,
            DefaultHashBuilder::default(),
            Evictions(Arc::clone(counters)),
        );
        Self { store }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.store.get(key)
    }

    pub(crate) fn insert(&self, key: &[u8], entry: Entry) {
        // What is replaced was not evicted.
        self.store.remove(key);
        self.store.insert(key.into(), Arc::new(entry));
    }

    pub(crate) fn remove(&self, key: &[u8]) -> bool {
        self.store.remove(key).is_some()
    }

    /// Takes out an entry that turned out to be useless, unless a new one came meanwhile.
    pub(crate) fn remove_entry(&self, key: &[u8], entry: &Arc<Entry>) {
        let _removed = self.store.remove_if(key, |found| Arc::ptr_eq(found, entry));
    }

    /// Takes out all whose key is chosen; says how many those were.
    pub(crate) fn remove_keys(&self, chosen: impl Fn(&[u8]) -> bool) -> u64 {
        let removed = std::cell::Cell::new(0);
        self.store.retain(|key, _| {
            let keep = !chosen(key);
            removed.set(removed.get() + u64::from(!keep));
            keep
        });
        removed.get()
    }

    /// Takes out what cannot be used any more.
    pub(crate) fn sweep(&self, holds: impl Fn(&Seen) -> bool) {
        let now = Instant::now();
        self.store
            .retain(|_, entry| !entry.is_dead(now) && holds(&entry.seen));
    }

    pub(crate) fn clear(&self) {
        self.store.clear();
    }

    pub(crate) fn entries(&self) -> u64 {
        self.store.len() as u64
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.store.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::Generations;

    fn entry(lifetime: Lifetime, age: Duration, load_time: Duration) -> Entry {
        let seen = Generations::new().see(b"k", ["t"]);
        Entry::new(Some(Arc::new(1_u8)), seen, lifetime, age, load_time, 100)
    }

    const LIFE: Lifetime = Lifetime {
        ttl: Duration::from_secs(10),
        revalidate: Duration::from_secs(5),
        fail_safe: Duration::from_secs(20),
    };

    #[test]
    fn a_value_is_fresh_then_stale_then_a_last_resort_then_dead() {
        let one = entry(LIFE, Duration::ZERO, Duration::ZERO);
        let now = Instant::now();
        let at = |seconds| one.freshness(now + Duration::from_secs(seconds), 1.0);
        assert_eq!(at(9), Freshness::Fresh);
        assert_eq!(at(11), Freshness::Revalidate);
        assert_eq!(at(16), Freshness::FailSafe);
        assert_eq!(at(31), Freshness::Dead);
    }

    #[test]
    fn what_is_older_than_its_life_is_dead_at_once() {
        let one = entry(LIFE, Duration::from_secs(1000), Duration::ZERO);
        assert_eq!(one.freshness(Instant::now(), 1.0), Freshness::Dead);
    }

    #[test]
    fn slow_loads_are_refreshed_early_and_quick_ones_hardly_ever() {
        let count = |load_ms, seconds| {
            let one = entry(LIFE, Duration::ZERO, Duration::from_millis(load_ms));
            let now = Instant::now() + Duration::from_secs(seconds);
            (0..10_000)
                .filter(|_| one.freshness(now, 1.0) == Freshness::RefreshEarly)
                .count()
        };
        assert_eq!(count(1000, 0) / 100, 0);
        // One second is left and a load takes one: e^-1 of the reads.
        let share = count(1000, 9);
        assert!((3_400..4_000).contains(&share), "{share}");
        assert!(count(1, 9) == 0);
    }

    #[test]
    fn memory_stays_below_its_capacity_in_bytes() {
        let counters = Arc::default();
        let memory = Memory::new(100_000, &counters);
        for number in 0..10_000_u32 {
            memory.insert(
                &number.to_be_bytes(),
                entry(LIFE, Duration::ZERO, Duration::ZERO),
            );
        }
        assert!(memory.bytes() <= 100_000, "{}", memory.bytes());
        assert!(memory.entries() > 200, "{}", memory.entries());
        assert!(counters.stats().evictions > 9_000);
    }

    #[test]
    fn a_sweep_takes_the_dead_and_the_invalidated() {
        let memory = Memory::new(1 << 20, &Arc::default());
        memory.insert(
            b"dead",
            entry(LIFE, Duration::from_secs(99), Duration::ZERO),
        );
        memory.insert(b"alive", entry(LIFE, Duration::ZERO, Duration::ZERO));
        memory.sweep(|_| true);
        assert!(memory.get(b"dead").is_none() && memory.get(b"alive").is_some());
        memory.sweep(|_| false);
        assert_eq!(memory.entries(), 0);
    }
}
