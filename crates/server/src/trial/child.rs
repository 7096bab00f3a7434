//! The child's side: bound itself, load, run once, say what came of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use modelyard_core::api::{EngineName, Format};

use super::{Tried, Verdict, bounds, cage};
use crate::engine::choice::{self, Loaded, Wanted};
use crate::engine::{self, LoadError, first_run};
use crate::load::memory;

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
    let verdict = match attempt(&arguments.file, &wanted, arguments.bytes) {
        Ok(tried) => Verdict::Runs(tried),
        Err(LoadError::Unsupported(reason)) => Verdict::Unsupported(reason),
        Err(LoadError::Invalid(reason)) => Verdict::Invalid(reason),
        Err(LoadError::Read { .. }) => Verdict::Unread,
    };
    let mut stdout = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut stdout, &verdict).map_err(std::io::Error::from).and_then(|()| stdout.flush());
    ExitCode::from(u8::from(written.is_err()))
}

/// A model that seems to take less is measured by a second copy of it.
const SMALL: u64 = 8 << 20;

/// Loads the model, runs it on its sample and on made-up data, and says how many bytes of memory that took. What it answers is for
/// the server to judge; here it only counts that there is an answer.
///
/// The first model of a process pays for what all share (tables, threads, the allocator's first pages), which is more than a small
/// model takes. So of one the second copy is measured, with the first still there.
fn attempt(path: &Path, wanted: &Wanted, bytes: u64) -> Result<Tried, LoadError> {
    let (Loaded { engine, choice, checked }, memory) = one_copy(path, wanted)?;
    // Where there might be no room for two, the first says enough.
    let again = Wanted { choice: Some(choice.clone()), self_check: false, ..wanted.clone() };
    let second = memory.filter(|memory| *memory < SMALL.min(bytes / 8)).map(|_| one_copy(path, &again));
    drop(engine);
    let memory = second.and_then(Result::ok).and_then(|(_, memory)| memory).or(memory);
    // What the first copy left may have been used again: the file's own bytes are in memory once at least.
    let bytes = std::fs::metadata(path).map_or(0, |about| about.len());
    Ok(Tried { choice, checked, memory: memory.map(|memory| memory.max(bytes)) })
}

fn one_copy(path: &Path, wanted: &Wanted) -> Result<(Loaded, Option<u64>), LoadError> {
    let before = memory::private();
    let loaded = choice::load(path, wanted)?;
    let engine = &loaded.engine;
    if let Some(folder) = path.parent() {
        drop(engine::prove(&**engine, folder));
    }
    first_run(&**engine);
    let memory = memory::since(before);
    Ok((loaded, memory))
}
