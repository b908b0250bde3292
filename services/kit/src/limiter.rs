//! At most so many attempts by one key in a sliding window of time.
//!
//! What counts as an attempt is the caller's choice; sign-in counts failed ones
//! ([`crate::login`]).

use std::{
    collections::VecDeque,
    hash::Hash,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use tokio::time::Instant;

/// How many attempts in how much time, for how many keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Attempts in any span of `window`.
    pub attempts: NonZeroU32,
    /// How long an attempt counts.
    pub window: Duration,
    /// Keys that are remembered; beyond it the one whose last attempt is longest ago is
    /// forgotten. 0 counts as 1.
    pub keys: usize,
}

/// The key has used up its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; the next one is free in {} s", retry_after.as_secs_f64().ceil())]
pub struct Exceeded {
    /// Until the oldest attempt stops counting.
    pub retry_after: Duration,
}

/// Counts attempts by key. Measures time with tokio's clock.
///
/// Its memory is bounded by `keys` times `attempts` instants, whatever keys are made up.
#[derive(Debug)]
pub struct Limiter<K: Hash + Eq>(Mutex<Core<K>>);

impl<K: Hash + Eq> Limiter<K> {
    /// A limiter that has seen nothing.
    pub fn new(limit: Limit) -> Self {
        Self(Mutex::new(Core {
            limit,
            attempts: LruCache::unbounded(),
        }))
    }

    /// Whether the key has attempts left.
    ///
    /// # Errors
    /// It has none, and until when.
    pub fn check(&self, key: &K) -> Result<(), Exceeded> {
        self.lock().check(key, Instant::now())
    }

    /// Counts an attempt, if one is left. Of many attempts at the same time no more than
    /// the limit get `Ok`.
    ///
    /// # Errors
    /// None is left, and until when; the attempt is not counted.
    pub fn count(&self, key: K) -> Result<(), Exceeded> {
        self.lock().count(key, Instant::now())
    }

    /// Forgets the attempts of a key.
    pub fn reset(&self, key: &K) {
        self.lock().attempts.pop(key);
    }

    /// Keys remembered now.
    pub fn keys(&self) -> usize {
        self.lock().attempts.len()
    }

    /// No step panics half way, so a poisoned lock holds a whole state.
    fn lock(&self) -> MutexGuard<'_, Core<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counts, told what time it is.
#[derive(Debug)]
struct Core<K: Hash + Eq> {
    limit: Limit,
    /// When each key made its attempts, oldest first; keys in the order of their last one.
    attempts: LruCache<K, VecDeque<Instant>>,
}

impl<K: Hash + Eq> Core<K> {
    fn most(&self) -> usize {
        usize::try_from(self.limit.attempts.get()).unwrap_or(usize::MAX)
    }

    fn check(&self, key: &K, now: Instant) -> Result<(), Exceeded> {
        let Some(times) = self.attempts.peek(key) else {
            return Ok(());
        };
        let counting = times.iter().filter(|at| self.counts(**at, now)).count();
        match times.front() {
            // At most `most` instants are kept, so all of them count here.
            Some(oldest) if counting >= self.most() => Err(Exceeded {
                retry_after: (*oldest + self.limit.window).saturating_duration_since(now),
            }),
            _ => Ok(()),
        }
    }

    fn count(&mut self, key: K, now: Instant) -> Result<(), Exceeded> {
        self.check(&key, now)?;
        self.forget(now);
        let window = self.limit.window;
        let times = self
            .attempts
            .get_or_insert_mut(key, || VecDeque::with_capacity(1));
        times.retain(|at| now.saturating_duration_since(*at) < window);
        times.push_back(now);
        while self.attempts.len() > self.limit.keys.max(1) {
            self.attempts.pop_lru();
        }
        Ok(())
    }

    /// Lets go of keys whose last attempt no longer counts: they are the least recent.
    fn forget(&mut self, now: Instant) {
        while let Some((_, times)) = self.attempts.peek_lru()
            && times.back().is_none_or(|last| !self.counts(*last, now))
        {
            self.attempts.pop_lru();
        }
    }

    fn counts(&self, at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(at) < self.limit.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limit(attempts: u32, keys: usize) -> Limit {
        Limit {
            attempts: NonZeroU32::new(attempts).unwrap(),
            window: 15 * MINUTE,
            keys,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_slides_with_the_oldest_attempt() {
        let limiter = Limiter::new(limit(2, 10));
        limiter.count("a").unwrap();
        tokio::time::advance(5 * MINUTE).await;
        limiter.count("a").unwrap();
        let exceeded = limiter.check(&"a").unwrap_err();
        assert_eq!(exceeded.retry_after, 10 * MINUTE);
        assert_eq!(limiter.count("a"), Err(exceeded));
        limiter.check(&"b").unwrap();
        tokio::time::advance(10 * MINUTE).await;
        limiter.count("a").unwrap();
        assert_eq!(limiter.check(&"a").unwrap_err().retry_after, 5 * MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_gives_all_attempts_back() {
        let limiter = Limiter::new(limit(1, 10));
        limiter.count("a").unwrap();
        limiter.reset(&"a");
        limiter.count("a").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_keys_push_out_the_longest_quiet_one_and_never_take_more_room() {
        let limiter = Limiter::new(limit(1, 100));
        limiter.count(0).unwrap();
        for key in 1..100_000 {
            limiter.count(key).unwrap();
        }
        assert_eq!(limiter.keys(), 100);
        limiter.check(&0).unwrap();
        limiter.check(&99_900).unwrap_err();
        tokio::time::advance(15 * MINUTE).await;
        limiter.count(0).unwrap();
        assert_eq!(limiter.keys(), 1, "what no longer counts is let go");
    }

    #[test]
    fn of_many_attempts_at_once_no_more_than_the_limit_count() {
        let limiter = Limiter::new(limit(10, 10));
        let counted: usize = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..50).filter(|_| limiter.count("a").is_ok()).count()))
                .collect();
            tries.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(counted, 10);
    }

    proptest! {
        #[test]
        fn it_does_as_a_full_list_of_attempts_would(
            steps in prop::collection::vec((0..4_u8, 0..10_u8, 0..400_u64), 0..300), most in 1..5_u32,
        ) {
            let begin = Instant::now();
            let mut core = Core { limit: limit(most, 10), attempts: LruCache::unbounded() };
            let mut all: Vec<(u8, u64)> = Vec::new();
            let mut now_s = 0;
            for (key, action, wait_s) in steps {
                now_s += wait_s;
                let now = begin + Duration::from_secs(now_s);
                let counting: Vec<u64> = all.iter()
                    .filter(|(of, at)| *of == key && now_s - at < 900)
                    .map(|(_, at)| *at)
                    .collect();
                let expected = if counting.len() < most as usize { Ok(()) } else {
                    Err(Exceeded { retry_after: Duration::from_secs(counting[0] + 900 - now_s) })
                };
                prop_assert_eq!(core.check(&key, now), expected);
                if action == 0 {
                    core.attempts.pop(&key);
                    all.retain(|(of, _)| *of != key);
                } else {
                    prop_assert_eq!(core.count(key, now), expected);
                    if expected.is_ok() {
                        all.push((key, now_s));
                    }
                }
                for (_, times) in core.attempts.iter() {
                    prop_assert!(times.len() <= most as usize);
                }
            }
        }
    }
}
