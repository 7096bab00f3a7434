//! A store of models in the cluster: one pod whose files are those of this repository, good and bad. It is also where requests are
//! sent from.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cluster::{RELEASE, repository};

/// A model that is as it should be.
pub(crate) const GOOD: &str = "examples/mnist/model/model.onnx";

/// Where the shared store has `path`: `model.onnx`, `truncated.onnx`, `unsupported_op.onnx`, `private/model.onnx` (with a password),
/// `big.onnx` (the good model with a doc_string, field 6, of 64 MiB), `cgi-bin/slow` (a model in an archive of several megabytes, one a second).
pub(crate) fn uri(path: &str) -> String {
    format!("http://store.{RELEASE}.svc:8080/{path}")
}

/// The sum of the good model's bytes.
pub(crate) fn sum() -> String {
    Sha256::digest(fs::read(repository(GOOD)).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

const SCRIPT: &str = r#"
mkdir -p /tmp/www/private /tmp/www/cgi-bin /tmp/slow
cp /files/*.onnx /tmp/www/
cp /files/model.onnx /tmp/www/private/
cp /files/model.onnx /tmp/slow/
dd if=/dev/urandom of=/tmp/slow/padding bs=1048576 count=7
tar -C /tmp/slow -cf /tmp/slow.tar model.onnx padding
cp /files/model.onnx /tmp/www/big.onnx
printf '\062\200\200\200\040' >>/tmp/www/big.onnx
head -c 67108864 /dev/zero | tr '\0' a >>/tmp/www/big.onnx
cp /files/slow /tmp/www/cgi-bin/slow
chmod 755 /tmp/www/cgi-bin/slow
echo /private:reader:secret >/tmp/httpd.conf
exec busybox httpd -f -p 8080 -h /tmp/www -c /tmp/httpd.conf
"#;

const SLOW: &str = r#"#!/bin/sh
size=$(stat -c %s /tmp/slow.tar)
printf 'Content-Type: application/x-tar\r\nContent-Length: %s\r\n\r\n' "$size"
at=0
while [ $((at * 1048576)) -lt "$size" ]; do
  dd if=/tmp/slow.tar bs=1048576 skip=$at count=1 2>/dev/null
  at=$((at + 1))
  sleep 1
done
"#;

/// The store's objects, for any namespace: with Pod Security's `restricted` as well.
pub(crate) fn manifest(namespace: &str) -> Value {
    let file = |path: &str| STANDARD.encode(fs::read(repository(path)).unwrap());
    let metadata = json!({ "name": "store", "namespace": namespace, "labels": { "app": "store" } });
    let files = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
        "binaryData": {
            "model.onnx": file(GOOD),
            "truncated.onnx": file("tests/models/truncated.onnx"),
            "unsupported_op.onnx": file("tests/models/unsupported_op.onnx"),
        },
        "data": { "slow": SLOW },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": { "selector": { "app": "store" }, "ports": [{ "port": 8080 }] },
    });
    let mut pod = pod("store", SCRIPT);
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"] = metadata;
    pod["spec"]["volumes"] = json!([{ "name": "files", "configMap": { "name": "store" } }]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "files", "mountPath": "/files" }]);
    pod["spec"]["containers"][0]["readinessProbe"] = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1 });
    json!({ "apiVersion": "v1", "kind": "List", "items": [files, service, pod] })
}

/// A pod that runs a shell script with busybox and `ask`.
pub(crate) fn pod(name: &str, script: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": name,
                "image": "local.test/box:1",
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/busybox", "sh", "-euc", script],
                "resources": { "requests": { "cpu": "10m", "memory": "16Mi" } },
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    })
}
