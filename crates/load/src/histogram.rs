//! Latencies, counted to three digits.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Longest latency that is told apart, in microseconds; longer ones count as this.
const LONGEST_US: u64 = 120_000_000;

/// Buckets of a plot for each factor of ten: enough to see two humps a factor of 1.3 apart.
const BUCKETS_PER_DECADE: i32 = 20;

/// Counts of latencies from 1 µs to 120 s, exact to three significant digits.
///
/// Histograms of the same step from different threads or runs are merged with
/// [`Histogram::merge`]. Serialised, it is the list of its `[microseconds, count]` pairs.
#[derive(Clone, PartialEq)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

impl Histogram {
    /// An empty histogram. It takes about 150 KB once something is recorded.
    #[must_use]
    #[allow(clippy::expect_used)] // The bounds are constants that the library accepts.
    pub fn new() -> Self {
        Self(
            hdrhistogram::Histogram::new_with_bounds(1, LONGEST_US, 3)
                .expect("constant bounds are valid"),
        )
    }

    /// Counts one latency; below 1 µs counts as 1 µs, above 120 s as 120 s.
    pub fn record(&mut self, latency: Duration) {
        self.record_n(latency, 1);
    }

    /// Counts the same latency `n` times.
    pub fn record_n(&mut self, latency: Duration, n: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.0.saturating_record_n(micros.clamp(1, LONGEST_US), n);
    }

    /// Adds all counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same constant bounds, so there is nothing that could not be added.
        let _ = self.0.add(&other.0);
    }

    /// Number of latencies counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// True when nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest latency that at least a share `q` (0 to 1) of all does not exceed, to three
    /// digits and never too small; zero when nothing was counted.
    #[must_use]
    pub fn percentile(&self, q: f64) -> Duration {
        let rank = (q.clamp(0.0, 1.0) * self.len() as f64 - 1e-9)
            .ceil()
            .max(1.0) as u64;
        self.at_rank(rank)
            .map_or(Duration::ZERO, |value| value.high)
    }

    /// The longest latency, to three digits; zero when nothing was counted.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(if self.is_empty() { 0 } else { self.0.max() })
    }

    /// The mean; zero when nothing was counted.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e6)
    }

    /// Counts in buckets of equal width on a logarithmic axis, 20 for each factor of ten, from
    /// the first to the last that is not empty.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        let index = |micros: u64| {
            ((micros as f64).log10() * f64::from(BUCKETS_PER_DECADE) + 1e-9).floor() as i32
        };
        let edge = |index: i32| {
            Duration::from_secs_f64(
                10f64.powf(f64::from(index) / f64::from(BUCKETS_PER_DECADE)) / 1e6,
            )
        };
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut first = None;
        for (micros, count) in self.counts() {
            let first = *first.get_or_insert(index(micros));
            let position = usize::try_from(index(micros) - first).unwrap_or(0);
            while buckets.len() <= position {
                let at = first + i32::try_from(buckets.len()).unwrap_or(i32::MAX - first);
                buckets.push(Bucket {
                    low: edge(at),
                    high: edge(at + 1),
                    count: 0,
                });
            }
            buckets[position].count += count;
        }
        buckets
    }

    /// Pairs of microseconds (middle of the counted range) and count, ascending, none empty.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|step| {
            (
                self.0.median_equivalent(step.value_iterated_to()),
                step.count_at_value(),
            )
        })
    }

    /// The range of latencies that the sample of this rank (from 1) lies in.
    pub(crate) fn at_rank(&self, rank: u64) -> Option<Counted> {
        let mut seen = 0;
        self.0.iter_recorded().find_map(|step| {
            seen += step.count_at_value();
            let value = step.value_iterated_to();
            (seen >= rank).then(|| Counted {
                low: Duration::from_micros(self.0.lowest_equivalent(value)),
                high: Duration::from_micros(self.0.highest_equivalent(value)),
            })
        })
    }
}

/// Latencies that the histogram does not tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) low: Duration,
    pub(crate) high: Duration,
}

/// One bar of a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Lower edge, included.
    pub low: Duration,
    /// Upper edge, not included.
    pub high: Duration,
    /// Latencies counted.
    pub count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram")
            .field("len", &self.len())
            .field("p50", &self.percentile(0.5))
            .field("p95", &self.percentile(0.95))
            .field("p99", &self.percentile(0.99))
            .field("max", &self.max())
            .finish()
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.counts())
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut histogram = Self::new();
        for (micros, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            if micros == 0 || micros > LONGEST_US + LONGEST_US / 1000 {
                return Err(D::Error::custom(format!(
                    "latency of {micros} µs is outside 1 to {LONGEST_US}"
                )));
            }
            histogram.record_n(Duration::from_micros(micros), count);
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_histogram_has_no_latency() {
        let empty = Histogram::new();
        assert!(empty.is_empty() && empty.buckets().is_empty());
        assert_eq!(
            (empty.percentile(0.95), empty.max(), empty.mean()),
            Default::default()
        );
    }

    #[test]
    fn latencies_beyond_the_bounds_count_as_the_bound() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::from_secs(4000));
        assert_eq!(histogram.percentile(0.5), Duration::from_micros(1));
        let max = histogram.max().as_secs_f64();
        assert!((119.9..=120.2).contains(&max), "{max}");
    }

    proptest! {
        #[test]
        fn percentiles_agree_with_the_sorted_list(
            mut micros in prop::collection::vec(1u64..=LONGEST_US, 1..400),
            q in 0.0f64..=1.0,
        ) {
            let mut histogram = Histogram::new();
            for &value in &micros {
                histogram.record(Duration::from_micros(value));
            }
            micros.sort_unstable();
            let rank = ((q * micros.len() as f64 - 1e-9).ceil() as usize).max(1);
            let exact = micros[rank - 1];
            let reported = u64::try_from(histogram.percentile(q).as_micros()).unwrap();
            prop_assert!(reported >= exact, "{reported} < {exact}");
            prop_assert!(reported - exact <= exact / 1000 + 1, "{reported} far above {exact}");
            prop_assert_eq!(histogram.len(), micros.len() as u64);
        }

        #[test]
        fn merging_and_serialising_keep_every_count(
            left in prop::collection::vec(1u64..=LONGEST_US, 0..100),
            right in prop::collection::vec(1u64..=LONGEST_US, 0..100),
        ) {
            let of = |values: &[u64]| {
                let mut histogram = Histogram::new();
                values.iter().for_each(|&v| histogram.record(Duration::from_micros(v)));
                histogram
            };
            let mut merged = of(&left);
            merged.merge(&of(&right));
            let all: Vec<u64> = left.iter().chain(&right).copied().collect();
            prop_assert!(merged.counts().eq(of(&all).counts()));
            let text = serde_json::to_string(&merged).unwrap();
            let read: Histogram = serde_json::from_str(&text).unwrap();
            prop_assert!(read.counts().eq(merged.counts()));
            prop_assert_eq!(
                merged.buckets().iter().map(|bucket| bucket.count).sum::<u64>(),
                all.len() as u64
            );
        }
    }
}
