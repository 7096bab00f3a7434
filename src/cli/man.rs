//! `modelyard man`: manual pages from the same words that `--help` prints.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory};

/// Write the manual pages
///
/// Without a folder, the main page goes to standard output: modelyard man | man -l -
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write one page for each command into this folder
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// The folder or standard output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let command = super::Arguments::command().disable_help_subcommand(true);
        match &self.output {
            Some(dir) => {
                let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
                written.with_context(|| format!("cannot write the pages into {}", dir.display()))?;
            }
            None => super::stdout::print(&page(command)?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn page(command: Command) -> anyhow::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(String::from_utf8(page)?)
}
