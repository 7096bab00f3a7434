//! MurmurHash3, x86, 32 bits. Source: Austin Appleby's description of it, in the public domain.

/// The hash of `bytes`.
#[must_use]
pub fn hash(bytes: &[u8], seed: u32) -> u32 {
    let scramble = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = words.iter().fold(seed, |hash, word| {
        (hash ^ scramble(u32::from_le_bytes(*word))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let last = rest.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    hash ^= scramble(last);
    // Lengths count modulo 2^32, as there.
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn the_hash_is_murmurs() {
        for (text, seed, expected) in [
            ("", 0, 0),
            ("", 1, 0x514e_28b7),
            ("a", 0, 0x3c25_69b2),
            ("test", 0, 0xba6b_d213),
            ("test", 0x9747_b28c, 0x704b_81dc),
            ("Hello, world!", 0, 0xc036_3e43),
            ("Hello, world!", 0x9747_b28c, 0x2488_4cba),
        ] {
            assert_eq!(hash(text.as_bytes(), seed), expected, "{text} {seed}");
        }
    }
}
