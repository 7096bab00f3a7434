//! Whether a file is sound, without a server: its names, its nodes beside the definitions of their operators, its types and shapes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use modelyard_onnx::lint::{Finding, examine};
use serde_json::json;

use super::Output;
use crate::cli::{onnx_file, stdout};

/// Looks at the file, or at the one in a folder, and shows what is wrong.
pub(super) fn show(path: &Path, output: Output) -> anyhow::Result<ExitCode> {
    let file = model_file(path)?;
    onnx_file::expect(&file)?;
    let findings = examine(&file)?;
    let sound = !findings.iter().any(|finding| !finding.warning);
    let text = match output {
        Output::Json => format!("{:#}\n", report(&file, sound, &findings)),
        Output::Table => render(&file, &findings),
    };
    stdout::print(&text)?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The `.onnx` file that is meant: of a folder `model.onnx`, else its only one.
fn model_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let named = path.join("model.onnx");
    if named.is_file() {
        return Ok(named);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let mut found: Vec<PathBuf> =
        files.into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "onnx")).collect();
    match (found.pop(), found.len()) {
        (Some(file), 0) => Ok(file),
        (None, _) => bail!("no .onnx file in {}", path.display()),
        (Some(_), more) => bail!("{} has {} .onnx files; name one", path.display(), more + 1),
    }
}

fn report(file: &Path, sound: bool, findings: &[Finding]) -> serde_json::Value {
    let finding = |one: &Finding| {
        let severity = if one.warning { "warning" } else { "error" };
        json!({"severity": severity, "place": one.place, "what": one.what})
    };
    json!({"file": file, "sound": sound, "findings": findings.iter().map(finding).collect::<Vec<_>>()})
}

fn render(file: &Path, findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let _ = writeln!(out, "{}: {finding}", if finding.warning { "warning" } else { "error" });
    }
    let warnings = findings.iter().filter(|finding| finding.warning).count();
    let errors = findings.len() - warnings;
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let verdict = if errors == 0 { "sound" } else { "unsound" };
    let _ = writeln!(out, "{}: {verdict}: {}, {}", file.display(), counted(errors, "error"), counted(warnings, "warning"));
    out
}
