//! Unigram: of all ways to cut a text into tokens the likeliest, found by Viterbi's algorithm. Source: Kudo, "Subword Regularization" (2018),
//! section 3.2; what a character without a token costs is SentencePiece's.

use super::TokenizerError;
use super::fields::{Fields, fault};
use super::model::{Vocabulary, bytes};

/// By how much an unknown character is less likely than the least likely token.
const UNKNOWN_PENALTY: f64 = 10.0;

pub(super) struct Unigram {
    words: Vocabulary,
    scores: Vec<f64>,
    unknown: Option<u32>,
    bytes: bool,
    /// Bytes of the longest token.
    reach: usize,
    unknown_score: f64,
}

/// The best way to a place in the text.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    from: usize,
    id: Option<u32>,
}

impl Unigram {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, TokenizerError> {
        let node = fields.required("vocab")?;
        let (mut words, mut scores) = (Vocabulary::new(), Vec::new());
        for one in node.list()? {
            let pair = one.value.as_array().map(Vec::as_slice);
            let (Some(token), Some(score)) = (match pair {
                Some([token, score]) => (token.as_str(), score.as_f64()),
                _ => (None, None),
            }) else {
                return one.fault("a token and its score");
            };
            words.insert(token.into(), u32::try_from(scores.len()).unwrap_or(u32::MAX));
            scores.push(score);
        }
        let unknown = fields.optional("unk_id").map(|one| one.id()).transpose()?;
        if unknown.is_some_and(|id| id as usize >= scores.len()) {
            return fault(&fields.path("unk_id"), format!("expected less than {}, the number of tokens", scores.len()));
        }
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(Self {
            reach: words.keys().map(|word| word.len()).max().unwrap_or(0),
            words,
            scores,
            unknown,
            bytes: fields.flag("byte_fallback", false)?,
            unknown_score: least - UNKNOWN_PENALTY,
        })
    }

    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.words.get(token).copied()
    }

    /// Adds the text's tokens.
    ///
    /// # Errors
    /// A character without a token where the file has none for unknown ones.
    pub(super) fn tokens(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), String> {
        let best = self.best(text)?;
        let mut parts: Vec<(usize, usize, Option<u32>)> = Vec::new();
        let mut end = text.len();
        while let Some(Best { from, id, .. }) = best[end].filter(|_| end > 0) {
            match parts.last_mut() {
                // Unknown characters side by side are one.
                Some(last) if id.is_none() && last.2.is_none() => last.0 = from,
                _ => parts.push((from, end, id)),
            }
            end = from;
        }
        for (from, end, id) in parts.into_iter().rev() {
            let known = id.or_else(|| self.id(&text[from..end]));
            if let Some(id) = known {
                ids.push(id);
            } else if let Some(all) = self.bytes.then(|| bytes(&text[from..end], |token| self.id(token))).flatten() {
                ids.extend(all);
            } else {
                ids.extend(self.unknown);
            }
        }
        Ok(())
    }

    /// The best way to each place where a character ends.
    fn best(&self, text: &str) -> Result<Vec<Option<Best>>, String> {
        let mut best: Vec<Option<Best>> = vec![None; text.len() + 1];
        best[0] = Some(Best { score: 0.0, from: 0, id: None });
        for (from, one) in text.char_indices() {
            let till_here = best[from].map_or(0.0, |here| here.score);
            let mut offer = |end: usize, score: f64, id: Option<u32>| {
                let place = &mut best[end];
                if place.is_none_or(|place| score > place.score) {
                    *place = Some(Best { score, from, id });
                }
            };
            let mut alone = false;
            let rest = &text[from..];
            let ends = rest.char_indices().map(|(at, one)| at + one.len_utf8());
            for end in ends.take_while(|end| *end <= self.reach) {
                let Some(id) = self.words.get(&rest[..end]) else { continue };
                offer(from + end, till_here + self.scores[*id as usize], Some(*id));
                alone |= end == one.len_utf8();
            }
            if !alone {
                if self.unknown.is_none() {
                    return Err(format!("'{one}' is in no token, and the file names none for what is unknown"));
                }
                offer(from + one.len_utf8(), till_here + self.unknown_score, None);
            }
        }
        Ok(best)
    }
}
