//! `modelyard wait`: for scripts and pipelines, which would otherwise ask again and again.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use modelyard_core::api::{Class, ModelDeployment};
use serde_json::{Value, json};

use super::cluster::{Access, Cluster, Document, Readiness, Seen, document, follow, interrupted, parse_duration, parse_name};
use super::served::runtime;

/// Wait until a ModelDeployment is ready, serves, is up to date, or is gone
///
/// Ends early where only a change of the spec or of what it names can help, such as a model that is not there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The ModelDeployment
    #[arg(value_parser = parse_name)]
    name: String,

    #[command(flatten)]
    access: Access,

    /// What to wait for
    #[arg(long = "for", value_enum, default_value_t, value_name = "STATE")]
    state: State,

    /// How long at most, such as 30s or 5m
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,

    /// Wait on where somebody has to mend something first
    #[arg(long)]
    patient: bool,

    /// Print one object for programs when it ends: name, namespace, for, reached, reason, message, advice
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Document>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum State {
    /// It serves, and it is up to date
    #[default]
    Ready,
    /// Some revision answers
    Serving,
    /// The newest spec carries all traffic
    UpToDate,
    /// There is no such object
    Deleted,
}

const EXAMPLES: &str = "\
Examples:
  kubectl apply -f mnist.yaml && modelyard wait mnist
  modelyard wait mnist --for up-to-date --timeout 10m
  kubectl delete mdep mnist --wait=false && modelyard wait mnist --for deleted

Exit codes: 0 it is so; 1 it is not, with the reason; 2 wrong arguments; 130 Ctrl-C.";

/// How a wait ended, or that it goes on.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Reached(String),
    Hopeless(String),
    Waiting(String),
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(async {
            let cluster = self.access.open().await?;
            let Self { name, state, timeout, patient, output, .. } = self;
            Wait { name, state, timeout, patient, output }.on(&cluster).await
        })
    }
}

/// A wait for one object.
pub(super) struct Wait {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) timeout: Duration,
    pub(super) patient: bool,
    pub(super) output: Option<Document>,
}

impl Wait {
    /// Waits, telling on standard error what it waits for whenever that changes.
    pub(super) async fn on(&self, cluster: &Cluster) -> anyhow::Result<ExitCode> {
        let mut seen = pin!(follow::<ModelDeployment>(cluster, &self.name));
        let mut late = pin!(tokio::time::sleep(self.timeout));
        let mut ended = pin!(interrupted());
        let mut last = String::new();
        let mut found: Option<Box<ModelDeployment>> = None;
        let end = |reached, words: &str, found: Option<&ModelDeployment>| match self.output {
            Some(format) => {
                super::stdout::print(&document(format, &self.for_programs(&cluster.namespace, reached, words, found))?)
                    .map_err(anyhow::Error::from)
            }
            None if reached => Ok(super::stdout::tell(&format!("{words}\n"))?),
            None => {
                super::say(format_args!("error: {words}"));
                Ok(())
            }
        };
        loop {
            let seen = tokio::select! {
                () = &mut late => {
                    let name = &self.name;
                    let told = if last.is_empty() { "the API server has not answered".to_owned() } else { last };
                    let words = format!("{name} is not {} after {:?}: {told}", self.state.words(), self.timeout);
                    end(false, &words, found.as_deref())?;
                    return Ok(ExitCode::FAILURE);
                }
                () = &mut ended => return Ok(ExitCode::from(130)),
                seen = seen.next() => seen,
            };
            let verdict = match seen {
                Some(Ok(Seen::Object(object))) => {
                    let verdict = self.judge(&object);
                    found = Some(object);
                    verdict
                }
                Some(Ok(Seen::Gone)) if self.state == State::Deleted => Verdict::Reached(format!("{} is gone", self.name)),
                Some(Ok(Seen::Gone)) if found.is_some() => Verdict::Hopeless(format!("{} was deleted", self.name)),
                Some(Ok(Seen::Gone)) => return Err(cluster.absent(&self.name).await.into()),
                Some(Err(error)) => return Err(error.into()),
                None => Verdict::Hopeless("the watch has ended".to_owned()),
            };
            match verdict {
                Verdict::Reached(words) => {
                    end(true, &words, found.as_deref())?;
                    return Ok(ExitCode::SUCCESS);
                }
                Verdict::Hopeless(words) => {
                    end(false, &words, found.as_deref())?;
                    return Ok(ExitCode::FAILURE);
                }
                Verdict::Waiting(words) => {
                    if words != last {
                        super::say(format_args!("{words}"));
                    }
                    last = words;
                }
            }
        }
    }

    /// How it ended, and what was seen last.
    fn for_programs(&self, namespace: &str, reached: bool, words: &str, found: Option<&ModelDeployment>) -> Value {
        let state = found.zip(self.state.condition()).map(|(object, kind)| Readiness::of(object, kind));
        json!({
            "name": self.name, "namespace": namespace, "for": self.state.words(), "reached": reached,
            "reason": state.as_ref().map(|state| &state.name),
            "message": state.as_ref().map_or(words, |state| &state.message),
            "advice": state.as_ref().filter(|state| !state.holds).map(Readiness::advice),
        })
    }

    fn judge(&self, object: &ModelDeployment) -> Verdict {
        let Some(kind) = self.state.condition() else {
            let since = if object.metadata.deletion_timestamp.is_some() { "is being deleted" } else { "is not being deleted" };
            return Verdict::Waiting(format!("{} {since}", self.name));
        };
        let state = Readiness::of(object, kind);
        if state.holds {
            return Verdict::Reached(format!("{} is {}: {}", self.name, self.state.words(), state.message));
        }
        let said = format!("{}: {}", state.name, state.message);
        if !self.patient && state.reason.is_some_and(|reason| reason.class() == Class::User) {
            return Verdict::Hopeless(format!(
                "{} will not be {} without a change: {said}\n{} (--patient waits for it)",
                self.name,
                self.state.words(),
                state.advice()
            ));
        }
        Verdict::Waiting(said)
    }
}

impl State {
    const fn condition(self) -> Option<&'static str> {
        match self {
            Self::Ready => Some("Ready"),
            Self::Serving => Some("Serving"),
            Self::UpToDate => Some("UpToDate"),
            Self::Deleted => None,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Serving => "serving",
            Self::UpToDate => "up to date",
            Self::Deleted => "gone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(serving: Value, up_to_date: Value) -> ModelDeployment {
        let condition = |kind: &str, (status, reason): (&str, &str)| json!({"type": kind, "status": status, "reason": reason, "message": "words", "lastTransitionTime": "2026-05-01T12:00:00Z"});
        let pair = |value: &Value| (value[0].as_str().unwrap().to_owned(), value[1].as_str().unwrap().to_owned());
        let (serving, up_to_date) = (pair(&serving), pair(&up_to_date));
        let conditions = [("Serving", &serving), ("UpToDate", &up_to_date), ("Ready", &up_to_date)];
        let conditions = conditions.map(|(kind, (status, reason))| condition(kind, (status, reason)));
        serde_json::from_value(json!({
            "metadata": {"name": "m"}, "spec": {"model": {"uri": "file:m"}}, "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn what_cannot_come_by_itself_is_not_waited_for() {
        let failing = object(json!(["True", "Serving"]), json!(["False", "ModelNotFound"]));
        let slow = object(json!(["False", "Loading"]), json!(["False", "Loading"]));
        let wait = |state, patient| Wait { name: "m".to_owned(), state, timeout: Duration::ZERO, patient, output: None };
        let judge = |state, patient, object| match wait(state, patient).judge(object) {
            Verdict::Reached(_) => "reached",
            Verdict::Hopeless(words) => {
                assert!(words.contains("ModelNotFound: words") && words.contains("spec.model.uri"), "{words}");
                "hopeless"
            }
            Verdict::Waiting(_) => "waiting",
        };
        for (state, patient, object, expected) in [
            (State::Ready, false, &failing, "hopeless"),
            (State::Ready, true, &failing, "waiting"),
            (State::UpToDate, false, &failing, "hopeless"),
            (State::Serving, false, &failing, "reached"),
            (State::Ready, false, &slow, "waiting"),
            (State::Deleted, false, &failing, "waiting"),
        ] {
            assert_eq!(judge(state, patient, object), expected, "{state:?} {patient}");
        }
    }
}
