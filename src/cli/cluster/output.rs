//! Objects for programs.

use serde::Serialize;

/// How to print for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Document {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// One document, ending in a line break.
pub(crate) fn document<T: Serialize>(format: Document, value: &T) -> anyhow::Result<String> {
    Ok(match format {
        Document::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        // By way of JSON: quantities and times are then written as everywhere else.
        Document::Yaml => serde_yaml::to_string(&serde_json::to_value(value)?)?,
    })
}
