//! What the API server refuses in the metadata of any object, which no CustomResourceDefinition spells out: namespaces, labels
//! and annotations that are none.
//!
//! Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>, .../annotations/ and .../names/.

use serde_json::{Map, Value};

use super::{Kind, Path, Violation};

/// Of a DNS label, and of what comes after the slash of a key.
const MOST_OF_LABEL: usize = 63;
/// Of a DNS subdomain, which is what comes before it.
const MOST_OF_DOMAIN: usize = 253;
/// Of all annotations of an object, keys and values.
const MOST_OF_ANNOTATIONS: usize = 256 << 10;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
                     with an alphanumeric character (e.g. 'my-name', or '123-abc')";
const DOMAIN: &str = "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                      and must start and end with an alphanumeric character (e.g. 'example.com')";
const NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                    alphanumeric character (e.g. 'MyName', or 'my.name', or '123-abc')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
                     and end with an alphanumeric character (e.g. 'MyValue', or 'my_value', or '12345')";

/// Everything that is refused. What is of another type than it should be is the schema's matter.
pub(super) fn violations(metadata: &Value) -> Vec<Violation> {
    let (mut found, at) = (Vec::new(), Path::root().key("metadata"));
    let mut refuse = |path: Path, kind: Kind, text: &str, why: &str| {
        let message = format!("Invalid value: {}: {why}", super::validate::shown(&text.into()));
        found.push(Violation { path, kind, message });
    };
    // An empty one is none: the request's takes its place.
    if let Some(namespace) = metadata["namespace"].as_str().filter(|namespace| !namespace.is_empty())
        && let Some(why) = no_label(namespace)
    {
        refuse(at.key("namespace"), Kind::Invalid, namespace, &why);
    }
    let none = Map::new();
    let map = |field: &str| metadata[field].as_object().unwrap_or(&none);
    for (key, value) in map("labels") {
        let path = at.key("labels").key(key);
        if let Some(why) = no_key(key) {
            refuse(path.clone(), Kind::Key, key, &why);
        }
        if let Some((value, why)) = value.as_str().and_then(|value| Some((value, no_value(value)?))) {
            refuse(path, Kind::Invalid, value, &why);
        }
    }
    for key in map("annotations").keys() {
        // Of annotations, capitals are let through in the prefix too.
        if let Some(why) = no_key(&key.to_lowercase()) {
            refuse(at.key("annotations").key(key), Kind::Key, key, &why);
        }
    }
    let size: usize = map("annotations").iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > MOST_OF_ANNOTATIONS {
        let message = format!("Too long: may not be more than {MOST_OF_ANNOTATIONS} bytes");
        found.push(Violation { path: at.key("annotations"), kind: Kind::Invalid, message });
    }
    found
}

fn no_label(text: &str) -> Option<String> {
    let fits = bounded(text, |one| one.is_ascii_lowercase() || one.is_ascii_digit(), "-");
    length(text, "", MOST_OF_LABEL).or_else(|| (!fits).then(|| LABEL.to_owned()))
}

fn no_value(text: &str) -> Option<String> {
    let fits = text.is_empty() || bounded(text, |one| one.is_ascii_alphanumeric(), "-_.");
    length(text, "", MOST_OF_LABEL).or_else(|| (!fits).then(|| VALUE.to_owned()))
}

/// What is wrong with `example.com/name`, or a name without a prefix.
fn no_key(text: &str) -> Option<String> {
    let (prefix, name) = match text.split('/').collect::<Vec<_>>()[..] {
        [name] => (None, name),
        [prefix, name] => (Some(prefix), name),
        _ => return Some("a qualified name has one '/' at most, after a DNS subdomain (e.g. 'example.com/MyName')".to_owned()),
    };
    prefix.and_then(no_prefix).or_else(|| match name {
        "" => Some("name part must be non-empty".to_owned()),
        name => length(name, "name part ", MOST_OF_LABEL)
            .or_else(|| (!bounded(name, |one| one.is_ascii_alphanumeric(), "-_.")).then(|| NAME.to_owned())),
    })
}

fn no_prefix(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("prefix part must be non-empty".to_owned());
    }
    let fits = text.split('.').all(|part| bounded(part, |one| one.is_ascii_lowercase() || one.is_ascii_digit(), "-"));
    length(text, "prefix part ", MOST_OF_DOMAIN).or_else(|| (!fits).then(|| DOMAIN.to_owned()))
}

fn length(text: &str, part: &str, most: usize) -> Option<String> {
    (text.len() > most).then(|| format!("{part}must be no more than {most} bytes"))
}

/// Whether it starts and ends with a character of one kind, and has only those and some others within.
fn bounded(text: &str, outer: impl Fn(char) -> bool, inner: &str) -> bool {
    text.starts_with(&outer) && text.ends_with(&outer) && text.chars().all(|one| outer(one) || inner.contains(one))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_refused_in_the_words_of_the_api_server() {
        let long = "a".repeat(64);
        for (metadata, expected) in [
            (json!({"namespace": "X Y"}), "metadata.namespace: Invalid value: \"X Y\": a lowercase RFC 1123 label must consist"),
            (json!({"namespace": "-x"}), "metadata.namespace: Invalid value: \"-x\": a lowercase RFC 1123 label"),
            (json!({"namespace": long}), "must be no more than 63 bytes"),
            (json!({"labels": {"a b": "c"}}), "metadata.labels.a b: Invalid value: \"a b\": name part must consist"),
            (json!({"labels": {"": "c"}}), "metadata.labels['']: Invalid value: \"\": name part must be non-empty"),
            (json!({"labels": {"/a": "c"}}), "prefix part must be non-empty"),
            (json!({"labels": {"a/b/c": "c"}}), "a qualified name has one '/' at most"),
            (json!({"labels": {"Example.com/a": "c"}}), "prefix part a lowercase RFC 1123 subdomain"),
            (json!({"labels": {"example..com/a": "c"}}), "prefix part a lowercase RFC 1123 subdomain"),
            (json!({"labels": {"a": "b c"}}), "metadata.labels.a: Invalid value: \"b c\": a valid label must be an empty string"),
            (json!({"labels": {"a": "-b"}}), "a valid label must be an empty string"),
            (json!({"labels": {"a": long}}), "must be no more than 63 bytes"),
            (json!({"annotations": {"a,b": "any thing"}}), "metadata.annotations.a,b: Invalid value: \"a,b\": name part"),
            (json!({"annotations": {"a": "b".repeat(MOST_OF_ANNOTATIONS)}}), "Too long: may not be more than 262144 bytes"),
        ] {
            let found = violations(&metadata);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].to_string().contains(expected), "{} has no {expected}", found[0]);
        }
    }

    #[test]
    fn what_the_api_server_takes_passes() {
        for metadata in [
            json!({}),
            json!({"namespace": ""}),
            json!({"namespace": "models-2", "labels": {"app.kubernetes.io/name": "My_Value.1", "Team": "", "1": "x"}}),
            json!({"annotations": {"Example.com/a_b": "any thing,\nat all", "a": ""}}),
            // Of another type: the schema says so.
            json!({"namespace": 5, "labels": [1], "annotations": {"a": 5}}),
        ] {
            assert_eq!(violations(&metadata), [], "{metadata}");
        }
    }
}
