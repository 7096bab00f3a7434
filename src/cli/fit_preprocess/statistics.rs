//! Statistics as numpy and scikit-learn define them.

/// The arithmetic mean.
pub(super) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The standard deviation of a population. What rounding leaves of the sum of differences is taken off.
pub(super) fn deviation(numbers: &[f64]) -> f64 {
    let (count, mean) = (numbers.len() as f64, mean(numbers));
    let rest: f64 = numbers.iter().map(|number| number - mean).sum();
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    ((squares - rest * rest / count) / count).max(0.0).sqrt()
}

/// A quantile, on the line between its neighbours.
pub(super) fn quantile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (sorted.len().saturating_sub(1)) as f64;
    let (below, part) = (place.floor(), place.fract());
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
    if part == 0.0 { at(below) } else { at(below) + (at(below + 1.0) - at(below)) * part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let numbers = [7.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&numbers, share)), [1.0, 1.75, 2.5, 4.0, 7.0]);
        assert_eq!(quantile(&[5.0], 0.5), 5.0);
    }

    #[test]
    fn the_deviation_is_the_populations() {
        assert_eq!(deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), 2.0);
        assert_eq!(deviation(&[3.0]), 0.0);
    }
}
