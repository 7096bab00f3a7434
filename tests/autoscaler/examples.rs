//! The examples for autoscalers, as their kinds take them: Karpenter's and KEDA's, which the cluster of the other tests has not.

use std::path::Path;
use std::process::Command;

#[test]
fn karpenter_and_keda_accept_the_examples() {
    let files = ["cluster-autoscaling/karpenter", "cluster-autoscaling/headroom", "kubernetes/keda"];
    for file in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file).with_extension("yaml");
        let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f"];
        let applied = Command::new("kubectl").args(arguments).arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&applied.stdout).into_owned() + &String::from_utf8_lossy(&applied.stderr);
        assert!(applied.status.success() && !said.contains("arning"), "{file}: {said}");
    }
}
