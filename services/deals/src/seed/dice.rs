//! Random numbers, and the choices, times and tokens that are drawn from them.

use std::ops::RangeInclusive;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use rand::{
    Rng as _, RngExt as _, SeedableRng as _,
    seq::{SliceRandom as _, index},
};
use rand_chacha::ChaCha8Rng;

/// The one stream of random numbers, and the present that all times count back from.
pub(super) struct Dice {
    random: ChaCha8Rng,
    now: DateTime<Utc>,
}

impl Dice {
    pub(super) fn new(seed: u64, now: DateTime<Utc>) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            now,
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// One of a list that is not empty.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())]
    }

    /// The place in the list of one of its weights, in proportion to them. They are positive.
    pub(super) fn weighted(&mut self, weights: &[i64]) -> usize {
        let mut left = self.random.random_range(0..weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            if left < *weight {
                return place;
            }
            left -= weight;
        }
        0
    }

    /// A number of a range that is not empty.
    pub(super) fn number(&mut self, range: RangeInclusive<i64>) -> i64 {
        self.random.random_range(range)
    }

    /// A number with a fraction.
    pub(super) fn real(&mut self, from: f64, to: f64) -> f64 {
        self.random.random_range(from..to)
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, share: i64) -> bool {
        self.random.random_range(0..100) < share
    }

    /// Something in so many of a hundred cases.
    pub(super) fn maybe<T>(&mut self, share: i64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.percent(share).then(|| make(self))
    }

    /// So many different numbers of `1..=bound`, or all of them where there are fewer.
    pub(super) fn distinct(&mut self, amount: usize, bound: usize) -> Vec<i64> {
        let places = index::sample(&mut self.random, bound, amount.min(bound));
        // A place is below `bound`, the number of rows of a table.
        places.into_iter().map(|place| place as i64 + 1).collect()
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        list.shuffle(&mut self.random);
    }

    /// What stands in a link: 48 random bytes as 64 letters that a URL takes as they are.
    pub(super) fn token(&mut self) -> String {
        let mut bytes = [0; 48];
        self.random.fill_bytes(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// How often a link was opened, after Zipf: half of all never, one in 4000 2000 times.
    pub(super) fn views(&mut self) -> i64 {
        2000 / self.number(1..=4000)
    }

    /// A moment from the one to the other, whole seconds after the first.
    pub(super) fn between(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> DateTime<Utc> {
        from + TimeDelta::seconds(self.number(0..=(to - from).num_seconds().max(0)))
    }

    /// The moment of one of `count` rows that are spread over the time from `oldest` to
    /// `newest` ago: a later row has a later one.
    pub(super) fn spread(
        &mut self,
        row: i64,
        count: i64,
        oldest: TimeDelta,
        newest: TimeDelta,
    ) -> DateTime<Utc> {
        let share = (oldest - newest).num_seconds() * 1_000_000 / count.max(1);
        let into = share * row + self.number(0..=share.max(1) - 1);
        self.now - oldest + TimeDelta::microseconds(into)
    }
}
