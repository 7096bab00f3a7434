//! `LabelEncoder` of all versions, and `CategoryMapper`: each element replaced by what stands for it.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::lookup::{Found, Keys, Repeated};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::values::Values;
use crate::engine::onnx::weights::datatype_name;

/// What stands for a key that is none, where the file does not say.
const UNKNOWN_TEXT: &str = "_Unused";
const UNKNOWN_INT: i64 = -1;
const UNKNOWN_FLOAT: f32 = -0.0;

/// From keys to values.
#[derive(Debug)]
pub(super) struct Table {
    keys: Keys,
    found: Found,
}

impl Table {
    fn new(keys: Values, values: Values, default: Values, repeated: Repeated) -> Result<Self, Wrong> {
        if keys.len() != values.len() || keys.len() == 0 {
            return Err(format!("there are {} keys and {} values; expected as many, at least one", keys.len(), values.len()));
        }
        let found = Found::with_default(values, default);
        let found = found.ok_or_else(|| "the default is not one value of the values' type".to_owned())?;
        Ok(Self { keys: Keys::of(keys, repeated), found })
    }

    fn fact(&self, input: &Fact) -> TractResult<TVec<Fact>> {
        self.keys.check(input.kind)?;
        Ok(tvec!(Fact::new(self.found.kind(), input.shape.iter().cloned())))
    }

    fn run(&self, input: &Tensor) -> TractResult<TVec<Tensor>> {
        Ok(tvec!(self.found.at(&self.keys.find(input)?, input.shape())?))
    }
}

/// Two tables that undo each other; the input's type chooses.
#[derive(Debug)]
pub(super) struct Both {
    texts: Table,
    ints: Table,
}

impl Both {
    fn new(attributes: &Attributes<'_>, texts: Vec<String>, ints: Vec<i64>) -> Result<Self, Wrong> {
        let unknown_text = attributes.text("default_string", UNKNOWN_TEXT)?.to_owned();
        let unknown_int = attributes.int("default_int64", UNKNOWN_INT)?;
        let (texts, ints) = (Values::Texts(texts), Values::Ints(ints));
        Ok(Self {
            texts: Table::new(texts.clone(), ints.clone(), Values::Ints(vec![unknown_int]), Repeated::Last)?,
            ints: Table::new(ints, texts, Values::Texts(vec![unknown_text]), Repeated::Last)?,
        })
    }

    fn table(&self, kind: DatumType) -> &Table {
        if kind == String::datum_type() { &self.texts } else { &self.ints }
    }
}

/// `LabelEncoder`.
#[derive(Debug)]
pub(super) enum LabelEncoder {
    /// Version 1: classes by their place.
    Classes(Both),
    /// Version 2 and later: keys and values.
    Table(Table),
}

impl LabelEncoder {
    /// The keys, where there is one table.
    pub(super) const fn keys(&self) -> Option<&Keys> {
        if let Self::Table(table) = self { Some(&table.keys) } else { None }
    }

    /// The values and the default, where they are INT64.
    pub(super) fn ints(&self) -> Option<&[i64]> {
        if let Self::Table(table) = self { table.found.ints() } else { None }
    }

    /// The values and the default, where they are FP32.
    pub(super) fn floats(&self) -> Option<&[f32]> {
        if let Self::Table(table) = self { table.found.floats() } else { None }
    }

    fn classes(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let texts = attributes.texts("classes_strings")?;
        let places = (0..texts.len() as i64).collect();
        Ok(Self::Classes(Both::new(attributes, texts, places)?))
    }

    fn keys_and_values(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let keys = one_list(attributes, ["keys_strings", "keys_int64s", "keys_floats", "keys_tensor"])?;
        let values = one_list(attributes, ["values_strings", "values_int64s", "values_floats", "values_tensor"])?;
        let default = match (list(attributes, "default_tensor")?, &values) {
            (Some(default), _) => default,
            (None, Values::Texts(_)) => Values::Texts(vec![attributes.text("default_string", UNKNOWN_TEXT)?.to_owned()]),
            (None, Values::Ints(_)) => Values::Ints(vec![attributes.int("default_int64", UNKNOWN_INT)?]),
            (None, Values::Int32s(_)) => Values::Int32s(vec![UNKNOWN_INT as i32]),
            (None, Values::Int16s(_)) => Values::Int16s(vec![UNKNOWN_INT as i16]),
            (None, Values::Floats(_)) => Values::Floats(vec![attributes.float("default_float", UNKNOWN_FLOAT)?]),
            (None, Values::Doubles(_)) => Values::Doubles(vec![f64::from(UNKNOWN_FLOAT)]),
        };
        Ok(Self::Table(Table::new(keys, values, default, Repeated::First)?))
    }
}

/// The one list that is given, of strings, integers, numbers or a tensor.
fn one_list(attributes: &Attributes<'_>, names: [&'static str; 4]) -> Result<Values, Wrong> {
    let [texts, ints, floats, tensor] = names;
    match attributes.one_of(&names)? {
        Some(name) if name == texts => Ok(Values::Texts(attributes.texts(name)?)),
        Some(name) if name == ints => Ok(Values::Ints(attributes.ints(name)?.to_vec())),
        Some(name) if name == floats => Ok(Values::Floats(attributes.floats(name)?.to_vec())),
        _ => list(attributes, tensor)?.ok_or_else(|| format!("none of {} is given", names.join(", "))),
    }
}

/// The values of a tensor, of the datatypes that the operator has.
fn list(attributes: &Attributes<'_>, name: &str) -> Result<Option<Values>, Wrong> {
    let Some(tensor) = attributes.tensor(name)? else { return Ok(None) };
    if matches!(DataType::try_from(tensor.data_type), Ok(DataType::Float16 | DataType::Uint8)) {
        let (found, expected) = (datatype_name(tensor.data_type), "STRING, INT16, INT32, INT64, FLOAT or DOUBLE");
        return Err(format!("attribute {name}: a tensor of {found} is not supported; expected {expected}"));
    }
    Values::of(tensor).map(Some).map_err(|wrong| format!("attribute {name}: {wrong}"))
}

impl Kernel for LabelEncoder {
    const NAME: &'static str = "LabelEncoder";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        if attributes.has("classes_strings") { Self::classes(attributes) } else { Self::keys_and_values(attributes) }
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        match self {
            Self::Classes(both) => both.table(input.kind).fact(input),
            Self::Table(table) => table.fact(input),
        }
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        match self {
            Self::Classes(both) => both.table(inputs[0].datum_type()).run(inputs[0]),
            Self::Table(table) => table.run(inputs[0]),
        }
    }
}

/// `CategoryMapper`: strings to integers or back.
#[derive(Debug)]
pub(super) struct CategoryMapper(Both);

impl Kernel for CategoryMapper {
    const NAME: &'static str = "CategoryMapper";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let (texts, ints) = (attributes.texts("cats_strings")?, attributes.ints("cats_int64s")?);
        if texts.len() != ints.len() || texts.is_empty() {
            let (texts, ints) = (texts.len(), ints.len());
            return Err(format!(
                "attributes cats_strings and cats_int64s have {texts} and {ints} values; expected as many, at least one"
            ));
        }
        Ok(Self(Both::new(attributes, texts, ints.to_vec())?))
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        self.0.table(input.kind).fact(input)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        self.0.table(inputs[0].datum_type()).run(inputs[0])
    }
}
