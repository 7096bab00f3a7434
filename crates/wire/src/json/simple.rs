//! Numbers as most bodies write them, each followed by a comma, in the same few steps whatever their digits.
//!
//! Lengths, digits and signs differ from number to number, and a branch on them would be guessed wrongly as often as not. Where
//! the next number starts is known from the commas of a whole block, so that it does not wait for this one. Whatever has another
//! form, or too few bytes behind it, is left to [`Cursor::scan_number`](super::Cursor), which is also what names faults.

/// Bytes that are looked at together: a number, and commas of those behind it.
pub(super) const BLOCK: usize = 64;

/// A number taken apart: `whole + places / 10^16 + rest / 10^24`.
pub(super) struct Fraction {
    pub(super) negative: bool,
    /// The digits in front of the point.
    pub(super) whole: u32,
    /// Sixteen digits behind the point.
    pub(super) places: u64,
    /// Eight digits behind those.
    pub(super) rest: u32,
    /// How many digits behind the point were written.
    pub(super) count: usize,
}

/// The steps that a processor may take in its own way.
pub(super) trait Steps: Copy {
    /// A one for each comma.
    fn commas(self, block: &[u8; BLOCK]) -> u64;

    /// How many bytes at the start are those of `pattern`.
    fn alike(self, block: &[u8; BLOCK], pattern: &[u8; BLOCK]) -> usize;

    /// A sign or none, digits, a point, and 1 to 24 digits up to the `comma`. A number of this form may be refused too.
    fn fraction(self, block: &[u8; BLOCK], comma: usize) -> Option<Fraction>;
}

/// Eight bytes at a time, in general registers.
#[derive(Clone, Copy)]
pub(super) struct Words;

const EACH: u64 = u64::from_le_bytes([1; 8]);
const HIGH_BITS: u64 = EACH * 0x80;
const ASCII_ZEROS: u64 = EACH * b'0' as u64;

/// Sixteen bytes from `16 - n` on keep the first `n`.
pub(super) const KEEP: [u8; 32] = {
    let mut bytes = [0; 32];
    let (first, _) = bytes.split_at_mut(16);
    first.copy_from_slice(&[0xff; 16]);
    bytes
};

#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The high bit of each byte that is `byte`.
#[inline(always)]
const fn equal_bytes(word: u64, byte: u8) -> u64 {
    let differs = word ^ (EACH * byte as u64);
    !(((differs & !HIGH_BITS) + !HIGH_BITS) | differs) & HIGH_BITS
}

/// Whether the bytes are 9 at most. What a byte above 127 carries into the next does no harm: it is found itself.
#[inline(always)]
const fn all_digits(word: u64) -> bool {
    (word.wrapping_add(EACH * 0x76) | word) & HIGH_BITS == 0
}

/// The number that eight digits spell. Source: D. Lemire, "Quickly parsing eight digits", 2018.
#[inline(always)]
const fn eight(digits: u64) -> u64 {
    const PAIRS: u64 = 0xff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let second = ((pairs >> 16) & PAIRS).wrapping_mul(1 + (10_000 << 32));
    first.wrapping_add(second) >> 32
}

/// The number that `count` bytes from `at` on spell, 1 to 8 of them; those behind are shifted out.
#[inline(always)]
pub(super) fn up_to_eight(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let others = 8_usize.checked_sub(count).filter(|others| *others < 8)?;
    let digits = (word(bytes, at)? ^ ASCII_ZEROS) << (8 * others);
    all_digits(digits).then(|| eight(digits) as u32)
}

/// The same as if zeros followed them up to the eighth.
#[inline(always)]
pub(super) fn eight_places(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let others = 8_usize.checked_sub(count).filter(|others| *others < 8)?;
    let digits = (word(bytes, at)? ^ ASCII_ZEROS) & (u64::MAX >> (8 * others));
    all_digits(digits).then(|| eight(digits) as u32)
}

impl Steps for Words {
    #[inline(always)]
    fn commas(self, block: &[u8; BLOCK]) -> u64 {
        // The product moves the high bit of each byte to one of the eight highest.
        const GATHER: u64 = 0x0002_0408_1020_4081;
        block
            .as_chunks()
            .0
            .iter()
            .rev()
            .fold(0, |commas, bytes| commas << 8 | equal_bytes(u64::from_le_bytes(*bytes), b',').wrapping_mul(GATHER) >> 56)
    }

    #[inline(always)]
    fn alike(self, block: &[u8; BLOCK], pattern: &[u8; BLOCK]) -> usize {
        let mut alike = 0;
        for (bytes, pattern) in block.as_chunks().0.iter().zip(pattern.as_chunks().0) {
            let differs = u128::from_le_bytes(*bytes) ^ u128::from_le_bytes(*pattern);
            alike += differs.trailing_zeros() as usize / 8;
            if differs != 0 {
                break;
            }
        }
        alike
    }

    #[inline(always)]
    fn fraction(self, block: &[u8; BLOCK], comma: usize) -> Option<Fraction> {
        let negative = block[0] == b'-';
        let unsigned = &block[usize::from(negative)..];
        let (point, whole) = if unsigned[1] == b'.' {
            (1, u32::from(unsigned[0].wrapping_sub(b'0')))
        } else {
            let point = (equal_bytes(word(unsigned, 0)?, b'.').trailing_zeros() / 8) as usize;
            (point, up_to_eight(unsigned, 0, point).filter(|_| unsigned[0] != b'0')?)
        };
        let count = comma.checked_sub(usize::from(negative) + point + 1)?;
        if (whole > 9 && point == 1) || unsigned[point] != b'.' || !(1..=24).contains(&count) {
            return None;
        }
        let digits = &unsigned[point + 1..];
        let others = 16 - count.min(16);
        let low = (word(digits, 0)? ^ ASCII_ZEROS) & word(&KEEP, others)?;
        let high = (word(digits, 8)? ^ ASCII_ZEROS) & word(&KEEP, others + 8)?;
        if !(all_digits(low) & all_digits(high)) {
            return None;
        }
        let rest = if count > 16 { eight_places(digits, 16, count - 16)? } else { 0 };
        let places = eight(low) * 100_000_000 + eight(high);
        Some(Fraction { negative, whole, places, rest, count })
    }
}

/// Up to the `comma` a sign or none, and 1 to 8 digits.
#[inline(always)]
pub(super) fn integer(block: &[u8; BLOCK], comma: usize) -> Option<i32> {
    let negative = block[0] == b'-';
    let sign = usize::from(negative);
    let count = comma.wrapping_sub(sign);
    if block[sign] == b'0' && count > 1 {
        return None;
    }
    let value = up_to_eight(block, sign, count)?.cast_signed();
    Some(if negative { -value } else { value })
}

/// Counts zeros in a row, each with a comma, and the bytes of each: images and counts are mostly zeros.
#[inline(always)]
pub(super) fn zeros(steps: impl Steps, block: &[u8; BLOCK], fractions: bool) -> Option<(usize, usize)> {
    const SHORT: [u8; BLOCK] = repeat(b"0,");
    const SPACED: [u8; BLOCK] = repeat(b"0, ");
    const FRACTIONS: [u8; BLOCK] = repeat(b"0.0,");
    const SPACED_FRACTIONS: [u8; BLOCK] = repeat(b"0.0, ");
    let (count, length) = match block {
        [b'0', b',', b' ', ..] => (steps.alike(block, &SPACED) / 3, 3),
        [b'0', b',', ..] => (steps.alike(block, &SHORT) / 2, 2),
        [b'0', b'.', b'0', b',', b' ', ..] if fractions => (steps.alike(block, &SPACED_FRACTIONS) / 5, 5),
        [b'0', b'.', b'0', b',', ..] if fractions => (steps.alike(block, &FRACTIONS) / 4, 4),
        _ => return None,
    };
    Some((count, length))
}

const fn repeat(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        block[at] = bytes[at % bytes.len()];
        at += 1;
    }
    block
}

const TENS: [u64; 17] = {
    let mut tens = [1; 17];
    let mut at = 1;
    while at < tens.len() {
        tens[at] = 10 * tens[at - 1];
        at += 1;
    }
    tens
};

/// Bits of a double that a single drops, and the middle between two singles among them.
const DROPPED: u64 = (1 << 29) - 1;
const MIDDLE: u64 = 1 << 28;

impl Fraction {
    /// The nearest double, if digits and power of ten are exact as doubles: then their quotient is rounded only once.
    #[inline(always)]
    pub(super) fn to_f64(&self) -> Option<f64> {
        let shift = TENS.get(16_usize.checked_sub(self.count)?)?;
        let power = *TENS.get(self.count)?;
        let mantissa = u64::from(self.whole).checked_mul(power)?.checked_add(self.places / shift)?;
        let value = mantissa.cast_signed() as f64 / power.cast_signed() as f64;
        (mantissa <= 1 << 53).then_some(if self.negative { -value } else { value })
    }

    /// The nearest single, unless that takes a closer look.
    ///
    /// At most five roundings make the double (of the places, of the power of ten, of their product, and of two sums), each off by
    /// half a unit in the last place of one that is no larger; what rounds the rest is far below. Rounding it to a single is right
    /// unless it lies that close to the middle between two singles.
    #[inline(always)]
    pub(super) fn to_f32(&self) -> Option<f32> {
        let mut value = f64::from(self.whole) + self.places.cast_signed() as f64 * 1e-16;
        if self.rest > 0 {
            value += f64::from(self.rest) * 1e-24;
        }
        let clear = (value.to_bits() & DROPPED).abs_diff(MIDDLE) > 8;
        clear.then(|| f32::from_bits((value as f32).to_bits() | u32::from(self.negative) << 31))
    }
}
