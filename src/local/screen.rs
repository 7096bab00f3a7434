//! What the user sees: a table that repaints under the log in a terminal, plain lines elsewhere, JSON for scripts.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

/// How to tell what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A table that repaints in a terminal, lines elsewhere
    #[default]
    Text,
    /// One JSON object for each change, on standard output; the servers' log on standard error
    Json,
}

/// Where everything is written; clones write to the same place.
#[derive(Clone)]
pub(super) struct Screen(Arc<Mutex<State>>);

struct State {
    output: Output,
    /// A terminal shows the table under everything else.
    live: bool,
    table: Vec<String>,
}

/// Lines do not wrap while the table is written, so each takes one row; `ESC [ ? 7 l` and `h` of the VT100.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

impl Screen {
    pub(super) fn new(output: Output) -> Self {
        let live = output == Output::Text && io::stdout().is_terminal();
        Self(Arc::new(Mutex::new(State { output, live, table: Vec::new() })))
    }

    /// Whether the table repaints.
    pub(super) fn is_live(&self) -> bool {
        self.0.lock().live
    }

    /// Takes the table away: what it says is no longer so.
    pub(super) fn clear(&self) {
        let mut state = self.0.lock();
        if state.live {
            out(&state.erased());
            state.table.clear();
        }
    }

    /// A server's log line.
    pub(super) fn log(&self, name: &str, line: &str) {
        self.0.lock().above(&format!("{name} | {line}"));
    }

    /// Something that happened to all of it: words for people, an object for scripts.
    pub(super) fn tell(&self, words: &str, event: &Value) {
        let state = self.0.lock();
        match state.output {
            Output::Json => out(&format!("{event}\n")),
            Output::Text => state.above(words),
        }
    }

    /// The status changed: the new table, what changed of it in words, and the object for scripts.
    pub(super) fn status(&self, table: Vec<String>, words: &str, event: &Value) {
        let mut state = self.0.lock();
        match (state.output, state.live) {
            (Output::Json, _) => out(&format!("{event}\n")),
            (Output::Text, true) => {
                let erased = state.erased();
                state.table = table;
                out(&format!("{erased}{}", state.painted()));
            }
            (Output::Text, false) => out(&format!("{words}\n")),
        }
    }
}

impl State {
    /// Writes lines above the table. Where there is none, they go beside the standard output, which tells the status alone.
    fn above(&self, lines: &str) {
        if self.live {
            out(&format!("{}{lines}\n{}", self.erased(), self.painted()));
        } else {
            // A reader of standard error that went away is no failure.
            let _ = writeln!(io::stderr().lock(), "{lines}");
        }
    }

    /// Moves to the table's first row and clears from there.
    fn erased(&self) -> String {
        match self.table.len() {
            0 => String::new(),
            rows => format!("\x1b[{rows}F\x1b[0J"),
        }
    }

    fn painted(&self) -> String {
        let lines: String = self.table.iter().map(|line| format!("{line}\n")).collect();
        format!("{NO_WRAP}{lines}{WRAP}")
    }
}

fn out(text: &str) {
    let mut out = io::stdout().lock();
    // A reader that went away is no failure.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
