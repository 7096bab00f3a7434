//! Where the API server's or the YAML reader's words leave the reader alone, plainer ones.

use modelyard_core::schema::{Kind, Schema, Violation};

/// A fault of the schema, with the text that it is about.
pub(super) fn explained(schema: &Schema, violation: &Violation, written: String) -> String {
    let path = violation.path.to_string();
    match (violation.kind, path.as_str()) {
        (Kind::Required, "metadata") => "Required value: write metadata with a name".to_owned(),
        (Kind::Required, "metadata.name") => "Required value: write a name (generateName needs a cluster)".to_owned(),
        (Kind::Required, _) => match schema.field(&violation.path).and_then(|field| field["description"].as_str()) {
            Some(description) => format!("{}: {}", violation.message, first_sentence(description)),
            None => violation.message.clone(),
        },
        (Kind::Invalid, _) if violation.message.contains("should match '") => {
            format!("{}{}", violation.message, matching(&path).unwrap_or_default())
        }
        (Kind::Invalid, _) => as_written(&violation.message, &written),
        _ => violation.message.clone(),
    }
}

/// What a pattern means, of fields that have no example.
fn matching(path: &str) -> Option<&'static str> {
    match path.rsplit('.').next() {
        Some("sha256") => Some(", such as the 64 hexadecimal digits that sha256sum prints"),
        Some("name") => Some(", such as a name without '/' and ':'"),
        _ => None,
    }
}

/// A number as it is in the file, not as it was read: `010` is no integer of YAML 1.2, and becomes 10.0.
fn as_written(message: &str, written: &str) -> String {
    let Some((value, why)) = message.strip_prefix("Invalid value: ").and_then(|rest| rest.split_once(": ")) else {
        return message.to_owned();
    };
    // Of a list that is too short the number is its length, and what is written is no number.
    if value.parse::<f64>().is_err() || written.parse::<f64>().is_err() || written == value {
        return message.to_owned();
    }
    let digits = written.trim_start_matches(['-', '+']);
    let zero = digits.starts_with('0') && digits.bytes().all(|one| one.is_ascii_digit());
    let hint = if zero { "; write it without zeros in front, which mean an octal number to some readers" } else { "" };
    format!("Invalid value: {written}: {why}{hint}")
}

fn first_sentence(description: &str) -> String {
    let line = description.replace('\n', " ");
    let end = line.find(". ").unwrap_or(line.len());
    line[..end].trim_end_matches('.').to_owned()
}

/// What the YAML reader says of its limits, as what a person can change.
pub(super) fn of_yaml(reason: &str) -> String {
    let plain = match reason {
        _ if reason.starts_with("budget breached: Depth") || reason.starts_with("recursion limit") => {
            "nested too deeply: lists and maps within one another without end"
        }
        _ if reason.starts_with("budget breached") => "too large or too intricate for a manifest",
        _ if reason.starts_with("alias replay limit") || reason.starts_with("alias expansion limit") => {
            "aliases (*name) repeat too much: ten thousand values at most may come of them"
        }
        _ => reason,
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_shown_as_written() {
        for (message, written, shown) in [
            (
                "Invalid value: 10.0: why",
                "010",
                "Invalid value: 010: why; write it without zeros in front, which mean an octal number to some readers",
            ),
            ("Invalid value: 0: should have at least 1 items", "models", "Invalid value: 0: should have at least 1 items"),
            ("Invalid value: 0: should have at least 1 items", "", "Invalid value: 0: should have at least 1 items"),
        ] {
            assert_eq!(as_written(message, written), shown);
        }
    }
}
