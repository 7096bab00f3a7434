//! How many values a row of each column has, as far as a list of steps tells without the model: lists of numbers that fit no column are
//! found before a server loads anything.

use std::collections::HashMap;

use super::check::{Wrong, wrong};
use super::{Channels, Step};

/// The widths of columns at one place of a list; a column that is not there has one that is not known.
#[derive(Clone, Debug, Default)]
pub struct Widths {
    known: HashMap<String, usize>,
}

impl Widths {
    /// Checks a step's lists against the columns as they are where it runs, and goes past it.
    ///
    /// # Errors
    /// Names the list that has neither one number nor one for each value of a row.
    pub fn follow(&mut self, step: &Step) -> Result<(), Wrong> {
        self.lists(step)?;
        self.pass(step);
        Ok(())
    }

    fn lists(&self, step: &Step) -> Result<(), Wrong> {
        let lists: [(&'static str, &[f64]); 2] = match step {
            Step::Fill { values, .. } => [("values", values), ("", &[])],
            Step::Standardise { mean, scale, .. } | Step::Denormalise { mean, scale, .. } => [("mean", mean), ("scale", scale)],
            Step::Robust { center, scale, .. } => [("center", center), ("scale", scale)],
            Step::MinMax { min, max, .. } | Step::Clip { min, max, .. } => [("min", min), ("max", max)],
            _ => return Ok(()),
        };
        let Some(total) = self.total(step.columns()) else { return Ok(()) };
        match lists.iter().find(|(_, list)| list.len() > 1 && list.len() != total) {
            Some((name, list)) => {
                wrong(name, format!("expected one number, or one for each value of a row, {total}; found {}", list.len()))
            }
            None => Ok(()),
        }
    }

    /// Values of a row of all these columns, if each is known.
    fn total(&self, columns: &[String]) -> Option<usize> {
        columns.iter().map(|name| self.known.get(name)).try_fold(0_usize, |sum, width| sum.checked_add(*width?))
    }

    /// The columns as they are after a step. What is not said here keeps its width.
    fn pass(&mut self, step: &Step) {
        let size = |number: &i32| usize::try_from(*number).ok();
        match step {
            Step::Input { columns, width, .. } => {
                self.all(columns, |_| width.map_or(Some(1), |width| size(&width)));
            }
            Step::Rename { columns, to } => {
                let widths: Vec<_> = columns.iter().map(|name| self.known.remove(name)).collect();
                to.iter().zip(widths).for_each(|(name, width)| self.put(name, width));
            }
            Step::Select { columns } => self.known.retain(|name, _| columns.contains(name)),
            Step::Drop { columns } => columns.iter().for_each(|name| self.put(name, None)),
            Step::OneHot { columns, values, texts, .. } => self.all(columns, |_| Some(values.len().max(texts.len()))),
            Step::Bytes { columns, head, tail, .. } => {
                let end = |bytes: &Option<i32>| bytes.as_ref().map_or(Some(0), size);
                let both = end(head).zip(end(tail)).and_then(|(head, tail)| head.checked_add(tail));
                self.all(columns, |_| both);
            }
            Step::Image { columns, width, height, channels, to, .. } => {
                let depth = if *channels == Some(Channels::Grey) { 1 } else { 3 };
                let all = size(width).zip(size(height)).and_then(|(width, height)| width.checked_mul(height)?.checked_mul(depth));
                self.all(columns, |_| all);
                self.all(to, |_| None);
            }
            Step::Concat { columns, to, .. } => {
                let total = self.total(columns);
                columns.iter().for_each(|name| self.put(name, None));
                self.all(to, |_| total);
            }
            Step::Argmax { to, .. } | Step::Labels { to, .. } => self.all(to, |_| Some(1)),
            Step::DateParts { columns, .. } => {
                columns.iter().for_each(|name| self.put(name, None));
                self.all(&step.made(), |_| Some(1));
            }
            Step::Threshold { columns, to, .. } => {
                for (from, name) in columns.iter().zip(to) {
                    self.put(name, self.known.get(from).copied());
                }
            }
            Step::TopK { .. } | Step::Boxes { .. } | Step::Pool { .. } | Step::Tokenize { .. } | Step::Expect { .. } => {
                self.all(&step.made(), |_| None);
            }
            _ => {}
        }
    }

    fn all(&mut self, names: &[String], width: impl Fn(&str) -> Option<usize>) {
        names.iter().for_each(|name| self.put(name, width(name)));
    }

    fn put(&mut self, name: &str, width: Option<usize>) {
        match width {
            Some(width) => {
                self.known.insert(name.to_owned(), width);
            }
            None => {
                self.known.remove(name);
            }
        }
    }
}
