//! What differs between two states of an object, field by field, and what that does to pods.

use std::fmt;

use modelyard_core::plan::step;
use modelyard_core::schema::Path;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Map, Value};

/// A field that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    path: Path,
    old: Option<Value>,
    new: Option<Value>,
}

/// For programs: `path`, `old` and `new`; null is what is not there.
impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut change = serializer.serialize_struct("Change", 3)?;
        change.serialize_field("path", &self.path.to_string())?;
        change.serialize_field("old", &self.old)?;
        change.serialize_field("new", &self.new)?;
        change.end()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.path, words(self.old.as_ref()), words(self.new.as_ref()))
    }
}

fn words(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) if !text.is_empty() && !text.contains(char::is_control) => text.clone(),
        Some(value) => value.to_string(),
    }
}

/// What has to change for `old` to be `new`; `path` is where they are.
pub(crate) fn changes(path: &Path, old: &Value, new: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(path, Some(old), Some(new), &mut found);
    found
}

fn compare(path: &Path, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Change>) {
    let nothing = Map::new();
    match (old, new) {
        (old, new) if old.filter(|one| !one.is_null()) == new.filter(|one| !one.is_null()) => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => fields(path, old, new, found),
        // A whole object that comes or goes is told by its fields.
        (None, Some(Value::Object(new))) if !new.is_empty() => fields(path, &nothing, new, found),
        (Some(Value::Object(old)), None) if !old.is_empty() => fields(path, old, &nothing, found),
        (Some(Value::Array(old)), Some(Value::Array(new))) if named(old).is_some() && named(new).is_some() => {
            items(path, old, new, found);
        }
        (old, new) => found.push(Change { path: path.clone(), old: old.cloned(), new: new.cloned() }),
    }
}

fn fields(path: &Path, old: &Map<String, Value>, new: &Map<String, Value>, found: &mut Vec<Change>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        compare(&path.key(key), old.get(key), new.get(key), found);
    }
}

/// The names of a list whose items have one each.
fn named(list: &[Value]) -> Option<Vec<&str>> {
    list.iter().map(|item| item.get("name")?.as_str()).collect()
}

/// Items of a list are the same by their names, wherever they stand.
fn items(path: &Path, old: &[Value], new: &[Value], found: &mut Vec<Change>) {
    let name = |item: &Value| item["name"].as_str().unwrap_or_default().to_owned();
    let find = |list: &'_ [Value], wanted: &str| list.iter().find(|item| name(item) == wanted).cloned();
    let before = found.len();
    for item in old {
        compare(&path.key(&name(item)), Some(item), find(new, &name(item)).as_ref(), found);
    }
    for item in new.iter().filter(|item| find(old, &name(item)).is_none()) {
        compare(&path.key(&name(item)), None, Some(item), found);
    }
    if found.len() == before {
        // The same items in another order.
        let order = |list: &[Value]| Some(Value::from(list.iter().map(name).collect::<Vec<_>>().join(", ")));
        found.push(Change { path: path.clone(), old: order(old), new: order(new) });
    }
}

/// What a new revision does to the pods of a ModelDeployment that wanted `old` replicas and now wants `new`.
pub(crate) fn replacement(old: u32, new: u32) -> String {
    let pods = |count: u32| if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") };
    match (old, new) {
        (0, new) => format!("{} started, none restarts", pods(new)),
        (old, 0) => format!("{} stopped, none started", pods(old)),
        (1, 1) => "its pod is replaced, the new one first".to_owned(),
        (old, new) if old == new => format!("its {} are replaced, {} at a time, new ones first", pods(old), step(new)),
        (old, new) => format!("{} replaced by {new}, {} at a time, new ones first", pods(old), step(new)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_that_differs_is_told_once() {
        let old = json!({"a": 1, "same": [1], "null": null, "gone": {"x": "y"}, "list": ["p"],
            "models": [{"name": "a", "uri": "u"}, {"name": "b", "uri": "u"}]});
        let new = json!({"a": 2, "same": [1], "new": "", "list": ["p", "q"],
            "models": [{"name": "c", "uri": "u"}, {"name": "a", "uri": "v"}]});
        let told: Vec<String> = changes(&Path::root().key("spec"), &old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "spec.a: 1 -> 2",
                "spec.gone.x: y -> (none)",
                r#"spec.list: ["p"] -> ["p","q"]"#,
                "spec.models.a.uri: u -> v",
                "spec.models.b.name: b -> (none)",
                "spec.models.b.uri: u -> (none)",
                "spec.models.c.name: (none) -> c",
                "spec.models.c.uri: (none) -> u",
                r#"spec.new: (none) -> """#,
            ]
        );
        assert_eq!(changes(&Path::root(), &old, &old), []);
    }

    #[test]
    fn another_order_is_a_change() {
        let (old, new) = (json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "b"}, {"name": "a"}]));
        assert_eq!(changes(&Path::parse("m"), &old, &new)[0].to_string(), "m: a, b -> b, a");
    }

    #[test]
    fn pods_are_replaced_as_the_plan_does_it() {
        for (old, new, words) in [
            (8, 8, "its 8 pods are replaced, 2 at a time, new ones first"),
            (1, 1, "its pod is replaced, the new one first"),
            (4, 1, "4 pods replaced by 1, 1 at a time, new ones first"),
            (0, 2, "2 pods started, none restarts"),
            (2, 0, "2 pods stopped, none started"),
        ] {
            assert_eq!(replacement(old, new), words);
        }
    }
}
