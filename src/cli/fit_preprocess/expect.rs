//! What rows are expected to hold: rules as the data keeps them.

use std::collections::BTreeMap;

use anyhow::bail;
use modelyard_core::steps::{self, Step};

use super::column::{Kind, Numbers};
use super::{Arguments, Otherwise, Stranger, few};

impl Arguments {
    /// A rule for each column, before anything is filled in: columns of numbers together, those that have missing ones apart from those
    /// that have none; columns of categories one by one.
    pub(super) fn rules(&self, columns: &[(String, Kind)], otherwise: Otherwise) -> anyhow::Result<Vec<Step>> {
        if !(self.margin.is_finite() && self.margin >= 0.0) {
            bail!("--margin: expected 0 or more, found {}", self.margin);
        }
        let mut ranges: BTreeMap<bool, (Vec<String>, Bounds)> = BTreeMap::new();
        let mut categories = Vec::new();
        for (name, kind) in columns {
            match kind {
                Kind::Numbers(numbers) => {
                    let (names, bounds) = ranges.entry(numbers.missing() > 0).or_default();
                    let (low, high) = self.range(numbers);
                    names.push(name.clone());
                    bounds.min.push(low);
                    bounds.max.push(high);
                }
                // No whole number is missing, and a stranger that the encoder ignores is expected.
                Kind::Whole(_) if self.unknown == Stranger::Ignore => {}
                Kind::Whole(known) => {
                    few(name, known.len(), "numbers")?;
                    let values = known.iter().map(|one| *one as f64).collect();
                    categories.push(rule(vec![name.clone()], Bounds { values, ..Bounds::default() }, false, otherwise));
                }
                Kind::Texts(column) => {
                    let known = column.categories();
                    few(name, known.len(), "texts")?;
                    let present = column.missing() == 0;
                    // A stranger that the encoder ignores is expected.
                    let known = if self.unknown == Stranger::Ignore { Vec::new() } else { known };
                    if present || !known.is_empty() {
                        categories.push(rule(
                            vec![name.clone()],
                            Bounds { texts: known, ..Bounds::default() },
                            present,
                            otherwise,
                        ));
                    }
                }
            }
        }
        let numbers = ranges.into_iter().map(|(missing, (names, bounds))| rule(names, bounds, !missing, otherwise));
        Ok(numbers.chain(categories).collect())
    }

    /// The least and the greatest number of the data, each that part of the range further out.
    fn range(&self, numbers: &Numbers) -> (f64, f64) {
        let (least, most) = (numbers.least(), numbers.greatest());
        let beyond = (most - least) * self.margin;
        (least - beyond, most + beyond)
    }
}

#[derive(Default)]
struct Bounds {
    min: Vec<f64>,
    max: Vec<f64>,
    values: Vec<f64>,
    texts: Vec<String>,
}

fn rule(columns: Vec<String>, Bounds { min, max, values, texts }: Bounds, present: bool, otherwise: Otherwise) -> Step {
    let to = match otherwise {
        Otherwise::Refuse => Vec::new(),
        Otherwise::Flag => columns.iter().map(|name| format!("{name}_unexpected")).collect(),
    };
    Step::Expect {
        columns,
        min,
        max,
        values,
        texts,
        pattern: None,
        not_null: present.then_some(true),
        otherwise: (otherwise == Otherwise::Flag).then_some(steps::Otherwise::Flag),
        to,
    }
}
