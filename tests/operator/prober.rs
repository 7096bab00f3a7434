//! A client that never stops asking: a pod that sends a prediction through the Service twenty times a second, each on a connection
//! of its own, and says of each what became of it. And four that ask as fast as they can and say nothing, for load.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use serde_json::Value;

use crate::cluster::repository;
use crate::namespace::{Namespace, PATIENCE};
use crate::store;

const SCRIPT: &str = r#"
while :; do
  if said=$(echo "$REQUEST" | ask post "$HOST" 80 "/v2/models/$HOST/infer" - 2>&1); then
    version=${said##*\"model_version\":\"}
    echo "ok ${version%%\"*}"
  else
    echo "failed $? $said"
  fi
  usleep 50000
done
"#;

const LOAD: &str = r#"
press() {
  while :; do
    echo "$REQUEST" | ask post "$HOST" 80 "/v2/models/$HOST/infer" - >/dev/null 2>&1 || :
  done
}
press & press & press &
press
"#;

/// The pod of [`Namespace::press`].
pub(crate) const PRESSING: &str = "load";

pub(crate) struct Prober<'a> {
    namespace: &'a Namespace,
    pod: String,
}

/// What a prober has said so far, a line for each request.
pub(crate) struct Answers {
    lines: Vec<String>,
}

impl Namespace {
    /// Starts to ask the ModelDeployment `name`, which is ready, and returns once the first answers have come.
    pub(crate) async fn probe(&self, name: &str) -> Prober<'_> {
        let pod = format!("prober-{name}");
        self.put::<Pod>(&pod, asking(&pod, SCRIPT, name)).await;
        let prober = Prober { namespace: self, pod };
        prober.until_more(5).await;
        prober
    }

    /// Asks the ModelDeployment `name` as fast as four clients can, until the pod is deleted.
    pub(crate) async fn press(&self, name: &str) {
        self.put::<Pod>(PRESSING, asking(PRESSING, LOAD, name)).await;
    }
}

/// A pod whose script finds the model and a request for it in its environment.
fn asking(pod: &str, script: &str, name: &str) -> Value {
    let sample = std::fs::read_to_string(repository("examples/mnist/model/sample.json")).unwrap();
    let request = serde_json::from_str::<Value>(&sample).unwrap()["request"].to_string();
    let mut pod = store::pod(pod, script);
    let variable = |name: &str, value: &str| serde_json::json!({ "name": name, "value": value });
    pod["spec"]["containers"][0]["env"] = vec![variable("HOST", name), variable("REQUEST", &request)].into();
    pod
}

impl Prober<'_> {
    /// What it has said so far.
    pub(crate) async fn answers(&self) -> Answers {
        let log = self.namespace.api::<Pod>().logs(&self.pod, &LogParams::default()).await;
        // Before its container runs there is no log.
        Answers { lines: log.unwrap_or_default().lines().map(str::to_owned).collect() }
    }

    /// Waits until it has asked `count` times more.
    pub(crate) async fn until_more(&self, count: usize) -> Answers {
        let before = self.answers().await.lines.len();
        let reached = async {
            loop {
                let answers = self.answers().await;
                if answers.lines.len() >= before + count {
                    return answers;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached)
            .await
            .unwrap_or_else(|_| panic!("the prober has asked less than {count} times more"))
    }
}

impl Answers {
    /// The requests that failed.
    pub(crate) fn failures(&self) -> Vec<&String> {
        self.lines.iter().filter(|line| !line.starts_with("ok ")).collect()
    }

    /// The versions that answered, in the order in which each was first seen.
    pub(crate) fn versions(&self) -> Vec<&str> {
        let mut seen = Vec::new();
        for version in self.lines.iter().filter_map(|line| line.strip_prefix("ok ")) {
            if !seen.contains(&version) {
                seen.push(version);
            }
        }
        seen
    }

    /// The version that answered last.
    pub(crate) fn last(&self) -> Option<&str> {
        self.lines.last()?.strip_prefix("ok ")
    }
}
