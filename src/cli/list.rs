//! `modelyard list`: all ModelDeployments of a namespace, or of the cluster.

use std::process::ExitCode;

use jiff::Timestamp;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, DynamicObject, TypeMeta};
use modelyard_core::api::{API_VERSION, ModelDeployment, Reason, Role};
use serde_json::{Value, json};

use super::cluster::{Access, Document, Readiness, Table, age, document};
use super::served::runtime;

/// List ModelDeployments: whether they are ready, why not, how many replicas, where
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, visible_alias = "ls")]
pub struct Arguments {
    #[command(flatten)]
    access: Access,

    /// Those of all namespaces
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all_namespaces: bool,

    /// How they are printed
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For reading
    #[default]
    Table,
    /// With the revision that serves, the model's address and the message
    Wide,
    /// The objects as a List, in JSON
    Json,
    /// The objects as a List, in YAML
    Yaml,
}

const EXAMPLES: &str = "\
Examples:
  modelyard list
  modelyard list -A -o wide
  modelyard list -o json | jq -r '.items[].status.url'

Exit codes: 0 listed, if there are any or not; 1 the cluster cannot be asked; 2 wrong arguments.";

/// An object that this program may not understand, such as one of a newer release: it is listed all the same.
type Guarded = DeserializeGuard<ModelDeployment>;

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(self.list())
    }

    async fn list(&self) -> anyhow::Result<ExitCode> {
        let cluster = self.access.open().await?;
        let everything = ListParams::default();
        let text = match self.output {
            Output::Json | Output::Yaml => {
                let api = cluster.untyped(self.all_namespaces);
                let items = api.list(&everything).await.map_err(|error| cluster.failed("list ModelDeployments", error))?.items;
                let format = if self.output == Output::Json { Document::Json } else { Document::Yaml };
                document(format, &for_programs(items))?
            }
            Output::Table | Output::Wide => {
                let api = if self.all_namespaces { cluster.everywhere() } else { cluster.api::<Guarded>() };
                let items = api.list(&everything).await.map_err(|error| cluster.failed("list ModelDeployments", error))?.items;
                if items.is_empty() {
                    let place =
                        if self.all_namespaces { "the cluster".to_owned() } else { format!("namespace {}", cluster.namespace) };
                    super::say(format_args!("no ModelDeployment in {place}"));
                    return Ok(ExitCode::SUCCESS);
                }
                self.table(&items, Timestamp::now())
            }
        };
        super::stdout::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    fn table(&self, items: &[Guarded], now: Timestamp) -> String {
        let wide = self.output == Output::Wide;
        let mut headings = vec!["NAME", "READY", "REASON", "VERSION", "REPLICAS", "URL", "AGE"];
        if self.all_namespaces {
            headings.insert(0, "NAMESPACE");
        }
        if wide {
            headings.extend(["REVISION", "MODEL", "MESSAGE"]);
        }
        let mut table = Table::new(&headings);
        for item in items {
            table.row(self.row(item, wide, now));
        }
        table.lines("")
    }

    fn row(&self, item: &Guarded, wide: bool, now: Timestamp) -> Vec<String> {
        use kube::Resource;

        let meta = item.meta();
        let mut cells = Vec::new();
        if self.all_namespaces {
            cells.push(meta.namespace.clone().unwrap_or_default());
        }
        cells.push(meta.name.clone().unwrap_or_default());
        let created = meta.creation_timestamp.as_ref().map(|time| age(time.0, now)).unwrap_or_default();
        match &item.0 {
            Ok(object) => cells.extend(known(object, created, wide)),
            Err(unreadable) => {
                cells.extend(["False", Reason::InvalidSpec.as_str(), "", "", ""].map(str::to_owned));
                cells.push(created);
                cells.extend(wide.then(|| ["".to_owned(), "".to_owned(), unreadable.error.clone()]).into_iter().flatten());
            }
        }
        cells
    }
}

fn known(object: &ModelDeployment, created: String, wide: bool) -> Vec<String> {
    let ready = Readiness::of(object, "Ready");
    let status = object.status.as_ref();
    let model = object.spec.model.as_ref();
    let mut cells = vec![
        if ready.holds { "True" } else { "False" }.to_owned(),
        ready.name,
        model.map(|model| model.artefact.version.to_string()).unwrap_or_default(),
        status.and_then(|status| status.ready_of_wanted.clone()).unwrap_or_else(|| format!("0/{}", object.spec.replicas)),
        status.and_then(|status| status.url.clone()).unwrap_or_default(),
        created,
    ];
    if wide {
        let stable = status.and_then(|status| status.revisions.iter().find(|one| one.role == Role::Stable));
        cells.push(stable.map(|one| one.name.clone()).unwrap_or_default());
        cells.push(match model {
            Some(model) => model.artefact.uri.clone(),
            None => format!("{} models", object.spec.models.len()),
        });
        cells.push(ready.message);
    }
    cells
}

/// As `kubectl get -o json` has it.
fn for_programs(items: Vec<DynamicObject>) -> Value {
    let items = items.into_iter().map(|mut item| {
        item.metadata.managed_fields = None;
        // In a list the API server leaves out what all its items share.
        item.types.get_or_insert_with(|| TypeMeta { api_version: API_VERSION.to_owned(), kind: "ModelDeployment".to_owned() });
        json!(item)
    });
    json!({ "apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn what_cannot_be_understood_is_listed_too() {
        let now = "2026-05-01T12:00:00Z".parse().unwrap();
        let meta = |name: &str| json!({"name": name, "namespace": "models", "creationTimestamp": "2026-05-01T11:00:00Z", "generation": 1});
        let items: Vec<Guarded> = [
            json!({"metadata": meta("mnist"), "spec": {"model": {"uri": "http://m/m.onnx", "version": 3}, "replicas": 2}, "status": {
                "url": "http://mnist.models.svc", "readyOfWanted": "2/2", "observedGeneration": 1,
                "revisions": [{"name": "72b2fc6772", "role": "Stable", "replicas": 2, "readyReplicas": 2, "weight": 100}],
                "conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": "2 replicas answer",
                    "lastTransitionTime": "2026-05-01T11:30:00Z"}]}}),
            json!({"metadata": meta("new"), "spec": {"models": [{"name": "a", "uri": "file:a"}]}}),
            json!({"metadata": meta("odd"), "spec": {"replicas": "many"}}),
        ]
        .into_iter()
        .map(|value| serde_json::from_value(value).unwrap())
        .collect();
        let shown = |line: &[&str]| Line::parse_from(line).arguments.table(&items, now);
        insta::assert_snapshot!(format!("{}\n{}", shown(&["list"]), shown(&["list", "-A", "-o", "wide"])));
    }
}
