//! Texts as numbers of tokens.

use std::path::Path;

use bytes::Bytes;
use modelyard_core::steps::{Datatype, Step};
use modelyard_wire::DataType;

use super::column::{Column, Refused, Table, bounded};
use super::scope::{Port, Scope};
use super::{Action, Compiled};
use crate::tokenizer::{Encoded, Tokenizer};

const FILE: &str = "tokenizer.json";
/// Bytes of a tokenizer's file at most: those of 250 000 tokens have 17 MB.
const LARGEST: u64 = 1 << 26;
/// Tokens of a row where neither the step nor the file bounds them.
const LONGEST: usize = 512;

struct Tokenize {
    tokenizer: Tokenizer,
    columns: Vec<Port>,
    /// Tokens of a row at most.
    most: usize,
    /// Tokens of every row.
    width: Option<usize>,
    /// Where tokens, mask and types go: as many as are wanted.
    to: Vec<usize>,
}

/// A column of texts, or two of pairs, becomes columns of tokens, mask and types, `[-1, tokens]`; the texts are gone then.
pub(super) fn compile(step: &Step, scope: &mut Scope, folder: Option<&Path>) -> Result<Compiled, String> {
    let Step::Tokenize { columns, to, tokenizer, max_length, width, datatype } = step else { return Ok(None) };
    let name = tokenizer.as_deref().unwrap_or(FILE);
    let tokenizer = read(folder, name).map_err(|error| format!("{name}: {error}"))?;
    let mut taken = Vec::with_capacity(columns.len());
    for name in columns {
        let port = scope.remove(name)?;
        if port.single()?.datatype != DataType::Bytes {
            return Err(port.fault(format!("it is {}; expected texts, BYTES", port.datatype)));
        }
        taken.push(port);
    }
    let count = |number: i32| usize::try_from(number).unwrap_or(1);
    // A length that the step gives counts in place of the file's.
    let width = width.map(count).or(tokenizer.padding.fixed.filter(|_| max_length.is_none()));
    let most = max_length.map(count).or(tokenizer.longest()).or(width).unwrap_or(LONGEST);
    let most = width.map_or(most, |width| most.min(width));
    let special = tokenizer.special(taken.len());
    if most < special {
        return Err(format!("{name} adds {special} tokens to each row; expected at least as many, found {most}"));
    }
    let datatype = if *datatype == Some(Datatype::Int32) { DataType::Int32 } else { DataType::Int64 };
    let dim = width.map_or(-1, |width| i64::try_from(width).unwrap_or(i64::MAX));
    let to = to.iter().map(|name| scope.add(name, datatype, vec![-1, dim])).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Box::new(Tokenize { tokenizer, columns: taken, most, width, to })))
}

fn read(folder: Option<&Path>, name: &str) -> Result<Tokenizer, String> {
    let path = folder.ok_or("there is no folder of the model")?.join(name);
    let size = std::fs::metadata(&path).map_err(|error| format!("it cannot be read beside the model: {error}"))?.len();
    if size > LARGEST {
        return Err(format!("it has {size} bytes; expected {LARGEST} at most"));
    }
    let bytes = std::fs::read(&path).map_err(|error| format!("it cannot be read beside the model: {error}"))?;
    Tokenizer::read(&bytes).map_err(|error| error.to_string())
}

impl Action for Tokenize {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        let texts = |at: usize| self.columns.get(at).map(|port| (port, table.texts(port.slot)));
        let Some((port, first)) = texts(0) else { return Ok(()) };
        let second = texts(1);
        let mut rows = Vec::with_capacity(first.len());
        for (row, one) in first.iter().enumerate() {
            let one = text(port, row, one)?;
            let other = match second {
                Some((port, texts)) => texts.get(row).map(|one| text(port, row, one)).transpose()?,
                None => None,
            };
            let refused = |message| Refused { row, column: port.name.clone(), message };
            rows.push(self.tokenizer.encode(one, other, self.most).map_err(refused)?);
        }
        let longest = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        let width = self.width.unwrap_or_else(|| self.tokenizer.padding.width(longest));
        // A model takes no rows of nothing, and would tell of columns that clients do not know.
        if width == 0 && !rows.is_empty() {
            let what = if second.is_some() { "it and the text beside it have" } else { "the text has" };
            let message = format!("{what} no tokens, and the tokenizer adds none; expected a text of one or more");
            return Err(Refused { row: 0, column: port.name.clone(), message });
        }
        bounded(rows.len(), width * size_of::<f64>(), &port.name)?;
        for (kind, to) in self.to.iter().enumerate() {
            let numbers = rows.iter().flat_map(|row| self.padded(row, kind, width)).collect();
            table.put(*to, Column::numbers(vec![rows.len(), width], numbers));
        }
        Ok(())
    }
}

impl Tokenize {
    /// A row's tokens, mask or types, and what stands where it has none.
    fn padded(&self, row: &Encoded, kind: usize, width: usize) -> Vec<f64> {
        let padding = &self.tokenizer.padding;
        let mut numbers: Vec<f64> = match kind {
            0 => row.ids.iter().map(|id| f64::from(*id)).collect(),
            1 => vec![1.0; row.ids.len()],
            _ => row.types.iter().map(|kind| f64::from(*kind)).collect(),
        };
        let nothing = [f64::from(padding.id), 0.0, f64::from(padding.kind)][kind.min(2)];
        let missing = std::iter::repeat_n(nothing, width.saturating_sub(numbers.len()));
        if padding.left {
            numbers.splice(..0, missing);
        } else {
            numbers.extend(missing);
        }
        numbers
    }
}

fn text<'a>(port: &Port, row: usize, text: &'a Bytes) -> Result<&'a str, Refused> {
    std::str::from_utf8(text).map_err(|error| Refused {
        row,
        column: port.name.clone(),
        message: format!("expected UTF-8, found other bytes at {}", error.valid_up_to()),
    })
}
