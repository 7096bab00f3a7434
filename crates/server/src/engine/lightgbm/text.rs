//! LightGBM's text: a head of `key=value` lines, then a part of such lines for each tree. Source: its `SaveModelToString`.

use std::collections::HashMap;
use std::str::FromStr;

/// The lines of one part, by key. A line without `=` is a key alone.
pub(super) struct Part<'a> {
    /// `head`, or the tree's number.
    name: String,
    lines: HashMap<&'a str, &'a str>,
}

/// A whole file.
pub(super) struct Parts<'a> {
    pub(super) head: Part<'a>,
    /// In order.
    pub(super) trees: Vec<Part<'a>>,
    /// Whether the line that ends the trees is there.
    pub(super) ended: bool,
}

/// The head, and the trees.
pub(super) fn parts(text: &str) -> Parts<'_> {
    let mut head = Part { name: "head".to_owned(), lines: HashMap::new() };
    let mut trees: Vec<Part<'_>> = Vec::new();
    let mut ended = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "end of trees" {
            ended = true;
            break;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if key == "Tree" {
            trees.push(Part { name: format!("tree {value}"), lines: HashMap::new() });
            continue;
        }
        trees.last_mut().unwrap_or(&mut head).lines.insert(key, value);
    }
    Parts { head, trees, ended }
}

impl<'a> Part<'a> {
    /// A key's value.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.lines.get(key).copied()
    }

    /// A key's number.
    pub(super) fn number<T: FromStr>(&self, key: &str) -> Result<T, String> {
        let value = self.get(key).ok_or_else(|| format!("{}: {key} is missing", self.name))?;
        value.parse().map_err(|_| self.fault(key, value))
    }

    /// A key's numbers, of which there must be `count`; none where the key is absent and none are expected.
    pub(super) fn numbers<T: FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>, String> {
        let values = self.get(key).unwrap_or_default().split_ascii_whitespace();
        let numbers = values.map(|value| value.parse().map_err(|_| self.fault(key, value))).collect::<Result<Vec<T>, _>>()?;
        if numbers.len() == count {
            return Ok(numbers);
        }
        Err(format!("{}: {key}: {} numbers; expected {count}", self.name, numbers.len()))
    }

    fn fault(&self, key: &str, value: &str) -> String {
        let shown: String = value.chars().take(40).collect();
        format!("{}: {key}: '{shown}' is not a number of that kind", self.name)
    }
}
