//! `TfIdfVectorizer`: how often each n-gram of a pool occurs in a row of tokens, and what that weighs.

use std::collections::HashMap;

use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel};
use super::lookup::{Keys, Repeated};
use super::numbers::{elements, table, tensor};
use crate::engine::onnx::attributes::{Attributes, Wrong};
use crate::engine::onnx::values::Values;

/// The most columns, which the file's indexes choose.
const MOST_COLUMNS: i64 = 1 << 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The count.
    Tf,
    /// The weight, if it occurs at all.
    Idf,
    /// The count times the weight.
    TfIdf,
}

/// The pool as a trie, and how it is searched.
#[derive(Debug)]
pub(super) struct TfIdfVectorizer {
    mode: Mode,
    /// The number of each token that any n-gram has.
    tokens: Keys,
    /// From a node of the trie and a token to the node after it; 0 is the root.
    steps: HashMap<(usize, usize), usize>,
    /// The column and the weight of the n-gram that ends at a node.
    ends: HashMap<usize, (usize, f32)>,
    lengths: std::ops::RangeInclusive<usize>,
    most_skipped: usize,
    columns: usize,
}

impl TfIdfVectorizer {
    /// Enters the n-grams, which stand in the pool by length: `starts[n - 1]` is where those of n tokens begin.
    fn enter(&mut self, pool: &[usize], starts: &[i64], ngrams: Ngrams<'_>) -> Result<(), Wrong> {
        let mut entered = 0;
        for (at, start) in starts.iter().enumerate() {
            let (length, end) = (at + 1, starts.get(at + 1).copied().unwrap_or(pool.len() as i64));
            let range = usize::try_from(*start).ok().zip(usize::try_from(end).ok());
            let part = range.and_then(|(start, end)| pool.get(start..end)).filter(|part| part.len() % length == 0);
            let Some(part) = part else {
                return Err(format!(
                    "attribute ngram_counts: {start} to {end} holds no {length}-grams of the pool of {}",
                    pool.len()
                ));
            };
            for ngram in part.chunks_exact(length) {
                let (Some(column), weight) = (ngrams.columns.get(entered), ngrams.weights.get(entered)) else {
                    return Err(format!("attribute ngram_indexes has {entered} values; the pool holds more n-grams"));
                };
                let node = ngram.iter().fold(0, |node, token| {
                    let fresh = self.steps.len() + 1;
                    *self.steps.entry((node, *token)).or_insert(fresh)
                });
                if self.ends.insert(node, (*column as usize, weight.copied().unwrap_or(1.0))).is_some() {
                    return Err(format!("the pool holds n-gram {entered} twice"));
                }
                entered += 1;
            }
        }
        if !ngrams.weights.is_empty() && ngrams.weights.len() < entered {
            return Err(format!("attribute weights has {} values; the pool holds {entered} n-grams", ngrams.weights.len()));
        }
        Ok(())
    }

    /// Adds one row of tokens to its counts.
    fn count(&self, row: &[Option<usize>], counts: &mut [f32]) {
        for (skipped, stride) in (1..=self.most_skipped + 1).enumerate() {
            for begin in 0..row.len() {
                let mut node = 0;
                for (at, token) in row[begin..].iter().step_by(stride).take(*self.lengths.end()).enumerate() {
                    let Some(next) = token.and_then(|token| self.steps.get(&(node, token))) else { break };
                    node = *next;
                    // A single token skips nothing: it is counted once.
                    let counted = self.lengths.contains(&(at + 1)) && (at > 0 || skipped == 0);
                    if let (true, Some((column, weight))) = (counted, self.ends.get(&node)) {
                        let count = &mut counts[*column];
                        match self.mode {
                            Mode::Tf => *count += 1.0,
                            Mode::Idf => *count = *weight,
                            Mode::TfIdf => *count += *weight,
                        }
                    }
                }
            }
            // Further apart nothing of two tokens fits.
            if stride >= row.len() {
                break;
            }
        }
    }
}

/// The column and the weight of each n-gram, in the pool's order; without weights each weighs 1.
#[derive(Clone, Copy)]
struct Ngrams<'a> {
    columns: &'a [i64],
    weights: &'a [f32],
}

impl Kernel for TfIdfVectorizer {
    const NAME: &'static str = "TfIdfVectorizer";

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let mode = match attributes.text("mode", "")? {
            "TF" => Mode::Tf,
            "IDF" => Mode::Idf,
            "TFIDF" => Mode::TfIdf,
            other => return Err(format!("attribute mode is '{other}'; expected TF, IDF or TFIDF")),
        };
        let least = attributes.size("min_gram_length", 1, (1, 64))?;
        let most = attributes.size("max_gram_length", 1, (least, 64))?;
        let most_skipped = attributes.size("max_skip_count", 0, (0, 1024))?;
        let (starts, columns) = (attributes.ints("ngram_counts")?, attributes.ints("ngram_indexes")?);
        let Some(last) = columns.iter().max() else { return Err("attribute ngram_indexes is empty".to_owned()) };
        if let Some(wrong) = columns.iter().find(|column| !(0..MOST_COLUMNS).contains(*column)) {
            return Err(format!("attribute ngram_indexes holds {wrong}; expected 0 to {}", MOST_COLUMNS - 1));
        }
        if starts.len() < most {
            return Err(format!("attribute ngram_counts has {} values; expected {most}, one for each length", starts.len()));
        }
        let pool = match attributes.one_of(&["pool_strings", "pool_int64s"])? {
            Some("pool_strings") => Values::Texts(attributes.texts("pool_strings")?),
            Some(_) => Values::Ints(attributes.ints("pool_int64s")?.to_vec()),
            None => return Err("neither pool_strings nor pool_int64s is given; expected one of them".to_owned()),
        };
        let tokens = Keys::of(pool.clone(), Repeated::First);
        let places = tokens.places(&pool);
        let mut read = Self {
            mode,
            tokens,
            steps: HashMap::new(),
            ends: HashMap::new(),
            lengths: least..=most,
            most_skipped,
            columns: *last as usize + 1,
        };
        read.enter(&places, starts, Ngrams { columns, weights: attributes.floats("weights")? })?;
        Ok(read)
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        self.tokens.check(input.kind)?;
        let (rows, _) = input.table()?;
        let shape = if input.shape.len() == 1 { tvec!(self.columns.to_dim()) } else { tvec!(rows, self.columns.to_dim()) };
        Ok(tvec!(Fact::new(f32::datum_type(), shape)))
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let (rows, width) = table(inputs[0])?;
        let mut counts = vec![0.0_f32; elements(&[rows, self.columns], 4)?];
        let found = self.tokens.find(inputs[0])?;
        if width > 0 {
            let rows = found.chunks_exact(width).zip(counts.chunks_exact_mut(self.columns));
            rows.for_each(|(row, counts)| self.count(row, counts));
        }
        let shape = if inputs[0].rank() == 1 { vec![self.columns] } else { vec![rows, self.columns] };
        Ok(tvec!(tensor(&shape, counts)?))
    }
}
