//! Strings taken apart: the pieces of each in a further dimension, as many places as the most pieces of any string need.

use regex::Regex;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::numbers::{elements, slice, tensor};
use super::pattern;
use super::text::strings;
use crate::engine::onnx::attributes::{Attributes, Wrong};

/// Lays the pieces of each element side by side.
fn padded<'a>(input: &Tensor, pieces: Vec<Vec<&'a str>>, pad: &'a str) -> TractResult<Tensor> {
    let most = pieces.iter().map(Vec::len).max().unwrap_or(0);
    let shape: Vec<usize> = input.shape().iter().copied().chain([most]).collect();
    let mut laid = Vec::with_capacity(elements(&shape, size_of::<String>())?);
    for pieces in pieces {
        let missing = most - pieces.len();
        laid.extend(pieces.into_iter().chain(std::iter::repeat_n(pad, missing)).map(str::to_owned));
    }
    tensor(&shape, laid)
}

/// The input's shape and one more dimension, of the pieces.
fn longer(inputs: &[Fact], free: &[TDim]) -> TractResult<Fact> {
    let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
    strings(input.kind)?;
    Ok(Fact::new(input.kind, input.shape.iter().chain(free).cloned()))
}

/// `StringSplit`: the pieces between delimiters, or where there is none between white space; and how many there are.
#[derive(Debug)]
pub(super) struct StringSplit {
    delimiter: String,
    /// Splits at most, the rest staying one piece.
    most: Option<usize>,
}

impl StringSplit {
    fn split<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let pieces = self.most.map_or(usize::MAX, |most| most.saturating_add(1));
        if !self.delimiter.is_empty() {
            return if text.is_empty() { Vec::new() } else { text.splitn(pieces, self.delimiter.as_str()).collect() };
        }
        let (mut found, mut rest) = (Vec::new(), text.trim());
        while !rest.is_empty() {
            let end = rest.find(char::is_whitespace).filter(|_| found.len() + 1 < pieces);
            let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
            found.push(piece);
            rest = after.trim_start();
        }
        found
    }
}

impl Kernel for StringSplit {
    const NAME: &'static str = "StringSplit";
    const OUTPUTS: usize = 2;
    const FREE: usize = 1;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let most = match attributes.has("maxsplit") {
            true => Some(attributes.size("maxsplit", 0, (0, usize::MAX))?),
            false => None,
        };
        Ok(Self { delimiter: attributes.text("delimiter", "")?.to_owned(), most })
    }

    fn facts(&self, inputs: &[Fact], free: &[TDim]) -> TractResult<TVec<Fact>> {
        let pieces = longer(inputs, free)?;
        let counts = Fact::new(i64::datum_type(), inputs[0].shape.iter().cloned());
        Ok(tvec!(pieces, counts))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let pieces: Vec<Vec<&str>> = slice::<String>(inputs[0])?.iter().map(|text| self.split(text)).collect();
        let counts = tensor(inputs[0].shape(), pieces.iter().map(|pieces| pieces.len() as i64).collect())?;
        Ok(tvec!(padded(inputs[0], pieces, "")?, counts))
    }
}

/// ONNX Runtime's `Tokenizer`: what an expression finds, or what is between separators.
#[derive(Debug)]
pub(super) struct Tokenizer {
    cut: Cut,
    pad: String,
    /// Whether a start and an end stand around the tokens of each string.
    mark: bool,
    /// Characters of the shortest token.
    least: usize,
}

#[derive(Debug)]
enum Cut {
    Tokens(Regex),
    Separators(Vec<Regex>),
    Characters,
}

impl Tokenizer {
    const START: &str = "\u{2}";
    const END: &str = "\u{3}";

    fn tokens<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut tokens = match &self.cut {
            Cut::Tokens(token) => token.find_iter(text).map(|found| found.as_str()).collect(),
            Cut::Characters => text.char_indices().map(|(at, one)| &text[at..at + one.len_utf8()]).collect(),
            Cut::Separators(all) => {
                all.iter().fold(vec![text], |pieces, one| pieces.into_iter().flat_map(|piece| apart(piece, one)).collect())
            }
        };
        tokens.retain(|token: &&str| token.chars().take(self.least).count() == self.least);
        if self.mark {
            tokens.insert(0, Self::START);
            tokens.push(Self::END);
        }
        tokens
    }
}

/// The pieces between what the expression finds; that it finds nothing between two characters does not part them.
fn apart<'a>(text: &'a str, separator: &Regex) -> Vec<&'a str> {
    let (mut pieces, mut begin) = (Vec::new(), 0);
    for found in separator.find_iter(text).filter(|found| !found.is_empty()) {
        pieces.push(&text[begin..found.start()]);
        begin = found.end();
    }
    pieces.push(&text[begin..]);
    pieces
}

impl Kernel for Tokenizer {
    const NAME: &'static str = "Tokenizer";
    const FREE: usize = 1;

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let cut = match attributes.one_of(&["tokenexp", "separators"])? {
            Some("tokenexp") => {
                let token = pattern::compile(attributes.text("tokenexp", "")?);
                Cut::Tokens(token.map_err(|wrong| format!("attribute tokenexp: {wrong}"))?)
            }
            Some(_) => match &*attributes.texts("separators")? {
                [] => return Err("attribute separators is empty".to_owned()),
                [only] if only.is_empty() => Cut::Characters,
                all => {
                    let compiled = all.iter().map(|one| pattern::compile(one)).collect::<Result<_, _>>();
                    Cut::Separators(compiled.map_err(|wrong| format!("attribute separators: {wrong}"))?)
                }
            },
            None => return Err("neither tokenexp nor separators is given; expected one of them".to_owned()),
        };
        let (pad, mark) = (attributes.text("pad_value", "")?.to_owned(), attributes.flag("mark", false)?);
        Ok(Self { cut, pad, mark, least: attributes.size("mincharnum", 1, (1, 1 << 20))? })
    }

    fn facts(&self, inputs: &[Fact], free: &[TDim]) -> TractResult<TVec<Fact>> {
        Ok(tvec!(longer(inputs, free)?))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let tokens = slice::<String>(inputs[0])?.iter().map(|text| self.tokens(text)).collect();
        Ok(tvec!(padded(inputs[0], tokens, &self.pad)?))
    }
}
