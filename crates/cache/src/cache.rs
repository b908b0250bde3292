//! The cache: reads through memory, Redis and the loader.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Semaphore;

use crate::{
    Builder, LoadError, Mode, Policy, Stats,
    event::{self, Answered},
    flight::{Flights, Outcome},
    generation::{Generations, Seen},
    learning::Learning,
    load::Task,
    memory::{Freshness, Memory},
    metrics::Counters,
    mutant::Mutation,
    read::{Below, Ground, Look},
    redis::{Line, Listener},
};

/// What can be cached.
pub trait Cached: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Cached for T {}

/// A cache of two tiers. Clones are the same cache.
#[derive(Clone)]
pub struct Cache(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) mode: Mode,
    pub(crate) generations: Generations,
    pub(crate) learning: Learning,
    pub(crate) memory: Memory,
    pub(crate) flights: Arc<Flights>,
    /// Keys for which a load in the background has begun.
    pub(crate) refreshing: Mutex<HashSet<Box<[u8]>>>,
    pub(crate) line: Option<Arc<Line>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) loads: Arc<Semaphore>,
    pub(crate) max_value_bytes: usize,
    pub(crate) max_stale: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) mutation: Mutation,
}

/// One read on its way down.
pub(crate) struct Read<'k> {
    pub(crate) key: &'k [u8],
    pub(crate) policy: Policy,
    pub(crate) seen: Seen,
    pub(crate) started: Instant,
    /// Whether "there is nothing" is an answer.
    pub(crate) absent_counts: bool,
}

/// How often [`Cache::ready`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Cache {
    /// A cache of this name. Caches of the same name, version and mode on one Redis are the same
    /// cache in several processes.
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// The value of a key: from memory, from Redis, or from the loader, which then runs once for
    /// all who ask, in a task of its own.
    ///
    /// `tags` are what the value depends on, and the same for every read of the key: invalidating
    /// any of them makes the value invalid.
    ///
    /// # Errors
    /// The loader failed, panicked, or took longer than the policy allows. That Redis does not
    /// answer is never an error.
    pub async fn get_or_load<T, E, F, Fut>(
        &self,
        key: impl AsRef<[u8]>,
        policy: &Policy,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
        load: F,
    ) -> Result<Arc<T>, LoadError<E>>
    where
        T: Cached,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let load = move || {
            let loading = load();
            async move { loading.await.map(Some) }
        };
        let found = self.obtain(key.as_ref(), policy, tags, false, load).await?;
        // A loader of this kind never says that there is nothing, what another kind has remembered
        // is passed over, and a load of another kind is not joined.
        found.ok_or(LoadError::Aborted)
    }

    /// The same for what may not be there: that there is nothing is remembered for
    /// [`Policy::negative_ttl`].
    ///
    /// # Errors
    /// As [`Cache::get_or_load`].
    pub async fn find_or_load<T, E, F, Fut>(
        &self,
        key: impl AsRef<[u8]>,
        policy: &Policy,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
        load: F,
    ) -> Result<Option<Arc<T>>, LoadError<E>>
    where
        T: Cached,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        self.obtain(key.as_ref(), policy, tags, true, load).await
    }

    /// Loads what is not cached yet, so many keys at a time; says how many values are there now.
    ///
    /// For a start: readers then find what they ask for most. Errors of the loader are not told;
    /// those who ask later load again.
    pub async fn warm_up<T, E, F, Fut, K, G>(
        &self,
        keys: impl IntoIterator<Item = (K, G)>,
        policy: &Policy,
        at_a_time: usize,
        load: F,
    ) -> u64
    where
        T: Cached,
        E: Send + Sync + 'static,
        K: AsRef<[u8]> + Clone + Send + Sync + 'static,
        G: IntoIterator<Item: AsRef<[u8]>> + Send + 'static,
        G::IntoIter: Send,
        F: Fn(K) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut running = tokio::task::JoinSet::new();
        let mut warm = 0;
        for (key, tags) in keys {
            while running.len() >= at_a_time.max(1) {
                warm += u64::from(matches!(running.join_next().await, Some(Ok(true))));
            }
            let (cache, policy, load) = (self.clone(), *policy, load.clone());
            let tags: Vec<Vec<u8>> = tags.into_iter().map(|tag| tag.as_ref().to_vec()).collect();
            running.spawn(async move {
                let wanted = key.clone();
                let loading = cache.get_or_load(&key, &policy, tags, move || load(wanted));
                loading.await.is_ok()
            });
        }
        while let Some(done) = running.join_next().await {
            warm += u64::from(matches!(done, Ok(true)));
        }
        warm
    }

    /// Waits until values are kept and answered from memory, at most so long; says whether they
    /// are. Without Redis that is at once.
    ///
    /// For a start: what is loaded before Redis has answered goes past the cache, so a
    /// [`Cache::warm_up`] that does not wait warms nothing.
    pub async fn ready(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        while !self.0.may_use_memory(Instant::now()) {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        true
    }

    /// Ends its use of memory for good: for the orderly end of a process.
    ///
    /// Who writes waits until every process that may answer from its memory has heard. One that is
    /// gone without a word is waited for until its lease is over, up to 0.44 s; one that has closed
    /// its caches is not. Reads and writes go on past the memory.
    pub async fn close(&self) {
        if let Some(line) = &self.0.line {
            line.leave().await;
        }
    }

    /// What it did since it was made, and what it holds.
    pub fn stats(&self) -> Stats {
        let inner = &self.0;
        Stats {
            entries: inner.memory.entries(),
            bytes: inner.memory.bytes(),
            breaker_open: inner.line.as_ref().is_some_and(|line| line.is_open()),
            lease_valid: inner.may_use_memory(Instant::now()),
            ..inner.counters.stats()
        }
    }

    /// The same as Prometheus reads it, with how long Redis took.
    pub fn prometheus(&self) -> String {
        self.0.counters.prometheus(&self.0.name, &self.stats())
    }

    /// What this cache guarantees, in a sentence.
    pub fn guarantee(&self) -> &'static str {
        match self.0.line {
            // One process that writes: nothing is further away than its memory.
            None => Mode::Strict.guarantee(),
            Some(_) => self.0.mode.guarantee(),
        }
    }

    async fn obtain<T, E, F, Fut>(
        &self,
        key: &[u8],
        policy: &Policy,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
        absent_counts: bool,
        load: F,
    ) -> Outcome<T, E>
    where
        T: Cached,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let inner = &self.0;
        let started = Instant::now();
        let policy = inner.within_bound(policy);
        let looked = inner.look(key, &policy, started, absent_counts);
        if let Look::Answer(value) = looked {
            inner.counters.memory_hits.one();
            event::read(&inner.name, key, Answered::Memory, started);
            return Ok(value);
        }
        let seen = inner.see(key, tags);
        let read = Read {
            key,
            policy,
            seen,
            started,
            absent_counts,
        };
        match looked {
            Look::Refresh(value, freshness) => {
                inner.counters.memory_hits.one();
                self.hand_out_and_refresh(read, value, freshness, Answered::Memory, load)
            }
            Look::Resort(value) => self.below(read, Some(value), load).await,
            Look::Answer(_) | Look::Nothing => self.below(read, None, load).await,
        }
    }

    async fn below<T, E, F, Fut>(
        &self,
        read: Read<'_>,
        resort: Option<Option<Arc<T>>>,
        load: F,
    ) -> Outcome<T, E>
    where
        T: Cached,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let inner = &self.0;
        match inner.look_below(&read).await {
            Below::Found(Look::Answer(value)) => {
                inner.counters.redis_hits.one();
                event::read(&inner.name, read.key, Answered::Redis, read.started);
                Ok(value)
            }
            Below::Found(Look::Refresh(value, freshness)) => {
                inner.counters.redis_hits.one();
                self.hand_out_and_refresh(read, value, freshness, Answered::Redis, load)
            }
            Below::Found(Look::Nothing | Look::Resort(_)) => {
                self.fly(read, Ground::unknown(), resort, load).await
            }
            Below::Load(ground, found) => self.fly(read, ground, resort.or(found), load).await,
        }
    }

    fn hand_out_and_refresh<T, E, F, Fut>(
        &self,
        read: Read<'_>,
        value: Option<Arc<T>>,
        freshness: Freshness,
        answered: Answered,
        load: F,
    ) -> Outcome<T, E>
    where
        T: Cached,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let inner = &self.0;
        if freshness == Freshness::Revalidate {
            inner.counters.stale_served.one();
        }
        event::read(
            &inner.name,
            read.key,
            answered.with(freshness),
            read.started,
        );
        if let Some(refreshing) = inner.begins_refresh(read.key) {
            inner.counters.background_refreshes.one();
            let (cache, key) = (self.clone(), Box::<[u8]>::from(read.key));
            let (policy, seen, absent_counts) = (read.policy, read.seen, read.absent_counts);
            // Not part of the request: it must not lengthen its span.
            tokio::spawn(async move {
                let ground = cache.0.ground_for_refresh::<T>(&key, &seen, &policy).await;
                if let Some(ground) = ground {
                    let read = Read {
                        key: &key,
                        policy,
                        seen,
                        started: Instant::now(),
                        absent_counts,
                    };
                    let task = Task::new(&cache.0, &read, ground.clone(), load);
                    let (flight, _) = cache.start_or_join(&read, &ground.under, Box::new(task));
                    // Those who ask afterwards see how it ended.
                    let _landed = flight.landed().await;
                }
                drop(refreshing);
            });
        }
        Ok(value)
    }
}

impl Inner {
    /// What holds now for a key with these tags, and with those that its values were found to need.
    pub(crate) fn see(&self, key: &[u8], tags: impl IntoIterator<Item: AsRef<[u8]>>) -> Seen {
        let learned = self.learning.tags(key);
        if learned.is_empty() {
            return self.generations.see(key, tags);
        }
        let given = tags.into_iter().map(|tag| tag.as_ref().to_vec());
        self.generations.see(key, given.chain(learned))
    }

    /// What this mode lets a policy be.
    pub(crate) fn within_bound(&self, policy: &Policy) -> Policy {
        match (&self.line, self.mode) {
            (Some(_), Mode::Bounded) => policy.at_most(self.max_stale),
            _ => *policy,
        }
    }

    /// Whether invalidations are sure to have arrived here.
    pub(crate) fn may_use_memory(&self, now: Instant) -> bool {
        match &self.line {
            Some(line) if self.mode.needs_lease() => line.has_lease(now),
            _ => true,
        }
    }

    pub(crate) fn sweep(&self) {
        self.memory.sweep(|seen| self.generations.hold(seen));
    }
}

impl Listener for Inner {
    fn stamps(&self, names: &[Vec<u8>]) {
        for name in names {
            self.generations.renew(name);
        }
    }

    fn keys(&self, keys: &[Vec<u8>]) {
        for key in keys {
            self.generations.renew_key(key);
            self.memory.remove(key);
        }
    }

    fn glob(&self, pattern: &[u8]) {
        self.memory
            .remove_keys(|key| crate::key::matches(pattern, key));
    }

    fn lost(&self) {
        if !self.mode.needs_lease() {
            return;
        }
        self.counters
            .dropped_on_disconnect
            .add(self.memory.entries());
        self.generations.renew_all();
        self.memory.clear();
    }
}
