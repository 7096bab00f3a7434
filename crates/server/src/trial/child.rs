//! The child's side: bound itself, load, run once, say what came of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use modelyard_core::api::{EngineName, Format};

use super::{Tried, Verdict, bounds, cage};
use crate::engine::choice::{self, Loaded, Wanted};
use crate::engine::{self, LoadError, first_run};

/// `modelyard-server try`: what the server starts itself with, nobody else.
#[derive(Debug, clap::Args)]
pub struct TryArguments {
    /// The model's file.
    file: PathBuf,
    /// What is to compute it.
    #[arg(long, value_parser = engine_of)]
    engine: EngineName,
    /// What the file is, where its first bytes are not to tell.
    #[arg(long, value_parser = format_of)]
    format: Option<Format>,
    /// Threads that will run it.
    #[arg(long)]
    threads: usize,
    /// Whether answers are compared.
    #[arg(long)]
    self_check: bool,
    /// Processor time that it may take.
    #[arg(long)]
    seconds: u64,
    /// Memory that it may take.
    #[arg(long)]
    bytes: u64,
}

/// The flag's value for an engine.
pub(super) const fn flag(engine: EngineName) -> &'static str {
    match engine {
        EngineName::Auto => "auto",
        EngineName::Tract => "tract",
        EngineName::OnnxRuntime => "onnxruntime",
    }
}

fn engine_of(text: &str) -> Result<EngineName, String> {
    let all = [EngineName::Auto, EngineName::Tract, EngineName::OnnxRuntime];
    all.into_iter().find(|engine| flag(*engine) == text).ok_or_else(|| format!("no engine is called '{text}'"))
}

fn format_of(text: &str) -> Result<Format, String> {
    Format::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(|| format!("no format is called '{text}'"))
}

/// Tries the model, and writes the verdict to standard output.
///
/// A bound that the system refuses is no reason to refuse the model: the others hold.
pub fn run(arguments: &TryArguments) -> ExitCode {
    for refused in [bounds::set(arguments.seconds, arguments.bytes), cage::close()].into_iter().filter_map(Result::err) {
        eprintln!("{refused}");
    }
    let wanted = Wanted {
        name: arguments.engine,
        format: arguments.format,
        threads: arguments.threads,
        self_check: arguments.self_check,
        choice: None,
    };
    let verdict = match attempt(&arguments.file, &wanted) {
        Ok(tried) => Verdict::Runs(tried),
        Err(LoadError::Unsupported(reason)) => Verdict::Unsupported(reason),
        Err(LoadError::Invalid(reason)) => Verdict::Invalid(reason),
        Err(LoadError::Read { .. }) => Verdict::Unread,
    };
    let mut stdout = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut stdout, &verdict).map_err(std::io::Error::from).and_then(|()| stdout.flush());
    ExitCode::from(u8::from(written.is_err()))
}

/// Loads the model, and runs it on its sample and on made-up data. What it answers is for the server to judge; here it only
/// counts that there is an answer.
fn attempt(path: &Path, wanted: &Wanted) -> Result<Tried, LoadError> {
    let Loaded { engine, choice, checked } = choice::load(path, wanted)?;
    if let Some(folder) = path.parent() {
        drop(engine::prove(&*engine, folder));
    }
    first_run(&*engine);
    Ok(Tried { choice, checked })
}
