//! WordPiece: from the left the longest token that there is. Source: Song et al., "Fast WordPiece Tokenization" (2021), section 3.

use super::TokenizerError;
use super::fields::Fields;
use super::model::{Vocabulary, token, vocabulary};

pub(super) struct WordPiece {
    pub(super) words: Vocabulary,
    unknown: u32,
    /// What begins tokens that do not begin a word.
    prefix: String,
    /// Characters of a word that is looked at; longer ones are unknown.
    longest: usize,
    /// Bytes of the longest token.
    reach: usize,
}

impl WordPiece {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, TokenizerError> {
        let words = vocabulary(&fields.required("vocab")?)?;
        let unknown = token(fields, "unk_token", &words)?;
        let prefix = fields.optional("continuing_subword_prefix").map_or(Ok("##"), |one| one.text())?.to_owned();
        let longest = fields.optional("max_input_chars_per_word").map_or(Ok(100), |one| one.size())?;
        let reach = words.keys().map(|word| word.len()).max().unwrap_or(0);
        Ok(Self { words, unknown, prefix, longest, reach })
    }

    /// Adds the word's tokens; of a word that cannot be made of tokens the unknown one alone.
    pub(super) fn tokens(&self, word: &str, ids: &mut Vec<u32>) {
        let before = ids.len();
        let mut from = 0;
        let mut key = String::new();
        while word.chars().nth(self.longest).is_none() && from < word.len() {
            key.clear();
            if from > 0 {
                key.push_str(&self.prefix);
            }
            let prefix = key.len();
            let rest = &word[from..];
            key.push_str(&rest[..rest.floor_char_boundary(self.reach.saturating_sub(prefix))]);
            let found = loop {
                if key.len() <= prefix {
                    break None;
                }
                if let Some(id) = self.words.get(key.as_str()) {
                    break Some(*id);
                }
                key.pop();
            };
            let Some(id) = found else { break };
            ids.push(id);
            from += key.len() - prefix;
        }
        if from < word.len() {
            ids.truncate(before);
            ids.push(self.unknown);
        }
    }
}
