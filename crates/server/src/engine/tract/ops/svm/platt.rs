//! Probabilities from decision values: a sigmoid for each pair of classes, whose answers are then coupled into one distribution.

/// The probability of the first of two classes for decision value `f`: `1 / (1 + e^(A f + B))` (Platt 1999), kept off 0 and 1
/// as libsvm does, or the coupling would divide by nothing.
pub(super) fn sigmoid(f: f64, a: f64, b: f64) -> f64 {
    const LEAST: f64 = 1e-7;
    let x = a * f + b;
    let p = if x >= 0.0 { (-x).exp() / (1.0 + (-x).exp()) } else { 1.0 / (1.0 + x.exp()) };
    p.clamp(LEAST, 1.0 - LEAST)
}

/// One distribution over `k` classes from the probabilities of all pairs: `pairs[i * k + j]` is that of i against j. The second
/// method of Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling" (2004), algorithm 2,
/// which ends at libsvm's tolerance and count of rounds.
pub(super) fn couple(pairs: &[f64], k: usize) -> Vec<f64> {
    const ROUNDS: usize = 100;
    let tolerance = 0.005 / k as f64;
    let at = |i: usize, j: usize| i * k + j;
    let mut q = vec![0.0; k * k];
    for i in 0..k {
        for j in (0..k).filter(|j| *j != i) {
            q[at(i, i)] += pairs[at(j, i)] * pairs[at(j, i)];
            q[at(i, j)] = -pairs[at(j, i)] * pairs[at(i, j)];
        }
    }
    let mut p = vec![1.0 / k as f64; k];
    let mut qp = vec![0.0; k];
    for _ in 0..ROUNDS {
        let mut pqp = 0.0;
        for i in 0..k {
            qp[i] = (0..k).map(|j| q[at(i, j)] * p[j]).sum();
            pqp += p[i] * qp[i];
        }
        let worst = qp.iter().map(|one| (one - pqp).abs()).fold(0.0, f64::max);
        if worst < tolerance {
            break;
        }
        for i in 0..k {
            let step = (pqp - qp[i]) / q[at(i, i)];
            p[i] += step;
            pqp = (pqp + step * (step * q[at(i, i)] + 2.0 * qp[i])) / ((1.0 + step) * (1.0 + step));
            for j in 0..k {
                qp[j] = (qp[j] + step * q[at(i, j)]) / (1.0 + step);
                p[j] /= 1.0 + step;
            }
        }
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_keep_their_pair() {
        let p = couple(&[0.0, 0.8, 0.2, 0.0], 2);
        assert!((p[0] - 0.8).abs() < 1e-2 && (p[0] + p[1] - 1.0).abs() < 1e-12, "{p:?}");
    }

    #[test]
    fn consistent_pairs_give_their_distribution() {
        // p = (0.5, 0.3, 0.2), each pair p_i / (p_i + p_j).
        let p = [0.5, 0.3, 0.2];
        let pairs: Vec<f64> = (0..9).map(|at| if at / 3 == at % 3 { 0.0 } else { p[at / 3] / (p[at / 3] + p[at % 3]) }).collect();
        for (found, expected) in couple(&pairs, 3).iter().zip(p) {
            assert!((found - expected).abs() < 0.005, "{found} {expected}");
        }
    }

    #[test]
    fn sigmoids_stay_off_the_ends() {
        assert_eq!(sigmoid(1e9, 1.0, 0.0), 1e-7);
        assert_eq!(sigmoid(-1e9, 1.0, 0.0), 1.0 - 1e-7);
        assert_eq!(sigmoid(0.0, -1.0, 0.0), 0.5);
    }
}
