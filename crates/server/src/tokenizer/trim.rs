//! Texts cut to length, and rows brought to one length.

use serde_json::json;

use super::TokenizerError;
use super::fields::Node;

/// How a text that is too long is cut.
pub(super) struct Trim {
    /// Tokens at most, special ones among them.
    pub(super) most: usize,
    left: bool,
    strategy: Strategy,
}

#[derive(Clone, Copy)]
enum Strategy {
    LongestFirst,
    OnlyFirst,
    OnlySecond,
}

/// What makes rows of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Padding {
    /// The token that stands where a row has none.
    pub id: u32,
    /// Its type.
    pub kind: u32,
    /// Whether it goes before a row.
    pub left: bool,
    /// Tokens of every row; `None`: of the longest.
    pub fixed: Option<usize>,
    /// What the length is a multiple of.
    multiple: usize,
}

impl Trim {
    /// What is done where the file says nothing.
    pub(super) const DEFAULT: Self = Self { most: usize::MAX, left: false, strategy: Strategy::LongestFirst };

    pub(super) fn read(node: &Node<'_>) -> Result<Self, TokenizerError> {
        let mut fields = node.fields()?;
        let most = fields.required("max_length")?.size()?;
        // What is cut off is not served, so where it would begin does not matter.
        fields.ignore(&["stride"]);
        let strategy = match fields.optional("strategy") {
            None => Strategy::LongestFirst,
            Some(strategy) => match strategy.text()? {
                "LongestFirst" => Strategy::LongestFirst,
                "OnlyFirst" => Strategy::OnlyFirst,
                "OnlySecond" => Strategy::OnlySecond,
                _ => return strategy.fault("LongestFirst, OnlyFirst or OnlySecond"),
            },
        };
        let left = fields.optional("direction").map_or(Ok(false), |one| is_left(&one))?;
        fields.end()?;
        Ok(Self { most, left, strategy })
    }

    /// Cuts a text, or a pair, to that many tokens in all.
    pub(super) fn cut(&self, first: &mut Vec<u32>, second: Option<&mut Vec<u32>>, most: usize) -> Result<(), String> {
        let all = first.len() + second.as_ref().map_or(0, |second| second.len());
        let Some(over) = all.checked_sub(most).filter(|over| *over > 0) else { return Ok(()) };
        match (self.strategy, second) {
            (Strategy::LongestFirst, Some(second)) => {
                let (one, other) = shares(first.len(), second.len(), most);
                self.keep(first, one);
                self.keep(second, other);
            }
            (Strategy::OnlySecond, Some(second)) => {
                let kept = left(second.len(), over, "second", most)?;
                self.keep(second, kept);
            }
            (Strategy::LongestFirst | Strategy::OnlyFirst, _) => {
                let kept = if all == over { 0 } else { left(first.len(), over, "first", most)? };
                self.keep(first, kept);
            }
            (Strategy::OnlySecond, None) => return Err("the tokenizer cuts the second text alone, and there is none".to_owned()),
        }
        Ok(())
    }

    fn keep(&self, ids: &mut Vec<u32>, kept: usize) {
        if self.left {
            ids.drain(..ids.len().saturating_sub(kept));
        } else {
            ids.truncate(kept);
        }
    }
}

/// What is left of a text that alone is cut.
fn left(length: usize, over: usize, which: &str, most: usize) -> Result<usize, String> {
    length.checked_sub(over).filter(|kept| *kept > 0).ok_or_else(|| {
        format!("the tokenizer cuts the {which} text alone, which has {length} tokens; the pair has {over} more than {most}")
    })
}

/// What two texts keep, of which the longer is cut first.
fn shares(first: usize, second: usize, most: usize) -> (usize, usize) {
    let shorter = first.min(second);
    let mut kept = (shorter, if shorter > most { shorter } else { shorter.max(most - shorter) });
    if kept.0 + kept.1 > most {
        kept.0 = most / 2;
        kept.1 = kept.0 + most % 2;
    }
    if first > second { (kept.1, kept.0) } else { kept }
}

fn is_left(node: &Node<'_>) -> Result<bool, TokenizerError> {
    match node.text()? {
        "Left" | "left" => Ok(true),
        "Right" | "right" => Ok(false),
        _ => node.fault("Left or Right"),
    }
}

/// Names of the token that pads, where the file does not say which it is.
const PADS: [&str; 4] = ["[PAD]", "<pad>", "<|endoftext|>", "</s>"];

impl Padding {
    /// What pads where the file says nothing.
    pub(super) fn of(id: impl Fn(&str) -> Option<u32>) -> Self {
        let id = PADS.iter().find_map(|name| id(name)).unwrap_or(0);
        Self { id, kind: 0, left: false, fixed: None, multiple: 1 }
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, TokenizerError> {
        let mut fields = node.fields()?;
        let strategy = fields.required("strategy")?;
        let fixed = match strategy.value.get("Fixed") {
            Some(length) => Some(Node { path: format!("{}.Fixed", strategy.path), value: length }.size()?),
            None if *strategy.value == json!("BatchLongest") => None,
            None => return strategy.fault("BatchLongest or Fixed"),
        };
        let multiple = fields.optional("pad_to_multiple_of").map_or(Ok(1), |one| one.size())?.max(1);
        let padding = Self {
            id: fields.required("pad_id")?.id()?,
            kind: fields.optional("pad_type_id").map_or(Ok(0), |one| one.id())?,
            left: fields.optional("direction").map_or(Ok(false), |one| is_left(&one))?,
            multiple,
            fixed: fixed.map(|length| length.next_multiple_of(multiple)),
        };
        fields.ignore(&["pad_token"]);
        fields.end()?;
        Ok(padding)
    }

    /// Tokens of every row, where the longest has so many and nothing else bounds them.
    #[must_use]
    pub const fn width(&self, longest: usize) -> usize {
        longest.next_multiple_of(self.multiple)
    }
}
