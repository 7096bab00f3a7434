//! Tokens that are found in a text before anything is done to it, or in the normalised text: special ones, and those that were added later.

use std::collections::HashMap;

use super::fields::{Fields, Node};
use super::normalise::Normaliser;
use super::{TokenizerError, fields};

struct Token {
    id: u32,
    content: String,
    single_word: bool,
    left: bool,
    right: bool,
}

/// The added tokens, by the first character of what they are found by.
#[derive(Default)]
pub(super) struct Added {
    ids: HashMap<String, u32>,
    raw: Finder,
    normal: Finder,
}

#[derive(Default)]
struct Finder {
    by_first: HashMap<char, Vec<Token>>,
}

/// A part of a text.
pub(super) enum Span<'a> {
    Text(&'a str),
    Token(u32),
}

impl Added {
    pub(super) fn read(node: Option<&Node<'_>>, normaliser: Option<&Normaliser>) -> Result<Self, TokenizerError> {
        let mut added = Self::default();
        let Some(node) = node else { return Ok(added) };
        for one in node.list()? {
            let mut fields: Fields<'_> = one.fields()?;
            let id = fields.required("id")?.id()?;
            let content = fields.required("content")?.text()?;
            let normalized = fields.flag("normalized", true)?;
            let token = Token {
                id,
                content: match normaliser {
                    Some(normaliser) if normalized => normaliser.normalise(content.to_owned()),
                    _ => content.to_owned(),
                },
                single_word: fields.flag("single_word", false)?,
                left: fields.flag("lstrip", false)?,
                right: fields.flag("rstrip", false)?,
            };
            fields.ignore(&["special"]);
            fields.end()?;
            if added.ids.insert(content.to_owned(), id).is_some() {
                return fields::fault(&one.path, format!("'{content}' is there twice"));
            }
            let finder = if normalized { &mut added.normal } else { &mut added.raw };
            // One that normalising leaves nothing of is found nowhere.
            if let Some(first) = token.content.chars().next() {
                finder.by_first.entry(first).or_default().push(token);
            }
        }
        for finder in [&mut added.raw, &mut added.normal] {
            finder.by_first.values_mut().for_each(|tokens| tokens.sort_by_key(|token| std::cmp::Reverse(token.content.len())));
        }
        Ok(added)
    }

    /// The number of one.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// A text's parts, in order: tokens that are found in it as it is, or as it is normalised, and what is between.
    pub(super) fn split<'a>(
        &self,
        text: &'a str,
        normal: bool,
        each: &mut dyn FnMut(Span<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        let finder = if normal { &self.normal } else { &self.raw };
        let (mut done, mut at) = (0, 0);
        while let Some((token, start)) = finder.next(text, at) {
            let mut end = start + token.content.len();
            at = end;
            if token.single_word && (ends_in_word(&text[..start]) || starts_with_word(&text[end..])) {
                continue;
            }
            let mut start = start;
            if token.left {
                start = text[..start].trim_end().len().max(done);
            }
            if token.right {
                end = text.len() - text[end..].trim_start().len();
            }
            // Its spaces may have gone to the one before.
            start = start.max(done);
            if start > done {
                each(Span::Text(&text[done..start]))?;
            }
            each(Span::Token(token.id))?;
            done = end;
            at = at.max(end);
        }
        if done < text.len() { each(Span::Text(&text[done..])) } else { Ok(()) }
    }
}

impl Finder {
    /// The first token from there on, of those that begin there the longest, and where.
    fn next(&self, text: &str, from: usize) -> Option<(&Token, usize)> {
        if self.by_first.is_empty() {
            return None;
        }
        text[from..].char_indices().find_map(|(at, first)| {
            let at = from + at;
            let token = self.by_first.get(&first)?.iter().find(|token| text[at..].starts_with(&token.content))?;
            Some((token, at))
        })
    }
}

fn in_word(one: char) -> bool {
    one.is_alphanumeric() || one == '_' || super::categories::is_mark(one)
}

fn ends_in_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(in_word)
}

fn starts_with_word(text: &str) -> bool {
    text.chars().next().is_some_and(in_word)
}
