//! The steps of [`simple`](super::simple) with the vector instructions of `x86-64-v3`: all bytes of a number at once.

use std::arch::x86_64::{__m128i, __m256i};

use pulp::x86::V3;

use super::simple::{BLOCK, Fraction, KEEP, Steps, eight_places, up_to_eight};

/// A one for each of 64 bytes that is ones.
#[inline(always)]
fn mask(simd: V3, halves: [__m256i; 2]) -> u64 {
    let [low, high] = halves.map(|half| u64::from(simd.avx2._mm256_movemask_epi8(half).cast_unsigned()));
    low | high << 32
}

/// Bytes that are the same in both.
#[inline(always)]
fn same(simd: V3, left: &[u8; BLOCK], right: &[u8; BLOCK]) -> u64 {
    let ([left, left_high], [right, right_high]): ([__m256i; 2], [__m256i; 2]) = (pulp::cast(*left), pulp::cast(*right));
    mask(simd, [simd.avx2._mm256_cmpeq_epi8(left, right), simd.avx2._mm256_cmpeq_epi8(left_high, right_high)])
}

/// The number that sixteen bytes spell, each a digit's value.
#[inline(always)]
fn sixteen(simd: V3, digits: __m128i) -> u64 {
    const TENS: [[u8; 2]; 8] = [[10, 1]; 8];
    const HUNDREDS: [[i16; 2]; 4] = [[100, 1]; 4];
    const MYRIADS: [[i16; 2]; 4] = [[10_000, 1]; 4];
    let pairs = simd.ssse3._mm_maddubs_epi16(digits, pulp::cast(TENS));
    let fours = simd.sse2._mm_madd_epi16(pairs, pulp::cast(HUNDREDS));
    let fours = simd.sse4_1._mm_packus_epi32(fours, fours);
    let [eights, _]: [u64; 2] = pulp::cast(simd.sse2._mm_madd_epi16(fours, pulp::cast(MYRIADS)));
    (eights & 0xffff_ffff) * 100_000_000 + (eights >> 32)
}

impl Steps for V3 {
    #[inline(always)]
    fn commas(self, block: &[u8; BLOCK]) -> u64 {
        same(self, block, &[b','; BLOCK])
    }

    #[inline(always)]
    fn alike(self, block: &[u8; BLOCK], pattern: &[u8; BLOCK]) -> usize {
        same(self, block, pattern).trailing_ones() as usize
    }

    #[inline(always)]
    fn fraction(self, block: &[u8; BLOCK], comma: usize) -> Option<Fraction> {
        const ZERO_TO_LEAST: [u8; 32] = [b'0' + 0x80; 32];
        const NINE: [i8; 32] = [i8::MIN + 9; 32];
        if comma >= 32 {
            return None;
        }
        let shifted = self.avx2._mm256_sub_epi8(pulp::cast(*block.first_chunk::<32>()?), pulp::cast(ZERO_TO_LEAST));
        let no_digits = self.avx2._mm256_cmpgt_epi8(shifted, pulp::cast(NINE));
        // Up to the comma no byte but the sign and one more, the point, may be no digit.
        let marks = self.avx2._mm256_movemask_epi8(no_digits).cast_unsigned() & ((1 << comma) - 1);
        let negative = block[0] == b'-';
        let sign = usize::from(negative);
        let points = marks ^ u32::from(negative);
        let (point, whole) = if points == 2 << sign {
            (sign + 1, u32::from(block[sign] - b'0'))
        } else {
            let point = points.trailing_zeros() as usize;
            if !points.is_power_of_two() || block[sign] == b'0' {
                return None;
            }
            (point, up_to_eight(block, sign, point - sign)?)
        };
        let count = comma - point - 1;
        if block[point] != b'.' || count == 0 {
            return None;
        }
        let rest = if count > 16 { eight_places(block, point + 17, count - 16)? } else { 0 };
        let digits = block[point + 1..].first_chunk::<16>()?;
        let digits = self.sse2._mm_sub_epi8(pulp::cast(*digits), pulp::cast([b'0'; 16]));
        let keep = KEEP[16 - count.min(16)..].first_chunk::<16>()?;
        let places = sixteen(self, self.sse2._mm_and_si128(digits, pulp::cast(*keep)));
        Some(Fraction { negative, whole, places, rest, count })
    }
}
