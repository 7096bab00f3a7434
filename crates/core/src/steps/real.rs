//! Numbers of steps, kept to fifteen significant digits: as many as every reader of JSON gives back unchanged, so that a
//! configuration that was written and read again names the same revision.

use serde::{Deserialize, Deserializer};

pub(super) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    f64::deserialize(deserializer).map(settled)
}

pub(super) fn maybe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Option::<f64>::deserialize(deserializer).map(|number| number.map(settled))
}

pub(super) fn many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let numbers = Vec::<f64>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(settled).collect())
}

/// The nearest number of fifteen digits; of the largest ones, which would become infinite, the number itself.
fn settled(number: f64) -> f64 {
    format!("{number:.14e}").parse().ok().filter(|near: &f64| near.is_finite()).unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn what_was_settled_stays_whoever_read_it() {
        for number in [0.1 + 0.2, 1.0 / 3.0, 5.843_333_333_333_334, -1e-300 / 7.0, 1e18 / 3.0] {
            let once = settled(number);
            assert!((once - number).abs() <= number.abs() * 1e-14, "{number}");
            for near in [once, once.next_up(), once.next_down()] {
                let text = serde_json::to_string(&settled(near)).unwrap();
                let read: f64 = serde_json::from_str(&text).unwrap();
                assert_eq!(settled(read).to_bits(), once.to_bits(), "{number}");
            }
        }
        assert_eq!(settled(f64::MAX), f64::MAX);
    }
}
