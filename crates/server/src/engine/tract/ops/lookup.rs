//! Values found by key: what the encoders have in common.

use std::collections::HashMap;

use tract_onnx::tract_hir::internal::*;

use super::numbers::{slice, tensor};
use crate::engine::onnx::values::Values;

/// Where each key's value is.
#[derive(Debug)]
pub(super) enum Keys {
    Texts(HashMap<String, usize>),
    Ints(HashMap<i64, usize>),
    /// By bits: every NaN is one key, and so are both zeros.
    Floats(HashMap<u64, usize>),
}

/// Of keys that are given more than once, which counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeated {
    First,
    Last,
}

impl Keys {
    /// The places of `keys`.
    pub(super) fn of(keys: Values, repeated: Repeated) -> Self {
        match keys {
            Values::Texts(all) => Self::Texts(places(all, repeated)),
            Values::Ints(all) => Self::Ints(places(all, repeated)),
            Values::Int32s(all) => Self::Ints(places(all.into_iter().map(i64::from), repeated)),
            Values::Int16s(all) => Self::Ints(places(all.into_iter().map(i64::from), repeated)),
            Values::Floats(all) => Self::Floats(places(all.into_iter().map(|key| bits(f64::from(key))), repeated)),
            Values::Doubles(all) => Self::Floats(places(all.into_iter().map(bits), repeated)),
        }
    }

    /// The place of each element's value; `None` for an element that is no key. Numbers are looked up among integers without
    /// their fraction.
    pub(super) fn find(&self, input: &Tensor) -> TractResult<Vec<Option<usize>>> {
        Ok(match self {
            Self::Texts(places) => slice::<String>(input)?.iter().map(|key| places.get(key).copied()).collect(),
            Self::Ints(places) if input.datum_type().is_float() => {
                let wide = input.cast_to::<f64>()?;
                // NaN would be 0 as an integer.
                let place = |key: &f64| if key.is_nan() { None } else { places.get(&(*key as i64)).copied() };
                slice::<f64>(&wide)?.iter().map(place).collect()
            }
            Self::Ints(places) => slice::<i64>(&*input.cast_to::<i64>()?)?.iter().map(|key| places.get(key).copied()).collect(),
            Self::Floats(places) => {
                slice::<f64>(&*input.cast_to::<f64>()?)?.iter().map(|key| places.get(&bits(*key)).copied()).collect()
            }
        })
    }

    /// The places of values, which must be keys.
    pub(super) fn places(&self, values: &Values) -> Vec<usize> {
        match (self, values) {
            (Self::Texts(places), Values::Texts(all)) => all.iter().filter_map(|key| places.get(key).copied()).collect(),
            (Self::Ints(places), Values::Ints(all)) => all.iter().filter_map(|key| places.get(key).copied()).collect(),
            _ => Vec::new(),
        }
    }

    /// Refuses an input that cannot be looked up.
    pub(super) fn check(&self, kind: DatumType) -> TractResult<()> {
        let fits = match self {
            Self::Texts(_) => kind == String::datum_type(),
            Self::Ints(_) | Self::Floats(_) => kind.is_number(),
        };
        let expected = if matches!(self, Self::Texts(_)) { "strings" } else { "numbers" };
        ensure!(fits, "the input is {kind:?}; expected {expected}, as the keys are");
        Ok(())
    }
}

fn places<K: std::hash::Hash + Eq>(keys: impl IntoIterator<Item = K>, repeated: Repeated) -> HashMap<K, usize> {
    let mut places = HashMap::new();
    for (at, key) in keys.into_iter().enumerate() {
        match repeated {
            Repeated::First => drop(places.entry(key).or_insert(at)),
            Repeated::Last => drop(places.insert(key, at)),
        }
    }
    places
}

fn bits(key: f64) -> u64 {
    match key {
        key if key.is_nan() => f64::NAN.to_bits(),
        0.0 => 0,
        key => key.to_bits(),
    }
}

/// What is found, and last among it what stands for a key that is none.
#[derive(Debug)]
pub(super) struct Found(Values);

impl Found {
    /// `values`, and `default`, which must be one value of their type.
    pub(super) fn with_default(mut values: Values, default: Values) -> Option<Self> {
        match (&mut values, default) {
            (Values::Texts(all), Values::Texts(one)) if one.len() == 1 => all.extend(one),
            (Values::Ints(all), Values::Ints(one)) if one.len() == 1 => all.extend(one),
            (Values::Int32s(all), Values::Int32s(one)) if one.len() == 1 => all.extend(one),
            (Values::Int16s(all), Values::Int16s(one)) if one.len() == 1 => all.extend(one),
            (Values::Floats(all), Values::Floats(one)) if one.len() == 1 => all.extend(one),
            (Values::Doubles(all), Values::Doubles(one)) if one.len() == 1 => all.extend(one),
            _ => return None,
        }
        Some(Self(values))
    }

    /// The datatype.
    pub(super) fn kind(&self) -> DatumType {
        match self.0 {
            Values::Texts(_) => String::datum_type(),
            Values::Ints(_) => i64::datum_type(),
            Values::Int32s(_) => i32::datum_type(),
            Values::Int16s(_) => i16::datum_type(),
            Values::Floats(_) => f32::datum_type(),
            Values::Doubles(_) => f64::datum_type(),
        }
    }

    /// The values at these places.
    pub(super) fn at(&self, places: &[Option<usize>], shape: &[usize]) -> TractResult<Tensor> {
        match &self.0 {
            Values::Texts(all) => picked(all, places, shape),
            Values::Ints(all) => picked(all, places, shape),
            Values::Int32s(all) => picked(all, places, shape),
            Values::Int16s(all) => picked(all, places, shape),
            Values::Floats(all) => picked(all, places, shape),
            Values::Doubles(all) => picked(all, places, shape),
        }
    }
}

fn picked<T: Datum>(all: &[T], places: &[Option<usize>], shape: &[usize]) -> TractResult<Tensor> {
    let default = all.len() - 1;
    tensor(shape, places.iter().map(|place| all[place.unwrap_or(default)].clone()).collect())
}
