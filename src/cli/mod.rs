//! What a person types. One file per command; each reads its arguments, does one thing, and says plainly what went wrong.

use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub mod bench;
pub mod cluster;
mod complete;
pub mod completions;
pub mod controller;
pub mod crds;
pub mod diff;
pub mod docs;
pub mod doctor;
pub mod evaluate;
pub mod exchange;
pub mod explain;
pub mod fit_preprocess;
pub mod import;
pub mod inspect;
mod invoked;
pub mod list;
pub mod local;
pub mod logs;
pub mod man;
mod number;
mod onnx_file;
pub mod optimize;
pub mod package;
pub mod predict;
pub mod rbac;
pub mod restart;
pub mod rollback;
pub mod served;
pub mod status;
mod stdout;
mod usage;
pub mod validate;
pub mod version;
pub mod wait;

use invoked::Invoked;

/// One YAML becomes a model served over the network: on a Kubernetes cluster, or on this machine.
#[derive(Debug, Parser)]
#[command(name = "modelyard", version, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Controller(controller::Arguments),
    Local(local::Arguments),
    List(list::Arguments),
    Status(status::Arguments),
    Wait(wait::Arguments),
    Logs(logs::Arguments),
    Diff(diff::Arguments),
    Rollback(rollback::Arguments),
    Restart(restart::Arguments),
    Doctor(doctor::Arguments),
    Validate(validate::Arguments),
    Import(import::Arguments),
    Explain(explain::Arguments),
    FitPreprocess(fit_preprocess::Arguments),
    Predict(predict::Arguments),
    Evaluate(evaluate::Arguments),
    Bench(bench::Arguments),
    Inspect(inspect::Arguments),
    Optimize(optimize::Arguments),
    Package(package::Arguments),
    Push(exchange::push::Arguments),
    Pull(exchange::pull::Arguments),
    Crds(crds::Arguments),
    Rbac(rbac::Arguments),
    Completions(completions::Arguments),
    #[command(hide = true)]
    Docs(docs::Arguments),
    Man(man::Arguments),
    Version(version::Arguments),
}

/// Reads the command line, as which program this was started too, and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    let invoked = Invoked::now();
    if invoked == Invoked::Completer {
        return complete::run(std::env::args().skip(1).collect());
    }
    let matches = forget_empty(invoked.command(Arguments::command())).get_matches();
    match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments.run(),
        Err(error) => error.exit(),
    }
}

/// An environment variable that is set to nothing is not set.
fn forget_empty(command: clap::Command) -> clap::Command {
    let empty = |argument: &clap::Arg| argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command
        .mut_args(|argument| if empty(&argument) { argument.env(Resettable::Reset) } else { argument })
        .mut_subcommands(forget_empty)
}

impl Arguments {
    /// Runs the command; a failure is printed as one message with its causes, and exits 1, or 2 where the arguments are wrong.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Controller(arguments) => arguments.run(),
            Command::Local(arguments) => arguments.run(),
            Command::List(arguments) => arguments.run(),
            Command::Status(arguments) => arguments.run(),
            Command::Wait(arguments) => arguments.run(),
            Command::Logs(arguments) => arguments.run(),
            Command::Diff(arguments) => arguments.run(),
            Command::Rollback(arguments) => arguments.run(),
            Command::Restart(arguments) => arguments.run(),
            Command::Doctor(arguments) => arguments.run(),
            Command::Validate(arguments) => arguments.run(),
            Command::Import(arguments) => arguments.run(),
            Command::Explain(arguments) => arguments.run(),
            Command::FitPreprocess(arguments) => arguments.run(),
            Command::Predict(arguments) => arguments.run(),
            Command::Evaluate(arguments) => arguments.run(),
            Command::Bench(arguments) => arguments.run(),
            Command::Inspect(arguments) => arguments.run(),
            Command::Optimize(arguments) => arguments.run(),
            Command::Package(arguments) => arguments.run(),
            Command::Push(arguments) => arguments.run(),
            Command::Pull(arguments) => arguments.run(),
            Command::Crds(arguments) => arguments.run(),
            Command::Rbac(arguments) => arguments.run(),
            Command::Completions(arguments) => arguments.run(),
            Command::Docs(arguments) => arguments.run(),
            Command::Man(arguments) => arguments.run(),
            Command::Version(arguments) => arguments.run(),
        };
        outcome.unwrap_or_else(|error| {
            say(format_args!("error: {}", chain(&error)));
            usage::exit_code(&error)
        })
    }
}

/// Tells something beside the answer, on standard error. A reader that went away is no failure, and no reason to panic.
fn say(words: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{}", Invoked::now().spoken(words.to_string()));
}

/// A failure and its causes, but for those that the message before quotes already.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let bind = crate::local::LocalError::Bind {
            address: ([127, 0, 0, 1], 1).into(),
            source: std::io::Error::other("the port is taken"),
        };
        assert_eq!(chain(&bind.into()), "--port: cannot listen on 127.0.0.1:1: the port is taken");
        assert_eq!(chain(&anyhow::anyhow!("inner").context("outer")), "outer: inner");
    }
}
