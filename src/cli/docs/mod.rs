//! `modelyard docs`: the pages that are made of the code. `make generate` keeps them in `docs/`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use modelyard_core::api::Reason;

use super::explain::reason;

mod reference;
mod rights;

/// Write the pages that are made of the code: a reference of the API, the operator's rights, a page for each reason
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        for (name, text) in pages() {
            let path = self.output.join(name);
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            folder.and_then(|()| fs::write(&path, text)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The pages by their paths in `docs/`.
#[must_use]
pub fn pages() -> Vec<(String, String)> {
    let mut pages = vec![
        ("reference.md".to_owned(), reference::markdown()),
        ("rights.md".to_owned(), rights::markdown()),
        ("reasons/README.md".to_owned(), reason::index()),
    ];
    pages.extend(Reason::ALL.iter().map(|one| (format!("reasons/{one}.md"), reason::markdown(*one))));
    pages
}
