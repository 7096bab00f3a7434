//! "Did you mean": the nearest of the names that exist.

/// The candidate with the fewest edits to what was written, case aside; none where even that one is far.
#[must_use]
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    // Of four letters one may be wrong: another word of four letters is seldom further than two.
    let allowed = 1 + written.chars().count() / 5;
    candidates
        .into_iter()
        .map(|candidate| (distance(&written, &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment), bounded to 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().take(64).collect(), right.chars().take(64).collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let same = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_hand_is_understood_and_a_stranger_is_not() {
        let fields = ["replicas", "resources", "serving", "model", "models"];
        for (written, meant) in [
            ("replica", Some("replicas")),
            ("Serving", Some("serving")),
            ("resuorces", Some("resources")),
            ("modle", Some("model")),
            ("autoscaling", None),
            ("foo", None),
            ("modes", Some("model")),
            ("mode", Some("model")),
        ] {
            assert_eq!(nearest(written, fields), meant, "{written}");
            assert_eq!(nearest("foo", ["pod", "model"]), None);
        }
    }
}
