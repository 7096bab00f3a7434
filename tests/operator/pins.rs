//! A revision that runs never changes what it serves, whatever becomes of what its uri names: a replica that comes later serves the same, or
//! does not serve and says why.

use std::fs;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::ResourceExt;
use kube::api::DeleteParams;
use modelyard_core::render::{DEPLOYMENT_LABEL, PINS_FILE};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cluster::{self, repository};
use crate::commands::text;
use crate::deployed::{Deployed, condition, is_current, model};
use crate::namespace::{Namespace, PATIENCE, within};
use crate::store::{self, GOOD};
use crate::watch::{labelled, named};

/// Commits of the hub below.
const COMMITS: [&str; 2] = ["1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"];

/// A store whose objects can be replaced: `m.onnx` by HTTP, and a hub whose branch `main` moves, over busybox. `/cgi-bin/mixed` answers one
/// model to who asks first, and another to all that come later.
const SCRIPT: &str = r#"
cd /tmp
mkdir -p www/cgi-bin www/api/models/zoo/m/revision www/api/models/zoo/m/tree
at=1
for commit in 1111111111111111111111111111111111111111 2222222222222222222222222222222222222222; do
  mkdir -p www/zoo/m/resolve/$commit
  cp /files/$at.onnx www/zoo/m/resolve/$commit/m.onnx
  size=$(stat -L -c %s /files/$at.onnx)
  printf '[{"type":"file","path":"m.onnx","oid":"%s","size":%s}]' $at "$size" >www/api/models/zoo/m/tree/$commit
  at=$((at + 1))
done
printf '{"sha":"1111111111111111111111111111111111111111"}' >www/api/models/zoo/m/revision/main
cp /files/1.onnx www/m.onnx
cat >www/cgi-bin/mixed <<'END'
#!/bin/busybox sh
file=2
mkdir /tmp/first 2>/dev/null && file=1
printf 'Content-Type: application/octet-stream\r\nContent-Length: %s\r\n\r\n' "$(stat -L -c %s /files/$file.onnx)"
cat /files/$file.onnx
END
chmod 755 www/cgi-bin/mixed
exec busybox httpd -f -p 8080 -h /tmp/www
"#;

/// Replaces what the two names lead to.
const MOVE: &str = r#"printf '{"sha":"2222222222222222222222222222222222222222"}' >/tmp/www/api/models/zoo/m/revision/main
cp /files/2.onnx /tmp/www/m.new && mv /tmp/www/m.new /tmp/www/m.onnx"#;

/// The good model, and the same with a doc_string (field 6), so other bytes that answer alike.
fn models() -> [Vec<u8>; 2] {
    let first = fs::read(repository(GOOD)).unwrap();
    let second = [&first[..], b"\x32\x05other"].concat();
    [first, second]
}

pub(crate) fn sums() -> [String; 2] {
    models().map(|bytes| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes the store, and waits until it answers.
pub(crate) async fn moving_store(namespace: &Namespace) {
    let [first, second] = models();
    let files = json!({ "binaryData": { "1.onnx": STANDARD.encode(first), "2.onnx": STANDARD.encode(second) } });
    namespace.put::<ConfigMap>("files", files).await;
    let ports = json!({ "spec": { "selector": { "app": "moving" }, "ports": [{ "port": 8080 }] } });
    namespace.put::<Service>("moving", ports).await;
    let mut pod = store::pod("moving", SCRIPT);
    pod["spec"]["volumes"] = json!([{ "name": "files", "configMap": { "name": "files" } }]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "files", "mountPath": "/files" }]);
    pod["spec"]["containers"][0]["readinessProbe"] = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1 });
    namespace.put::<Pod>("moving", pod).await;
    let is_ready = |pod: &Pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
    };
    namespace.until("the store", named("moving"), |pods: &[&Pod]| pods.iter().any(|pod| is_ready(pod)).then_some(())).await;
}

pub(crate) fn replace(namespace: &Namespace) {
    namespace.kubectl(&["exec", "moving", "--", "/bin/busybox", "sh", "-euc", MOVE]);
}

pub(crate) fn address(namespace: &Namespace) -> String {
    format!("http://moving.{}.svc:8080", namespace.name)
}

fn replicas(spec: &Value, replicas: u32) -> Value {
    let mut spec = spec.clone();
    spec["replicas"] = replicas.into();
    spec
}

/// The digest that each pod says that it serves; none: it serves nothing.
pub(crate) async fn served(namespace: &Namespace) -> Vec<(String, Option<String>)> {
    let pods = namespace.api::<Pod>().list(&Default::default()).await.unwrap().items;
    let own =
        pods.into_iter().filter(|pod| pod.labels().contains_key(DEPLOYMENT_LABEL) && pod.metadata.deletion_timestamp.is_none());
    let said = own.map(|pod| {
        let path = format!("/api/v1/namespaces/{}/pods/{}:9090/proxy/readyz", namespace.name, pod.name_any());
        let said: Value = serde_json::from_str(&cluster::shown(&["get", "--raw", &path])).unwrap_or_default();
        (pod.name_any(), said["models"][0]["digest"].as_str().map(str::to_owned))
    });
    said.collect()
}

pub(crate) fn digests(served: &[(String, Option<String>)]) -> Vec<&str> {
    served.iter().filter_map(|(_, digest)| digest.as_deref()).collect()
}

/// Asks the pods until what they serve is as it should be: nobody tells when a server has changed over.
pub(crate) async fn until_served(
    namespace: &Namespace,
    what: &str,
    holds: impl Fn(&[&str]) -> bool,
) -> Vec<(String, Option<String>)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = served(namespace).await;
        if holds(&digests(&now)) {
            return now;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}: {now:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Until what is served is noted.
pub(crate) async fn until_noted(namespace: &Namespace, digest: &str) -> String {
    let holds = |all: &[&ConfigMap]| {
        let texts = all.iter().filter_map(|one| one.data.as_ref()?.get(PINS_FILE));
        texts.into_iter().find(|text| text.contains(digest)).cloned()
    };
    namespace.until(&format!("a note of {digest}"), labelled(DEPLOYMENT_LABEL), holds).await
}

/// Until the status tells what all replicas are held to.
pub(crate) async fn until_held(deployed: &Deployed<'_>, digest: &str, resolved: &str) -> Value {
    let told = |object: &Value| {
        let own = &object["status"]["revisions"][0];
        is_current(object)
            && condition(object, "Ready").status == "True"
            && own["digest"] == digest
            && own["resolved"].as_str().is_some_and(|name| name.starts_with(resolved))
    };
    deployed.until(&format!("is held to {digest}"), told).await
}

#[tokio::test]
async fn where_a_store_keeps_versions_every_replica_serves_the_first() {
    within("pinned", async |namespace| {
        moving_store(namespace).await;
        let [first, second] = sums();
        let mut spec = model(json!({ "uri": "hf://zoo/m/m.onnx" }));
        spec["pod"] = json!({ "env": [{ "name": "HF_ENDPOINT", "value": address(namespace) }] });
        let deployed = namespace.deploy("mnist", spec.clone()).await;
        deployed.until_ready().await;
        let commit = |nth: usize| format!("commit={}", COMMITS[nth]);
        let held = until_held(&deployed, &first, &commit(0)).await;
        until_noted(namespace, &first).await;
        let [(one, _)] = &served(namespace).await[..] else { panic!("not one pod") };

        replace(namespace);
        deployed.apply(replicas(&spec, 2)).await;
        deployed.until_ready().await;
        let both = served(namespace).await;
        assert!(both.iter().any(|(pod, _)| pod == one), "the first is not restarted for it: {both:?}");
        assert_eq!(digests(&both), [&first, &first], "{both:?}");
        let pods = namespace.api::<Pod>();
        pods.delete(one, &DeleteParams::default()).await.unwrap();
        namespace
            .until("another pod in its place", labelled(DEPLOYMENT_LABEL), |pods: &[&Pod]| {
                let left: Vec<_> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
                (left.len() == 2 && left.iter().all(|pod| pod.name_any() != *one)).then_some(())
            })
            .await;
        let both = until_served(namespace, "both serve", |digests| digests.len() == 2).await;
        assert_eq!(digests(&both), [&first, &first], "{both:?}");
        let status = text(namespace, &["status", "mnist"]);
        assert!(status.contains(&COMMITS[0][..12]), "{status}");

        text(namespace, &["restart", "mnist"]);
        let after = until_held(&deployed, &second, &commit(1)).await;
        assert_eq!(after["status"]["revisions"][0]["name"], held["status"]["revisions"][0]["name"], "of the same revision");
        assert_eq!(digests(&served(namespace).await), [&second, &second]);
        assert!(until_noted(namespace, &second).await.contains(COMMITS[1]));
    })
    .await;
}

#[tokio::test]
async fn where_it_keeps_none_a_replica_that_comes_later_says_so_and_the_first_serves_on() {
    within("changed", async |namespace| {
        moving_store(namespace).await;
        let [first, second] = sums();
        let uri = format!("{}/m.onnx", address(namespace));
        let spec = model(json!({ "uri": uri }));
        let deployed = namespace.deploy("mnist", spec.clone()).await;
        deployed.until_ready().await;
        until_held(&deployed, &first, "").await;
        until_noted(namespace, &first).await;
        let prober = namespace.probe("mnist").await;
        replace(namespace);
        deployed.apply(replicas(&spec, 2)).await;
        let failing = deployed.until_not_ready("ModelChanged", &[&uri, &first, &second, "modelyard restart"]).await;
        assert_eq!(condition(&failing, "Serving").status, "True", "the first serves on");
        assert_eq!(failing["status"]["readyReplicas"], 1);
        assert_eq!(digests(&served(namespace).await), [&first], "nothing else is served");
        assert_eq!(prober.until_more(20).await.failures(), Vec::<&String>::new());
        text(namespace, &["restart", "mnist"]);
        until_held(&deployed, &second, "").await;
        assert_eq!(digests(&served(namespace).await), [&second, &second]);
    })
    .await;
}

#[tokio::test]
async fn two_that_start_at_once_with_other_bytes_serve_what_is_noted_or_nothing() {
    within("mixed", async |namespace| {
        moving_store(namespace).await;
        let uri = format!("{}/cgi-bin/mixed", address(namespace));
        let deployed = namespace.deploy("mnist", replicas(&model(json!({ "uri": uri })), 2)).await;
        deployed.until("serves", |object| condition(object, "Serving").status == "True").await;
        let noted = until_noted(namespace, "digest").await;
        // Who got the bytes that are not to be had any more ends, if those of the other were noted first; else it changes over.
        let only = |digests: &[&str]| !digests.is_empty() && digests.iter().all(|digest| noted.contains(digest));
        until_served(namespace, "nothing but what is noted is served", only).await;
        let [first, second] = sums();
        assert_eq!(noted.matches(&first).count() + noted.matches(&second).count(), 1, "{noted}");
    })
    .await;
}
