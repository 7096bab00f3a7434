//! `modelyard status`: one ModelDeployment on one screen: how it is, why, and what to do.

use std::process::ExitCode;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use modelyard_core::api::ModelDeployment;
use serde_json::{Value, json};

use super::cluster::{Access, Cluster, ClusterError, Document, Readiness, document, parse_name};
use super::served::runtime;

mod happened;
mod page;
mod watch;

use happened::Happened;
use page::View;

/// What an object that is not there exits with: a script tells it from one that is not ready.
const ABSENT: u8 = 2;

/// Show how a ModelDeployment is, why, and what to do
///
/// Conditions in words, revisions with their share of the traffic, the newest events, and how to send a request.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The ModelDeployment
    #[arg(value_parser = parse_name)]
    name: String,

    #[command(flatten)]
    access: Access,

    /// Show it again after each change, until Ctrl-C
    #[arg(long, short)]
    watch: bool,

    /// Print one object for programs: name, namespace, ready, reason, message, advice, status, events
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Document>,
}

const EXAMPLES: &str = "\
Examples:
  modelyard status mnist
  modelyard status mnist -n models --watch
  modelyard status mnist -o json | jq -r .reason

Exit codes: 0 ready; 1 not ready, or the cluster cannot be asked; 2 no such ModelDeployment, or wrong arguments.";

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match runtime()?.block_on(self.show()) {
            Err(error) if matches!(error.downcast_ref(), Some(ClusterError::NoObject { .. })) => {
                super::say(format_args!("error: {error}"));
                Ok(ExitCode::from(ABSENT))
            }
            outcome => outcome,
        }
    }

    async fn show(&self) -> anyhow::Result<ExitCode> {
        let cluster = self.access.open().await?;
        let object = cluster.find(&self.name).await?;
        if self.watch {
            return watch::watch(self, &cluster, object).await;
        }
        let events = events(&cluster, &self.name).await;
        match self.output {
            Some(_) => super::stdout::print(&self.text(&object, &events)?)?,
            None => super::stdout::tell(&self.text(&object, &events)?)?,
        }
        Ok(code(&object))
    }

    /// The object as it is to be printed.
    fn text(&self, object: &ModelDeployment, events: &[Happened]) -> anyhow::Result<String> {
        match self.output {
            Some(format) => document(format, &for_programs(object, events)),
            None => Ok(page::text(&View { object, events, now: Timestamp::now() })),
        }
    }
}

fn code(object: &ModelDeployment) -> ExitCode {
    if Readiness::of(object, "Ready").holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The selector of the events that are about a ModelDeployment.
fn selector(name: &str) -> String {
    format!("regarding.kind=ModelDeployment,regarding.name={name}")
}

/// What has happened to it. Who may not read events still sees the rest.
async fn events(cluster: &Cluster, name: &str) -> Vec<Happened> {
    match cluster.api::<Event>().list(&ListParams::default().fields(&selector(name))).await {
        Ok(list) => happened::newest(&list.items),
        Err(error) => {
            super::say(format_args!("note: {}", cluster.failed("list events", error)));
            Vec::new()
        }
    }
}

fn for_programs(object: &ModelDeployment, events: &[Happened]) -> Value {
    let ready = Readiness::of(object, "Ready");
    json!({
        "name": object.metadata.name,
        "namespace": object.metadata.namespace,
        "ready": ready.holds,
        "reason": ready.name,
        "message": ready.message,
        "advice": ready.advice(),
        "status": object.status,
        "events": events.iter().map(Happened::to_json).collect::<Vec<_>>(),
    })
}
