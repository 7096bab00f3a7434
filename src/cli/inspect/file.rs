//! A file, as the server's binary reports it: the control plane links no tensor library.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::{Arguments, Output};
use crate::cli::stdout;

/// The report of `modelyard-server inspect FILE -o json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) file: String,
    pub(crate) loadable: bool,
    load_seconds: Option<f64>,
    pub(crate) signature: Option<Signature>,
    pub(crate) facts: Option<Facts>,
    pub(crate) sample: Option<Sample>,
    #[serde(default)]
    pub(crate) problems: Vec<Problem>,
}

/// A sample that was answered as expected.
#[derive(Debug, Deserialize)]
pub(crate) struct Sample {
    /// Outputs that were compared.
    pub(crate) outputs: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Signature {
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    #[serde(default)]
    batched: bool,
}

/// One declared tensor.
#[derive(Debug, Deserialize)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) datatype: String,
    pub(crate) shape: Vec<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) platform: String,
    engine: String,
    pub(crate) opsets: Vec<String>,
    operators: BTreeMap<String, u64>,
    pub(crate) parameters: u64,
    bytes: u64,
    pub(crate) producer: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    #[serde(default)]
    node: String,
    #[serde(default)]
    operator: String,
    reason: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.node.as_str() {
            "" => write!(f, "{}: {}", self.operator, self.reason),
            node => write!(f, "{} '{node}': {}", self.operator, self.reason),
        }
    }
}

/// Runs the server's binary on the file and shows what it says.
pub(super) fn show(path: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if !path.exists() {
        bail!("no file {}; to ask a server about a model, say --url", path.display());
    }
    if let Some(kind) = archive(path) {
        bail!("{}: a {kind} archive is not read here; unpack it, and name the .onnx file or the folder with it", path.display());
    }
    let (report, said) = examine(path, arguments.server_bin.as_deref())?;
    match arguments.output {
        Output::Json => stdout::write(&said)?,
        Output::Table => stdout::print(&render(&report))?,
    }
    Ok(if report.loadable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the server's binary says of a file or a folder, and its very words.
pub(crate) fn examine(path: &Path, binary: Option<&Path>) -> anyhow::Result<(Report, Vec<u8>)> {
    let binary = match binary {
        Some(binary) => binary.to_owned(),
        None => find_server()?,
    };
    let output = Command::new(&binary)
        .arg("inspect")
        .arg(path)
        .args(["-o", "json"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    match serde_json::from_slice(&output.stdout) {
        Ok(report) => Ok((report, output.stdout)),
        Err(_) if output.stdout.is_empty() => bail!("{} inspect ended with {} and said nothing", binary.display(), output.status),
        Err(error) => bail!("{} inspect: its report is not understood: {error}", binary.display()),
    }
}

/// The kind of archive that a file is by its name, as models are stored.
fn archive(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let ends = |endings: &[&str]| path.is_file() && endings.iter().any(|ending| name.ends_with(ending));
    match () {
        () if ends(&[".zip"]) => Some(".zip"),
        () if ends(&[".tar", ".tar.gz", ".tgz"]) => Some(".tar"),
        () => None,
    }
}

/// The binary beside our own, else on PATH.
pub(crate) fn find_server() -> anyhow::Result<PathBuf> {
    const NAME: &str = "modelyard-server";
    let own = std::env::current_exe().context("where is this binary?")?;
    let beside = own.parent().map(|folder| folder.join(NAME));
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    beside
        .into_iter()
        .chain(on_path.map(|folder| folder.join(NAME)))
        .find(|candidate| candidate.is_file())
        .context("modelyard-server is neither beside this binary nor on PATH; name it with --server-bin")
}

fn render(report: &Report) -> String {
    let mut out = format!("{}\n", report.file);
    if let Some(facts) = &report.facts {
        out.push('\n');
        let producer = if facts.producer.is_empty() { String::new() } else { format!(", made by {}", facts.producer) };
        line(&mut out, "format", &format!("{}{producer}", facts.platform));
        line(&mut out, "engine", &facts.engine);
        line(&mut out, "opset", &facts.opsets.join(", "));
        line(&mut out, "size", &format!("{}, {} parameters", size(facts.bytes), grouped(facts.parameters)));
        let mut operators: Vec<(&String, &u64)> = facts.operators.iter().collect();
        operators.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let counted: Vec<String> = operators.into_iter().map(|(name, count)| format!("{name} x{count}")).collect();
        wrapped(&mut out, "operators", &counted);
    }
    if let Some(signature) = &report.signature {
        ports(&mut out, "takes", &signature.inputs);
        ports(&mut out, "gives", &signature.outputs);
        let batched = if signature.batched { "yes: rows of several requests may run together" } else { "no" };
        out.push('\n');
        line(&mut out, "batched", batched);
    }
    out.push('\n');
    match (report.loadable, report.load_seconds) {
        (true, Some(seconds)) => line(&mut out, "runs", &format!("yes: loaded in {:.1} ms", seconds * 1e3)),
        (true, None) => line(&mut out, "runs", "yes"),
        (false, _) => line(&mut out, "runs", "NO"),
    }
    if report.sample.is_some() {
        line(&mut out, "sample", "answered as expected");
    }
    for problem in &report.problems {
        let _ = writeln!(out, "  - {problem}");
    }
    out
}

pub(super) fn line(out: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = writeln!(out, "  {name:<10} {value}");
    }
}

/// Tensors under a heading, in columns.
pub(super) fn ports(out: &mut String, heading: &str, ports: &[Port]) {
    let width = ports.iter().map(|port| port.name.chars().count()).max().unwrap_or(0);
    let _ = writeln!(out, "\n  {heading}");
    for port in ports {
        let dims: Vec<String> = port.shape.iter().map(|dim| if *dim < 0 { "?".to_owned() } else { dim.to_string() }).collect();
        let _ = writeln!(out, "    {:width$}  {:<6}  [{}]", port.name, port.datatype, dims.join(", "));
    }
}

/// A list over several lines where it is long.
fn wrapped(out: &mut String, name: &str, words: &[String]) {
    const WIDTH: usize = 90;
    let (mut current, mut head) = (String::new(), name);
    for word in words {
        if !current.is_empty() && current.len() + word.len() > WIDTH {
            line(out, head, &format!("{current},"));
            (current, head) = (String::new(), "");
        }
        current.push_str(if current.is_empty() { "" } else { ", " });
        current.push_str(word);
    }
    line(out, head, &current);
}

/// Bytes in the unit that people read.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for larger in UNITS {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, larger);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

/// Thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_rendered() {
        let text = r#"{"file":"m.onnx","loadable":false,"signature":{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,784]}],
            "outputs":[],"batched":true},"facts":{"platform":"onnx_onnxv1","engine":"Tract","opsets":["ai.onnx 17"],
            "operators":{"Gemm":2,"Relu":1},"parameters":25450,"bytes":102400,"producer":"pytorch 2.6","convolutional":false},
            "problems":[{"node":"n1","operator":"LSTM","reason":"reverse is not supported"}]}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        let rendered = render(&report);
        for words in [
            "format     onnx_onnxv1, made by pytorch 2.6",
            "size       102.4 kB, 25 450 parameters",
            "operators  Gemm x2, Relu x1",
            "x  FP32    [?, 784]",
            "runs       NO",
            "- LSTM 'n1': reverse is not supported",
        ] {
            assert!(rendered.contains(words), "{words} in\n{rendered}");
        }
    }
}
