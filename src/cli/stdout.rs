//! Writing to standard output. A reader that has seen enough (`| head`) is no failure.

use std::io::{self, Write};

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For reading
    Table,
    /// For programs
    Json,
}

/// Writes a text as it is.
///
/// # Errors
/// Standard output cannot be written, other than for a reader that went away.
pub(super) fn print(text: &str) -> io::Result<()> {
    write(text.as_bytes())
}

/// Writes bytes as they are.
///
/// # Errors
/// As of [`print`].
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a text for people, who are told the commands by the name that they have typed.
///
/// # Errors
/// As of [`print`].
pub(super) fn tell(text: &str) -> io::Result<()> {
    print(&super::Invoked::now().spoken(text.to_owned()))
}
