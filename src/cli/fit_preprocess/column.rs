//! What a column holds: numbers, categories that are whole numbers, or texts.

use std::collections::{BTreeMap, BTreeSet};

use super::statistics;
use crate::inputs::MISSING;

/// What a column holds.
pub(super) enum Kind {
    Numbers(Numbers),
    /// Categories, in their order.
    Whole(BTreeSet<i64>),
    Texts(Texts),
}

/// Whole numbers beyond that are not all numbers of 64-bit floats, which the steps have.
const EXACT: i64 = 1 << 53;

/// A column of numbers; what is missing is NaN.
#[derive(Clone, Debug)]
pub(super) struct Numbers(Vec<f64>);

/// A column of texts and how often each occurs, in the order of their characters.
#[derive(Debug)]
pub(super) struct Texts {
    counts: BTreeMap<String, usize>,
    missing: usize,
    /// Whether every text is a number.
    numeric: bool,
}

impl Kind {
    /// Numbers if every cell is one. If it is said that they are categories, whole numbers where every cell is written as one is, and none
    /// is missing; else texts: `01` is another category than `1`.
    ///
    /// # Errors
    /// In words, where every cell is missing, or a number is not finite.
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a str>, categories: bool) -> Result<Self, String> {
        let cells: Vec<Option<&str>> = cells.map(|cell| (!MISSING.contains(&cell)).then_some(cell)).collect();
        if cells.iter().all(Option::is_none) {
            return Err("every cell is missing: leave it out with --ignore".to_owned());
        }
        let numbers: Option<Vec<f64>> = cells.iter().map(|cell| cell.map_or(Some(f64::NAN), |cell| cell.parse().ok())).collect();
        let numeric = numbers.is_some();
        if categories && let Some(whole) = cells.iter().map(|cell| cell.and_then(whole)).collect() {
            return Ok(Self::Whole(whole));
        }
        if let Some(numbers) = numbers.filter(|_| !categories) {
            return match numbers.iter().find(|number| number.is_infinite()) {
                Some(number) => Err(format!("it has the number {number}; expected finite ones")),
                None => Ok(Self::Numbers(Numbers(numbers))),
            };
        }
        let mut texts = Texts { counts: BTreeMap::new(), missing: 0, numeric };
        for cell in cells {
            match cell {
                Some(text) => *texts.counts.entry(text.to_owned()).or_default() += 1,
                None => texts.missing += 1,
            }
        }
        Ok(Self::Texts(texts))
    }
}

/// The whole number that a cell has, if that is how it is written.
fn whole(cell: &str) -> Option<i64> {
    cell.parse::<i64>().ok().filter(|number| number.abs() <= EXACT && number.to_string() == cell)
}

impl Numbers {
    pub(super) fn missing(&self) -> usize {
        self.0.iter().filter(|number| number.is_nan()).count()
    }

    pub(super) fn fill(&mut self, value: f64) {
        self.0.iter_mut().filter(|number| number.is_nan()).for_each(|number| *number = value);
    }

    fn present(&self) -> Vec<f64> {
        self.0.iter().copied().filter(|number| !number.is_nan()).collect()
    }

    pub(super) fn mean(&self) -> f64 {
        statistics::mean(&self.present())
    }

    pub(super) fn median(&self) -> f64 {
        statistics::quantile(&self.present(), 0.5)
    }

    /// The standard deviation; 1 of numbers that are all the same, which then become 0.
    pub(super) fn deviation(&self) -> f64 {
        let present = self.present();
        let deviation = statistics::deviation(&present);
        if present.iter().all(|number| *number == present[0]) || deviation == 0.0 { 1.0 } else { deviation }
    }

    /// How far the quartiles are apart; 1 where they are the same.
    pub(super) fn spread(&self) -> f64 {
        let present = self.present();
        let spread = statistics::quantile(&present, 0.75) - statistics::quantile(&present, 0.25);
        if spread == 0.0 { 1.0 } else { spread }
    }

    pub(super) fn least(&self) -> f64 {
        self.present().into_iter().fold(f64::INFINITY, f64::min)
    }

    pub(super) fn greatest(&self) -> f64 {
        self.present().into_iter().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The greatest; of numbers that are all the same one more, so that they become 0.
    pub(super) fn most(&self) -> f64 {
        let most = self.greatest();
        if most == self.least() { most + 1.0 } else { most }
    }
}

impl Texts {
    pub(super) const fn missing(&self) -> usize {
        self.missing
    }

    /// Whether every text is a number.
    pub(super) const fn numeric(&self) -> bool {
        self.numeric
    }

    pub(super) fn categories(&self) -> Vec<String> {
        self.counts.keys().cloned().collect()
    }

    /// Of equally frequent ones the first.
    pub(super) fn most_frequent(&self) -> String {
        let most = self.counts.values().max().copied().unwrap_or(0);
        self.counts.iter().find(|(_, count)| **count == most).map(|(text, _)| text.clone()).unwrap_or_default()
    }
}
