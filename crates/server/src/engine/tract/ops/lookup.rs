//! Values found by key: what the encoders have in common.

use std::collections::HashMap;

use tract_onnx::tract_hir::internal::*;

use super::numbers::{slice, tensor};
use crate::engine::onnx::values::Values;

/// Where each key's value is.
#[derive(Debug)]
pub(super) enum Keys {
    Texts(HashMap<String, usize>),
    Ints(Whole),
    /// By bits: every NaN is one key, and so are both zeros.
    Floats(HashMap<u64, usize>),
    /// Numbers without a fraction, all of them, as categories mostly are.
    WholeFloats(Whole),
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
            Values::Ints(all) => Self::Ints(Whole::of(all, repeated)),
            Values::Int32s(all) => Self::Ints(Whole::of(all.into_iter().map(i64::from), repeated)),
            Values::Int16s(all) => Self::Ints(Whole::of(all.into_iter().map(i64::from), repeated)),
            Values::Floats(all) => Self::of_floats(all.into_iter().map(f64::from).collect(), repeated),
            Values::Doubles(all) => Self::of_floats(all, repeated),
        }
    }

    fn of_floats(all: Vec<f64>, repeated: Repeated) -> Self {
        match all.iter().map(|key| whole(*key)).collect::<Option<Vec<i64>>>() {
            Some(all) => Self::WholeFloats(Whole::of(all, repeated)),
            None => Self::Floats(places(all.into_iter().map(bits), repeated)),
        }
    }

    /// The place of each element's value; `None` for an element that is no key. Numbers are looked up among integers without
    /// their fraction.
    pub(super) fn find(&self, input: &Tensor) -> TractResult<Vec<Option<usize>>> {
        Ok(match self {
            Self::Texts(places) => slice::<String>(input)?.iter().map(|key| places.get(key).copied()).collect(),
            Self::Ints(places) if input.datum_type().is_float() => {
                // NaN would be 0 as an integer.
                let place = |key: &f64| if key.is_nan() { None } else { places.get(*key as i64) };
                slice::<f64>(&*input.cast_to::<f64>()?)?.iter().map(place).collect()
            }
            Self::Ints(places) => slice::<i64>(&*input.cast_to::<i64>()?)?.iter().map(|key| places.get(*key)).collect(),
            Self::Floats(places) => {
                slice::<f64>(&*input.cast_to::<f64>()?)?.iter().map(|key| places.get(&bits(*key)).copied()).collect()
            }
            Self::WholeFloats(places) => {
                slice::<f64>(&*input.cast_to::<f64>()?)?.iter().map(|key| whole(*key).and_then(|key| places.get(key))).collect()
            }
        })
    }

    /// The place of one number's value, as [`Keys::find`] tells it; `None` among texts.
    pub(super) fn find_number(&self, key: f64) -> Option<usize> {
        match self {
            Self::Texts(_) => None,
            // NaN would be 0 as an integer.
            Self::Ints(_) if key.is_nan() => None,
            Self::Ints(places) => places.get(key as i64),
            Self::Floats(places) => places.get(&bits(key)).copied(),
            Self::WholeFloats(places) => whole(key).and_then(|key| places.get(key)),
        }
    }

    /// The places of values, which must be keys.
    pub(super) fn places(&self, values: &Values) -> Vec<usize> {
        match (self, values) {
            (Self::Texts(places), Values::Texts(all)) => all.iter().filter_map(|key| places.get(key).copied()).collect(),
            (Self::Ints(places), Values::Ints(all)) => all.iter().filter_map(|key| places.get(*key)).collect(),
            _ => Vec::new(),
        }
    }

    /// Refuses an input that cannot be looked up.
    pub(super) fn check(&self, kind: DatumType) -> TractResult<()> {
        let fits = match self {
            Self::Texts(_) => kind == String::datum_type(),
            Self::Ints(_) | Self::Floats(_) | Self::WholeFloats(_) => kind.is_number(),
        };
        let expected = if matches!(self, Self::Texts(_)) { "strings" } else { "numbers" };
        ensure!(fits, "the input is {kind:?}; expected {expected}, as the keys are");
        Ok(())
    }
}

/// Whole numbers: a table where they lie close together, as those of categories do, or a map.
#[derive(Debug)]
pub(super) enum Whole {
    /// The place of `least + k` at `k`, [`NOWHERE`] for what is no key.
    Table {
        least: i64,
        places: Vec<u32>,
    },
    Map(HashMap<i64, usize>),
}

/// No place.
const NOWHERE: u32 = u32::MAX;

/// Elements of a table for each key, and for none: it is never much larger than the map would be.
const SPARSE: (usize, usize) = (8, 64);

impl Whole {
    fn of(keys: impl IntoIterator<Item = i64>, repeated: Repeated) -> Self {
        let map = places(keys, repeated);
        let (least, most) = (map.keys().min().copied().unwrap_or(0), map.keys().max().copied().unwrap_or(0));
        let size = most.checked_sub(least).and_then(|span| usize::try_from(span).ok()?.checked_add(1));
        let Some(size) = size.filter(|size| *size <= map.len().saturating_mul(SPARSE.0).saturating_add(SPARSE.1)) else {
            return Self::Map(map);
        };
        let mut table = vec![NOWHERE; size];
        for (key, place) in &map {
            // As many as fit into a file, so none is cut off.
            let at = usize::try_from(key - least).unwrap_or(0);
            table[at] = u32::try_from(*place).unwrap_or(NOWHERE);
        }
        Self::Table { least, places: table }
    }

    fn get(&self, key: i64) -> Option<usize> {
        match self {
            Self::Table { least, places } => {
                let at = usize::try_from(key.checked_sub(*least)?).ok()?;
                places.get(at).filter(|place| **place != NOWHERE).map(|place| *place as usize)
            }
            Self::Map(map) => map.get(&key).copied(),
        }
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

/// A number without a fraction as an integer, where it is exactly one: neither NaN nor infinities are.
fn whole(key: f64) -> Option<i64> {
    /// 2^53: up to here every integer is a FP64 of its own.
    const MOST: f64 = 9_007_199_254_740_992.0;
    (key.abs() <= MOST && key.fract() == 0.0).then_some(key as i64)
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

    /// All of them, the default last, where they are INT64.
    pub(super) fn ints(&self) -> Option<&[i64]> {
        if let Values::Ints(all) = &self.0 { Some(all) } else { None }
    }

    /// All of them, the default last, where they are FP32.
    pub(super) fn floats(&self) -> Option<&[f32]> {
        if let Values::Floats(all) = &self.0 { Some(all) } else { None }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_a_map_find_the_same() {
        let close = [5, 7, 5, -2];
        let apart = [5, i64::MAX, i64::MIN, -2];
        for (keys, repeated, found) in [
            (&close, Repeated::First, [(5, Some(0)), (7, Some(1)), (-2, Some(3)), (6, None), (8, None), (i64::MIN, None)]),
            (&close, Repeated::Last, [(5, Some(2)), (7, Some(1)), (-2, Some(3)), (0, None), (-3, None), (i64::MAX, None)]),
            (
                &apart,
                Repeated::First,
                [(5, Some(0)), (i64::MAX, Some(1)), (i64::MIN, Some(2)), (-2, Some(3)), (0, None), (6, None)],
            ),
        ] {
            let whole = Whole::of(keys.iter().copied(), repeated);
            assert_eq!(matches!(whole, Whole::Map(_)), keys == &apart);
            assert_eq!(found.map(|(key, _)| (key, whole.get(key))), found);
        }
        assert_eq!(Whole::of([], Repeated::First).get(0), None);
    }

    #[test]
    fn numbers_are_found_with_and_without_fractions() {
        let inputs = [3.0, -0.0, 2.5, f64::NAN, f64::INFINITY, 1e300, 3.5];
        let found = |keys: Vec<f64>| {
            let keys = Keys::of(Values::Doubles(keys), Repeated::First);
            (matches!(keys, Keys::WholeFloats(_)), keys.find(&tensor(&[inputs.len()], inputs.to_vec()).unwrap()).unwrap())
        };
        assert_eq!(found(vec![0.0, 3.0]), (true, vec![Some(1), Some(0), None, None, None, None, None]));
        assert_eq!(found(vec![0.0, 3.5, f64::NAN]), (false, vec![None, Some(0), None, Some(2), None, None, Some(1)]));
        assert_eq!(found(vec![f64::INFINITY, 1e300]).1, [None, None, None, None, Some(0), Some(1), None]);
    }
}
