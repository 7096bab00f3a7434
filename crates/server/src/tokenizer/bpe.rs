//! Byte-pair encoding: a word's characters, of which the pair whose merge was learnt first becomes one, again and again. Source: Sennrich et
//! al., "Neural Machine Translation of Rare Words with Subword Units" (2016), section 3.2.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde_json::Value;

use super::TokenizerError;
use super::fields::{Fields, Node, fault};
use super::model::{Vocabulary, bytes, token, vocabulary};

pub(super) struct Bpe {
    pub(super) words: Vocabulary,
    merges: Merges,
    unknown: Option<u32>,
    /// Unknown characters side by side are one token.
    fuse: bool,
    /// Unknown characters become tokens of their bytes.
    bytes: bool,
    /// A word that is a token is not taken apart.
    whole: bool,
    prefix: String,
    suffix: String,
}

/// The place of a merge in the list, and what it makes, by the pair.
type Merges = HashMap<(u32, u32), (u32, u32)>;

/// A token of the word, and its neighbours.
struct Symbol {
    id: u32,
    previous: Option<usize>,
    next: Option<usize>,
    gone: bool,
}

impl Bpe {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, TokenizerError> {
        let words = vocabulary(&fields.required("vocab")?)?;
        let dropout = fields.optional("dropout");
        if let Some(dropout) = dropout.filter(|one| one.value.as_f64() != Some(0.0)) {
            return dropout.fault("null: tokens that are drawn by chance are for training");
        }
        let unknown = match fields.optional("unk_token") {
            Some(_) => Some(token(fields, "unk_token", &words)?),
            None => None,
        };
        let mut affix = |name| fields.optional(name).map_or(Ok(String::new()), |one: Node<'_>| one.text().map(str::to_owned));
        let (prefix, suffix) = (affix("continuing_subword_prefix")?, affix("end_of_word_suffix")?);
        let merges = merges(&fields.required("merges")?, &words, &prefix)?;
        Ok(Self {
            merges,
            unknown,
            fuse: fields.flag("fuse_unk", false)?,
            bytes: fields.flag("byte_fallback", false)?,
            whole: fields.flag("ignore_merges", false)?,
            prefix,
            suffix,
            words,
        })
    }

    /// Adds the word's tokens.
    pub(super) fn tokens(&self, word: &str, ids: &mut Vec<u32>) {
        if self.whole
            && let Some(id) = self.words.get(word)
        {
            ids.push(*id);
            return;
        }
        let mut symbols = self.symbols(word);
        self.merge(&mut symbols);
        ids.extend(symbols.iter().filter(|symbol| !symbol.gone).map(|symbol| symbol.id));
    }

    /// The characters' tokens.
    fn symbols(&self, word: &str) -> Vec<Symbol> {
        let mut ids: Vec<u32> = Vec::with_capacity(word.len());
        let mut unknown = false;
        let mut key = String::new();
        for (at, one) in word.char_indices() {
            key.clear();
            if at > 0 {
                key.push_str(&self.prefix);
            }
            key.push(one);
            if at + one.len_utf8() == word.len() {
                key.push_str(&self.suffix);
            }
            if let Some(id) = self.words.get(key.as_str()) {
                ids.push(*id);
                unknown = false;
                continue;
            }
            if self.bytes
                && let Some(all) = bytes(&key, |token| self.words.get(token).copied())
            {
                ids.extend(all);
                unknown = false;
                continue;
            }
            if let Some(id) = self.unknown
                && !(unknown && self.fuse)
            {
                ids.push(id);
                unknown = true;
            }
        }
        let last = ids.len().saturating_sub(1);
        let symbol =
            |(at, id): (usize, u32)| Symbol { id, previous: at.checked_sub(1), next: (at < last).then_some(at + 1), gone: false };
        ids.into_iter().enumerate().map(symbol).collect()
    }

    /// Merges until no pair is left that can be: of all the one that was learnt first, of equal ones the leftmost.
    fn merge(&self, symbols: &mut [Symbol]) {
        let mut queue = BinaryHeap::new();
        let push = |queue: &mut BinaryHeap<_>, symbols: &[Symbol], at: usize| {
            let pair = symbols[at].next.map(|next| (symbols[at].id, symbols[next].id));
            if let Some((rank, id)) = pair.and_then(|pair| self.merges.get(&pair)) {
                queue.push(Reverse((*rank, at, *id)));
            }
        };
        (0..symbols.len()).for_each(|at| push(&mut queue, symbols, at));
        while let Some(Reverse((rank, at, id))) = queue.pop() {
            let Some(next) = symbols[at].next.filter(|_| !symbols[at].gone) else { continue };
            // The pair may have become another since.
            if self.merges.get(&(symbols[at].id, symbols[next].id)) != Some(&(rank, id)) {
                continue;
            }
            symbols[at].id = id;
            symbols[at].next = symbols[next].next;
            symbols[next].gone = true;
            if let Some(after) = symbols[at].next {
                symbols[after].previous = Some(at);
            }
            if let Some(previous) = symbols[at].previous {
                push(&mut queue, symbols, previous);
            }
            push(&mut queue, symbols, at);
        }
    }
}

/// `"a b"` or `["a", "b"]`, in the order in which they were learnt.
fn merges(node: &Node<'_>, words: &Vocabulary, prefix: &str) -> Result<Merges, TokenizerError> {
    let items = node.list()?;
    let mut merges = Merges::with_capacity(items.len());
    for (rank, one) in items.iter().enumerate() {
        let pair = match one.value {
            Value::String(pair) => pair.split_once(' '),
            Value::Array(pair) => match pair.as_slice() {
                [first, second] => first.as_str().zip(second.as_str()),
                _ => None,
            },
            _ => None,
        };
        let Some((first, second)) = pair else { return one.fault("a pair of tokens") };
        let id = |token: &str| match words.get(token) {
            Some(id) => Ok(*id),
            None => fault(&one.path, format!("'{token}' is no token of the vocabulary")),
        };
        let made = id(&format!("{first}{}", second.strip_prefix(prefix).unwrap_or(second)))?;
        let rank = u32::try_from(rank).unwrap_or(u32::MAX);
        merges.insert((id(first)?, id(second)?), (rank, made));
    }
    Ok(merges)
}
