//! Reads the message of a file and leaves the large contents of its initializers where they are: a walk over the fields of the wire
//! format (protobuf, "Encoding") that notes where such a content begins and goes on behind it. A list of FP32 or FP64 numbers lies there
//! as raw data would, byte by byte; lists of whole numbers do not, and come into memory.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use prost::Message as _;

use crate::proto::TensorProto;
use crate::store::{LARGE, Place};

/// How far a message could be walked through.
pub(crate) enum Scanned {
    /// All of it; this is left, with places for contents.
    Message(Vec<u8>),
    /// It is no message: what is wrong at which byte.
    Broken(u64, String),
}

#[derive(Clone, Copy)]
enum Level {
    Model,
    Graph,
    /// With the list that may stay where it is.
    Initializer(Option<u64>),
}

/// Fields of the messages: `ModelProto.graph`, `GraphProto.initializer`, and of `TensorProto`.
const GRAPH: u64 = 7;
const INITIALIZER: u64 = 5;
const DATA_TYPE: u64 = 2;
const SEGMENT: u64 = 3;
const FLOAT_DATA: u64 = 4;
const RAW_DATA: u64 = 9;
const DOUBLE_DATA: u64 = 10;
const EXTERNAL_DATA: u64 = 13;

/// The types whose numbers are in either list, complex ones as pairs.
const FLOATS: [u64; 2] = [1, 14];
const DOUBLES: [u64; 2] = [11, 15];

struct Scan<'a> {
    reader: BufReader<File>,
    path: &'a Path,
    at: u64,
}

enum Stop {
    Io(io::Error),
    Broken(u64, String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Walks through a file, whose path is whole.
pub(crate) fn scan(path: &Path) -> io::Result<Scanned> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut scan = Scan { reader: BufReader::new(file), path, at: 0 };
    let mut out = Vec::new();
    match scan.copy(size, Level::Model, &mut out) {
        Ok(()) => Ok(Scanned::Message(out)),
        Err(Stop::Broken(at, what)) => Ok(Scanned::Broken(at, what)),
        Err(Stop::Io(error)) => Err(error),
    }
}

impl Scan<'_> {
    /// The fields up to byte `end`, into `out`.
    fn copy(&mut self, end: u64, level: Level, out: &mut Vec<u8>) -> Result<(), Stop> {
        while self.at < end {
            let began = self.at;
            let tag = self.varint(end)?;
            let size = match tag & 7 {
                0 => {
                    let value = self.varint(end)?;
                    varint(tag, out);
                    varint(value, out);
                    continue;
                }
                1 => 8,
                2 => self.varint(end)?,
                5 => 4,
                other => return Err(Stop::Broken(began, format!("a field of wire type {other}, which ONNX has not"))),
            };
            if self.at.checked_add(size).is_none_or(|next| next > end) {
                return Err(Stop::Broken(began, format!("a field of {size} bytes, where {} are left", end - self.at)));
            }
            let next = self.at + size;
            let inner = match (level, tag >> 3, tag & 7) {
                (Level::Model, GRAPH, 2) => Some(Level::Graph),
                (Level::Graph, INITIALIZER, 2) => Some(Level::Initializer(self.list(next)?)),
                (Level::Initializer(list), field, 2) if size >= LARGE && (field == RAW_DATA || Some(field) == list) => {
                    let mut tensor = TensorProto::default();
                    Place { file: self.path.to_owned(), offset: self.at, length: size }.put(&mut tensor);
                    out.extend(tensor.encode_to_vec());
                    self.reader
                        .seek_relative(i64::try_from(size).map_err(|_| Stop::Broken(began, "it is too large".to_owned()))?)?;
                    self.at = next;
                    continue;
                }
                _ => None,
            };
            let mut content = Vec::new();
            match inner {
                Some(inner) => self.copy(next, inner, &mut content)?,
                None => {
                    let read = (&mut self.reader).take(size).read_to_end(&mut content)? as u64;
                    self.at += read;
                    if read < size {
                        return Err(Stop::Broken(self.at, "the file became shorter while it was read".to_owned()));
                    }
                }
            }
            varint(tag, out);
            if tag & 7 == 2 {
                varint(content.len() as u64, out);
            }
            out.append(&mut content);
        }
        Ok(())
    }

    /// Of an initializer that ends there: the list that holds all of its numbers, where they lie in it in one piece. The walk goes on from
    /// where it was; what is no message it will find itself.
    fn list(&mut self, end: u64) -> Result<Option<u64>, Stop> {
        let began = self.at;
        let found = match self.lists(end) {
            Ok(Some((kind, lists))) => match (lists.as_slice(), kind) {
                ([FLOAT_DATA], kind) if FLOATS.contains(&kind) => Some(FLOAT_DATA),
                ([DOUBLE_DATA], kind) if DOUBLES.contains(&kind) => Some(DOUBLE_DATA),
                _ => None,
            },
            Ok(None) | Err(Stop::Broken(..)) => None,
            Err(error) => return Err(error),
        };
        let back = i64::try_from(self.at - began).map_err(|_| Stop::Broken(began, "it is too large".to_owned()))?;
        self.reader.seek_relative(-back)?;
        self.at = began;
        Ok(found)
    }

    /// Its data type and its contents' fields in their order; `None` where there are more than a few.
    fn lists(&mut self, end: u64) -> Result<Option<(u64, Vec<u64>)>, Stop> {
        let (mut kind, mut lists) = (0, Vec::new());
        while self.at < end {
            let began = self.at;
            let tag = self.varint(end)?;
            let size = match tag & 7 {
                0 => {
                    let value = self.varint(end)?;
                    kind = if tag >> 3 == DATA_TYPE { value } else { kind };
                    continue;
                }
                1 => 8,
                2 => self.varint(end)?,
                5 => 4,
                _ => return Ok(None),
            };
            if (FLOAT_DATA..=EXTERNAL_DATA).contains(&(tag >> 3)) && !matches!(tag >> 3, 8 | 12) || tag >> 3 == SEGMENT {
                lists.push(tag >> 3);
            }
            if lists.len() > 1 || self.at.checked_add(size).is_none_or(|next| next > end) {
                return Ok(None);
            }
            let skipped = i64::try_from(size).map_err(|_| Stop::Broken(began, "it is too large".to_owned()))?;
            self.reader.seek_relative(skipped)?;
            self.at += size;
        }
        Ok(Some((kind, lists)))
    }

    fn varint(&mut self, end: u64) -> Result<u64, Stop> {
        let (began, mut value) = (self.at, 0_u64);
        for shift in (0..70).step_by(7) {
            let mut byte = [0];
            if self.at >= end || self.reader.read(&mut byte)? == 0 {
                return Err(Stop::Broken(began, "a number is cut short".to_owned()));
            }
            self.at += 1;
            value |= u64::from(byte[0] & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(Stop::Broken(began, "a number of more than 10 bytes".to_owned()))
    }
}

/// A number in base 128, the low digits first.
pub(crate) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
