//! Random numbers, and the choices, times and ids that are drawn from them.

use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{
    Rng as _, RngExt as _, SeedableRng as _,
    seq::{SliceRandom as _, index},
};
use rand_chacha::ChaCha8Rng;

use crate::uuid::Uuid;

/// The one stream of random numbers, and the present that all times count back from.
///
/// ```
/// use service_kit::seed::{Dice, last_full_hour};
///
/// let now = last_full_hour();
/// let (mut one, mut other) = (Dice::new(7, now), Dice::new(7, now));
/// assert_eq!(one.number(1..=6), other.number(1..=6));
/// ```
#[derive(Debug)]
pub struct Dice {
    random: ChaCha8Rng,
    now: DateTime<Utc>,
}

impl Dice {
    /// The stream that begins at `seed`.
    pub fn new(seed: u64, now: DateTime<Utc>) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            now,
        }
    }

    /// The present.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// One of a list that is not empty.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A place in a list of so many; there is one at least.
    pub fn below(&mut self, length: usize) -> usize {
        self.random.random_range(0..length)
    }

    /// The place in the list of one of its weights, in proportion to them. They are positive.
    pub fn weighted(&mut self, weights: &[i64]) -> usize {
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
    pub fn number(&mut self, range: RangeInclusive<i64>) -> i64 {
        self.random.random_range(range)
    }

    /// A number with a fraction.
    pub fn real(&mut self, from: f64, to: f64) -> f64 {
        self.random.random_range(from..to)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: i64) -> bool {
        self.random.random_range(0..100) < share
    }

    /// Something in so many of a hundred cases.
    pub fn maybe<T>(&mut self, share: i64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.percent(share).then(|| make(self))
    }

    /// So many different numbers of `1..=bound`, or all of them where there are fewer.
    pub fn distinct(&mut self, amount: usize, bound: usize) -> Vec<i64> {
        let places = index::sample(&mut self.random, bound, amount.min(bound));
        // A place is below `bound`, the number of rows of a table.
        places.into_iter().map(|place| place as i64 + 1).collect()
    }

    /// Brings a list into another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        list.shuffle(&mut self.random);
    }

    /// So many random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    /// An id as a row of that moment gets it: version 7, so that later ones sort after it.
    pub fn uuid(&mut self, at: DateTime<Utc>) -> Uuid {
        let mut bytes = self.bytes::<16>();
        let milliseconds = at.timestamp_millis().to_be_bytes();
        bytes[..6].copy_from_slice(&milliseconds[2..]);
        // Version and variant (RFC 9562, section 5.7).
        bytes[6] = bytes[6] & 0x0f | 0x70;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Uuid::from_bytes(bytes)
    }

    /// A moment from the one to the other, whole seconds after the first.
    pub fn between(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> DateTime<Utc> {
        from + TimeDelta::seconds(self.number(0..=(to - from).num_seconds().max(0)))
    }

    /// The moment of one of `count` rows that are spread over the time from `oldest` to
    /// `newest` ago: a later row has a later one.
    pub fn spread(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_as_their_moments_do() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut dice = Dice::new(7, now);
        let mut last = dice.uuid(now);
        for later in 1..200 {
            let next = dice.uuid(now + TimeDelta::milliseconds(later));
            assert!(last < next);
            let text = next.to_string();
            assert_eq!(&text[14..15], "7", "{text}");
            assert!("89ab".contains(&text[19..20]), "{text}");
            last = next;
        }
    }
}
