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

/// `name` and `doc_string`, which are no contents though they lie among those.
const WORDS: [u64; 2] = [8, 12];

/// The types whose numbers are in either list, complex ones as pairs.
const FLOATS: [u64; 2] = [1, 14];
const DOUBLES: [u64; 2] = [11, 15];

/// What a field holds.
enum Content {
    /// This, which is read.
    Number(u64),
    /// So many bytes, which lie ahead.
    Bytes(u64),
}

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
            let (tag, content) = self.field(end)?;
            let size = match content {
                Content::Number(value) => {
                    varint(tag, out);
                    varint(value, out);
                    continue;
                }
                Content::Bytes(size) => size,
            };
            let next = self.at + size;
            let inner = match (level, tag >> 3, tag & 7) {
                (Level::Model, GRAPH, 2) => Some(Level::Graph),
                (Level::Graph, INITIALIZER, 2) => Some(Level::Initializer(self.list(next)?)),
                (Level::Initializer(list), field, 2) if size >= LARGE && (field == RAW_DATA || Some(field) == list) => {
                    let mut tensor = TensorProto::default();
                    Place { file: self.path.to_owned(), offset: self.at, length: size }.put(&mut tensor);
                    out.extend(tensor.encode_to_vec());
                    self.skip(began, size)?;
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

    /// Its data type and the fields with its contents; `None` where there is more than one of those.
    fn lists(&mut self, end: u64) -> Result<Option<(u64, Vec<u64>)>, Stop> {
        let (mut kind, mut lists) = (0, Vec::new());
        while self.at < end {
            let began = self.at;
            let (tag, content) = self.field(end)?;
            let field = tag >> 3;
            let size = match content {
                Content::Number(value) => {
                    kind = if field == DATA_TYPE { value } else { kind };
                    continue;
                }
                Content::Bytes(size) => size,
            };
            if field == SEGMENT || ((FLOAT_DATA..=EXTERNAL_DATA).contains(&field) && !WORDS.contains(&field)) {
                lists.push(field);
            }
            if lists.len() > 1 {
                return Ok(None);
            }
            self.skip(began, size)?;
        }
        Ok(Some((kind, lists)))
    }

    /// The beginning of a field that lies before byte `end` as a whole: its tag, and what is behind that.
    fn field(&mut self, end: u64) -> Result<(u64, Content), Stop> {
        let began = self.at;
        let tag = self.varint(end)?;
        let size = match tag & 7 {
            0 => return Ok((tag, Content::Number(self.varint(end)?))),
            1 => 8,
            2 => self.varint(end)?,
            5 => 4,
            other => return Err(Stop::Broken(began, format!("a field of wire type {other}, which ONNX has not"))),
        };
        if self.at.checked_add(size).is_none_or(|next| next > end) {
            return Err(Stop::Broken(began, format!("a field of {size} bytes, where {} are left", end - self.at)));
        }
        Ok((tag, Content::Bytes(size)))
    }

    /// Goes on behind the content of the field that began there.
    fn skip(&mut self, began: u64, size: u64) -> Result<(), Stop> {
        let by = i64::try_from(size).map_err(|_| Stop::Broken(began, "it is too large".to_owned()))?;
        self.reader.seek_relative(by)?;
        self.at += size;
        Ok(())
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
