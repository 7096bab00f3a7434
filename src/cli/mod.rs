//! What a person types. One file per command; each reads its arguments, does one thing, and says plainly what went wrong.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod bench;
pub mod completions;
pub mod crds;
pub mod evaluate;
pub mod explain;
pub mod inspect;
pub mod local;
pub mod man;
pub mod predict;
pub mod served;
mod stdout;
pub mod validate;
pub mod version;

/// One YAML becomes a model served over the network: on a Kubernetes cluster, or on this machine.
#[derive(Debug, Parser)]
#[command(name = "modelyard", version, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Local(local::Arguments),
    Validate(validate::Arguments),
    Explain(explain::Arguments),
    Predict(predict::Arguments),
    Evaluate(evaluate::Arguments),
    Bench(bench::Arguments),
    Inspect(inspect::Arguments),
    Crds(crds::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    Version(version::Arguments),
}

impl Arguments {
    /// Runs the command; a failure is printed as one message with its causes, and exits 1 unless the command says otherwise.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Local(arguments) => arguments.run(),
            Command::Validate(arguments) => arguments.run(),
            Command::Explain(arguments) => arguments.run(),
            Command::Predict(arguments) => arguments.run(),
            Command::Evaluate(arguments) => arguments.run(),
            Command::Bench(arguments) => arguments.run(),
            Command::Inspect(arguments) => arguments.run(),
            Command::Crds(arguments) => arguments.run(),
            Command::Completions(arguments) => arguments.run(),
            Command::Man(arguments) => arguments.run(),
            Command::Version(arguments) => arguments.run(),
        };
        outcome.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        })
    }
}
