//! `modelyard doctor`: is this cluster as Modelyard needs it? Each check is one line, and what fails says what to do.

use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::cluster::{Access, Document, document};
use super::served::runtime;

mod ask;
mod judge;
mod quota;

/// Check that a cluster can run ModelDeployments, and that those there are well
///
/// The API server and its version, the CustomResourceDefinition, the operator, your rights, ModelDeployments that are not ready,
/// quotas that are nearly used up.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    access: Access,

    /// Print the findings for programs: a list of state, check, words, advice
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Document>,
}

const EXAMPLES: &str = "\
Examples:
  modelyard doctor
  modelyard doctor -n models --context staging

Exit codes: 0 nothing is wrong; 1 something is; 2 wrong arguments.";

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Worth knowing; or it could not be checked.
    Note,
    Wrong,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    state: State,
    check: &'static str,
    words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn good(check: &'static str, words: impl Into<String>) -> Self {
        Self { state: State::Good, check, words: words.into(), advice: None }
    }

    fn note(check: &'static str, words: impl Into<String>) -> Self {
        Self { state: State::Note, check, words: words.into(), advice: None }
    }

    fn wrong(check: &'static str, words: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Wrong, check, words: words.into(), advice: Some(advice.into()) }
    }
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let findings = runtime()?.block_on(async {
            match self.access.open().await {
                Ok(cluster) => ask::everything(&cluster, Timestamp::now()).await,
                Err(error) => vec![ask::unreached(&error)],
            }
        });
        let text = match self.output {
            Some(format) => document(format, &findings)?,
            None => text(&findings),
        };
        match self.output {
            Some(_) => super::stdout::print(&text)?,
            None => super::stdout::tell(&text)?,
        }
        let wrong = findings.iter().any(|finding| finding.state == State::Wrong);
        Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { state, check, words, advice } in findings {
        let mark = match state {
            State::Good => "ok",
            State::Note => "note",
            State::Wrong => "WRONG",
        };
        text.push_str(&format!("{mark:<5}  {check:<10}  {words}\n"));
        advice.iter().for_each(|advice| text.push_str(&format!("{:<19}{advice}\n", "")));
    }
    let wrong = findings.iter().filter(|finding| finding.state == State::Wrong).count();
    text.push_str(&match wrong {
        0 => "\nnothing is wrong\n".to_owned(),
        1 => "\n1 thing is wrong\n".to_owned(),
        several => format!("\n{several} things are wrong\n"),
    });
    text
}
