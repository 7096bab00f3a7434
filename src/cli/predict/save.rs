//! A request as a file, and the command that sends it: what people put into a bug report, a load test, a manual.

use std::path::Path;

use anyhow::Context;

use crate::cli::served::Served;
use crate::cli::stdout;
use crate::cli::usage::Usage;
use crate::client::{Form, Prepared, Protocol, Target};
use crate::inputs::Named;

/// The form that the file's extension names, of the protocol where it has one of its own.
fn form(path: &Path, protocol: Protocol) -> Result<Form, Usage> {
    let unlike = |expected: &str| {
        let (path, protocol) = (path.display(), protocol.as_str());
        Err(Usage::new(format!("--save-request {path}: --protocol {protocol} has no such file; expected {expected}")))
    };
    match (path.extension().and_then(|extension| extension.to_str()), protocol) {
        (Some("json" | "bin"), Protocol::Grpc) => unlike(".pb, or --protocol json or binary"),
        (Some("bin"), Protocol::Tfs) => unlike(".json (rows) or .pb (a PredictRequest)"),
        (Some("json"), Protocol::Tfs) => Ok(Form::Rows),
        (Some("json"), _) => Ok(Form::Json),
        (Some("bin"), _) => Ok(Form::Binary),
        (Some("pb"), _) => Ok(Form::PredictRequest),
        _ => Err(Usage::new(format!(
            "--save-request {}: expected .json (JSON), .bin (binary tensors) or .pb (a PredictRequest)",
            path.display()
        ))),
    }
}

/// Refuses, before a server is asked, a file that says no form.
pub(super) fn check(path: &Path, protocol: Protocol) -> Result<(), Usage> {
    form(path, protocol).map(|_| ())
}

/// Writes the request in the form that the file's extension names, and prints curl's command line on stdout.
pub(super) fn save(served: &Served, path: &Path, inputs: &[Named]) -> anyhow::Result<()> {
    let (model, target) = (served.name(), served.target()?);
    let form = form(path, served.protocol)?;
    let rest = if form == Form::PredictRequest { " --output reply.pb" } else { "" };
    let prepared = form.prepare(&model, inputs)?;
    std::fs::write(path, &prepared.body).with_context(|| format!("cannot write {}", path.display()))?;
    crate::cli::say(format_args!("{}: {} bytes; send it with", path.display(), prepared.body.len()));
    stdout::print(&format!("{}{rest}\n", curl(&target, path, &prepared))).context("cannot write the command")
}

fn curl(target: &Target, path: &Path, prepared: &Prepared) -> String {
    let mut command = "curl -sS".to_owned();
    if let Some(file) = target.ca_file() {
        command.push_str(&format!(" --cacert {}", quoted(&file.display().to_string())));
    }
    for (name, value) in &prepared.headers {
        let header = format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        command.push_str(&format!(" -H {}", quoted(&header)));
    }
    let data = format!("@{}", path.display());
    command.push_str(&format!(" --data-binary {} {}", quoted(&data), quoted(&format!("{}{}", target.url(), prepared.path))));
    command
}

/// As one word of a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("http://host:80/v2"), "http://host:80/v2");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
    }
}
