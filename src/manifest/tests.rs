use super::*;

const HEAD: &str = "apiVersion: modelyard.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: m}\n";

fn lines(text: &str) -> Vec<String> {
    read_text(Path::new("m.yaml"), text).diagnostics.iter().map(Diagnostic::headline).collect()
}

#[test]
fn what_is_right_passes_with_its_defaults() {
    let text = format!("# mine\n{HEAD}spec:\n  model: {{uri: 'file:m.onnx'}}\n");
    let reading = read_text(Path::new("dir/m.yaml"), &text);
    assert_eq!(reading.diagnostics, []);
    let one = &reading.manifests[0];
    assert_eq!((one.line, one.resolved.name.as_str(), one.deployment.spec.replicas), (2, "m", 1));
    assert_eq!(one.anchored().spec.model.unwrap().artefact.uri, "file:dir/m.onnx");
}

#[test]
fn a_null_counts_as_absent() {
    let text =
        format!("{HEAD}spec: {{model: {{uri: 'file:m', name: null}}, models: null, replicas: ~, serving: {{batching: }}}}\n");
    let reading = read_text(Path::new("m.yaml"), &text);
    assert_eq!(reading.diagnostics, []);
    assert_eq!(reading.manifests[0].deployment.spec.replicas, 1);
}

#[test]
fn every_rule_refuses_offline_and_says_where() {
    for (spec, expected) in [
        ("{}", "4:1: spec: Invalid value: write exactly one of model (one model) and models (several in one server)"),
        (
            "{model: {uri: 'ftp://b/m'}}",
            "4:21: spec.model.uri: Invalid value: \"ftp://b/m\": must be file:PATH, http://HOST/PATH, https://HOST/PATH, s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER[@ACCOUNT]/BLOB, hf://OWNER/REPO[@REVISION][/PATH], oci://HOST/REPOSITORY[:TAG|@DIGEST] or pvc://CLAIM/PATH",
        ),
        (
            "{model: {uri: 'https:///m'}}",
            "4:21: spec.model.uri: Invalid value: \"https:///m\": must be file:PATH, http://HOST/PATH, https://HOST/PATH, s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER[@ACCOUNT]/BLOB, hf://OWNER/REPO[@REVISION][/PATH], oci://HOST/REPOSITORY[:TAG|@DIGEST] or pvc://CLAIM/PATH",
        ),
        (
            "{model: {uri: 'file:m', name: 'a/b'}}",
            "4:37: spec.model.name: Invalid value: \"a/b\": should match '^[^/:]+$', such as a name without '/' and ':'",
        ),
        (
            "{model: {uri: 'file:m', version: 0}}",
            "4:40: spec.model.version: Invalid value: 0: should be greater than or equal to 1",
        ),
        (
            "{models: [{name: a, uri: 'file:m'}, {name: a, uri: 'file:n'}]}",
            "4:43: spec.models[1]: Duplicate value: {\"name\":\"a\"}: the same as spec.models[0]",
        ),
        (
            "{model: {uri: 'file:m'}, serving: {requestTimeout: 0s}}",
            "4:58: spec.serving.requestTimeout: Invalid value: \"0s\": must be longer than 0s",
        ),
        (
            "{model: {uri: 'file:m'}, serving: {maxRequestBytes: 0Mi}}",
            "4:59: spec.serving.maxRequestBytes: Invalid value: \"0Mi\": must be more than 0",
        ),
        (
            "{model: {uri: 'file:m'}, serving: {batching: {maxSize: 8, maxDelay: 30s}}}",
            "4:42: spec.serving: Invalid value: batching.maxDelay must be shorter than requestTimeout: a row that waits longer is answered too late",
        ),
        (
            "{model: {uri: 'file:m'}, resources: {limits: {memory: 1Mi}}}",
            "4:44: spec.resources: Invalid value: requests.memory (128Mi unless it is written) must not exceed limits.memory: lower the request or raise the limit",
        ),
        (
            "{model: {uri: 'file:m'}, serving: {drainDelay: 99999999999999999999h}}",
            "4:54: spec.serving.drainDelay: Invalid value: \"99999999999999999999h\": should match '^([0-9]{1,9}(\\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h)){1,6}$', such as \"1m30s\"",
        ),
    ] {
        assert_eq!(lines(&format!("{HEAD}spec: {spec}\n")), [format!("m.yaml:{expected}")], "{spec}");
    }
    let named = |name: &str| {
        lines(&HEAD.replace("name: m", &format!("name: {name}")).replace("kind", "spec: {model: {uri: 'file:m'}}\nkind"))
    };
    assert_eq!(named(&"a".repeat(50)), Vec::<String>::new());
    for name in ["9a", "A", "a.b", "a-", &"a".repeat(51)] {
        assert_eq!(named(name).len(), 1, "{name}");
        assert!(named(name)[0].starts_with("m.yaml:4:18: metadata.name: Invalid value:"), "{:?}", named(name));
    }
}

#[test]
fn a_pattern_and_a_number_are_told_in_words() {
    for (spec, words) in [
        (
            "{model: {uri: 'file:m', sha256: abc}}",
            "spec.model.sha256: Invalid value: \"abc\": should match '^[0-9a-fA-F]{64}$', such as the 64 hexadecimal digits that sha256sum prints",
        ),
        (
            "{model: {uri: 'file:m'}, replicas: 010}",
            "spec.replicas: Invalid value: 010: must be of type integer, not number; write it without zeros in front, which mean an octal number to some readers",
        ),
        ("{model: {uri: 'file:m'}, replicas: 1e0}", "spec.replicas: Invalid value: 1e0: must be of type integer, not number"),
        ("{model: {uri: 'file:m'}, replicas: 1.5}", "spec.replicas: Invalid value: 1.5: must be of type integer, not number"),
    ] {
        let found = lines(&format!("{HEAD}spec: {spec}\n"));
        assert!(found.len() == 1 && found[0].ends_with(words), "{found:?}");
    }
}

#[test]
fn a_fault_of_type_hides_no_other() {
    let steps = "[{op: Input, columns: [a, b]}, {op: Standardise, columns: [a, b], mean: [1, 2], scale: [1, 0]}, {op: Nothing, columns: [a]}, {op: Rename, columns: [a], to: [b, c]}]";
    let wrong = "{uri: 'file:m', version: x, preprocess: STEPS}".replace("STEPS", steps);
    let found = lines(&format!("{HEAD}spec: {{replicas: x, model: {wrong}}}\n"));
    let of = |field: &str| found.iter().any(|line| line.contains(field));
    assert!(
        found.len() == 5
            && ["spec.replicas: ", "spec.model.version: ", "preprocess[1].", "preprocess[2].", "preprocess[3]."]
                .into_iter()
                .all(of),
        "{found:?}"
    );
    // Without a fault of type they are all found too.
    assert_eq!(lines(&format!("{HEAD}spec: {{model: {{uri: 'file:m', preprocess: {steps}}}}}\n")).len(), 3);
}

#[test]
fn metadata_is_checked_as_the_api_server_checks_it() {
    let metadata = "metadata:\n  name: m\n  namespace: X Y\n  labels: {a b: c, d: 'e f'}\n  annotations: {'/': x}\n";
    let text = HEAD.replace("metadata: {name: m}\n", metadata) + "spec: {model: {uri: 'file:m'}}\n";
    let found = lines(&text);
    for (line, words) in found.iter().zip([
        "m.yaml:5:14: metadata.namespace: Invalid value: \"X Y\": a lowercase RFC 1123 label must",
        "m.yaml:6:12: metadata.labels.a b: Invalid value: \"a b\": name part must",
        "m.yaml:6:23: metadata.labels.d: Invalid value: \"e f\": a valid label must",
        "m.yaml:7:17: metadata.annotations./: Invalid value: \"/\": prefix part must be non-empty",
    ]) {
        assert!(line.starts_with(words), "{line} is not {words}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn json_without_a_kind_is_data_in_a_folder_and_a_fault_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let request = folder.path().join("request.json");
    std::fs::write(folder.path().join("m.yaml"), format!("{HEAD}spec: {{model: {{uri: 'file:m'}}}}\n")).unwrap();
    std::fs::write(&request, r#"{"inputs": [{"name": "x", "data": [1, 2]}]}"#).unwrap();
    let reading = read(&[folder.path().to_owned()]);
    assert_eq!((reading.diagnostics.as_slice(), reading.manifests.len()), (&[][..], 1));
    let notes: Vec<String> = reading.notes.iter().map(Diagnostic::headline).collect();
    assert_eq!(notes, [format!("{}: skipped: it has no apiVersion and no kind", request.display())]);
    let named = read(std::slice::from_ref(&request));
    assert!(named.diagnostics[0].message.starts_with("Required value"), "{:?}", named.diagnostics);
    // A kind without its version is a manifest with a slip.
    std::fs::write(&request, r#"{"kind": "ModelDeployment"}"#).unwrap();
    assert_eq!(read(&[folder.path().to_owned()]).diagnostics.len(), 1);
    std::fs::rename(&request, folder.path().join("request.yaml")).unwrap();
    std::fs::write(folder.path().join("request.yaml"), "inputs: []\n").unwrap();
    assert_eq!(read(&[folder.path().to_owned()]).diagnostics.len(), 2);
}

#[test]
fn a_duplicate_key_makes_no_deployment() {
    let reading =
        read_text(Path::new("m.yaml"), &format!("{HEAD}spec:\n  model: {{uri: 'file:a'}}\n  model: {{uri: 'file:b'}}\n"));
    assert_eq!(reading.manifests.len(), 0);
    assert_eq!(
        reading.diagnostics[0].headline(),
        "m.yaml:6:3: spec.model: Duplicate key \"model\": it is written on line 5 already"
    );
}

#[test]
fn lists_are_opened_and_twins_refused() {
    let item = "- apiVersion: modelyard.dev/v1alpha1\n  kind: ModelDeployment\n  metadata: {name: m}\n  spec: {model: {uri: 'file:m'}}\n";
    let reading = read_text(Path::new("m.yaml"), &format!("apiVersion: v1\nkind: List\nitems:\n{item}{item}"));
    assert_eq!(reading.manifests.len(), 2);
    assert_eq!(
        reading.diagnostics.iter().map(Diagnostic::headline).collect::<Vec<_>>(),
        ["m.yaml:8:1: metadata.name: Duplicate value: \"m\": m.yaml:4 defines a ModelDeployment of this name already"]
    );
}

#[test]
fn the_caret_stands_below_what_is_meant() {
    let text = format!("{HEAD}spec:\n\tmodel: 1\n");
    assert_eq!(lines(&text).len(), 1, "a tab is no indentation");
    let long = format!("{HEAD}spec: {{model: {{uri: 'file:{}', version: 0}}}}\n", "x".repeat(300));
    let shown = read_text(Path::new("m.yaml"), &long).diagnostics[0].to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[2].chars().nth(lines[3].find('^').unwrap()), Some('0'), "{shown}");
    assert!(lines[2].chars().count() < 140);
}

const RICH: &str = "apiVersion: modelyard.dev/v1alpha1
kind: ModelDeployment
metadata: {name: m, labels: {a: b}}
spec:
  models:
  - &one {name: a, uri: 'https://h/p', version: 3, classes: [x, y]}
  - <<: *one
    name: b
  replicas: 2
  serving: {requestTimeout: 1m30s, maxRequestBytes: 1.5Gi, batching: {maxSize: 8, maxDelay: 2ms}, threads: 2}
  resources: {requests: {cpu: 500m}, limits: {cpu: 2, memory: 1Gi}}
";

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// Whatever is typed over a manifest: it is read or refused at a place inside the file, never fatal.
    #[test]
    fn no_text_is_fatal(edits in proptest::collection::vec((0..RICH.len(), "[ -~µ\t\n]{0,4}|-?[0-9]{18,24}[a-z]?|&a|\\*a|null|\\.inf"), 1..5)) {
        let mut text = RICH.to_owned();
        for (place, typed) in edits {
            let place = (0..=place.min(text.len() - 1)).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0);
            let end = (place + 1..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
            text.replace_range(place..end, &typed);
        }
        let reading = read_text(Path::new("m.yaml"), &text);
        let lines = text.lines().count();
        for one in &reading.diagnostics {
            proptest::prop_assert!(one.position.is_none_or(|at| at.line <= lines + 1), "{}", one);
        }
    }
}
