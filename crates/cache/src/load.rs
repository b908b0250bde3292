//! Loading a value and keeping it.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{Instant as Deadline, timeout, timeout_at};
use tracing::{Instrument as _, Span};

use crate::{
    Cache, LoadError, Policy,
    cache::{Cached, Inner, Read},
    envelope::{Body, Envelope, encode_value, schema_of},
    event::{self, Answered},
    flight::{Boarded, Id, Landed, Load, LoadTask, Outcome, Publish, Under},
    generation::{Seen, random},
    memory::{Entry, Value},
    mutant::Mutant,
    policy::Lifetime,
    read::{Ground, Look, names},
    redis::long_key,
};

/// One load: runs the loader, hands out what it gives, keeps it.
pub(crate) struct Task<F> {
    inner: Arc<Inner>,
    key: Box<[u8]>,
    policy: Policy,
    seen: Seen,
    absent_counts: bool,
    ground: Ground,
    load: F,
    span: Span,
}

impl<F> Task<F> {
    pub(crate) fn new(inner: &Arc<Inner>, read: &Read<'_>, ground: Ground, load: F) -> Self {
        Self {
            inner: Arc::clone(inner),
            key: read.key.into(),
            policy: read.policy,
            seen: read.seen.clone(),
            absent_counts: read.absent_counts,
            ground,
            load,
            span: Span::current(),
        }
    }
}

impl Cache {
    pub(crate) fn start_or_join<T, E>(
        &self,
        read: &Read<'_>,
        under: &Under,
        task: Box<dyn LoadTask<T, E>>,
    ) -> Boarded<T, E>
    where
        T: Cached,
        E: Send + Sync + 'static,
    {
        self.join_kept_or_start(read, under, task, || None)
    }

    /// The same; if no load is under way, `kept` may have what the last one has left.
    fn join_kept_or_start<T, E>(
        &self,
        read: &Read<'_>,
        under: &Under,
        task: Box<dyn LoadTask<T, E>>,
        kept: impl FnOnce() -> Option<Option<Arc<T>>>,
    ) -> Boarded<T, E>
    where
        T: Cached,
        E: Send + Sync + 'static,
    {
        let id = Id::new::<T, E>(read.key, read.absent_counts, under.clone());
        self.0.flights.join_or_start(id, task, kept)
    }

    /// What a load gives to a reader who started it, or joined it and kept `own`.
    async fn land<T, E>(
        &self,
        read: &Read<'_>,
        under: &Under,
        (flight, own): Boarded<T, E>,
    ) -> Outcome<T, E>
    where
        T: Cached,
        E: Send + Sync + 'static,
    {
        let landed = flight.landed().await;
        match own {
            // It read more than was known: a write that this reader must see may have come between.
            // Who joins past the cache joins before the load begins.
            Some(mut own)
                if !landed.may_be_shared
                    && *under != Under::Nothing
                    && !self.0.mutation.is(Mutant::ShareUnsettled) =>
            {
                own.pass_the_cache();
                let (flight, _) = self.start_or_join(read, &Under::Nothing, own);
                flight.landed().await.outcome
            }
            _ => landed.outcome,
        }
    }

    /// Loads, or waits for who does, as long as the policy says.
    pub(crate) async fn fly<T, E, F, Fut>(
        &self,
        read: Read<'_>,
        ground: Ground,
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
        inner.counters.misses.one();
        let task = Task::new(inner, &read, ground.clone(), load);
        // A load that ended since memory was looked at is not to be repeated.
        let kept = || inner.fresh_in_memory(&read);
        let boarded = self.join_kept_or_start(&read, &ground.under, Box::new(task), kept);
        let joined = boarded.1.is_some();
        if joined {
            inner.counters.coalesced.one();
        }
        let soft = read.policy.soft_timeout.filter(|_| resort.is_some());
        let patience = soft.map_or(read.policy.hard_timeout, |soft| {
            soft.min(read.policy.hard_timeout)
        });
        let outcome = timeout(patience, self.land(&read, &ground.under, boarded))
            .await
            .unwrap_or(Err(LoadError::TimedOut { after: patience }));
        let answered = match (&outcome, &resort) {
            (Ok(_), _) if joined => Answered::Coalesced,
            (Ok(_), _) => Answered::Load,
            (Err(_), Some(_)) => Answered::Stale,
            (Err(_), None) => Answered::Failed,
        };
        event::read(&inner.name, read.key, answered, read.started);
        match (outcome, resort) {
            (Err(_), Some(value)) if inner.still_valid(&read) => {
                inner.counters.stale_served.one();
                Ok(value)
            }
            (outcome, _) => outcome,
        }
    }
}

impl<T, E, F, Fut> Load<T, E> for Task<F>
where
    T: Cached,
    E: Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
{
    async fn run(self, publish: Arc<Publish<T, E>>) {
        let Self {
            inner,
            key,
            policy,
            seen,
            absent_counts,
            ground,
            load,
            span,
        } = self;
        let started = Instant::now();
        inner.counters.loads.one();
        let watch = inner.learning.watch(&span);
        let outcome = inner.run_loader(&policy, watch.span(), load).await;
        let is_settled = match &outcome {
            Ok(_) => {
                let found = watch.end(inner.mutation).await;
                inner.learning.settles(&key, &seen, &found)
            }
            Err(_) => true,
        };
        match outcome {
            #[cfg(feature = "statements")]
            Ok(_) if !is_settled && !inner.mutation.is(Mutant::KeepUnsettled) => {
                if inner.line.is_none() {
                    inner.let_nothing_older_follow(&key);
                }
                publish.landed(outcome, is_settled);
                inner.counters.undetermined.one();
            }
            Ok(value) => {
                let kept = Kept {
                    key: &key,
                    policy: &policy,
                    seen,
                    started,
                    load_time: started.elapsed(),
                };
                // Without Redis, whoever comes after one who was answered must find the same or
                // newer in memory. With it, nobody waits for a round trip: what is older there is
                // invalid already (strict), or may be seen for a moment (bounded).
                if ground.redis.is_some() {
                    publish.landed(Ok(value.clone()), is_settled);
                    inner.keep(&kept, ground, value).await;
                    return;
                }
                let is_newest = inner.keep(&kept, ground, value.clone()).await;
                if !is_newest && inner.line.is_none() {
                    if let Some(newer) = inner.newer(&kept, absent_counts).await {
                        return publish.landed(newer.outcome, newer.may_be_shared);
                    }
                    inner.let_nothing_older_follow(&key);
                }
                publish.landed(Ok(value), is_settled);
            }
            Err(error) => {
                publish.landed(Err(error), is_settled);
                inner.counters.failed_loads.one();
                // Those who come now share the error.
                tokio::time::sleep(policy.error_ttl).await;
            }
        }
    }

    fn pass_the_cache(&mut self) {
        self.ground = Ground::unknown();
    }
}

/// What belongs to a value that is kept.
struct Kept<'k> {
    key: &'k [u8],
    policy: &'k Policy,
    seen: Seen,
    started: Instant,
    load_time: Duration,
}

impl Inner {
    async fn run_loader<T, E, F, Fut>(&self, policy: &Policy, span: Span, load: F) -> Outcome<T, E>
    where
        T: Cached,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let deadline = Deadline::now() + policy.load_deadline;
        let late = LoadError::TimedOut {
            after: policy.load_deadline,
        };
        let Ok(permit) = timeout_at(deadline, self.loads.acquire()).await else {
            return Err(late);
        };
        // A task of its own: a panic ends the loader and not those who wait.
        let mut loading = tokio::spawn(async move { load().await }.instrument(span));
        let outcome = match timeout_at(deadline, &mut loading).await {
            Ok(Ok(Ok(value))) => Ok(value.map(Arc::new)),
            Ok(Ok(Err(error))) => Err(LoadError::Failed(Arc::new(error))),
            Ok(Err(_)) => Err(LoadError::Aborted),
            Err(_) => {
                loading.abort();
                Err(late)
            }
        };
        drop(permit);
        outcome
    }

    /// Keeps a value where it may be kept. Says whether nothing older can be found in memory from
    /// now on, nor be brought there by a load that is under way.
    async fn keep<T: Cached>(
        &self,
        kept: &Kept<'_>,
        ground: Ground,
        value: Option<Arc<T>>,
    ) -> bool {
        let lifetime = kept.policy.lifetime(value.is_some(), rand::random());
        let Some(body) = self.worth_keeping(lifetime, value.as_deref()) else {
            // What is there is older than what was just answered.
            self.memory.remove(kept.key);
            return ground.memory_alone && self.generations.hold(&kept.seen);
        };
        let size = match &body {
            Body::Value(bytes) => bytes.len(),
            Body::Absent | Body::Tombstone => 0,
        };
        let mut may_keep = ground.memory_alone;
        if let (Some(line), Some(redis_ground)) = (&self.line, &ground.redis) {
            let envelope = Envelope {
                nonce: random(),
                schema: schema_of::<T>(self.version),
                stamps: redis_ground.stamps.clone(),
                long_key: long_key(kept.key).to_vec(),
                load_time: kept.load_time,
                lifetime,
                body,
            };
            let bytes = envelope.encode(kept.policy.compress_from);
            let life = lifetime.whole().saturating_sub(kept.started.elapsed());
            let names = names(&kept.seen);
            let filled = line.fill(kept.key, &names, redis_ground, &bytes, life, false);
            may_keep = match filled.await {
                Ok(true) => true,
                Ok(false) => {
                    self.counters.rejected_fills.one();
                    false
                }
                Err(_) => !self.mode.needs_lease(),
            };
        }
        if !may_keep {
            return false;
        }
        let value: Value = value.map(|value| value as _);
        let age = kept.started.elapsed();
        let seen = if self.mutation.is(Mutant::FillWithoutComparing) {
            self.generations.see_again(&kept.seen)
        } else {
            kept.seen.clone()
        };
        if !self.generations.hold(&seen) {
            self.counters.rejected_fills.one();
            return false;
        }
        let entry = Entry::new(value, seen.clone(), lifetime, age, kept.load_time, size);
        let insert = || self.memory.insert(kept.key, entry);
        if self.mutation.is(Mutant::KeepUnsettled) {
            insert();
            return true;
        }
        let is_kept = self.learning.keep_if_settled(kept.key, &seen, insert);
        if !is_kept {
            self.counters.rejected_fills.one();
        }
        is_kept
    }

    /// A value is answered that memory does not hold. What loads read that are under way may be
    /// older, so whoever comes from now on neither joins them nor finds what they bring.
    fn let_nothing_older_follow(&self, key: &[u8]) {
        self.generations.renew_key(key);
    }

    /// What those who come now are answered, if that is known to be as new as they may want: a value
    /// in memory, which was read after this load saw its ground; or what the load gives that is under
    /// way, if all that happened since is [`Inner::let_nothing_older_follow`]. Were this load's own
    /// value answered, that other load would have to be given up in its turn, and so on with each
    /// that overlaps the one before.
    async fn newer<T: Cached, E: Send + Sync + 'static>(
        &self,
        kept: &Kept<'_>,
        absent_counts: bool,
    ) -> Option<Landed<T, E>> {
        let in_memory = self.look(kept.key, kept.policy, Instant::now(), absent_counts);
        if let Look::Answer(value) = in_memory {
            return Some(Landed::shared(Ok(value)));
        }
        if !self.generations.differ_by_key_alone(&kept.seen) {
            return None;
        }
        let under = Under::Generations(self.see(kept.key, kept.seen.tags()).identity());
        let id = Id::new::<T, E>(kept.key, absent_counts, under);
        let landed = self.flights.under_way(&id)?.landed().await;
        landed.outcome.is_ok().then_some(landed)
    }

    /// A value encoded, if it may be kept at all.
    fn worth_keeping<T: Cached>(&self, lifetime: Lifetime, value: Option<&T>) -> Option<Body> {
        if lifetime.ttl.is_zero() {
            return None;
        }
        let Some(value) = value else {
            return Some(Body::Absent);
        };
        let bytes = encode_value(value)?;
        if bytes.len() > self.max_value_bytes {
            self.counters.too_large.one();
            return None;
        }
        Some(Body::Value(bytes))
    }

    /// Whether what was found to be expired has not been invalidated since.
    fn still_valid(&self, read: &Read<'_>) -> bool {
        self.may_use_memory(Instant::now()) && self.generations.hold(&read.seen)
    }
}
