//! Non-maximum suppression: of boxes that overlap much, the best one stays.

use std::cmp::Ordering;

/// Left, top, right, bottom.
pub(super) type Corners = [f64; 4];

/// A box that may be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Its place among the boxes of its row.
    pub(super) index: usize,
    pub(super) class: usize,
    pub(super) score: f64,
    pub(super) corners: Corners,
}

/// Best first; of equal scores the first box, then the first class.
fn better(one: &Candidate, other: &Candidate) -> Ordering {
    let score = other.score.partial_cmp(&one.score).unwrap_or(Ordering::Equal);
    score.then(one.index.cmp(&other.index)).then(one.class.cmp(&other.class))
}

/// Leaves so many, the best ones, best first. None of the scores is NaN.
pub(super) fn keep_best(candidates: &mut Vec<Candidate>, most: usize) {
    if most > 0 && most < candidates.len() {
        candidates.select_nth_unstable_by(most - 1, better);
    }
    candidates.truncate(most);
    candidates.sort_unstable_by(better);
}

/// Goes through candidates that are sorted, and keeps `most` at most: each that overlaps none which was kept before it by more than
/// `overlap`, the intersection over the union. With `class_aware` those of other classes do not count.
pub(super) fn suppress(candidates: Vec<Candidate>, overlap: f64, most: usize, class_aware: bool) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::with_capacity(most.min(candidates.len()));
    for one in candidates {
        if kept.len() == most {
            break;
        }
        let beaten = |best: &Candidate| {
            (!class_aware || best.class == one.class) && intersection_over_union(best.corners, one.corners) > overlap
        };
        if !kept.iter().any(beaten) {
            kept.push(one);
        }
    }
    kept
}

/// The area of both over the area of either; 0 where one of them has none.
fn intersection_over_union(one: Corners, other: Corners) -> f64 {
    let area = |[left, top, right, bottom]: Corners| (right - left).max(0.0) * (bottom - top).max(0.0);
    let both = area([one[0].max(other[0]), one[1].max(other[1]), one[2].min(other[2]), one[3].min(other[3])]);
    let (first, second) = (area(one), area(other));
    if both > 0.0 && first > 0.0 && second > 0.0 { both / (first + second - both) } else { 0.0 }
}
