//! SentencePiece's precompiled map of characters: a trie in a double array, and the texts that it leads to. The layout is darts-clone's, as
//! SentencePiece describes it: a word of 32 bits for each unit, the label of the way to it in the low 8 bits, where its children begin above.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::TokenizerError;
use super::categories::is_mark;
use super::fields::Node;

pub(super) struct CharsMap {
    units: Vec<u32>,
    texts: Vec<u8>,
}

/// Characters that stand for each other are looked up together up to this many bytes.
const TOGETHER: usize = 6;

impl CharsMap {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, TokenizerError> {
        let Ok(bytes) = STANDARD.decode(node.text()?) else { return node.fault("base64 text") };
        let cut =
            || bytes.split_first_chunk::<4>().and_then(|(size, rest)| rest.split_at_checked(u32::from_le_bytes(*size) as usize));
        let Some((units, texts)) = cut() else { return node.fault("a map with its size before it") };
        let (units, rest) = units.as_chunks::<4>();
        if !rest.is_empty() || units.is_empty() {
            return node.fault("a trie of 32-bit units");
        }
        Ok(Self { units: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(), texts: texts.to_vec() })
    }

    pub(super) fn apply(&self, text: &str) -> String {
        let mut mapped = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let (cluster, after) = rest.split_at(cluster(rest));
            rest = after;
            if cluster.len() < TOGETHER
                && let Some(text) = self.get(cluster)
            {
                mapped.push_str(text);
                continue;
            }
            for (at, one) in cluster.char_indices() {
                match self.get(&cluster[at..at + one.len_utf8()]) {
                    Some(text) => mapped.push_str(text),
                    None => mapped.push(one),
                }
            }
        }
        mapped
    }

    /// What the shortest key that it begins with is mapped to.
    fn get(&self, key: &str) -> Option<&str> {
        let unit = |at: usize| self.units.get(at).copied();
        let children = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut at = children(unit(0)?);
        for byte in key.bytes().take_while(|byte| *byte != 0) {
            at ^= usize::from(byte);
            let here = unit(at)?;
            if here & (1 << 31 | 0xff) != u32::from(byte) {
                return None;
            }
            at ^= children(here);
            if here >> 8 & 1 == 1 {
                let from = (unit(at)? & !(1 << 31)) as usize;
                let text = self.texts.get(from..)?;
                return std::str::from_utf8(text.split(|byte| *byte == 0).next()?).ok();
            }
        }
        None
    }
}

/// Bytes of the first character and what belongs to it: marks and joiners, and a line feed after a carriage return. Clusters that are
/// longer than what is looked up together, such as flags, may be cut: their characters are looked up one by one.
fn cluster(text: &str) -> usize {
    let mut chars = text.char_indices();
    let Some((_, first)) = chars.next() else { return 0 };
    let first_length = first.len_utf8();
    if first == '\r' {
        return if text[first_length..].starts_with('\n') { 2 } else { 1 };
    }
    if first.is_control() || matches!(first, '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
        return first_length;
    }
    let belongs = |one: char| is_mark(one) || matches!(one, '\u{200c}' | '\u{200d}');
    chars.find(|(_, one)| !belongs(*one)).map_or(text.len(), |(at, _)| at)
}
