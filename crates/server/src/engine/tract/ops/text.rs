//! Strings changed, compared and joined, element by element.

use std::collections::HashSet;

use regex::Regex;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_ndarray::Zip;

use super::kernel::{Fact, Kernel};
use super::numbers::{characters, elements, slice, tensor};
use super::pattern;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// Refuses what is no string.
pub(super) fn strings(kind: DatumType) -> TractResult<()> {
    ensure!(kind == String::datum_type(), "the input is {kind:?}; expected strings");
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Keep,
    Lower,
    Upper,
}

impl Case {
    /// Letter by letter, as the C library does it: a letter that would become two stays.
    fn apply(self, text: &str) -> String {
        text.chars()
            .map(|letter| match self {
                Self::Keep => letter,
                Self::Lower => only(letter.to_lowercase()).unwrap_or(letter),
                Self::Upper => only(letter.to_uppercase()).unwrap_or(letter),
            })
            .collect()
    }
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

/// `StringNormalizer`: stop words left out of [C] or [1, C], the rest in one case. If nothing is left, one empty string is.
#[derive(Debug)]
pub(super) struct StringNormalizer {
    case: Case,
    sensitive: bool,
    stopwords: HashSet<String>,
}

impl StringNormalizer {
    fn stops(&self, text: &str) -> bool {
        if self.sensitive { self.stopwords.contains(text) } else { self.stopwords.contains(&Case::Lower.apply(text)) }
    }
}

impl Kernel for StringNormalizer {
    const NAME: &'static str = "StringNormalizer";
    const FREE: usize = 1;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let case = match attributes.text("case_change_action", "NONE")? {
            "NONE" => Case::Keep,
            "LOWER" => Case::Lower,
            "UPPER" => Case::Upper,
            other => return Err(format!("attribute case_change_action is '{other}'; expected NONE, LOWER or UPPER")),
        };
        let sensitive = attributes.flag("is_case_sensitive", false)?;
        let stopwords = attributes.texts("stopwords")?;
        let stopwords = stopwords.into_iter().map(|word| if sensitive { word } else { Case::Lower.apply(&word) }).collect();
        // Unicode's cases, whatever the locale.
        attributes.text("locale", "")?;
        Ok(Self { case, sensitive, stopwords })
    }

    fn facts(&self, inputs: &[Fact], free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        strings(input.kind)?;
        let mut shape = input.shape.clone();
        let one_row = shape.len() == 1 || (shape.len() == 2 && shape[0].to_usize().is_ok_and(|rows| rows == 1));
        ensure!(one_row, "the input's shape is {shape:?}; expected [C] or [1, C]");
        if let (false, Some(last)) = (self.stopwords.is_empty(), shape.last_mut()) {
            last.clone_from(&free[0]);
        }
        Ok(tvec!(Fact::new(input.kind, shape)))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let input = inputs[0];
        let kept = slice::<String>(input)?.iter().filter(|text| self.stopwords.is_empty() || !self.stops(text));
        let mut kept: Vec<String> = kept.map(|text| self.case.apply(text)).collect();
        if kept.is_empty() {
            kept.push(String::new());
        }
        let shape = if input.rank() == 1 { vec![kept.len()] } else { vec![1, kept.len()] };
        Ok(tvec!(tensor(&shape, kept)?))
    }
}

/// `RegexFullMatch`: whether the whole string is what the expression says.
#[derive(Debug)]
pub(super) struct RegexFullMatch(Regex);

impl Kernel for RegexFullMatch {
    const NAME: &'static str = "RegexFullMatch";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let pattern = attributes.text("pattern", "")?;
        // Refused alone first: "a)(b" would be an expression between parentheses.
        pattern::compile(pattern).map_err(|wrong| format!("attribute pattern: {wrong}"))?;
        Ok(Self(pattern::compile(&format!(r"\A(?:{pattern})\z"))?))
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        strings(input.kind)?;
        Ok(tvec!(Fact::new(bool::datum_type(), input.shape.iter().cloned())))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let matches = slice::<String>(inputs[0])?.iter().map(|text| self.0.is_match(text)).collect();
        Ok(tvec!(tensor(inputs[0].shape(), matches)?))
    }
}

/// `StringConcat`: the second string after the first, shapes broadcast.
#[derive(Debug)]
pub(super) struct StringConcat;

impl Kernel for StringConcat {
    const NAME: &'static str = "StringConcat";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        match attributes.inputs() {
            2 => Ok(Self),
            found => Err(format!("it has {found} inputs; expected two")),
        }
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [first, second] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        strings(first.kind).and(strings(second.kind))?;
        let shape = tract_core::broadcast::multi_broadcast(&[&first.shape, &second.shape])?;
        Ok(tvec!(Fact::new(first.kind, shape)))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let shape = tract_core::broadcast::multi_broadcast(&[inputs[0].shape(), inputs[1].shape()])?;
        elements(&shape, size_of::<String>())?;
        let (first, second) = (inputs[0].to_plain_array_view::<String>()?, inputs[1].to_plain_array_view::<String>()?);
        let (Some(first), Some(second)) = (first.broadcast(&*shape), second.broadcast(&*shape)) else {
            bail!("shapes {:?} and {:?} cannot be broadcast", inputs[0].shape(), inputs[1].shape());
        };
        let lengths = first.iter().zip(&second).map(|(first, second)| first.len().saturating_add(second.len()));
        characters(lengths)?;
        Ok(tvec!(Zip::from(&first).and(&second).map_collect(|first, second| format!("{first}{second}")).into_tensor()))
    }
}
