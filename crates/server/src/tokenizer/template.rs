//! What stands around a text's tokens.

use super::fields::{Fields, Node, fault};
use super::{Encoded, TokenizerError};

/// A text's tokens, or special ones, and the type of them.
#[derive(Clone, Debug)]
enum Part {
    Special(Vec<u32>, u32),
    First(u32),
    Second(u32),
}

/// What a text, and a pair, are made into.
#[derive(Debug)]
pub(super) struct Template {
    one: Vec<Part>,
    pair: Vec<Part>,
}

impl Template {
    pub(super) fn read(node: Option<&Node<'_>>) -> Result<Self, TokenizerError> {
        let bare = Self { one: vec![Part::First(0)], pair: vec![Part::First(0), Part::Second(1)] };
        Ok(node.map(Self::of).transpose()?.flatten().unwrap_or(bare))
    }

    /// `None` of what adds nothing.
    fn of(node: &Node<'_>) -> Result<Option<Self>, TokenizerError> {
        let mut fields = node.fields()?;
        let template = match fields.kind()? {
            "ByteLevel" => {
                fields.ignore(&["add_prefix_space", "trim_offsets", "use_regex"]);
                None
            }
            "TemplateProcessing" => Some(Self::written(&mut fields)?),
            "BertProcessing" => Some(Self::bert(&mut fields, 1, false)?),
            "RobertaProcessing" => {
                fields.ignore(&["add_prefix_space", "trim_offsets"]);
                Some(Self::bert(&mut fields, 0, true)?)
            }
            "Sequence" => {
                let all = fields.required("processors")?;
                let mut templates = all.list()?.iter().map(Self::of).collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
                let template = templates.next();
                if templates.next().is_some() {
                    return fault(&all.path, "expected one that adds tokens, found several");
                }
                template
            }
            other => {
                return fields.unknown(other, "BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing");
            }
        };
        fields.end()?;
        Ok(template)
    }

    /// `[CLS] A [SEP] B [SEP]`; RoBERTa's has two separators between.
    fn bert(fields: &mut Fields<'_>, second: u32, twice: bool) -> Result<Self, TokenizerError> {
        let mut token = |name| {
            let node = fields.required(name)?;
            match node.list()?.as_slice() {
                [_, id] => id.id(),
                _ => node.fault("a token and its number"),
            }
        };
        let (separator, start) = (token("sep")?, token("cls")?);
        let special = |id, kind| Part::Special(vec![id], kind);
        let one = vec![special(start, 0), Part::First(0), special(separator, 0)];
        let mut pair = one.clone();
        pair.extend(twice.then(|| special(separator, 0)));
        pair.extend([Part::Second(second), special(separator, second)]);
        Ok(Self { one, pair })
    }

    fn written(fields: &mut Fields<'_>) -> Result<Self, TokenizerError> {
        let special = fields.required("special_tokens")?;
        let mut read = |name| {
            let node = fields.required(name)?;
            node.list()?.iter().map(|one| Part::read(one, &special)).collect::<Result<Vec<Part>, TokenizerError>>()
        };
        let (one, pair) = (read("single")?, read("pair")?);
        if one.iter().any(|part| matches!(part, Part::Second(_))) {
            return fault(&fields.path("single"), "expected the text A alone, found B");
        }
        Ok(Self { one, pair })
    }

    /// How many special tokens there are.
    pub(super) fn special(&self, pair: bool) -> usize {
        let parts = if pair { &self.pair } else { &self.one };
        parts.iter().map(|part| if let Part::Special(ids, _) = part { ids.len() } else { 0 }).sum()
    }

    pub(super) fn fill(&self, first: &[u32], second: Option<&[u32]>) -> Encoded {
        let mut encoded = Encoded::default();
        for part in if second.is_some() { &self.pair } else { &self.one } {
            let (ids, kind) = match part {
                Part::Special(ids, kind) => (ids.as_slice(), *kind),
                Part::First(kind) => (first, *kind),
                Part::Second(kind) => (second.unwrap_or_default(), *kind),
            };
            encoded.ids.extend_from_slice(ids);
            encoded.types.resize(encoded.ids.len(), kind);
        }
        encoded
    }
}

impl Part {
    /// `{"Sequence": {"id": "A", "type_id": 0}}` or `{"SpecialToken": {"id": "[CLS]", "type_id": 0}}`.
    fn read(node: &Node<'_>, special: &Node<'_>) -> Result<Self, TokenizerError> {
        let mut fields = node.fields()?;
        let sequence = fields.optional("Sequence");
        let token = fields.optional("SpecialToken");
        let Some(part) = sequence.as_ref().or(token.as_ref()) else { return node.fault("a Sequence or a SpecialToken") };
        let mut inner = part.fields()?;
        let (id, kind) = (inner.required("id")?, inner.required("type_id")?.id()?);
        inner.end()?;
        fields.end()?;
        if sequence.is_some() {
            return match id.text()? {
                "A" => Ok(Self::First(kind)),
                "B" => Ok(Self::Second(kind)),
                _ => id.fault("A or B"),
            };
        }
        let ids = &special.value[id.text()?]["ids"];
        let ids = Node { path: format!("{}.{}.ids", special.path, id.text()?), value: ids };
        Ok(Self::Special(ids.list()?.iter().map(Node::id).collect::<Result<_, _>>()?, kind))
    }
}
