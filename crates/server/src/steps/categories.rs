//! Known values as numbers: a place in a list, or one column of 0 and 1 for each.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use modelyard_wire::DataType;

use super::cast::shown;
use super::column::{Column, Refused, Table};
use super::expect::rounded;
use super::scope::{Port, Scope};
use super::{Action, Compiled};

/// A list of known values.
enum Known {
    /// By their bits, and how many there are: two may be one as the column has them.
    Numbers(HashMap<u64, usize>, usize),
    Texts(HashMap<Bytes, usize>),
}

/// What becomes of a value that is not in the list.
#[derive(Clone, Copy)]
pub(super) enum Other {
    Refuse,
    /// This number; of [`OneHot`], nothing.
    Be(f64),
}

impl Known {
    /// Those of a column of this datatype: 0.1 in 32 bits is another number than 0.1 in 64.
    fn of(values: &[f64], texts: &[String], datatype: DataType) -> Self {
        if texts.is_empty() {
            // The first of equal ones counts.
            let places = values.iter().enumerate().rev().map(|(at, value)| (bits(rounded(*value, datatype)), at));
            Self::Numbers(places.collect(), values.len())
        } else {
            Self::Texts(texts.iter().enumerate().map(|(at, text)| (Bytes::copy_from_slice(text.as_bytes()), at)).collect())
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(_, count) => *count,
            Self::Texts(known) => known.len(),
        }
    }

    /// A column whose values can be looked up here.
    fn fits<'a>(&self, port: &'a Port) -> Result<&'a Port, String> {
        port.single()?;
        match self {
            Self::Texts(_) if port.datatype != DataType::Bytes => {
                Err(port.fault(format!("it is {}; expected BYTES, or values instead of texts", port.datatype)))
            }
            Self::Numbers(..) if port.datatype == DataType::Bytes => {
                Err(port.fault("it is BYTES; expected numbers, or texts instead of values"))
            }
            _ => Ok(port),
        }
    }

    /// The place of each value of a column, and its shape; `None` where it is not in the list.
    fn places(&self, (slot, name): (usize, &str), other: Other, table: &mut Table) -> Result<Vec<Option<usize>>, Refused> {
        let unknown = |row: usize, value: String| match other {
            Other::Be(_) => Ok(None),
            Other::Refuse => {
                let message = format!("{value} is none of the {} values that are known", self.len());
                Err(Refused { row, column: name.to_owned(), message })
            }
        };
        match self {
            Self::Numbers(known, _) => {
                let each = table.numbers(slot).iter().enumerate();
                each.map(|(row, value)| {
                    known.get(&bits(*value)).map_or_else(|| unknown(row, value.to_string()), |at| Ok(Some(*at)))
                })
                .collect()
            }
            Self::Texts(known) => {
                let each = table.texts(slot).iter().enumerate();
                each.map(|(row, text)| {
                    known.get(text).map_or_else(|| unknown(row, format!("'{}'", shown(text))), |at| Ok(Some(*at)))
                })
                .collect()
            }
        }
    }
}

/// Equal numbers have equal bits: there is one zero.
const fn bits(value: f64) -> u64 {
    if value == 0.0 { 0 } else { value.to_bits() }
}

struct Encode {
    columns: Vec<Encoded>,
    other: Other,
    /// One column for each known value, or one number.
    spread: bool,
}

struct Encoded {
    slot: usize,
    name: String,
    known: Arc<Known>,
}

/// The place of each value in the list, INT64.
pub(super) fn ordinal(scope: &mut Scope, columns: &[String], list: List<'_>) -> Result<Compiled, String> {
    compile(scope, columns, list, false)
}

/// One column of 0 and 1 for each value of the list, FP32.
pub(super) fn one_hot(scope: &mut Scope, columns: &[String], list: List<'_>) -> Result<Compiled, String> {
    compile(scope, columns, list, true)
}

/// The known values, as numbers or as texts, and what becomes of others.
pub(super) type List<'a> = (&'a [f64], &'a [String], Other);

fn compile(scope: &mut Scope, columns: &[String], (values, texts, other): List<'_>, spread: bool) -> Result<Compiled, String> {
    let mut lists: Vec<(DataType, Arc<Known>)> = Vec::new();
    let mut compiled = Vec::with_capacity(columns.len());
    for port in scope.all(columns)? {
        let known = match lists.iter().find(|(datatype, _)| *datatype == port.datatype) {
            Some((_, known)) => Arc::clone(known),
            None => {
                let known = Arc::new(Known::of(values, texts, port.datatype));
                lists.push((port.datatype, Arc::clone(&known)));
                known
            }
        };
        known.fits(&port)?;
        if spread {
            scope.turn(&port.name, DataType::Fp32, vec![-1, i64::try_from(known.len()).unwrap_or(i64::MAX)])?;
        } else {
            scope.turn(&port.name, DataType::Int64, port.shape)?;
        }
        compiled.push(Encoded { slot: port.slot, name: port.name, known });
    }
    Ok(Some(Box::new(Encode { columns: compiled, other, spread })))
}

impl Action for Encode {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for Encoded { slot, name, known } in &self.columns {
            let places = known.places((*slot, name), self.other, table)?;
            let encoded = if self.spread {
                let width = known.len();
                let mut spread = vec![0.0; places.len() * width];
                for (row, place) in spread.chunks_exact_mut(width).zip(&places) {
                    place.iter().for_each(|place| row[*place] = 1.0);
                }
                Column::numbers(vec![places.len(), width], spread)
            } else {
                let unknown = if let Other::Be(number) = self.other { number } else { f64::NAN };
                let numbers = places.iter().map(|place| place.map_or(unknown, |place| place as f64)).collect();
                Column::numbers(table.shape(*slot), numbers)
            };
            table.put(*slot, encoded);
        }
        Ok(())
    }
}
