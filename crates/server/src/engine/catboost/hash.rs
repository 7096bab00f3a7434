//! Categories, of which a file holds hashes alone: those that are whole numbers are found again by trying.
//!
//! CatBoost hashes a category's text, decimal for a whole number, by CityHash64 (version 1.0, of Google's) and keeps the lower 32 bits.

use std::collections::HashMap;

/// Whole numbers up to this, of either sign, are tried. FP32 holds them all.
pub(super) const GREATEST: i32 = 1_000_000;

/// For each of the hashes the whole numbers that have it; some have none.
pub(super) fn numbers(hashes: impl Iterator<Item = i64>) -> HashMap<i64, Vec<f64>> {
    let mut found: HashMap<i64, Vec<f64>> = hashes.map(|hash| (hash, Vec::new())).collect();
    if found.is_empty() {
        return found;
    }
    let mut text = String::new();
    for number in -GREATEST..=GREATEST {
        text.clear();
        // Writing to a string cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{number}"));
        let hash = i64::from(city(text.as_bytes()) as i32);
        if let Some(numbers) = found.get_mut(&hash) {
            numbers.push(number.into());
        }
    }
    found
}

const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;
const MIX: u64 = 0x9ddf_ea08_eb38_2d69;

/// CityHash64 of 1 to 16 bytes.
fn city(text: &[u8]) -> u64 {
    let length = text.len() as u64;
    if let (true, Some(first), Some(last)) = (length > 8, text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return mix(first, last.wrapping_add(length).rotate_right(text.len() as u32)) ^ last;
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
        return mix(length + (first << 3), last);
    }
    let byte = |at: usize| text.get(at).copied().map_or(0, u64::from);
    let (first, middle, last) = (byte(0), byte(text.len() / 2), byte(text.len().saturating_sub(1)));
    let folded = (first + (middle << 8)).wrapping_mul(K2) ^ (length + (last << 2)).wrapping_mul(K3);
    (folded ^ (folded >> 47)).wrapping_mul(K2)
}

fn mix(low: u64, high: u64) -> u64 {
    let first = (low ^ high).wrapping_mul(MIX);
    let second = (high ^ first ^ (first >> 47)).wrapping_mul(MIX);
    (second ^ (second >> 47)).wrapping_mul(MIX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_hashes() {
        // Of each length that is hashed in its own way; as CatBoost 1.2.10 wrote them.
        let known = [
            (-5, -1_722_009_910),
            (2, -1_284_790_409),
            (42, 1_145_636_304),
            (999, 1_357_199_910),
            (12_345, 151_767_304),
            (999_999, 1_558_429_802),
            (-123_456, 140_045_683),
        ];
        let found = numbers(known.iter().map(|(_, hash)| *hash).chain([1]));
        for (number, hash) in known {
            assert_eq!(found[&hash], [f64::from(number)], "{number}");
        }
        assert!(found[&1].is_empty());
        assert_eq!(city(b"123456789") as i32, 1_389_760_245);
    }
}
