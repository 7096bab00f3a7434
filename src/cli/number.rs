//! Whole numbers of flags: what is none is answered with the numbers that are.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Reads a whole number within a range.
pub(super) fn whole<N>(range: RangeInclusive<N>) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: Clone + Display + FromStr + PartialOrd + Send + Sync + 'static,
{
    move |text: &str| match text.parse::<N>() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {} to {}, found '{text}'", range.start(), range.end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_of_the_range_is_told_with_the_range() {
        let read = whole(1..=1024_u32);
        assert_eq!((read("1"), read("1024")), (Ok(1), Ok(1024)));
        for found in ["abc", "0", "1025", "-1", "1.5", "", "99999999999"] {
            assert_eq!(read(found), Err(format!("expected a whole number from 1 to 1024, found '{found}'")));
        }
    }
}
