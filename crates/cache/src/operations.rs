//! Single operations on keys: what a plain cache has. Each works as well as it can and is never
//! an error: where Redis does not answer, a read is a miss and a change is for this process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Cache, Policy,
    cache::{Cached, Read},
    envelope::{Body, Envelope, encode_value, schema_of},
    event::{self, Answered},
    generation::random,
    memory::Entry,
    read::{Below, Look, names},
    redis::long_key,
};

impl Cache {
    /// The value of a key, if it is cached, fresh and valid. `tags`: those it was stored with.
    pub async fn get<T: Cached>(
        &self,
        key: impl AsRef<[u8]>,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> Option<Arc<T>> {
        let (inner, key, started) = (&self.0, key.as_ref(), Instant::now());
        let policy = inner.within_bound(&Policy::new(Duration::MAX).early_refresh(0.0));
        if let Look::Answer(Some(value)) = inner.look(key, &policy, started, false) {
            inner.counters.memory_hits.one();
            event::read(&inner.name, key, Answered::Memory, started);
            return Some(value);
        }
        let read = Read {
            key,
            policy,
            seen: inner.see(key, tags),
            started,
            absent_counts: false,
        };
        let found = match inner.look_below(&read).await {
            Below::Found(Look::Answer(value)) => value,
            _ => None,
        };
        let counter = match found {
            Some(_) => &inner.counters.redis_hits,
            None => &inner.counters.misses,
        };
        counter.one();
        let answered = match found {
            Some(_) => Answered::Redis,
            None => Answered::Failed,
        };
        event::read(&inner.name, key, answered, started);
        found
    }

    /// Whether a key is cached, fresh and valid.
    pub async fn exists<T: Cached>(
        &self,
        key: impl AsRef<[u8]>,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> bool {
        self.get::<T>(key, tags).await.is_some()
    }

    /// Stores a value; says whether it is stored for everybody.
    ///
    /// A value that was read from the database before may be out of date by now: prefer
    /// [`Cache::get_or_load`], which notices.
    pub async fn set<T: Cached>(
        &self,
        key: impl AsRef<[u8]>,
        value: T,
        policy: &Policy,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> bool {
        let (inner, key) = (&self.0, key.as_ref());
        let policy = inner.within_bound(policy);
        let lifetime = policy.lifetime(true, rand::random());
        // Before anything else: loads that began earlier are not to replace it.
        inner.generations.renew_key(key);
        let seen = inner.see(key, tags);
        let bytes = encode_value(&value).filter(|bytes| bytes.len() <= inner.max_value_bytes);
        let Some(bytes) = bytes.filter(|_| !lifetime.ttl.is_zero()) else {
            inner.counters.too_large.one();
            // What was there is not the value any more.
            self.delete(key).await;
            return false;
        };
        let size = bytes.len();
        let mut stored = true;
        if let Some(line) = &inner.line {
            let names = names(&seen);
            stored = match line.ground(&names).await {
                Ok(Some(ground)) => {
                    let envelope = Envelope {
                        nonce: random(),
                        schema: schema_of::<T>(inner.version),
                        stamps: ground.stamps.clone(),
                        long_key: long_key(key).to_vec(),
                        load_time: Duration::ZERO,
                        lifetime,
                        body: Body::Value(bytes),
                    };
                    let bytes = envelope.encode(policy.compress_from);
                    let life = lifetime.whole();
                    let filled = line.fill(key, &names, &ground, &bytes, life, true).await;
                    filled == Ok(true) && line.tell_set(key).await.is_ok()
                }
                Ok(None) | Err(_) => false,
            };
        }
        if stored || !inner.mode.needs_lease() {
            let age = Duration::ZERO;
            let entry = Entry::new(Some(Arc::new(value)), seen, lifetime, age, age, size);
            inner.memory.insert(key, entry);
        } else {
            inner.memory.remove(key);
        }
        event::change(&inner.name, "set", 1, stored);
        stored
    }

    /// Deletes a key for everybody; says whether everybody has heard. A load that began before is
    /// not stored.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> bool {
        let (inner, key) = (&self.0, key.as_ref());
        inner.counters.invalidations.one();
        inner.generations.renew_key(key);
        inner.memory.remove(key);
        let told = match &inner.line {
            None => true,
            Some(line) => line.delete(&[key.to_vec()]).await.is_ok(),
        };
        inner.generations.renew_key(key);
        inner.memory.remove(key);
        event::change(&inner.name, "delete", 1, told);
        told
    }
}
