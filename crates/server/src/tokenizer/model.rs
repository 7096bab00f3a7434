//! What makes tokens of a word.

use std::collections::HashMap;

use super::bpe::Bpe;
use super::fields::{Fields, Node};
use super::unigram::Unigram;
use super::wordpiece::WordPiece;
use super::{TokenizerError, fields};

/// The tokens' numbers.
pub(super) type Vocabulary = HashMap<Box<str>, u32>;

pub(super) enum Model {
    WordPiece(WordPiece),
    Bpe(Box<Bpe>),
    Unigram(Unigram),
    /// A token for each word, and one for those that have none.
    Words(Vocabulary, u32),
}

impl Model {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, TokenizerError> {
        let mut fields = node.fields()?;
        // Files of old have no type; what they have says which it is.
        let kind = match fields.optional("type") {
            Some(kind) => kind.text()?,
            None if node.value["merges"].is_array() => "BPE",
            None if node.value["vocab"].is_array() => "Unigram",
            None if !node.value["continuing_subword_prefix"].is_null() => "WordPiece",
            None => return fields::fault(&fields.path("type"), "it is missing"),
        };
        let model = match kind {
            "WordPiece" => Self::WordPiece(WordPiece::read(&mut fields)?),
            "BPE" => Self::Bpe(Box::new(Bpe::read(&mut fields)?)),
            "Unigram" => Self::Unigram(Unigram::read(&mut fields)?),
            "WordLevel" => {
                let words = vocabulary(&fields.required("vocab")?)?;
                let unknown = token(&mut fields, "unk_token", &words)?;
                Self::Words(words, unknown)
            }
            other => return fields.unknown(other, "BPE, Unigram, WordLevel, WordPiece"),
        };
        fields.end()?;
        Ok(model)
    }

    /// The number of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        match self {
            Self::WordPiece(model) => model.words.get(token).copied(),
            Self::Bpe(model) => model.words.get(token).copied(),
            Self::Unigram(model) => model.id(token),
            Self::Words(words, _) => words.get(token).copied(),
        }
    }

    /// Adds a word's tokens.
    pub(super) fn tokens(&self, word: &str, ids: &mut Vec<u32>) -> Result<(), String> {
        match self {
            _ if word.is_empty() => {}
            Self::WordPiece(model) => model.tokens(word, ids),
            Self::Bpe(model) => model.tokens(word, ids),
            Self::Unigram(model) => return model.tokens(word, ids),
            Self::Words(words, unknown) => ids.push(words.get(word).copied().unwrap_or(*unknown)),
        }
        Ok(())
    }
}

/// `{token: number}`.
pub(super) fn vocabulary(node: &Node<'_>) -> Result<Vocabulary, TokenizerError> {
    let Some(object) = node.value.as_object() else { return node.fault("an object of tokens") };
    let mut words = Vocabulary::with_capacity(object.len());
    for (token, id) in object {
        let id = Node { path: format!("{}.{token}", node.path), value: id }.id()?;
        words.insert(token.as_str().into(), id);
    }
    Ok(words)
}

/// The number of the token that a field names.
pub(super) fn token(fields: &mut Fields<'_>, name: &'static str, words: &Vocabulary) -> Result<u32, TokenizerError> {
    let node = fields.required(name)?;
    words.get(node.text()?).copied().map_or_else(|| node.fault("a token of the vocabulary"), Ok)
}

/// The tokens of bytes, `<0x00>` to `<0xFF>`, where the vocabulary has all of a word's.
pub(super) fn bytes(word: &str, id: impl Fn(&str) -> Option<u32>) -> Option<Vec<u32>> {
    word.bytes().map(|byte| id(&format!("<0x{byte:02X}>"))).collect()
}
