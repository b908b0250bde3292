//! How a cost grows with the size of the data or of the page: the exponent of a power law.

/// Fits `cost = c · size^k` by least squares on the logarithms and returns `k`: 0 does not grow,
/// 1 grows as the size does, 2 with its square.
///
/// Costs below `floor` are raised to it first: a cost too small to matter, or too small to be
/// measured, does not grow. `None` when fewer than two different sizes were measured.
pub(crate) fn exponent(points: impl IntoIterator<Item = (u64, f64)>, floor: f64) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .into_iter()
        .filter(|(size, cost)| *size > 0 && cost.is_finite())
        .map(|(size, cost)| ((size as f64).ln(), cost.max(floor).ln()))
        .collect();
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if logs.len() < 2 || spread < 1e-9 {
        return None;
    }
    let slope = logs
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum::<f64>()
        / spread;
    // Without this a tiny negative slope prints as "-0.00".
    Some(if slope.abs() < 5e-3 { 0.0 } else { slope })
}

/// The median; for an even number of values the lower of the two in the middle, so that a count
/// stays a count that was seen.
pub(crate) fn median<T: PartialOrd + Copy>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_constant_cost_does_not_grow() {
        assert_eq!(
            exponent([(10, 3.0), (100, 3.0), (1000, 3.0)], 1.0),
            Some(0.0)
        );
    }

    #[test]
    fn noise_below_the_floor_does_not_grow() {
        assert_eq!(exponent([(10, 0.01), (1000, 0.19)], 0.2), Some(0.0));
    }

    #[test]
    fn one_size_tells_nothing() {
        assert_eq!(exponent([(10, 3.0)], 1.0), None);
        assert_eq!(exponent([(10, 3.0), (10, 9.0)], 1.0), None);
        assert_eq!(exponent([], 1.0), None);
    }

    #[test]
    fn the_median_is_a_value_that_was_seen() {
        assert_eq!(median(&[5, 1, 9]), Some(5));
        assert_eq!(median(&[4, 1, 9, 2]), Some(2));
        assert_eq!(median::<u64>(&[]), None);
    }

    proptest! {
        #[test]
        fn a_power_law_gives_its_own_exponent(power in -2.0..3.0f64, factor in 1e3..1e6f64) {
            let points = [10u64, 100, 1000, 10_000]
                .map(|size| (size, factor * 1e8 * (size as f64).powf(power)));
            let fitted = exponent(points, 1e-9).unwrap();
            prop_assert!((fitted - power).abs() < 6e-3, "{fitted} for {power}");
        }
    }
}
