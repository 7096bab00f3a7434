//! A message about a place in a file: for a terminal with the line and a caret, for a script as JSON.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::yaml::Span;

/// The longest part of a line that is shown.
const MOST_SHOWN: usize = 120;

/// One message about one place.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// The file; `-` for standard input.
    pub file: String,
    /// Where in the file; none where the file itself is the matter.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// The object, such as `ModelDeployment/mnist`, where its name is known.
    pub object: Option<String>,
    /// The field, such as `spec.models[1].name`; empty where no field is the matter.
    pub path: String,
    /// Whether it keeps the object from being served.
    pub severity: Severity,
    /// What was found and what was expected.
    pub message: String,
    /// The line of the file.
    pub source: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot be served.
    #[default]
    Error,
    /// It can, and is likely to hurt on a cluster.
    Warning,
}

/// A place in a file, counted from 1 in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// Characters that the message is about.
    pub length: usize,
}

impl From<Span> for Position {
    fn from(span: Span) -> Self {
        Self { line: span.line, column: span.column, length: span.length }
    }
}

impl Diagnostic {
    pub(super) fn of_file(file: &Path, message: &str) -> Self {
        Self {
            file: file.display().to_string(),
            position: None,
            object: None,
            path: String::new(),
            severity: Severity::default(),
            message: message.to_owned(),
            source: None,
        }
    }

    /// The message without the excerpt, on one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let place = self.position.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
        let field = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        format!("{}{place}: {field}{}", self.file, self.message)
    }

    /// The line with carets beneath what is meant; long lines are cut around it.
    fn excerpt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(at), Some(source)) = (self.position, &self.source) else { return Ok(()) };
        let line: Vec<char> = source.chars().collect();
        let column = (at.column - 1).min(line.len());
        let start = if line.len() > MOST_SHOWN { column.saturating_sub(MOST_SHOWN / 3) } else { 0 };
        let end = line.len().min(start + MOST_SHOWN);
        let shown: String = line[start..end].iter().collect();
        let blank: String = line[start..column].iter().map(|one| if *one == '\t' { '\t' } else { ' ' }).collect();
        let carets = "^".repeat(at.length.min(end.saturating_sub(column)).max(1));
        let (number, margin) = (at.line.to_string(), " ".repeat(at.line.to_string().len()));
        write!(f, "\n {margin} |\n {number} | {shown}\n {margin} | {blank}{carets}")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        self.excerpt(f)
    }
}
