//! What treats each number by itself: scaling, bounds, logarithms, missing values.

use bytes::Bytes;
use modelyard_wire::DataType;

use super::column::{Column, Refused, Table};
use super::scope::{Port, Scope};
use super::{Action, Compiled, is_float};

/// What becomes of a number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    /// This where it is NaN.
    Fill(f64),
    /// Within bounds; NaN stays.
    Clip(f64, f64),
    /// `(x - a) / b`.
    Centre(f64, f64),
    /// `x * a + b`.
    Line(f64, f64),
    /// `ln(x + a)`.
    Log(f64),
    /// `exp(x) - a`.
    Exp(f64),
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

impl Function {
    fn over<'a>(self, numbers: impl Iterator<Item = &'a mut f64>) {
        match self {
            Self::Fill(value) => numbers.for_each(|x| *x = if x.is_nan() { value } else { *x }),
            Self::Clip(min, max) => numbers.for_each(|x| {
                *x = if *x < min { min } else { *x };
                *x = if *x > max { max } else { *x };
            }),
            Self::Centre(mean, scale) => numbers.for_each(|x| *x = (*x - mean) / scale),
            Self::Line(slope, shift) => numbers.for_each(|x| *x = *x * slope + shift),
            // Of small numbers more digits stay this way.
            Self::Log(1.0) => numbers.for_each(|x| *x = x.ln_1p()),
            Self::Log(offset) => numbers.for_each(|x| *x = (*x + offset).ln()),
            Self::Exp(1.0) => numbers.for_each(|x| *x = x.exp_m1()),
            Self::Exp(offset) => numbers.for_each(|x| *x = x.exp() - offset),
            Self::Sigmoid => numbers.for_each(|x| *x = sigmoid(*x)),
        }
    }
}

/// Taken of the size, so that no exponential overflows.
fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    if x < 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) }
}

/// Columns, and for each value of their rows a function; one alone is for all of them.
struct Each {
    columns: Vec<(usize, Vec<Function>)>,
}

impl Action for Each {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for (slot, functions) in &self.columns {
            let numbers = table.numbers(*slot);
            match &functions[..] {
                [one] => one.over(numbers.iter_mut()),
                several => {
                    for (at, function) in several.iter().enumerate() {
                        function.over(numbers.iter_mut().skip(at).step_by(several.len()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Columns of numbers whose values each become another. Whole numbers become FP32.
pub(super) fn each(scope: &mut Scope, columns: &[String], parameters: &Parameters<'_>) -> Result<Compiled, String> {
    let ports = scope.all(columns)?;
    let mut compiled = Vec::with_capacity(ports.len());
    let mut from = 0;
    for port in &ports {
        let functions = parameters.of(port.numeric()?, (from, &ports))?;
        from += port.width().unwrap_or(1);
        if !is_float(port.datatype) {
            scope.turn(&port.name, DataType::Fp32, port.shape.clone())?;
        }
        compiled.push((port.slot, functions));
    }
    Ok(Some(Box::new(Each { columns: compiled })))
}

/// The numbers of a step, and what is made of those of one value.
pub(super) struct Parameters<'a> {
    /// Each with its name. An empty list is no number.
    pub(super) lists: &'a [(&'static str, &'a [f64])],
    /// The function of the numbers at one place of the lists.
    pub(super) function: &'a dyn Fn(&[f64]) -> Function,
}

impl Parameters<'_> {
    /// The functions of a column whose rows begin with value `from` of all `ports`.
    fn of(&self, port: &Port, (from, ports): (usize, &[Port])) -> Result<Vec<Function>, String> {
        if self.lists.iter().all(|(_, list)| list.len() < 2) {
            let numbers: Vec<f64> = self.lists.iter().map(|(_, list)| list.first().copied().unwrap_or(f64::NAN)).collect();
            return Ok(vec![(self.function)(&numbers)]);
        }
        let Some(width) = port.width() else {
            return Err(port.fault(format!("its width is not known ({:?}): expected one number, for all of it", port.shape)));
        };
        let total: usize = ports.iter().map(|port| port.width().unwrap_or(1)).sum();
        for (name, list) in self.lists {
            if list.len() > 1 && list.len() != total {
                return Err(port.fault(format!("{name} has {} numbers; the columns have {total} values a row", list.len())));
            }
        }
        let at = |list: &[f64], place: usize| list.get(if list.len() > 1 { place } else { 0 }).copied().unwrap_or(f64::NAN);
        let one = |place: usize| {
            let numbers: Vec<f64> = self.lists.iter().map(|(_, list)| at(list, place)).collect();
            (self.function)(&numbers)
        };
        Ok((from..from + width).map(one).collect())
    }
}

/// Empty texts, and what stands there instead.
struct FillTexts {
    columns: Vec<(usize, Bytes)>,
}

impl Action for FillTexts {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for (slot, text) in &self.columns {
            let filled = table.texts(*slot).iter().map(|one| if one.is_empty() { text.clone() } else { one.clone() }).collect();
            let shape = table.shape(*slot);
            table.put(*slot, Column::texts(shape, filled));
        }
        Ok(())
    }
}

/// Texts where none are; one for all columns, or one for each.
pub(super) fn fill_texts(scope: &Scope, columns: &[String], texts: &[String]) -> Result<Compiled, String> {
    if texts.len() != 1 && texts.len() != columns.len() {
        return Err(format!("texts has {} for {} columns; expected one, or one for each", texts.len(), columns.len()));
    }
    let mut compiled = Vec::with_capacity(columns.len());
    for (at, name) in columns.iter().enumerate() {
        let port = scope.port(name)?;
        if port.datatype != DataType::Bytes {
            return Err(port.fault(format!("it is {}; expected BYTES, or values to fill in", port.datatype)));
        }
        let text = texts.get(at).unwrap_or(&texts[0]);
        compiled.push((port.slot, Bytes::copy_from_slice(text.as_bytes())));
    }
    Ok(Some(Box::new(FillTexts { columns: compiled })))
}
