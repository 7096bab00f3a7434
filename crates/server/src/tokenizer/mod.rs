//! Texts as numbers of tokens, by a `tokenizer.json` as Hugging Face's tokenizers writes it: read whole when the model is loaded, and refused
//! by the name of what is not known here, since a token that is off by one makes a model's answers wrong without a word.
//!
//! A text goes: added tokens are found in it, what is between is normalised, split into words, and each word becomes tokens of the
//! vocabulary; then it is cut to length, and the template puts special tokens around it. The format, and what each part does, is
//! described in the tokenizers documentation of its pipeline and components.

mod added;
mod bpe;
mod categories;
mod charsmap;
mod fields;
mod model;
mod normalise;
mod patterns;
mod split;
mod template;
mod trim;
mod unigram;
mod wordpiece;

use added::Added;
use fields::Fields;
use model::Model;
use normalise::Normaliser;
use serde_json::Value;
use split::{Piece, Splitter};
use template::Template;
use trim::Trim;

pub use trim::Padding;

/// A file that is no tokenizer, or one with parts that are not known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct TokenizerError {
    /// Where in the file, such as `pre_tokenizer.pretokenizers[0].type`.
    pub field: String,
    /// What was found, and what was expected.
    pub message: String,
}

/// What makes tokens of texts.
pub struct Tokenizer {
    added: Added,
    normaliser: Option<Normaliser>,
    splitter: Option<Splitter>,
    model: Model,
    template: Template,
    trim: Option<Trim>,
    /// What makes rows of one length.
    pub padding: Padding,
}

/// A text's tokens, special ones among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Their numbers.
    pub ids: Vec<u32>,
    /// Which text each is of: 0, or 1 of a pair's second.
    pub types: Vec<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// What is wrong with it, or what of it is not known here.
    pub fn read(json: &[u8]) -> Result<Self, TokenizerError> {
        let value: Value = serde_json::from_slice(json)
            .map_err(|error| TokenizerError { field: "the file".to_owned(), message: format!("expected JSON: {error}") })?;
        let mut file = Fields::of("", &value)?;
        file.ignore(&["version", "decoder"]);
        let model = Model::read(&file.required("model")?)?;
        let normaliser = file.optional("normalizer").map(|one| Normaliser::read(&one)).transpose()?;
        let splitter = file.optional("pre_tokenizer").map(|one| Splitter::read(&one)).transpose()?;
        let template = Template::read(file.optional("post_processor").as_ref())?;
        let added = Added::read(file.optional("added_tokens").as_ref(), normaliser.as_ref())?;
        let trim = file.optional("truncation").map(|one| Trim::read(&one)).transpose()?;
        let padding = match file.optional("padding") {
            Some(one) => Padding::read(&one)?,
            None => Padding::of(|token| added.id(token).or_else(|| model.id(token))),
        };
        file.end()?;
        Ok(Self { added, normaliser, splitter, model, template, trim, padding })
    }

    /// How many tokens the file bounds texts to, special ones among them.
    #[must_use]
    pub fn longest(&self) -> Option<usize> {
        self.trim.as_ref().map(|trim| trim.most)
    }

    /// How many special tokens go around so many texts, one or two.
    #[must_use]
    pub fn special(&self, texts: usize) -> usize {
        self.template.special(texts > 1)
    }

    /// The tokens of a text, or of a pair, at most so many.
    ///
    /// # Errors
    /// A word that the vocabulary has no token for, where it has none for unknown ones; a pair that cannot be cut as the file wants it.
    pub fn encode(&self, text: &str, pair: Option<&str>, most: usize) -> Result<Encoded, String> {
        let mut first = self.tokens(text)?;
        let mut second = pair.map(|text| self.tokens(text)).transpose()?;
        let room = most.saturating_sub(self.template.special(pair.is_some()));
        self.trim.as_ref().unwrap_or(&Trim::DEFAULT).cut(&mut first, second.as_mut(), room)?;
        Ok(self.template.fill(&first, second.as_deref()))
    }

    /// The tokens of a text alone.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, String> {
        let mut ids = Vec::with_capacity(text.len() / 4);
        let mut first = true;
        self.added.split(text, false, &mut |span| {
            let is_first = std::mem::take(&mut first);
            let text = match span {
                added::Span::Token(id) => {
                    ids.push(id);
                    return Ok(());
                }
                added::Span::Text(text) => text,
            };
            let normal = match &self.normaliser {
                Some(normaliser) => normaliser.normalise(text.to_owned()),
                None => text.to_owned(),
            };
            // A text whose first character normalising leaves nothing of begins further on.
            let mut first = is_first && self.keeps_first(text);
            self.added.split(&normal, true, &mut |span| {
                let is_first = std::mem::take(&mut first);
                match span {
                    added::Span::Token(id) => {
                        ids.push(id);
                        Ok(())
                    }
                    added::Span::Text(text) => self.words(Piece { text: text.to_owned(), first: is_first }, &mut ids),
                }
            })
        })?;
        Ok(ids)
    }

    /// Whether normalising leaves anything of a text's first character.
    fn keeps_first(&self, text: &str) -> bool {
        let first = text.chars().next().map(String::from);
        self.normaliser.as_ref().zip(first).is_none_or(|(normaliser, first)| !normaliser.normalise(first).is_empty())
    }

    /// The tokens of what has no added tokens in it.
    fn words(&self, piece: Piece, ids: &mut Vec<u32>) -> Result<(), String> {
        let Some(splitter) = &self.splitter else { return self.model.tokens(&piece.text, ids) };
        let mut pieces = vec![piece];
        splitter.split(&mut pieces);
        pieces.iter().try_for_each(|piece| self.model.tokens(&piece.text, ids))
    }
}
