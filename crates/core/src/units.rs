//! Durations and quantities as Kubernetes writes them, read exactly: integers throughout, and too large is an error.

use std::time::Duration;

/// A text that is no duration or no quantity; says what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found '{found}'")]
pub struct Unreadable {
    expected: &'static str,
    found: String,
}

/// Reads a duration in Go's notation (<https://pkg.go.dev/time#ParseDuration>), not negative: `1h30m`, `1.5s`, `250ms`, `0`.
///
/// # Errors
/// The text is no such duration, or longer than 2^64 nanoseconds (584 years).
pub fn duration(text: &str) -> Result<Duration, Unreadable> {
    let wrong = || Unreadable { expected: "a duration such as '5s', '250ms' or '1m30s'", found: text.to_owned() };
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|one: char| !one.is_ascii_digit() && one != '.').ok_or_else(wrong)?;
        let unit = rest[number..].find(|one: char| one.is_ascii_digit() || one == '.').map_or(rest.len(), |end| number + end);
        let nanos = match &rest[number..unit] {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        let (digits, scale) = decimal(&rest[..number]).ok_or_else(wrong)?;
        total = total.checked_add(digits.checked_mul(nanos).ok_or_else(wrong)? / scale).ok_or_else(wrong)?;
        rest = &rest[unit..];
    }
    let nanos = u64::try_from(total).ok().filter(|_| !text.is_empty()).ok_or_else(wrong)?;
    Ok(Duration::from_nanos(nanos))
}

/// Reads a quantity that is not negative (`500m`, `2`, `64Mi`, `1.5G`, `1e3`) in thousandths, rounded up.
///
/// # Errors
/// The text is no such quantity, or larger than 2^63 - 1.
pub fn milli(text: &str) -> Result<u64, Unreadable> {
    let wrong = || Unreadable { expected: "a quantity such as '2', '500m' or '64Mi'", found: text.to_owned() };
    let number = text.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(text.len());
    let (digits, scale) = decimal(&text[..number]).ok_or_else(wrong)?;
    let ten = |power: u32| 10_u128.checked_pow(power);
    let (up, down) = match &text[number..] {
        "n" => (Some(1), Some(1_000_000)),
        "u" => (Some(1), Some(1_000)),
        "m" => (Some(1), Some(1)),
        "" => (Some(1_000), Some(1)),
        "k" => (ten(6), Some(1)),
        "M" => (ten(9), Some(1)),
        "G" => (ten(12), Some(1)),
        "T" => (ten(15), Some(1)),
        "P" => (ten(18), Some(1)),
        "E" => (ten(21), Some(1)),
        "Ki" => (Some(1_000 << 10), Some(1)),
        "Mi" => (Some(1_000 << 20), Some(1)),
        "Gi" => (Some(1_000 << 30), Some(1)),
        "Ti" => (Some(1_000 << 40), Some(1)),
        "Pi" => (Some(1_000 << 50), Some(1)),
        "Ei" => (Some(1_000 << 60), Some(1)),
        suffix => {
            let power: i32 = suffix.strip_prefix(['e', 'E']).and_then(|power| power.parse().ok()).ok_or_else(wrong)?;
            let shift = power.checked_add(3).ok_or_else(wrong)?;
            if shift < 0 { (Some(1), ten(shift.unsigned_abs())) } else { (ten(shift.unsigned_abs()), Some(1)) }
        }
    };
    let (up, down) = up.zip(down).ok_or_else(wrong)?;
    let divisor = scale.checked_mul(down).ok_or_else(wrong)?;
    let thousandths = digits.checked_mul(up).ok_or_else(wrong)?.div_ceil(divisor);
    u64::try_from(thousandths).ok().filter(|fits| *fits / 1_000 <= i64::MAX.unsigned_abs()).ok_or_else(wrong)
}

/// Reads a quantity as whole units, rounded up: bytes of `64Mi`.
///
/// # Errors
/// As [`milli`].
pub fn whole(text: &str) -> Result<u64, Unreadable> {
    milli(text).map(|thousandths| thousandths.div_ceil(1_000))
}

/// A quantity in one spelling, whatever the spelling it had: `1000m` and `1.0` are `1`, `1024Mi` is `1Gi`. The API server spells
/// those of its own objects anew too, in another way.
///
/// # Errors
/// As [`milli`].
pub fn canonical(text: &str) -> Result<String, Unreadable> {
    let thousandths = milli(text)?;
    Ok(if thousandths % 1_000 == 0 { binary(thousandths / 1_000) } else { format!("{thousandths}m") })
}

/// A whole number with the largest binary suffix that leaves it whole: `64Mi`, `1000`.
#[must_use]
pub fn binary(number: u64) -> String {
    let suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let largest = usize::try_from(number.trailing_zeros() / 10).unwrap_or(0).min(suffixes.len() - 1);
    if number == 0 { "0".to_owned() } else { format!("{}{}", number >> (10 * largest), suffixes[largest]) }
}

/// `12.5` as (125, 10).
fn decimal(text: &str) -> Option<(u128, u128)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 24 || fraction.contains('.') {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, 10_u128.pow(u32::try_from(fraction.len()).ok()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("5ns", 5),
            ("1.5s", 1_500_000_000),
            ("1h2m3s", 3_723_000_000_000),
            ("2us", 2_000),
            ("2µs", 2_000),
            (".5ms", 500_000),
            ("1.000000001s", 1_000_000_001),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_nanos(nanos), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1d", "1 s", "1.2.3s", "1e3s", "99999999999999999999h", "é"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_are_kubernetes() {
        for (text, thousandths) in [
            ("0", 0),
            ("1", 1_000),
            ("500m", 500),
            ("0.1", 100),
            ("1n", 1),
            ("1500u", 2),
            ("64Mi", 64 * 1_048_576 * 1_000),
            ("1.5k", 1_500_000),
            ("1e3", 1_000_000),
            ("5E-1", 500),
            ("1.", 1_000),
        ] {
            assert_eq!(milli(text).unwrap(), thousandths, "{text}");
        }
        for text in ["", "Mi", "-1", "1Mb", "1 Mi", "e3", "99999Ei", "1e999", "1.2.3"] {
            assert!(milli(text).is_err(), "{text}");
        }
        assert_eq!(whole("1500m").unwrap(), 2);
    }

    #[test]
    fn one_amount_has_one_spelling() {
        for (text, spelling) in [
            ("1000m", "1"),
            ("1.0", "1"),
            ("0.1", "100m"),
            ("128Mi", "128Mi"),
            ("1024Mi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("1G", "1000000000"),
            ("500M", "500000000"),
            ("0", "0"),
        ] {
            assert_eq!(canonical(text).unwrap(), spelling, "{text}");
        }
        assert!(canonical("x").is_err());
    }

    proptest! {
        #[test]
        fn a_spelling_is_the_same_amount(number in 0..u64::MAX / 2_000) {
            prop_assert_eq!(whole(&binary(number)).unwrap(), number);
            prop_assert_eq!(milli(&canonical(&format!("{number}m")).unwrap()).unwrap(), number);
        }

        #[test]
        fn no_text_is_fatal(text in "[0-9.]{0,30}[a-zA-Zµ+-]{0,3}[0-9]{0,12}") {
            let _ = (duration(&text), milli(&text), whole(&text));
        }

        #[test]
        fn what_kube_writes_is_read_back(nanos in 0..u64::MAX / 2) {
            let whole = Duration::from_nanos(nanos);
            prop_assert_eq!(duration(&kube::core::Duration::from(whole).to_string()).unwrap(), whole);
        }
    }
}
