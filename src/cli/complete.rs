//! What kubectl's completion asks for: `kubectl_complete-modelyard WORDS... LAST` prints what LAST may become, one a line with its
//! meaning after a tab, and then a directive, as kubectl's own commands do
//! (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>).

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};
use kube::api::ListParams;
use modelyard_core::api::ModelDeployment;

use super::cluster::Access;
use super::served::runtime;

/// Only what is printed fits.
const NO_FILES: u8 = 4;
/// A file fits too.
const FILES: u8 = 0;
/// Who waits for a key to answer does not wait longer for a cluster.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the last word may become.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// One of these, each with its meaning.
    OneOf(Vec<(String, String)>),
    /// The name of a ModelDeployment.
    Deployment,
    /// A file, or nobody knows.
    File,
}

/// Prints the answer. Nothing here fails: a completion that cannot be told is none.
pub(super) fn run(words: Vec<String>) -> ExitCode {
    let (typed, last) = match words.split_last() {
        Some((last, typed)) => (typed, last.as_str()),
        None => (&words[..], ""),
    };
    let (candidates, directive) = match answer(&super::Arguments::command(), typed, last) {
        Answer::OneOf(candidates) => (candidates, NO_FILES),
        Answer::Deployment => (deployments(typed), NO_FILES),
        Answer::File => (Vec::new(), FILES),
    };
    let fitting = candidates.into_iter().filter(|(word, _)| word.starts_with(last));
    let lines: String = fitting.map(|(word, meaning)| format!("{word}\t{meaning}\n")).collect();
    match super::stdout::print(&format!("{lines}:{directive}\n")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer(root: &Command, typed: &[String], last: &str) -> Answer {
    let mut command = root;
    let (mut option, mut positionals) = (None::<&Arg>, 0);
    for word in typed {
        if option.take().is_some() {
            continue; // the option's value
        }
        if word.starts_with('-') {
            option = command.get_arguments().find(|arg| is_called(arg, word)).filter(|arg| takes_value(arg));
        } else if let Some(below) = command.find_subcommand(word) {
            (command, positionals) = (below, 0);
        } else {
            positionals += 1;
        }
    }
    if let Some(option) = option {
        return values(option);
    }
    if last.starts_with('-') {
        return Answer::OneOf(flags(command));
    }
    if command.has_subcommands() {
        let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
        return Answer::OneOf(shown.map(|one| (one.get_name().to_owned(), meaning(one.get_about()))).collect());
    }
    let arguments: Vec<&Arg> = command.get_positionals().collect();
    let at = arguments.get(positionals).or_else(|| arguments.last().filter(|arg| matches!(arg.get_action(), ArgAction::Append)));
    at.map_or_else(|| Answer::OneOf(Vec::new()), |arg| values(arg))
}

fn is_called(arg: &Arg, word: &str) -> bool {
    arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long))
        || arg.get_short().is_some_and(|short| word.strip_prefix('-') == Some(short.to_string().as_str()))
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

fn flags(command: &Command) -> Vec<(String, String)> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(|arg| Some((format!("--{}", arg.get_long()?), meaning(arg.get_help())))).collect()
}

/// What an argument may be.
fn values(arg: &Arg) -> Answer {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return Answer::OneOf(possible.iter().map(|one| (one.get_name().to_owned(), meaning(one.get_help()))).collect());
    }
    if arg.is_positional() && arg.get_id() == "name" {
        return Answer::Deployment;
    }
    match arg.get_value_hint() {
        ValueHint::Unknown | ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath => Answer::File,
        _ => Answer::OneOf(Vec::new()),
    }
}

fn meaning(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// The names that there are, in the namespace that the words say.
fn deployments(typed: &[String]) -> Vec<(String, String)> {
    let said = |short: &str, long: &str| {
        let after = typed.iter().position(|word| word == short || word == long).and_then(|at| typed.get(at + 1));
        let joined = typed.iter().find_map(|word| word.strip_prefix(long)?.strip_prefix('='));
        after.map(String::as_str).or(joined).map(str::to_owned)
    };
    let access = Access::new(
        said("-n", "--namespace"),
        said("--context", "--context"),
        said("--kubeconfig", "--kubeconfig").map(PathBuf::from),
    );
    let ask = async {
        let cluster = access.open().await.ok()?;
        let (api, all) = (cluster.api::<ModelDeployment>(), ListParams::default());
        let listed = tokio::time::timeout(PATIENCE, api.list_metadata(&all)).await.ok()?.ok()?;
        Some(listed.items.into_iter().filter_map(|one| Some((one.metadata.name?, String::new()))).collect())
    };
    runtime().ok().and_then(|runtime| runtime.block_on(ask)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_completed_by_what_may_stand_there() {
        let root = super::super::Arguments::command();
        let shown = |line: &str| {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let last = words.pop().unwrap();
            match answer(&root, &words, &last) {
                Answer::Deployment => "DEPLOYMENT".to_owned(),
                Answer::File => "FILE".to_owned(),
                Answer::OneOf(words) => {
                    let fitting = words.into_iter().map(|(word, _)| word).filter(|word| word.starts_with(&last));
                    fitting.collect::<Vec<_>>().join(" ")
                }
            }
        };
        for (line, words) in [
            ("st", "status"),
            ("im", "import"),
            ("doc", "doctor"),
            ("status ", "DEPLOYMENT"),
            ("status -n models mn", "DEPLOYMENT"),
            ("status mnist ", ""),
            ("status mnist --wa", "--watch"),
            ("status mnist -o ", "json yaml"),
            ("status mnist --output y", "yaml"),
            ("wait mnist --for ", "ready serving up-to-date deleted"),
            ("diff ", "FILE"),
            ("diff a.yaml b", "FILE"),
            ("list -o w", "wide"),
            ("completions b", "bash"),
        ] {
            assert_eq!(shown(line), words, "{line:?}");
        }
    }
}
