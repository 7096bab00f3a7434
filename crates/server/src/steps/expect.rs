//! Rules that rows keep: a row that breaks one is refused, or flagged.

use std::collections::HashSet;

use bytes::Bytes;
use half::{bf16, f16};
use modelyard_core::steps::PATTERN_SIZE;
use modelyard_wire::DataType;
use regex::{Regex, RegexBuilder};

use super::cast::shown;
use super::column::{Column, Refused, Table};
use super::scope::{Port, Scope};
use super::{Action, Compiled};

/// What a column is expected to hold.
enum Expected {
    Numbers { min: f64, max: f64, known: HashSet<u64> },
    Texts { known: HashSet<Bytes>, pattern: Option<Regex> },
}

/// What is expected of columns; bounds are one for all of them, or one for each.
pub(super) struct Rules<'a> {
    pub(super) min: &'a [f64],
    pub(super) max: &'a [f64],
    pub(super) values: &'a [f64],
    pub(super) texts: &'a [String],
    pub(super) pattern: Option<&'a String>,
    pub(super) not_null: bool,
    /// Names of the flags, where rows are not refused.
    pub(super) flags: &'a [String],
}

struct Expect {
    columns: Vec<Checked>,
    present: bool,
}

struct Checked {
    slot: usize,
    name: String,
    expected: Expected,
    /// Where the flags go, unless the row is refused.
    flags: Option<usize>,
}

/// Columns with rules. What is missing (NaN, an empty text) breaks `notNull` alone.
pub(super) fn compile(scope: &mut Scope, columns: &[String], rules: &Rules<'_>) -> Result<Compiled, String> {
    let mut checked = Vec::with_capacity(columns.len());
    for (at, port) in scope.all(columns)?.iter().enumerate() {
        let expected = expected(port, rules, at)?;
        let flags = match rules.flags.get(at) {
            Some(name) => Some(scope.beside(name, DataType::Bool, port.shape.clone())?),
            None => None,
        };
        checked.push(Checked { slot: port.slot, name: port.name.clone(), expected, flags });
    }
    Ok(Some(Box::new(Expect { columns: checked, present: rules.not_null })))
}

/// The rules of the column at a place of the list.
fn expected(port: &Port, rules: &Rules<'_>, at: usize) -> Result<Expected, String> {
    if port.datatype == DataType::Bytes {
        if !(rules.min.is_empty() && rules.max.is_empty() && rules.values.is_empty()) {
            return Err(port.fault("it is BYTES; expected rules of texts (texts, pattern), found ones of numbers"));
        }
        let compiled = |pattern: &String| RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build();
        let pattern = rules.pattern.map(compiled).transpose().map_err(|error| format!("pattern: {error}"))?;
        let known = rules.texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
        return Ok(Expected::Texts { known, pattern });
    }
    if !rules.texts.is_empty() || rules.pattern.is_some() {
        return Err(
            port.fault(format!("it is {}; expected rules of numbers (min, max, values), found ones of texts", port.datatype))
        );
    }
    // As the column has them: 0.7 in 32 bits is less than 0.7 in 64.
    let near = |value: f64| rounded(value, port.datatype);
    let known = rules.values.iter().map(|value| bits(near(*value))).collect();
    let bound = |list: &[f64], none: f64| list.get(at).or(list.first()).copied().unwrap_or(none);
    let (min, max) = (near(bound(rules.min, f64::NEG_INFINITY)), near(bound(rules.max, f64::INFINITY)));
    Ok(Expected::Numbers { min, max, known })
}

/// The nearest number of that datatype.
pub(super) fn rounded(value: f64, datatype: DataType) -> f64 {
    match datatype {
        DataType::Fp32 => f64::from(value as f32),
        DataType::Fp16 => f16::from_f64(value).to_f64(),
        DataType::Bf16 => bf16::from_f64(value).to_f64(),
        _ => value,
    }
}

/// Equal numbers have equal bits: there is one zero.
const fn bits(value: f64) -> u64 {
    if value == 0.0 { 0 } else { value.to_bits() }
}

impl Expect {
    /// What is wrong with each value of a column, in order; `None` of one that keeps the rules.
    fn faults(&self, checked: &Checked, table: &mut Table) -> Vec<Option<String>> {
        match &checked.expected {
            Expected::Numbers { min, max, known } => {
                let fault = |x: &f64| match *x {
                    x if x.is_nan() => self.present.then(|| "expected a number, found none".to_owned()),
                    x if x < *min => Some(format!("{x} is less than {min}")),
                    x if x > *max => Some(format!("{x} is more than {max}")),
                    x if !known.is_empty() && !known.contains(&bits(x)) => {
                        Some(format!("{x} is none of the {} values that are expected", known.len()))
                    }
                    _ => None,
                };
                table.numbers(checked.slot).iter().map(fault).collect()
            }
            Expected::Texts { known, pattern } => {
                let fault = |text: &Bytes| {
                    if text.is_empty() {
                        return self.present.then(|| "expected a text, found none".to_owned());
                    }
                    if !known.is_empty() && !known.contains(text) {
                        return Some(format!("'{}' is none of the {} texts that are expected", shown(text), known.len()));
                    }
                    let matches = |pattern: &Regex| std::str::from_utf8(text).is_ok_and(|text| pattern.is_match(text));
                    pattern
                        .as_ref()
                        .filter(|pattern| !matches(pattern))
                        .map(|pattern| format!("'{}' does not match {pattern}", shown(text)))
                };
                table.texts(checked.slot).iter().map(fault).collect()
            }
        }
    }
}

impl Action for Expect {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for checked in &self.columns {
            let faults = self.faults(checked, table);
            let shape = table.shape(checked.slot);
            let width = shape.iter().skip(1).product::<usize>().max(1);
            if let Some(flags) = checked.flags {
                let broken = faults.iter().map(|fault| f64::from(u8::from(fault.is_some()))).collect();
                table.put(flags, Column::numbers(shape, broken));
            } else if let Some((at, message)) = faults.into_iter().enumerate().find_map(|(at, fault)| Some((at, fault?))) {
                return Err(Refused { row: at / width, column: checked.name.clone(), message });
            }
        }
        Ok(())
    }
}
