//! Into words: where a text is cut before each part becomes tokens by itself.

use regex::Regex;

use super::TokenizerError;
use super::categories::{is_number, is_punctuation};
use super::fields::{Fields, Node};
use super::normalise::What;
use super::patterns::{Pattern, as_bytes};

const KNOWN: &str = "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace, WhitespaceSplit";

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Whether the text begins with it.
    pub(super) first: bool,
}

/// How a text is cut.
pub(super) enum Splitter {
    Sequence(Vec<Self>),
    At(Cut, Behaviour),
    /// White space goes, then each punctuation is by itself.
    Bert,
    Bytes {
        space: bool,
        split: bool,
    },
    Metaspace {
        mark: char,
        prepend: Prepend,
        split: bool,
    },
}

/// What is found in a text.
pub(super) enum Cut {
    Kind(fn(char) -> bool),
    /// That kind of characters, as many as there are side by side.
    Run(fn(char) -> bool),
    Char(char),
    What(What),
    Known(Pattern),
    /// Everything that the pattern does not match.
    Beside(Regex),
}

/// What becomes of what is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// Where the mark of a word is put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prepend {
    Always,
    First,
    Never,
}

impl Splitter {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, TokenizerError> {
        let mut fields = node.fields()?;
        let kind = fields.kind()?;
        let read = Self::of(kind, &mut fields)?;
        fields.end()?;
        Ok(read)
    }

    fn of(kind: &str, fields: &mut Fields<'_>) -> Result<Self, TokenizerError> {
        Ok(match kind {
            "Sequence" => {
                let all = fields.required("pretokenizers")?.list()?;
                Self::Sequence(all.iter().map(Self::read).collect::<Result<_, _>>()?)
            }
            "BertPreTokenizer" => Self::Bert,
            "WhitespaceSplit" => Self::At(Cut::Kind(char::is_whitespace), Behaviour::Removed),
            "Whitespace" => match Regex::new(r"\w+|[^\w\s]+") {
                Ok(words) => Self::At(Cut::Beside(words), Behaviour::Removed),
                Err(error) => return super::fields::fault(&fields.path("type"), error.to_string()),
            },
            "Punctuation" => {
                let behaviour = fields.optional("behavior").map_or(Ok(Behaviour::Isolated), |one| Behaviour::read(&one))?;
                Self::At(Cut::Kind(is_punctuation), behaviour)
            }
            "Digits" => match fields.flag("individual_digits", false)? {
                true => Self::At(Cut::Kind(is_number), Behaviour::Isolated),
                false => Self::At(Cut::Run(is_number), Behaviour::Isolated),
            },
            "CharDelimiterSplit" => Self::At(Cut::Char(one_char(&fields.required("delimiter")?)?), Behaviour::Removed),
            "Split" => {
                let invert = fields.flag("invert", false)?;
                let behaviour = Behaviour::read(&fields.required("behavior")?)?;
                let what = fields.required("pattern")?;
                Self::At(if invert { beside(&what)? } else { pattern(&what)? }, behaviour)
            }
            "ByteLevel" => {
                fields.ignore(&["trim_offsets"]);
                Self::Bytes { space: fields.flag("add_prefix_space", true)?, split: fields.flag("use_regex", true)? }
            }
            "Metaspace" => metaspace(fields)?,
            other => return fields.unknown(other, KNOWN),
        })
    }

    /// Cuts the pieces.
    pub(super) fn split(&self, pieces: &mut Vec<Piece>) {
        match self {
            Self::Sequence(all) => all.iter().for_each(|one| one.split(pieces)),
            Self::At(cut, behaviour) => cut_all(pieces, cut, *behaviour),
            Self::Bert => {
                cut_all(pieces, &Cut::Kind(char::is_whitespace), Behaviour::Removed);
                cut_all(pieces, &Cut::Kind(is_punctuation), Behaviour::Isolated);
            }
            Self::Bytes { space, split } => {
                if *space {
                    pieces.iter_mut().filter(|piece| !piece.text.starts_with(' ')).for_each(|piece| piece.text.insert(0, ' '));
                }
                if *split {
                    cut_all(pieces, &Cut::Known(Pattern::Gpt2), Behaviour::Isolated);
                }
                pieces.iter_mut().for_each(|piece| piece.text = as_bytes(&piece.text));
            }
            Self::Metaspace { mark, prepend, split } => {
                for piece in pieces.iter_mut() {
                    piece.text = piece.text.replace(' ', mark.encode_utf8(&mut [0; 4]));
                    let wanted = *prepend == Prepend::Always || *prepend == Prepend::First && piece.first;
                    if wanted && !piece.text.starts_with(*mark) {
                        piece.text.insert(0, *mark);
                    }
                }
                if *split {
                    cut_all(pieces, &Cut::Char(*mark), Behaviour::MergedWithNext);
                }
            }
        }
    }
}

fn one_char(node: &Node<'_>) -> Result<char, TokenizerError> {
    let mut chars = node.text()?.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) => Ok(one),
        _ => node.fault("one character"),
    }
}

fn pattern(node: &Node<'_>) -> Result<Cut, TokenizerError> {
    let known = node.value["Regex"].as_str().and_then(Pattern::of);
    known.map_or_else(|| What::read(node).map(Cut::What), |known| Ok(Cut::Known(known)))
}

/// What is between the places where a pattern is found.
fn beside(node: &Node<'_>) -> Result<Cut, TokenizerError> {
    let pattern = match What::read(node)? {
        What::Pattern(pattern) => pattern,
        What::Text(text) => match Regex::new(&regex::escape(&text)) {
            Ok(pattern) => pattern,
            Err(error) => return super::fields::fault(&node.path, error.to_string()),
        },
    };
    Ok(Cut::Beside(pattern))
}

fn metaspace(fields: &mut Fields<'_>) -> Result<Splitter, TokenizerError> {
    let mark = one_char(&fields.required("replacement")?)?;
    // What older files have in place of prepend_scheme.
    let prefixed = fields.flag("add_prefix_space", true)?;
    fields.ignore(&["str_rep"]);
    let prepend = match fields.optional("prepend_scheme") {
        None if prefixed => Prepend::Always,
        None => Prepend::Never,
        Some(scheme) => match scheme.text()? {
            "always" => Prepend::Always,
            "first" => Prepend::First,
            "never" => Prepend::Never,
            _ => return scheme.fault("always, first or never"),
        },
    };
    Ok(Splitter::Metaspace { mark, prepend, split: fields.flag("split", true)? })
}

impl Behaviour {
    fn read(node: &Node<'_>) -> Result<Self, TokenizerError> {
        Ok(match node.text()? {
            "Removed" => Self::Removed,
            "Isolated" => Self::Isolated,
            "MergedWithPrevious" => Self::MergedWithPrevious,
            "MergedWithNext" => Self::MergedWithNext,
            "Contiguous" => Self::Contiguous,
            _ => return node.fault("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous"),
        })
    }
}

/// A part's start and end, and whether it was looked for.
type Part = (usize, usize, bool);

impl Cut {
    /// A text in parts, without gaps.
    fn parts(&self, text: &str) -> Vec<Part> {
        let chars = |is: &dyn Fn(char) -> bool| {
            let found = text.char_indices().filter(|(_, one)| is(*one)).map(|(at, one)| (at, at + one.len_utf8()));
            between(text.len(), found, true)
        };
        match self {
            Self::Kind(is) => chars(is),
            Self::Char(mark) => chars(&|one| one == *mark),
            Self::Run(is) => merged(&chars(is), |last, next| last.2 == next.2),
            Self::What(What::Text(what)) if what.is_empty() => between(text.len(), std::iter::empty(), true),
            Self::What(What::Text(what)) => {
                between(text.len(), text.match_indices(what.as_str()).map(|(at, what)| (at, at + what.len())), true)
            }
            Self::What(What::Pattern(pattern)) => {
                between(text.len(), pattern.find_iter(text).map(|found| (found.start(), found.end())), true)
            }
            Self::Beside(pattern) => {
                between(text.len(), pattern.find_iter(text).map(|found| (found.start(), found.end())), false)
            }
            Self::Known(pattern) => {
                let mut at = 0;
                let next = || {
                    (at < text.len()).then(|| {
                        let from = at;
                        // At least a character, whatever the pattern: the loop ends.
                        at += pattern.next(&text[at..]).max(1);
                        (from, at, true)
                    })
                };
                std::iter::from_fn(next).collect()
            }
        }
    }
}

/// What was found and what is between, in order.
fn between(length: usize, found: impl Iterator<Item = (usize, usize)>, looked_for: bool) -> Vec<Part> {
    let (mut parts, mut done) = (Vec::new(), 0);
    for (start, end) in found {
        if start > done {
            parts.push((done, start, !looked_for));
        }
        if end > start {
            parts.push((start, end, looked_for));
        }
        done = end;
    }
    if done < length {
        parts.push((done, length, !looked_for));
    }
    parts
}

/// Parts that belong to the one before them become one with it.
fn merged(parts: &[Part], belongs: impl Fn(&Part, &Part) -> bool) -> Vec<Part> {
    let mut merged: Vec<Part> = Vec::with_capacity(parts.len());
    let mut before: Option<&Part> = None;
    for part in parts {
        match merged.last_mut() {
            Some(last) if before.is_some_and(|before| belongs(before, part)) => last.1 = part.1,
            _ => merged.push(*part),
        }
        before = Some(part);
    }
    merged
}

fn cut_all(pieces: &mut Vec<Piece>, cut: &Cut, behaviour: Behaviour) {
    let mut all = Vec::with_capacity(pieces.len());
    for piece in pieces.drain(..) {
        let parts = cut.parts(&piece.text);
        let parts = match behaviour {
            Behaviour::Isolated => parts,
            Behaviour::Removed => parts.into_iter().filter(|(_, _, found)| !found).collect(),
            Behaviour::Contiguous => merged(&parts, |last, next| last.2 == next.2),
            Behaviour::MergedWithPrevious => merged(&parts, |last, next| next.2 && !last.2),
            Behaviour::MergedWithNext => merged(&parts, |last, next| last.2 && !next.2),
        };
        all.extend(
            parts
                .into_iter()
                .map(|(start, end, _)| Piece { text: piece.text[start..end].to_owned(), first: piece.first && start == 0 }),
        );
    }
    *pieces = all;
}
