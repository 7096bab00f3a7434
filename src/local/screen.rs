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
    /// Rows of it that are on the screen.
    shown: usize,
}

/// Lines do not wrap while the table is written, so each takes one row; `ESC [ ? 7 l` and `h` of the VT100.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

impl Screen {
    pub(super) fn new(output: Output) -> Self {
        // A terminal that calls itself dumb knows no escape sequences.
        let dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
        let live = output == Output::Text && io::stdout().is_terminal() && !dumb;
        Self(Arc::new(Mutex::new(State { output, live, table: Vec::new(), shown: 0 })))
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
            state.shown = 0;
        }
    }

    /// A server's log line.
    pub(super) fn log(&self, name: &str, line: &str) {
        self.0.lock().above(&format!("{name} | {line}"));
    }

    /// Something that happened to all of it: words for people, an object for scripts.
    pub(super) fn tell(&self, words: &str, event: &Value) {
        let mut state = self.0.lock();
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
                let painted = state.painted();
                out(&format!("{erased}{painted}"));
            }
            (Output::Text, false) => out(&format!("{words}\n")),
        }
    }
}

impl State {
    /// Writes lines above the table. Where there is none, they go beside the standard output, which tells the status alone.
    fn above(&mut self, lines: &str) {
        if self.live {
            let (erased, painted) = (self.erased(), self.painted());
            out(&format!("{erased}{lines}\n{painted}"));
        } else {
            // A reader of standard error that went away is no failure.
            let _ = writeln!(io::stderr().lock(), "{lines}");
        }
    }

    /// Moves to the table's first row and clears from there.
    fn erased(&self) -> String {
        match self.shown {
            0 => String::new(),
            rows => format!("\x1b[{rows}F\x1b[0J"),
        }
    }

    fn painted(&mut self) -> String {
        let rows = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_row);
        let shown = cut(&self.table, rows.into());
        self.shown = shown.len();
        let lines: String = shown.iter().map(|line| format!("{line}\n")).collect();
        format!("{NO_WRAP}{lines}{WRAP}")
    }
}

/// As many lines as a terminal of so many rows can show above the cursor's, and take away again; 0 rows are of unknown number.
fn cut(table: &[String], rows: usize) -> Vec<String> {
    let room = rows.saturating_sub(1);
    if rows == 0 || table.len() <= room {
        return table.to_vec();
    }
    let (shown, left) = table.split_at(room.saturating_sub(1));
    let more = (room > 0).then(|| format!("and {} more", left.len()));
    shown.iter().cloned().chain(more).collect()
}

fn out(text: &str) {
    let mut out = io::stdout().lock();
    // A reader that went away is no failure.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_no_higher_than_its_terminal() {
        let table: Vec<String> = (0..5).map(|line| line.to_string()).collect();
        for rows in [0, 6, 99] {
            assert_eq!(cut(&table, rows), table, "{rows}");
        }
        assert_eq!(cut(&table, 5), ["0", "1", "2", "and 2 more"]);
        assert_eq!(cut(&table, 2), ["and 5 more"]);
        assert_eq!(cut(&table, 1), Vec::<String>::new());
    }
}
