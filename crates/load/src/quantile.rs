//! How sure a percentile is, and whether that is enough to judge it.
//!
//! The interval comes from order statistics: of `n` samples, the number below the true quantile
//! is binomial, so that two ranks enclose it with 95 % whatever the distribution of latencies.
//! Below 72 samples no sample is surely above the true p95: there is no upper bound.

use std::time::Duration;

use crate::{histogram::Histogram, outcome::ClientHealth};

/// Chance, on each side, that the true quantile lies outside the interval.
const TAIL: f64 = 0.025;

/// Above this share of its own CPU the client may measure itself.
const BUSY_CLIENT: f64 = 0.8;

/// A client whose timers are late by more than this share of the limit cannot judge it.
const LATE_SHARE: f64 = 0.05;

/// A quantile with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The quantile of the samples.
    pub value: Duration,
    /// The true quantile is not below this; zero when the samples are too few to say.
    pub low: Duration,
    /// The true quantile is not above this; `None` when the samples are too few to say.
    pub high: Option<Duration>,
    /// Number of samples.
    pub samples: u64,
}

/// Estimates the quantile `q` (between 0 and 1); `None` when there are no samples.
#[must_use]
pub fn quantile(histogram: &Histogram, q: f64) -> Option<Estimate> {
    let samples = histogram.len();
    if samples == 0 {
        return None;
    }
    let (low, high) = ranks(samples, q.clamp(0.0, 1.0));
    let low = low.and_then(|rank| histogram.at_rank(rank));
    let high = high.and_then(|rank| histogram.at_rank(rank));
    Some(Estimate {
        value: histogram.percentile(q),
        low: low.map_or(Duration::ZERO, |counted| counted.low),
        high: high.map(|counted| counted.high),
        samples,
    })
}

/// Ranks (from 1) of the samples that enclose the quantile `q` with 95 %.
///
/// With B the number of samples below the true quantile, B ~ Bin(n, q): the lower rank is the
/// largest `l` with P(B < l) <= 2.5 %, the upper the smallest `u` with P(B >= u) <= 2.5 %.
pub(crate) fn ranks(n: u64, q: f64) -> (Option<u64>, Option<u64>) {
    if q <= 0.0 || q >= 1.0 {
        return (None, None);
    }
    let (first, masses) = binomial(n, q);
    let mut below = 0.0;
    let mut low = None;
    for (count, mass) in (first..).zip(&masses) {
        below += mass;
        if below > TAIL {
            // P(B < count) was still within the tail.
            low = (count >= 1).then_some(count);
            break;
        }
    }
    let mut above = 0.0;
    let mut high = None;
    let last = first + masses.len() as u64 - 1;
    for (back, mass) in masses.iter().rev().enumerate() {
        above += mass;
        if above > TAIL {
            // P(B >= count) is too much, P(B >= count + 1) was within the tail.
            let rank = last - back as u64 + 1;
            high = (rank <= n).then_some(rank);
            break;
        }
    }
    (low, high)
}

/// The probabilities of Bin(n, q) around its mean, and the count that the first belongs to.
/// What is left out on either side is below 1e-12 altogether.
fn binomial(n: u64, q: f64) -> (u64, Vec<f64>) {
    let mean = n as f64 * q;
    let reach = 9.0 * (mean * (1.0 - q)).sqrt() + 40.0;
    let first = (mean - reach).floor().max(0.0) as u64;
    let last = ((mean + reach).ceil() as u64).min(n);
    // Relative to the most likely count, so that nothing overflows; then made to sum to 1.
    let mode = (((n + 1) as f64 * q) as u64).clamp(first, last);
    let odds = q / (1.0 - q);
    let mut masses = vec![0.0; (last - first + 1) as usize];
    let middle = (mode - first) as usize;
    masses[middle] = 1.0;
    for count in mode + 1..=last {
        let at = (count - first) as usize;
        masses[at] = masses[at - 1] * odds * (n - count + 1) as f64 / count as f64;
    }
    for count in (first..mode).rev() {
        let at = (count - first) as usize;
        masses[at] = masses[at + 1] * (count + 1) as f64 / ((n - count) as f64 * odds);
    }
    let total: f64 = masses.iter().sum();
    masses.iter_mut().for_each(|mass| *mass /= total);
    (first, masses)
}

/// Whether a percentile keeps its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The whole interval is at or below the limit.
    Within,
    /// The whole interval is above the limit.
    Over,
    /// Neither, or the client was not fit to measure; the sentence says which.
    Unsure(String),
}

/// Judges an estimate against a limit, unless the client itself was too slow to tell.
///
/// Without an estimate the answer is [`Judgement::Unsure`]; a budget that nobody exercised is for
/// the caller to fail.
#[must_use]
pub fn judge(estimate: Option<&Estimate>, limit: Duration, health: &ClientHealth) -> Judgement {
    let Some(estimate) = estimate else {
        return Judgement::Unsure("no request was measured".to_owned());
    };
    // Lateness can only have added to what was measured: what is over without it is over.
    let surely_over = estimate.low.saturating_sub(health.lateness_p99) > limit;
    if surely_over && health.cpu_share <= BUSY_CLIENT {
        return Judgement::Over;
    }
    if let Some(reason) = unfit(limit, health) {
        return Judgement::Unsure(reason);
    }
    match estimate.high {
        _ if estimate.low > limit => Judgement::Over,
        Some(high) if high <= limit => Judgement::Within,
        Some(high) => Judgement::Unsure(format!(
            "the limit of {} lies inside the 95 % interval {} to {} of {} samples; measure longer",
            milliseconds(limit),
            milliseconds(estimate.low),
            milliseconds(high),
            estimate.samples
        )),
        None => Judgement::Unsure(format!(
            "{} samples are too few for an upper bound; measure longer",
            estimate.samples
        )),
    }
}

/// Why the client's own state forbids a judgement.
fn unfit(limit: Duration, health: &ClientHealth) -> Option<String> {
    if health.cpu_share > BUSY_CLIENT {
        return Some(format!(
            "the load client used {:.0} % of its CPU and may have measured itself; give it more workers or less load",
            health.cpu_share * 100.0
        ));
    }
    if health.lateness_p99 > limit.mul_f64(LATE_SHARE) {
        return Some(format!(
            "the load client was late by {} at p99, more than 5 % of the limit of {}; the machine is too busy",
            milliseconds(health.lateness_p99),
            milliseconds(limit)
        ));
    }
    None
}

/// Three significant digits in milliseconds.
fn milliseconds(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    let digits = if ms >= 100.0 {
        0
    } else if ms >= 10.0 {
        1
    } else {
        2
    };
    format!("{ms:.digits$} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evenly(n: u64) -> Histogram {
        let mut histogram = Histogram::new();
        // 1 ms apart: three digits tell all ranks up to 1000 apart.
        (1..=n).for_each(|rank| histogram.record(Duration::from_millis(rank)));
        histogram
    }

    #[test]
    fn ranks_of_p95_are_those_of_the_binomial_distribution() {
        for (n, low, high) in [
            (59, Some(52), None),
            (71, Some(63), None),
            (72, Some(64), Some(72)),
            (73, Some(65), Some(73)),
            (100, Some(90), Some(100)),
            (239, Some(220), Some(234)),
            (1000, Some(936), Some(964)),
            (5000, Some(4720), Some(4781)),
        ] {
            let (l, h) = ranks(n, 0.95);
            // Between the published percentages and the exact ranks lies rounding to 0.1 point.
            let near = |a: Option<u64>, b: Option<u64>| match (a, b) {
                (Some(a), Some(b)) => a.abs_diff(b) <= n / 1000,
                (a, b) => a == b,
            };
            assert!(near(l, low) && near(h, high), "n = {n}: {l:?} to {h:?}");
        }
    }

    #[test]
    fn ranks_stay_sane_for_one_sample_and_for_millions() {
        assert_eq!(ranks(1, 0.95), (None, None));
        let (low, high) = ranks(10_000_000, 0.95);
        let (low, high) = (low.unwrap() as f64 / 1e7, high.unwrap() as f64 / 1e7);
        assert!(
            (0.94985..0.95).contains(&low) && (0.95..0.95015).contains(&high),
            "{low} {high}"
        );
        assert_eq!(ranks(100, 0.5), (Some(40), Some(61)));
    }

    #[test]
    fn the_interval_encloses_the_true_quantile_nineteen_times_of_twenty() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let runs = 1000;
        let hits = (0..runs)
            .filter(|_| {
                let mut histogram = Histogram::new();
                for _ in 0..300 {
                    let share: f64 = rng.random();
                    histogram.record(Duration::from_secs_f64(share));
                }
                let estimate = quantile(&histogram, 0.95).unwrap();
                let truth = Duration::from_millis(950);
                estimate.low <= truth && estimate.high.is_some_and(|high| truth <= high)
            })
            .count();
        assert!((935..=990).contains(&hits), "{hits} of {runs}");
    }

    #[test]
    fn the_whole_interval_must_lie_on_one_side() {
        let healthy = ClientHealth::default();
        let estimate = quantile(&evenly(1000), 0.95).unwrap();
        let ms = Duration::from_millis;
        assert_eq!(judge(Some(&estimate), ms(970), &healthy), Judgement::Within);
        assert_eq!(judge(Some(&estimate), ms(930), &healthy), Judgement::Over);
        assert!(matches!(
            judge(Some(&estimate), ms(950), &healthy),
            Judgement::Unsure(_)
        ));
        assert!(matches!(
            judge(None, ms(950), &healthy),
            Judgement::Unsure(_)
        ));
        let few = quantile(&evenly(59), 0.95).unwrap();
        assert_eq!(few.high, None);
        assert!(matches!(
            judge(Some(&few), ms(500), &healthy),
            Judgement::Unsure(_)
        ));
        assert_eq!(judge(Some(&few), ms(20), &healthy), Judgement::Over);
    }

    #[test]
    fn a_busy_or_late_client_judges_nothing() {
        let estimate = quantile(&evenly(1000), 0.95).unwrap();
        let limit = Duration::from_secs(2);
        let busy = ClientHealth {
            cpu_share: 0.81,
            ..ClientHealth::default()
        };
        let late = ClientHealth {
            lateness_p99: Duration::from_millis(101),
            ..ClientHealth::default()
        };
        for (health, word) in [(busy, "CPU"), (late, "late")] {
            match judge(Some(&estimate), limit, &health) {
                Judgement::Unsure(reason) => assert!(reason.contains(word), "{reason}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
