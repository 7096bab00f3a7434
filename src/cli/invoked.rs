//! As which program this was started: `modelyard`, kubectl's plugin of that name, or what kubectl asks to complete its arguments.
//! All three are one binary, under other names by links.

use std::ffi::OsStr;
use std::path::Path;

use clap::{Command, CommandFactory};

/// What kubectl looks for on PATH for `kubectl modelyard`.
const PLUGIN: &str = "kubectl-modelyard";
/// What kubectl asks for completions of `kubectl modelyard`.
const COMPLETER: &str = "kubectl_complete-modelyard";

/// The program that somebody typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invoked {
    /// `modelyard`, or any name that means nothing else.
    Itself,
    /// `kubectl modelyard`.
    Plugin,
    /// kubectl, for its shell's completion.
    Completer,
}

impl Invoked {
    /// By the name that this process was started with.
    pub(super) fn now() -> Self {
        std::env::args_os().next().map_or(Self::Itself, |name| Self::of(&name))
    }

    fn of(name: &OsStr) -> Self {
        match Path::new(name).file_stem().and_then(OsStr::to_str) {
            Some(PLUGIN) => Self::Plugin,
            Some(COMPLETER) => Self::Completer,
            _ => Self::Itself,
        }
    }

    /// The commands with the name that was typed in their usage and examples.
    pub(super) fn command(self, command: Command) -> Command {
        if self != Self::Plugin {
            return command;
        }
        let commands = names(&command);
        let renamed =
            commands.iter().fold(command, |command, name| command.mut_subcommand(name, |one| respelled(one, &commands)));
        renamed.bin_name("kubectl modelyard")
    }

    /// A text with the name that was typed before each command of ours.
    pub(super) fn spoken(self, text: String) -> String {
        if self == Self::Plugin { respell(&text, &names(&super::Arguments::command())) } else { text }
    }
}

fn names(command: &Command) -> Vec<String> {
    command.get_subcommands().map(|one| one.get_name().to_owned()).collect()
}

fn respelled(command: Command, commands: &[String]) -> Command {
    let again = |text: Option<&clap::builder::StyledStr>| text.map(|text| respell(&text.to_string(), commands));
    let (short, long, after) = (again(command.get_about()), again(command.get_long_about()), again(command.get_after_help()));
    let command = short.into_iter().fold(command, |command, text| command.about(text));
    let command = long.into_iter().fold(command, |command, text| command.long_about(text));
    after.into_iter().fold(command, |command, text| command.after_help(text))
}

/// Writes `kubectl modelyard status` for `modelyard status`; what only has the name in it, such as a namespace or a chart, stays.
fn respell(text: &str, commands: &[String]) -> String {
    const NAME: &str = "modelyard ";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(NAME) {
        let (before, after) = (&rest[..at], &rest[at + NAME.len()..]);
        out.push_str(before);
        let word = after.split(|one: char| !one.is_ascii_alphanumeric() && one != '-').next().unwrap_or_default();
        let starts = !out.ends_with(|one: char| one.is_alphanumeric() || "-_/.".contains(one)) && !out.ends_with("kubectl ");
        if starts && commands.iter().any(|command| command == word) {
            out.push_str("kubectl ");
        }
        out.push_str(NAME);
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_who_asks() {
        for (name, invoked) in [
            ("modelyard", Invoked::Itself),
            ("/usr/bin/kubectl-modelyard", Invoked::Plugin),
            ("./kubectl_complete-modelyard", Invoked::Completer),
            ("kubectl-modelyard.exe", Invoked::Plugin),
            ("", Invoked::Itself),
        ] {
            assert_eq!(Invoked::of(OsStr::new(name)), invoked, "{name}");
        }
    }

    #[test]
    fn only_commands_are_respelled() {
        let commands = ["status", "wait"].map(str::to_owned);
        for (text, spoken) in [
            ("modelyard status x, modelyard wait", "kubectl modelyard status x, kubectl modelyard wait"),
            ("apply && modelyard wait x", "apply && kubectl modelyard wait x"),
            ("kubectl modelyard status", "kubectl modelyard status"),
            ("helm upgrade modelyard charts/modelyard status", "helm upgrade modelyard charts/modelyard status"),
            ("modelyard statuses", "modelyard statuses"),
        ] {
            assert_eq!(respell(text, &commands), spoken);
        }
    }
}
