//! Maps as tensors, `DictVectorizer` and `CastMap`: a row's map is a text, a JSON object, as `engine/onnx/maps.rs` declares it.
//!
//! An empty text is an empty map. Keys of INT64 are written as JSON writes keys, in quotes. `null` is NaN. Of a key that stands twice the last counts.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{characters, elements, slice, tensor};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::maps::{KEYS, VALUES};
use crate::engine::onnx::weights::datatype_name;

/// What `CastMap` puts in a place without a key, of strings. The specification says nothing; ONNX Runtime has this.
const NO_TEXT: &str = "0.f";
/// The widest row of a sparse `CastMap`.
const WIDEST: usize = 1 << 24;

/// The datatype of the maps' values, of those in `allowed`.
fn values(attributes: &Attributes<'_>, keys: DataType, allowed: &[DataType]) -> Result<DataType, Wrong> {
    let code = |name| attributes.int(name, 0).map(|code| i32::try_from(code).unwrap_or(-1));
    let (found, held) = (code(KEYS)?, code(VALUES)?);
    if found == 0 {
        return Err("it reads what is no map among the model's inputs, or another operator reads that map too".to_owned());
    }
    if found != keys as i32 {
        return Err(format!("its maps have keys of {}; expected {}", datatype_name(found), datatype_name(keys as i32)));
    }
    let kind = allowed.iter().copied().find(|one| *one as i32 == held);
    kind.ok_or_else(|| {
        let names: Vec<String> = allowed.iter().map(|one| datatype_name(*one as i32)).collect();
        format!("its maps have values of {}; expected {}", datatype_name(held), names.join(" or "))
    })
}

/// The rows of the input, of which each is a map.
fn rows(fact: &[Fact]) -> TractResult<TDim> {
    let [input] = fact else { bail!("expected one input, found {}", fact.len()) };
    ensure!(input.kind == String::datum_type(), "the input is {:?}; expected a text for each map", input.kind);
    match &*input.shape {
        [rows] => Ok(rows.clone()),
        shape => bail!("the input has {} dimensions; expected one, a text for each row", shape.len()),
    }
}

/// The map of a row.
fn object(row: usize, text: &str) -> TractResult<serde_json::Map<String, Value>> {
    if text.trim().is_empty() {
        return Ok(serde_json::Map::new());
    }
    serde_json::from_str(text).map_err(|error| {
        TractError::msg(format!("row {row} is {:?}; expected a JSON object, {{\"key\": value}}: {error}", shown(text)))
    })
}

/// A key of INT64.
fn whole_key(row: usize, key: &str) -> TractResult<i64> {
    key.parse().map_err(|_| TractError::msg(format!("row {row}: the key {:?} is not an integer of 64 bits", shown(key))))
}

fn wrong(row: usize, key: &str, value: &Value, expected: &str) -> TractError {
    let found = shown(&value.to_string()).to_owned();
    TractError::msg(format!("row {row}: the value of {:?} is {found}; expected {expected}", shown(key)))
}

fn shown(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

/// A value of a map in the datatype that the map has.
trait Held: Datum + Clone {
    fn of(value: &Value) -> Option<Self>;
    const EXPECTED: &'static str;
}

impl Held for f64 {
    fn of(value: &Value) -> Option<Self> {
        if value.is_null() { Some(Self::NAN) } else { value.as_f64() }
    }

    const EXPECTED: &'static str = "a number, or null for NaN";
}

impl Held for f32 {
    fn of(value: &Value) -> Option<Self> {
        f64::of(value).map(|value| value as Self)
    }

    const EXPECTED: &'static str = f64::EXPECTED;
}

impl Held for i64 {
    fn of(value: &Value) -> Option<Self> {
        value.as_i64()
    }

    const EXPECTED: &'static str = "an integer of 64 bits";
}

impl Held for String {
    fn of(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    const EXPECTED: &'static str = "a string";
}

/// `DictVectorizer`: the values in the order of a vocabulary, 0 (or an empty text) where a row has no such key. Keys that the
/// vocabulary has not are left out.
#[derive(Debug)]
pub(super) struct DictVectorizer {
    places: Places,
    width: usize,
    values: DataType,
}

/// The columns of each key; a vocabulary may have it twice.
#[derive(Debug)]
enum Places {
    Texts(HashMap<String, Vec<usize>>),
    Ints(HashMap<i64, Vec<usize>>),
}

impl Places {
    fn of(&self, row: usize, key: &str) -> TractResult<&[usize]> {
        let found = match self {
            Self::Texts(places) => places.get(key),
            Self::Ints(places) => places.get(&whole_key(row, key)?),
        };
        Ok(found.map_or(&[], Vec::as_slice))
    }
}

fn places<K: Eq + std::hash::Hash>(keys: impl IntoIterator<Item = K>) -> HashMap<K, Vec<usize>> {
    let mut places: HashMap<K, Vec<usize>> = HashMap::new();
    for (at, key) in keys.into_iter().enumerate() {
        places.entry(key).or_default().push(at);
    }
    places
}

impl DictVectorizer {
    fn fill<T: Held + Default>(&self, texts: &[String]) -> TractResult<Tensor> {
        let mut filled = vec![T::default(); elements(&[texts.len(), self.width], size_of::<T>())?];
        for (row, text) in texts.iter().enumerate() {
            let cells = &mut filled[row * self.width..][..self.width];
            for (key, value) in &object(row, text)? {
                for place in self.places.of(row, key)? {
                    cells[*place] = T::of(value).ok_or_else(|| wrong(row, key, value, T::EXPECTED))?;
                }
            }
        }
        tensor(&[texts.len(), self.width], filled)
    }
}

impl Kernel for DictVectorizer {
    const NAME: &'static str = "DictVectorizer";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        use DataType::{Double, Float, Int64, String as Text};
        let (texts, ints) = (attributes.texts("string_vocabulary")?, attributes.ints("int64_vocabulary")?);
        if texts.is_empty() && ints.is_empty() {
            return Err("neither string_vocabulary nor int64_vocabulary is given; expected one of them".to_owned());
        }
        if !texts.is_empty() && !ints.is_empty() {
            return Err("attributes string_vocabulary and int64_vocabulary are both given; expected one of them".to_owned());
        }
        let (keys, allowed): (_, &[DataType]) =
            if ints.is_empty() { (Text, &[Float, Double, Int64]) } else { (Int64, &[Float, Double, Text]) };
        let values = values(attributes, keys, allowed)?;
        let width = texts.len() + ints.len();
        let places = if ints.is_empty() { Places::Texts(places(texts)) } else { Places::Ints(places(ints.iter().copied())) };
        Ok(Self { places, width, values })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let kind = DatumType::try_from(self.values)?;
        Ok(tvec!(Fact::new(kind, [rows(inputs)?, self.width.to_dim()])))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let texts = slice::<String>(inputs[0])?;
        Ok(tvec!(match self.values {
            DataType::Double => self.fill::<f64>(texts)?,
            DataType::Int64 => self.fill::<i64>(texts)?,
            DataType::String => self.fill::<String>(texts)?,
            _ => self.fill::<f32>(texts)?,
        }))
    }
}

/// `CastMap`: the values in the order of their keys, cast. Sparse, a key is its value's column, and what lies beyond the last one is
/// left out; dense, all rows need as many keys.
#[derive(Debug)]
pub(super) struct CastMap {
    from: DataType,
    to: DataType,
    /// The columns of a sparse map.
    width: Option<usize>,
}

impl CastMap {
    /// The values of a row, by their keys.
    fn sorted<T: Held>(row: usize, text: &str) -> TractResult<BTreeMap<i64, T>> {
        let one = |(key, value): (&String, &Value)| {
            let held = T::of(value).ok_or_else(|| wrong(row, key, value, T::EXPECTED))?;
            Ok((whole_key(row, key)?, held))
        };
        object(row, text)?.iter().map(one).collect()
    }

    fn laid<F: Held, T: Datum>(
        &self,
        texts: &[String],
        none: &T,
        cast: impl Fn(usize, i64, &F) -> TractResult<T>,
    ) -> TractResult<Tensor> {
        let maps = texts.iter().enumerate().map(|(row, text)| Self::sorted::<F>(row, text)).collect::<TractResult<Vec<_>>>()?;
        let width = self.width.unwrap_or_else(|| maps.first().map_or(0, BTreeMap::len));
        let mut laid = Vec::with_capacity(elements(&[maps.len(), width], size_of::<T>())?);
        for (row, map) in maps.iter().enumerate() {
            let begin = laid.len();
            match self.width {
                None => {
                    ensure!(
                        map.len() == width,
                        "row {row} has {} keys, row 0 has {width}: a dense CastMap needs as many in each",
                        map.len()
                    );
                    for (key, value) in map {
                        laid.push(cast(row, *key, value)?);
                    }
                }
                Some(_) => {
                    laid.resize(begin + width, none.clone());
                    for (key, value) in map {
                        ensure!(*key >= 0, "row {row}: the key {key} is below 0, which is no column of a sparse CastMap");
                        if let Some(cell) = usize::try_from(*key).ok().and_then(|key| laid[begin..].get_mut(key)) {
                            *cell = cast(row, *key, value)?;
                        }
                    }
                }
            }
        }
        tensor(&[maps.len(), width], laid)
    }

    /// From texts: numbers are read, of whole numbers what stands before a fraction.
    fn of_texts(&self, texts: &[String]) -> TractResult<Tensor> {
        let number = |row: usize, key: i64, text: &String| {
            let found = text.trim().parse::<f64>();
            found.map_err(|_| {
                TractError::msg(format!("row {row}: the value of \"{key}\" is {:?}; expected a number", shown(text)))
            })
        };
        match self.to {
            DataType::Float => self.laid(texts, &0.0_f32, |row, key, text| number(row, key, text).map(|value| value as f32)),
            DataType::Int64 => self.laid(texts, &0_i64, |row, key, text: &String| {
                text.trim().parse::<i64>().or_else(|_| number(row, key, text).map(|value| value as i64))
            }),
            _ => {
                let tensor = self.laid(texts, &NO_TEXT.to_owned(), |_, _, text: &String| Ok(text.clone()))?;
                characters(slice::<String>(&tensor)?.iter().map(String::len))?;
                Ok(tensor)
            }
        }
    }

    fn of_numbers(&self, texts: &[String]) -> TractResult<Tensor> {
        match self.to {
            DataType::Float => self.laid(texts, &0.0_f32, |_, _, value: &f32| Ok(*value)),
            DataType::Int64 => self.laid(texts, &0_i64, |_, _, value: &f32| Ok(*value as i64)),
            // As ONNX Runtime writes them.
            _ => self.laid(texts, &NO_TEXT.to_owned(), |_, _, value: &f32| {
                Ok(if value.is_nan() { "nan".to_owned() } else { format!("{value:.6}") })
            }),
        }
    }
}

impl Kernel for CastMap {
    const NAME: &'static str = "CastMap";
    const FREE: usize = 1;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let from = values(attributes, DataType::Int64, &[DataType::Float, DataType::String])?;
        let to = match attributes.text("cast_to", "TO_FLOAT")? {
            "TO_FLOAT" => DataType::Float,
            "TO_INT64" => DataType::Int64,
            "TO_STRING" => DataType::String,
            other => return Err(format!("attribute cast_to is '{other}'; expected TO_FLOAT, TO_INT64 or TO_STRING")),
        };
        let width = match attributes.text("map_form", "DENSE")? {
            "DENSE" => None,
            "SPARSE" => Some(attributes.size("max_map", 1, (1, WIDEST))?),
            other => return Err(format!("attribute map_form is '{other}'; expected DENSE or SPARSE")),
        };
        Ok(Self { from, to, width })
    }

    fn facts(&self, inputs: &[Fact], free: &[TDim]) -> TractResult<TVec<Fact>> {
        let width = self.width.map_or_else(|| free.first().cloned().unwrap_or_default(), |width| width.to_dim());
        Ok(tvec!(Fact::new(DatumType::try_from(self.to)?, [rows(inputs)?, width])))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let texts = slice::<String>(inputs[0])?;
        Ok(tvec!(if self.from == DataType::String { self.of_texts(texts)? } else { self.of_numbers(texts)? }))
    }
}
