//! A file of steps around a model: read as the API reads them, so that what is wrong is found before it is shipped.

use std::path::Path;

use anyhow::{Context, bail};
use modelyard_core::steps::{Widths, WrittenStep};
use serde::Deserialize;

/// What `modelyard fit-preprocess` prints, and what belongs under `spec.model`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps {
    #[serde(default)]
    preprocess: Vec<WrittenStep>,
    #[serde(default)]
    postprocess: Vec<WrittenStep>,
}

/// # Errors
/// Names the step and the field.
pub(super) fn check(file: &Path) -> anyhow::Result<()> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let steps: Steps = serde_yaml::from_str(&text).map_err(|error| anyhow::anyhow!("{shown}: {error}"))?;
    if steps.preprocess.is_empty() && steps.postprocess.is_empty() {
        bail!("{shown}: expected preprocess or postprocess with steps, found none");
    }
    for (list, steps) in [("preprocess", &steps.preprocess), ("postprocess", &steps.postprocess)] {
        let mut widths = Widths::default();
        for (at, written) in steps.iter().enumerate() {
            let dot = |field: &str| if field.is_empty() { String::new() } else { format!(".{field}") };
            let step = match written.step() {
                Ok(step) => step,
                Err(wrong) => bail!("{shown}: {list}[{at}]{}: {}", dot(&wrong.field), wrong.message),
            };
            if let Err(wrong) = widths.follow(&step) {
                bail!("{shown}: {list}[{at}].{}: {}", wrong.field, wrong.message);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("steps.yaml");
        for (text, wrong) in [
            ("preprocess:\n  - {op: Drop, columns: [a]}\n", None),
            ("preprocess:\n  - {op: Drop, columns: [a], k: 1}\n", Some("preprocess[0].k")),
            ("postprocess:\n  - {op: Rename, columns: [a, b], to: [c]}\n", Some("postprocess[0]")),
            (
                "preprocess:\n  - {op: Input, columns: [a]}\n  - {op: Standardise, columns: [a], mean: [1, 2], scale: [1]}\n",
                Some("preprocess[1].mean: expected one number"),
            ),
            ("{}", Some("found none")),
            ("spec: {}", Some("spec")),
        ] {
            std::fs::write(&file, text).unwrap();
            let found = check(&file).map_err(|error| error.to_string());
            match wrong {
                None => assert_eq!(found, Ok(())),
                Some(words) => assert!(found.as_ref().is_err_and(|error| error.contains(words)), "{text}: {found:?}"),
            }
        }
    }
}
