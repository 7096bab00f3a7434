//! The examples for clusters, as their kinds take them: ours, Kubernetes' own, Karpenter's and KEDA's.

use std::path::Path;
use std::process::Command;

#[test]
fn each_example_is_accepted() {
    let mut checked = 0;
    for folder in ["examples/kubernetes", "examples/cluster-autoscaling"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            // The Gateway API's kinds are not here; charts/live-test has them.
            if file.extension().is_none_or(|kind| kind != "yaml") || file.ends_with("gateway.yaml") {
                continue;
            }
            let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f"];
            let applied = Command::new("kubectl").args(arguments).arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&applied.stdout).into_owned() + &String::from_utf8_lossy(&applied.stderr);
            assert!(applied.status.success() && !said.contains("arning"), "{}: {said}", file.display());
            println!("{said}");
            checked += 1;
        }
    }
    assert!(checked >= 6, "{checked} examples");
}
