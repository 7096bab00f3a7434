//! The child's side: bound itself, then for each model that it is asked for load it, run it once, say what came of it.

use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use super::bounds::Bounds;
use super::cage;
use super::process::MOST_WORDS;
use super::verdict::{Order, Tried, Verdict};
use crate::engine::choice::{self, Loaded, Wanted};
use crate::engine::{self, Engine, LoadError, first_run};
use crate::load::memory;

/// `modelyard-server try`: tries the models that standard input names, a line each, and writes a verdict on each to standard output,
/// until there are no more. The server starts itself so, nobody else.
///
/// A bound that the system refuses is no reason to refuse a model: the others hold.
pub fn run() -> ExitCode {
    let bounds = Bounds::before();
    for refused in [bounds.set(), cage::close()].into_iter().filter_map(Result::err) {
        eprintln!("{refused}");
    }
    let mut held = Vec::new();
    loop {
        let ended = match next_order() {
            Ok(Some(order)) => answer(&order, &bounds, &mut held),
            Ok(None) => return ExitCode::SUCCESS,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
}

/// The next line; `None` where there are no more.
fn next_order() -> io::Result<Option<Order>> {
    let mut line = Vec::new();
    io::stdin().lock().take(MOST_WORDS).read_until(b'\n', &mut line)?;
    if line.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_slice(&line)?)) }
}

fn answer(order: &Order, bounds: &Bounds, held: &mut Held) -> io::Result<()> {
    if let Err(refused) = bounds.allow(order.allowance) {
        eprintln!("{refused}");
    }
    let (file, wanted) = order.model();
    let verdict = match attempt((&file, &wanted), order.allowance.bytes, held) {
        Ok(tried) => Verdict::Runs(tried),
        Err(LoadError::Unsupported(reason)) => Verdict::Unsupported(reason),
        Err(LoadError::Invalid(reason)) => Verdict::Invalid(reason),
        Err(LoadError::Read { .. }) => Verdict::Unread,
    };
    let mut line = serde_json::to_vec(&verdict)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// The small models that were tried before: while they are there, the next takes memory of its own and not what they left.
type Held = Vec<Box<dyn Engine>>;

/// A model that seems to take less is measured by a second copy of it, where it is the first of its engine; and it stays until the
/// process ends.
pub(super) const SMALL: u64 = 8 << 20;

/// What earlier copies may have left free at most, and the next one used again.
const LEFT_OVER: u64 = 1 << 20;

/// Loads the model, runs it on its sample and on made-up data, and says how many bytes of memory that took. What it answers is for
/// the server to judge; here it only counts that there is an answer.
///
/// The first model of an engine in a process pays for what all share (tables, threads, the allocator's first pages), which is more than
/// a small model takes. So of one the second copy is measured, with the first still there.
fn attempt((path, wanted): (&Path, &Wanted), bytes: u64, held: &mut Held) -> Result<Tried, LoadError> {
    let (Loaded { engine, choice, checked }, memory) = one_copy(path, wanted)?;
    let is_first = held.iter().all(|other| other.facts().engine != engine.facts().engine);
    // Where there might be no room for two, the first says enough.
    let again = Wanted { choice: Some(choice.clone()), self_check: false, ..wanted.clone() };
    let second = memory.filter(|memory| is_first && *memory < SMALL.min(bytes / 8)).map(|_| one_copy(path, &again));
    let memory = second.and_then(Result::ok).and_then(|(_, memory)| memory).or(memory);
    if memory.is_some_and(|memory| memory <= SMALL) {
        held.push(engine);
    }
    // What was left over may have been used again: a small file's own bytes are in memory once at least. A large one of trees is not.
    let bytes = std::fs::metadata(path).map_or(0, |about| about.len()).min(LEFT_OVER);
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
