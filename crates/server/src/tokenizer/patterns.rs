//! How byte-level tokenizers split texts, without look-ahead of a regular expression's; and bytes as characters that can be seen.

use std::sync::LazyLock;

use super::categories::{is_letter, is_number};

/// The pattern of GPT-2, which ByteLevel has too.
pub(super) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// The pattern of cl100k and Llama 3: numbers in threes.
pub(super) const THREES: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The pattern of Qwen 2: each digit by itself.
pub(super) const SINGLE: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A pattern that is known by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Gpt2,
    /// With so many digits together at most.
    Cl100k(usize),
}

impl Pattern {
    pub(super) fn of(text: &str) -> Option<Self> {
        match text {
            GPT2 => Some(Self::Gpt2),
            THREES => Some(Self::Cl100k(3)),
            SINGLE => Some(Self::Cl100k(1)),
            _ => None,
        }
    }

    /// Bytes of the first part. Parts follow one another without gaps.
    pub(super) fn next(self, text: &str) -> usize {
        match self {
            Self::Gpt2 => gpt2(text),
            Self::Cl100k(digits) => cl100k(text, digits),
        }
    }
}

/// Bytes at the start that are of that kind.
fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|one| !is(one)).unwrap_or(text.len())
}

fn is_other(one: char) -> bool {
    !one.is_whitespace() && !is_letter(one) && !is_number(one)
}

const ENDINGS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// White space: all of it at the end, else all but the last, which goes with what follows; a single one.
fn spaces(text: &str) -> usize {
    let all = run(text, char::is_whitespace);
    let last = text[..all].chars().next_back().map_or(0, char::len_utf8);
    if all == text.len() || all == last { all } else { all - last }
}

fn gpt2(text: &str) -> usize {
    if let Some(ending) = ENDINGS.iter().find(|ending| text.starts_with(**ending)) {
        return ending.len();
    }
    let space = usize::from(text.starts_with(' '));
    for is in [is_letter, is_number, is_other] {
        let length = run(&text[space..], is);
        if length > 0 {
            return space + length;
        }
    }
    spaces(text)
}

fn cl100k(text: &str, digits: usize) -> usize {
    let starts = |ending: &&&str| text.get(..ending.len()).is_some_and(|start| start.eq_ignore_ascii_case(ending));
    if let Some(ending) = ENDINGS.iter().find(starts) {
        return ending.len();
    }
    let first = text.chars().next().unwrap_or_default();
    let lead = if matches!(first, '\r' | '\n') || is_letter(first) || is_number(first) { 0 } else { first.len_utf8() };
    let letters = run(&text[lead..], is_letter);
    if letters > 0 {
        return lead + letters;
    }
    let numbers: usize = text.chars().take(digits).take_while(|one| is_number(*one)).map(char::len_utf8).sum();
    if numbers > 0 {
        return numbers;
    }
    let space = usize::from(text.starts_with(' '));
    let others = run(&text[space..], is_other);
    if others > 0 {
        let end = space + others;
        return end + run(&text[end..], |one| matches!(one, '\r' | '\n'));
    }
    let white = &text[..run(text, char::is_whitespace)];
    white.rfind(['\r', '\n']).map_or_else(|| spaces(text), |at| at + 1)
}

/// A character for each byte: those of Latin-1 that can be seen stand for themselves, the others for those from U+0100 on, in order.
static SEEN: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        let seen = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if seen { byte as u32 } else { next };
        next += u32::from(!seen);
        char::from_u32(code).unwrap_or_default()
    })
});

/// A text's bytes as characters.
pub(super) fn as_bytes(text: &str) -> String {
    text.bytes().map(|byte| SEEN[usize::from(byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pattern: &str, text: &str) -> String {
        let pattern = Pattern::of(pattern).unwrap();
        let (mut parts, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (part, after) = rest.split_at(pattern.next(rest));
            parts.push(part.replace(' ', "_").replace('\n', "/"));
            rest = after;
        }
        parts.join("|")
    }

    #[test]
    fn texts_are_split_as_the_patterns_say() {
        for (pattern, text, expected) in [
            (GPT2, "I'll go  to 12345 places!!\n\nnow ", "I|'ll|_go|_|_to|_12345|_places|!!|/|/|now|_"),
            (THREES, "I'LL go  to 12345 places!!\n\nnow ", "I|'LL|_go|_|_to|_|123|45|_places|!!//|now|_"),
            (SINGLE, "a 12\n  b", "a|_|1|2|/|_|_b"),
            (GPT2, "", ""),
        ] {
            assert_eq!(parts(pattern, text), expected, "{pattern}");
        }
    }
}
