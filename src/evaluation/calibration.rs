//! Whether a probability means what it says: of the rows given 0.8, do eight in ten belong to the class?

/// Rows whose probability falls into one of ten equal bins; empty bins are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Mean of the rows' probabilities.
    pub predicted: f64,
    /// Share of the rows that were positive.
    pub observed: f64,
    /// Rows in the bin.
    pub count: usize,
}

/// Ten bins of equal width over 0..1, as scikit-learn's `calibration_curve(n_bins=10, strategy='uniform')`: a probability on an
/// edge belongs to the bin below it.
#[must_use]
pub fn calibration(positive: &[bool], probabilities: &[f64]) -> Vec<Bin> {
    // The edges as NumPy's linspace computes them, so that a probability on one falls on the same side.
    let edges: Vec<f64> = (1..10).map(|edge| f64::from(edge) * 0.1).collect();
    let mut sums = [(0.0, 0.0, 0_usize); 10];
    for (yes, p) in positive.iter().zip(probabilities) {
        let (total, hits, count) = &mut sums[edges.partition_point(|edge| edge < p)];
        *total += p;
        *hits += f64::from(u8::from(*yes));
        *count += 1;
    }
    let bin =
        |(total, hits, count): (f64, f64, usize)| Bin { predicted: total / count as f64, observed: hits / count as f64, count };
    sums.into_iter().filter(|bin| bin.2 > 0).map(bin).collect()
}

/// Expected calibration error (Naeini et al. 2015): the mean gap between predicted and observed, weighted by the bins' rows.
#[must_use]
pub fn expected_calibration_error(bins: &[Bin]) -> f64 {
    let rows: usize = bins.iter().map(|bin| bin.count).sum();
    bins.iter().map(|bin| (bin.predicted - bin.observed).abs() * bin.count as f64).sum::<f64>() / rows.max(1) as f64
}
