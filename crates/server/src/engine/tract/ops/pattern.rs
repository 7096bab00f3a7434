//! Regular expressions as RE2 reads them, which is what ONNX names: classes such as `\w` and the boundary `\b` are ASCII's.

use regex::{Regex, RegexBuilder};

/// The largest compiled expression, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// Compiles an expression.
///
/// # Errors
/// Why it is none.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let read = RegexBuilder::new(&ascii(pattern)).size_limit(MOST_BYTES).nest_limit(100).build();
    read.map_err(|error| {
        let said = error.to_string();
        let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("'{pattern}' is not a regular expression: {last}")
    })
}

/// The expression with RE2's classes spelled out: the crate's are Unicode's.
fn ascii(pattern: &str) -> String {
    let mut spelled = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut depth = 0_usize;
    while let Some(one) = chars.next() {
        match one {
            '\\' => match chars.next() {
                Some('w') => spelled.push_str("[0-9A-Za-z_]"),
                Some('W') => spelled.push_str("[^0-9A-Za-z_]"),
                Some('d') => spelled.push_str("[0-9]"),
                Some('D') => spelled.push_str("[^0-9]"),
                Some('s') => spelled.push_str(r"[\t\n\f\r ]"),
                Some('S') => spelled.push_str(r"[^\t\n\f\r ]"),
                Some('b') if depth == 0 => spelled.push_str(r"(?-u:\b)"),
                Some(other) => spelled.extend(['\\', other]),
                None => spelled.push('\\'),
            },
            '[' => {
                depth += 1;
                spelled.push('[');
                // A bracket that closes nothing yet is itself.
                if chars.peek() == Some(&'^') {
                    spelled.extend(chars.next());
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                    spelled.push_str(r"\]");
                }
            }
            ']' => {
                depth = depth.saturating_sub(1);
                spelled.push(']');
            }
            other => spelled.push(other),
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ascii() {
        for (pattern, text, found) in [
            (r"\w+", "\u{e4}b1_ c", "b1_"),
            (r"[\w-]+", "\u{e4}b-1 c", "b-1"),
            (r"\W+", "ab\u{e4} c", "\u{e4} "),
            (r"\bc\w", "\u{e4}cd", "cd"),
            (r"[]a]+", "x]a]", "]a]"),
            (r"[^\s,]+", " ,a\u{a0}b", "a\u{a0}b"),
            (r"\.", "a.b", "."),
            ("[[:word:]]+", "\u{e4}b", "b"),
        ] {
            assert_eq!(compile(pattern).unwrap().find(text).map(|found| found.as_str()), Some(found), "{pattern}");
        }
    }

    #[test]
    fn what_is_none_says_why() {
        assert!(compile("(").unwrap_err().starts_with("'(' is not a regular expression: "));
        assert!(compile("(a{1000}){1000}").unwrap_err().contains("size limit"), "{}", compile("(a{1000}){1000}").unwrap_err());
    }
}
