//! Texts as numbers that are computed of them: parts of dates, and hashes.

use jiff::civil::DateTime;
use modelyard_core::steps::Part;
use modelyard_wire::DataType;

use super::cast::shown;
use super::column::{Column, Refused, Table};
use super::scope::{Port, Scope};
use super::{Action, Compiled};
use crate::murmur;

fn text(port: &Port) -> Result<&Port, String> {
    if port.datatype == DataType::Bytes { Ok(port) } else { Err(port.fault(format!("it is {}; expected BYTES", port.datatype))) }
}

struct DateParts {
    slot: usize,
    name: String,
    parts: Vec<(Part, usize)>,
}

/// Each column of dates becomes one of INT64 for each part, `NAME_part`.
pub(super) fn date_parts(scope: &mut Scope, columns: &[String], parts: &[Part]) -> Result<Vec<Box<dyn Action>>, String> {
    let mut actions: Vec<Box<dyn Action>> = Vec::with_capacity(columns.len());
    for name in columns {
        let port = scope.remove(name)?;
        text(&port)?;
        let made = parts.iter().map(|part| Ok((*part, scope.add(&part.column(name), DataType::Int64, port.shape.clone())?)));
        let parts = made.collect::<Result<Vec<_>, String>>()?;
        actions.push(Box::new(DateParts { slot: port.slot, name: name.clone(), parts }));
    }
    Ok(actions)
}

impl Action for DateParts {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        let shape = table.shape(self.slot);
        let width = shape.iter().skip(1).product::<usize>().max(1);
        let read = table.texts(self.slot).iter().enumerate().map(|(at, text)| {
            date(text).ok_or_else(|| {
                let message = format!("'{}' is no date such as 2026-05-17 or 2026-05-17T09:30:00Z", shown(text));
                Refused { row: at / width, column: self.name.clone(), message }
            })
        });
        let dates = read.collect::<Result<Vec<DateTime>, Refused>>()?;
        for (part, slot) in &self.parts {
            let numbers = dates.iter().map(|date| of(*part, *date)).collect();
            table.put(*slot, Column::numbers(shape.clone(), numbers));
        }
        Ok(())
    }
}

/// A date, with or without a time, as it is written: an offset is read and changes nothing.
fn date(text: &[u8]) -> Option<DateTime> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.strip_suffix(['Z', 'z']).unwrap_or(text).parse().ok()
}

fn of(part: Part, date: DateTime) -> f64 {
    match part {
        Part::Year => f64::from(date.year()),
        Part::Month => f64::from(date.month()),
        Part::Day => f64::from(date.day()),
        Part::Weekday => f64::from(date.weekday().to_monday_zero_offset()),
        Part::DayOfYear => f64::from(date.day_of_year()),
        Part::Hour => f64::from(date.hour()),
        Part::Minute => f64::from(date.minute()),
        Part::Second => f64::from(date.second()),
    }
}

struct Hash {
    slots: Vec<usize>,
    buckets: u32,
}

/// The bucket of each text by its hash, INT64: the column that scikit-learn's FeatureHasher gives it.
pub(super) fn hash(scope: &mut Scope, columns: &[String], buckets: i32) -> Result<Compiled, String> {
    let ports = scope.all(columns)?;
    for port in &ports {
        scope.turn(&text(port)?.name, DataType::Int64, port.shape.clone())?;
    }
    let slots = ports.iter().map(|port| port.slot).collect();
    Ok(Some(Box::new(Hash { slots, buckets: buckets.unsigned_abs().max(1) })))
}

impl Action for Hash {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for slot in &self.slots {
            let place = |text: &bytes::Bytes| {
                // By its size as a signed number.
                f64::from(murmur::hash(text, 0).cast_signed().unsigned_abs() % self.buckets)
            };
            let places = table.texts(*slot).iter().map(place).collect();
            let shape = table.shape(*slot);
            table.put(*slot, Column::numbers(shape, places));
        }
        Ok(())
    }
}
