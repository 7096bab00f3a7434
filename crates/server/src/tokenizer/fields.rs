//! Fields of a part of the file. Each is asked for by name; one that nobody asked for is refused: it would have meant something.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::TokenizerError;

/// An object within the file, and where it is.
pub(super) struct Fields<'a> {
    path: String,
    object: &'a Map<String, Value>,
    known: BTreeSet<&'static str>,
}

/// A value within the file, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) path: String,
    pub(super) value: &'a Value,
}

pub(super) fn fault<T>(path: &str, message: impl Into<String>) -> Result<T, TokenizerError> {
    Err(TokenizerError { field: path.to_owned(), message: message.into() })
}

/// A value as it is shown, cut.
fn shown(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

impl<'a> Node<'a> {
    pub(super) fn fault<T>(&self, expected: &str) -> Result<T, TokenizerError> {
        fault(&self.path, format!("expected {expected}, found {}", shown(self.value)))
    }

    pub(super) fn fields(&self) -> Result<Fields<'a>, TokenizerError> {
        Fields::of(&self.path, self.value)
    }

    pub(super) fn text(&self) -> Result<&'a str, TokenizerError> {
        self.value.as_str().map_or_else(|| self.fault("a text"), Ok)
    }

    pub(super) fn flag(&self) -> Result<bool, TokenizerError> {
        self.value.as_bool().map_or_else(|| self.fault("true or false"), Ok)
    }

    /// A whole number of 32 bits.
    pub(super) fn id(&self) -> Result<u32, TokenizerError> {
        self.value.as_u64().and_then(|id| u32::try_from(id).ok()).map_or_else(|| self.fault("a whole number"), Ok)
    }

    pub(super) fn size(&self) -> Result<usize, TokenizerError> {
        self.id().map(|id| id as usize)
    }

    pub(super) fn list(&self) -> Result<Vec<Self>, TokenizerError> {
        let Some(items) = self.value.as_array() else { return self.fault("a list") };
        Ok(items.iter().enumerate().map(|(at, value)| Self { path: format!("{}[{at}]", self.path), value }).collect())
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(path: &str, value: &'a Value) -> Result<Self, TokenizerError> {
        match value.as_object() {
            Some(object) => Ok(Self { path: path.to_owned(), object, known: BTreeSet::new() }),
            None => Node { path: path.to_owned(), value }.fault("an object"),
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A field; `None` where it is absent or null.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Node<'a>> {
        self.known.insert(name);
        self.object.get(name).filter(|value| !value.is_null()).map(|value| Node { path: self.path(name), value })
    }

    pub(super) fn required(&mut self, name: &'static str) -> Result<Node<'a>, TokenizerError> {
        let path = self.path(name);
        self.optional(name).map_or_else(|| fault(&path, "it is missing"), Ok)
    }

    pub(super) fn flag(&mut self, name: &'static str, none: bool) -> Result<bool, TokenizerError> {
        self.optional(name).map_or(Ok(none), |one| one.flag())
    }

    /// The name of what it is.
    pub(super) fn kind(&mut self) -> Result<&'a str, TokenizerError> {
        self.required("type")?.text()
    }

    /// Refuses a kind that is not known here.
    pub(super) fn unknown<T>(&self, kind: &str, known: &str) -> Result<T, TokenizerError> {
        fault(&self.path("type"), format!("{kind} is not known here; expected {known}"))
    }

    /// Fields that change nothing here.
    pub(super) fn ignore(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// Refuses what nobody asked for.
    pub(super) fn end(self) -> Result<(), TokenizerError> {
        match self.object.keys().find(|name| !self.known.contains(name.as_str())) {
            Some(name) => fault(&self.path(name), "this field is not known here"),
            None => Ok(()),
        }
    }
}
