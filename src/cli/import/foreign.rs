//! An object of another system while it is converted: what is read of it is taken out, and what is left at the end has no
//! counterpart. So no field is passed over in silence.

use std::fmt;

use serde_json::{Map, Value};

/// What becomes of a field that is not simply carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    path: String,
    kind: NoteKind,
    words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoteKind {
    /// It is lost.
    Lost,
    /// It is there in another form, or means something else.
    Changed,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            NoteKind::Lost => "no counterpart",
            NoteKind::Changed => "changed",
        };
        write!(f, "{}: {kind}", self.path)?;
        if self.words.is_empty() { Ok(()) } else { write!(f, ": {}", self.words) }
    }
}

/// Why an object as a whole cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {words}")]
pub(super) struct Refusal {
    path: String,
    words: String,
}

impl Refusal {
    pub(super) fn new(path: impl Into<String>, words: impl Into<String>) -> Self {
        Self { path: path.into(), words: words.into() }
    }
}

/// The object, less what was read of it.
pub(super) struct Foreign {
    rest: Value,
    notes: Vec<Note>,
}

impl Foreign {
    pub(super) const fn new(object: Value) -> Self {
        Self { rest: object, notes: Vec::new() }
    }

    /// A field as it is there, such as `spec.predictor.minReplicas`.
    pub(super) fn peek(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.rest, |value, step| value.get(step)).filter(|value| !value.is_null())
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, path: &str) -> Option<Value> {
        self.take_if(path, |_| true)
    }

    /// Takes a text out; what is no text stays.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        match self.take_if(path, Value::is_string)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Takes a whole number out; anything else is lost, with a line that says what was found.
    pub(super) fn number(&mut self, path: &str) -> Option<i64> {
        let found = self.take(path)?;
        if !found.is_i64() {
            self.lost(path, format!("expected a whole number, found {}", described(&found)));
        }
        found.as_i64()
    }

    /// Why an object cannot be converted that has not what is `expected` at a path: what is there, or on the way there.
    pub(super) fn unfit(&self, path: &str, expected: &str) -> Refusal {
        let (mut value, mut place) = (&self.rest, String::new());
        for step in path.split('.') {
            match value.get(step).filter(|below| !below.is_null()) {
                Some(below) => value = below,
                None if value.is_object() => return Refusal::new(path, format!("expected {expected}, found none")),
                None => return Refusal::new(place, format!("expected an object, found {}", described(value))),
            }
            place = if place.is_empty() { step.to_owned() } else { format!("{place}.{step}") };
        }
        Refusal::new(path, format!("expected {expected}, found {}", described(value)))
    }

    /// Takes an object's fields out; what is no object stays.
    pub(super) fn map(&mut self, path: &str) -> Map<String, Value> {
        match self.take_if(path, Value::is_object) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    fn take_if(&mut self, path: &str, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let (above, name) = path.rsplit_once('.').unwrap_or(("", path));
        let steps = above.split('.').filter(|step| !step.is_empty());
        let around = steps.into_iter().try_fold(&mut self.rest, |value, step| value.get_mut(step))?.as_object_mut()?;
        if !around.get(name).is_some_and(|value| !value.is_null() && fits(value)) {
            return None;
        }
        around.shift_remove(name)
    }

    /// A field that is lost.
    pub(super) fn lost(&mut self, path: impl Into<String>, words: impl Into<String>) {
        self.notes.push(Note { path: path.into(), kind: NoteKind::Lost, words: words.into() });
    }

    /// A field that is there in another form.
    pub(super) fn changed(&mut self, path: impl Into<String>, words: impl Into<String>) {
        self.notes.push(Note { path: path.into(), kind: NoteKind::Changed, words: words.into() });
    }

    /// All notes, with one for each field that nobody took. `words` says more of a field; what is below it is not told then. Objects at
    /// paths that are `open` are told field by field, others as one.
    pub(super) fn finish(mut self, words: impl Fn(&str) -> Option<&'static str>, open: impl Fn(&str) -> bool) -> Vec<Note> {
        let rest = std::mem::take(&mut self.rest);
        self.leave("", &rest, &words, &open);
        self.notes
    }

    fn leave(&mut self, path: &str, value: &Value, words: &impl Fn(&str) -> Option<&'static str>, open: &impl Fn(&str) -> bool) {
        let empty = match value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        if empty {
            return;
        }
        match (words(path), value) {
            (Some(words), _) => self.lost(path, words),
            (None, Value::Object(map)) if open(path) => {
                for (key, below) in map {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.leave(&path, below, words, open);
                }
            }
            (None, _) => self.lost(path, ""),
        }
    }
}

/// A value in words.
pub(super) fn described(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(one) => format!("the boolean {one}"),
        Value::Number(one) => format!("the number {one}"),
        Value::String(text) if text.chars().count() > 60 => {
            format!("the string {}...", text.chars().take(60).collect::<String>())
        }
        Value::String(text) if text.is_empty() => "an empty string".to_owned(),
        Value::String(text) => format!("the string {text}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_takes_is_told() {
        let mut object = Foreign::new(json!({
            "a": 1, "none": null, "empty": {}, "list": [1],
            "spec": {"text": 3, "number": "x", "known": {"deep": 1}, "closed": {"x": 1, "y": 2}, "taken": "t"},
        }));
        assert_eq!(object.text("spec.taken").as_deref(), Some("t"));
        assert_eq!((object.text("spec.text"), object.number("spec.number"), object.take("spec.none.deep")), (None, None, None));
        object.changed("a", "is b");
        let notes = object.finish(|path| (path == "spec.known").then_some("words"), |path| ["", "spec"].contains(&path));
        let told: Vec<String> = notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "spec.number: no counterpart: expected a whole number, found the string x",
                "a: changed: is b",
                "a: no counterpart",
                "list: no counterpart",
                "spec.text: no counterpart",
                "spec.known: no counterpart: words",
                "spec.closed: no counterpart",
            ]
        );
    }

    #[test]
    fn what_is_not_what_was_expected_is_described() {
        let object =
            Foreign::new(json!({"a": 5, "b": {"c": [1], "d": "x", "e": "", "f": {}, "g": true, "h": null, "i": "y".repeat(99)}}));
        for (path, said) in [
            ("a", "a: expected X, found the number 5".to_owned()),
            ("a.x.y", "a: expected an object, found the number 5".to_owned()),
            ("b.c", "b.c: expected X, found a list".to_owned()),
            ("b.c.x", "b.c: expected an object, found a list".to_owned()),
            ("b.d", "b.d: expected X, found the string x".to_owned()),
            ("b.e", "b.e: expected X, found an empty string".to_owned()),
            ("b.f", "b.f: expected X, found an object".to_owned()),
            ("b.f.x", "b.f.x: expected X, found none".to_owned()),
            ("b.g", "b.g: expected X, found the boolean true".to_owned()),
            ("b.h", "b.h: expected X, found none".to_owned()),
            ("b.i", format!("b.i: expected X, found the string {}...", "y".repeat(60))),
        ] {
            assert_eq!(object.unfit(path, "X").to_string(), said);
        }
    }
}
