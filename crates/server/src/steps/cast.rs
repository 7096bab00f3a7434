//! From one kind of elements to another.

use modelyard_wire::DataType;

use super::Action;
use super::column::{Column, Refused, Table};
use super::scope::Scope;

struct Cast {
    slot: usize,
    name: String,
    from: DataType,
    to: DataType,
}

/// Columns in another datatype. Numbers lose their fraction where the new kind has none; texts are read as numbers.
pub(super) fn compile(scope: &mut Scope, columns: &[String], to: DataType) -> Result<Vec<Box<dyn Action>>, String> {
    let mut actions: Vec<Box<dyn Action>> = Vec::with_capacity(columns.len());
    for port in scope.all(columns)? {
        if to == DataType::Bytes {
            return Err(port.fault("numbers are not turned into BYTES: OneHot and Ordinal take numbers as they are"));
        }
        scope.turn(&port.name, to, port.shape)?;
        if port.datatype != to {
            actions.push(Box::new(Cast { slot: port.slot, name: port.name, from: port.datatype, to }));
        }
    }
    Ok(actions)
}

impl Action for Cast {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        let shape = table.shape(self.slot);
        let width: usize = shape.iter().skip(1).product::<usize>().max(1);
        let refused = |at: usize, message: String| Refused { row: at / width, column: self.name.clone(), message };
        if self.from == DataType::Bytes {
            let read = table.texts(self.slot).iter().enumerate().map(|(at, text)| {
                let read = std::str::from_utf8(text).map(str::trim).ok();
                let number = read.and_then(|text| Some((text, text.parse::<f64>().ok()?)));
                match number {
                    // Infinity must be asked for by its name.
                    Some((text, number)) if number.is_infinite() && text.contains(|one: char| one.is_ascii_digit()) => {
                        Err(refused(at, format!("'{}' is no {}", shown(text.as_bytes()), self.to)))
                    }
                    Some((_, number)) => Ok(number),
                    None => Err(refused(at, format!("'{}' is no number", shown(text)))),
                }
            });
            let numbers = read.collect::<Result<Vec<f64>, Refused>>()?;
            table.put(self.slot, Column::numbers(shape, numbers));
        }
        let numbers = table.numbers(self.slot);
        if self.to == DataType::Bool {
            numbers.iter_mut().for_each(|x| *x = if *x == 0.0 { 0.0 } else { 1.0 });
        } else if let Some((least, most)) = range(self.to) {
            for (at, number) in numbers.iter_mut().enumerate() {
                let whole = number.trunc();
                if !(whole >= least && whole <= most) {
                    return Err(refused(at, format!("{number} is no {}", self.to)));
                }
                *number = whole;
            }
        } else if self.to == DataType::Fp32 {
            for (at, number) in numbers.iter_mut().enumerate() {
                let near = f64::from(*number as f32);
                if near.is_infinite() && number.is_finite() {
                    return Err(refused(at, format!("{number} is no {}", self.to)));
                }
                *number = near;
            }
        }
        Ok(())
    }
}

/// Text that a client sent, for a message.
pub(super) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(40).collect()
}

/// What whole numbers of a kind lie between; `None` for others. Of 64 bits, what a double tells apart from what is beyond.
const fn range(datatype: DataType) -> Option<(f64, f64)> {
    Some(match datatype {
        DataType::Uint8 => (0.0, u8::MAX as f64),
        DataType::Uint16 => (0.0, u16::MAX as f64),
        DataType::Uint32 => (0.0, u32::MAX as f64),
        DataType::Uint64 => (0.0, 18_446_744_073_709_549_568.0),
        DataType::Int8 => (i8::MIN as f64, i8::MAX as f64),
        DataType::Int16 => (i16::MIN as f64, i16::MAX as f64),
        DataType::Int32 => (i32::MIN as f64, i32::MAX as f64),
        DataType::Int64 => (i64::MIN as f64, 9_223_372_036_854_774_784.0),
        _ => return None,
    })
}
