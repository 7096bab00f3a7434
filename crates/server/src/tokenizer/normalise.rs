//! What is done to a text's characters before it is split.

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::categories::{is_accent, is_control, is_ideograph, is_mark};
use super::charsmap::CharsMap;
use super::fields::{Fields, Node};
use super::patterns::as_bytes;
use super::{TokenizerError, fields};

const KNOWN: &str = "BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents";

/// What is done, in order.
pub(super) enum Normaliser {
    Sequence(Vec<Self>),
    Bert { clean: bool, ideographs: bool, accents: bool, lowercase: bool },
    Lowercase,
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Nmt,
    Marks,
    Strip { left: bool, right: bool },
    Replace { what: What, with: String },
    Prepend(String),
    Precompiled(CharsMap),
    Bytes,
}

/// What is looked for.
pub(super) enum What {
    Text(String),
    Pattern(Regex),
}

impl What {
    /// `{"String": ...}` or `{"Regex": ...}`.
    pub(super) fn read(node: &Node<'_>) -> Result<Self, TokenizerError> {
        let mut fields = node.fields()?;
        let what = match (fields.optional("String"), fields.optional("Regex")) {
            (Some(text), None) => Self::Text(text.text()?.to_owned()),
            (None, Some(pattern)) => match Regex::new(pattern.text()?) {
                Ok(pattern) => Self::Pattern(pattern),
                Err(error) => return fields::fault(&pattern.path, format!("this pattern is not known here: {error}")),
            },
            _ => return node.fault("a String or a Regex"),
        };
        fields.end()?;
        Ok(what)
    }
}

impl Normaliser {
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
                let all = fields.required("normalizers")?.list()?;
                Self::Sequence(all.iter().map(Self::read).collect::<Result<_, _>>()?)
            }
            "BertNormalizer" => {
                let lowercase = fields.flag("lowercase", true)?;
                Self::Bert {
                    clean: fields.flag("clean_text", true)?,
                    ideographs: fields.flag("handle_chinese_chars", true)?,
                    accents: fields.flag("strip_accents", lowercase)?,
                    lowercase,
                }
            }
            "Lowercase" => Self::Lowercase,
            "NFC" => Self::Nfc,
            "NFD" => Self::Nfd,
            "NFKC" => Self::Nfkc,
            "NFKD" => Self::Nfkd,
            "Nmt" => Self::Nmt,
            "StripAccents" => Self::Marks,
            "Strip" => Self::Strip { left: fields.flag("strip_left", true)?, right: fields.flag("strip_right", true)? },
            "Replace" => Self::Replace {
                what: What::read(&fields.required("pattern")?)?,
                with: fields.required("content")?.text()?.to_owned(),
            },
            "Prepend" => Self::Prepend(fields.required("prepend")?.text()?.to_owned()),
            "Precompiled" => Self::Precompiled(CharsMap::read(&fields.required("precompiled_charsmap")?)?),
            "ByteLevel" => Self::Bytes,
            other => return fields.unknown(other, KNOWN),
        })
    }

    /// The text, normalised.
    pub(super) fn normalise(&self, text: String) -> String {
        match self {
            Self::Sequence(all) => all.iter().fold(text, |text, one| one.normalise(text)),
            Self::Bert { clean, ideographs, accents, lowercase } => {
                let text = if *clean { text.chars().filter_map(cleaned).collect() } else { text };
                let text = if *ideographs { apart(&text) } else { text };
                let text = if *accents && !text.is_ascii() { text.nfd().filter(|one| !is_accent(*one)).collect() } else { text };
                if *lowercase { lower(&text) } else { text }
            }
            Self::Lowercase => lower(&text),
            // Nothing of ASCII has another form.
            Self::Nfc | Self::Nfd | Self::Nfkc | Self::Nfkd if text.is_ascii() => text,
            Self::Nfc => text.nfc().collect(),
            Self::Nfd => text.nfd().collect(),
            Self::Nfkc => text.nfkc().collect(),
            Self::Nfkd => text.nfkd().collect(),
            Self::Nmt => text.chars().filter_map(nmt).collect(),
            Self::Marks => text.chars().filter(|one| !is_mark(*one)).collect(),
            Self::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { text.as_str() };
                if *right { text.trim_end().to_owned() } else { text.to_owned() }
            }
            Self::Replace { what: What::Text(what), with } => {
                if what.is_empty() {
                    text
                } else {
                    text.replace(what, with)
                }
            }
            Self::Replace { what: What::Pattern(pattern), with } => {
                pattern.replace_all(&text, regex::NoExpand(with)).into_owned()
            }
            Self::Prepend(with) => {
                if text.is_empty() {
                    text
                } else {
                    format!("{with}{text}")
                }
            }
            Self::Precompiled(map) => map.apply(&text),
            Self::Bytes => as_bytes(&text),
        }
    }
}

/// Without controls, and every white space a space.
fn cleaned(one: char) -> Option<char> {
    match one {
        '\t' | '\n' | '\r' => Some(' '),
        '\0' | '\u{fffd}' => None,
        one if is_control(one) => None,
        one if one.is_whitespace() => Some(' '),
        one => Some(one),
    }
}

/// Spaces around ideographs.
fn apart(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for one in text.chars() {
        if is_ideograph(one) {
            spaced.extend([' ', one, ' ']);
        } else {
            spaced.push(one);
        }
    }
    spaced
}

/// Each character by itself: a word's last sigma is as any.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The rules of SentencePiece's nmt.
fn nmt(one: char) -> Option<char> {
    match one {
        '\u{1}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{8f}' | '\u{9f}' => None,
        '\t'
        | '\n'
        | '\u{c}'
        | '\r'
        | '\u{1680}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2581}'
        | '\u{feff}'
        | '\u{fffd}' => Some(' '),
        one => Some(one),
    }
}
