//! `predict`: what is written, and flags and bodies that contradict one another.

use super::*;

#[test]
fn numpy_reads_what_is_written() {
    let fake = Fake::start();
    let output = run(&fake, &["predict", "tiny", "--zeros", "--batch", "2", "-o", "npy"]);
    assert!(output.stdout.starts_with(b"\x93NUMPY\x01\x00") && output.stdout.len() == 128 + 2 * 3 * 4);
    let output = run(&fake, &["predict", "tiny", "--random", "--seed", "7", "-o", "npz"]);
    let arrays = modelyard::inputs::read_arrays(&output.stdout).unwrap();
    assert_eq!((arrays[0].0.as_str(), arrays[0].1.shape()), ("y", &[1, 3][..]));
    let again = run(&fake, &["predict", "tiny", "--random", "--seed", "7", "-o", "npz"]);
    assert_eq!(modelyard::inputs::read_arrays(&again.stdout).unwrap(), arrays);
}

#[test]
fn saved_requests_work_with_curl_as_printed() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let input = file(folder.path(), "in.json", r#"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[0,0,1,2]}]}"#);
    for kind in ["json", "bin", "pb"] {
        let saved = folder.path().join(format!("it's a request.{kind}"));
        // The server's metadata is not asked for: the file says it all.
        let before = fake.requests.infers.load(Ordering::Relaxed);
        let command = stdout(&fake, &["predict", "tiny", "--input", &input, "--save-request", saved.to_str().unwrap()]);
        assert_eq!(fake.requests.infers.load(Ordering::Relaxed), before);
        let output = Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        if kind == "pb" {
            let reply = std::fs::read(folder.path().join("reply.pb")).unwrap();
            let reply: modelyard_wire::proto::tensorflow_serving::PredictResponse =
                prost::Message::decode(reply.as_slice()).unwrap();
            assert_eq!(reply.outputs["y"].tensor_content.len(), 12);
        } else {
            assert_softmax(&serde_json::from_slice::<Value>(&output.stdout).unwrap()["outputs"]);
        }
    }
    let nowhere = ["predict", "tiny", "--url", "http://127.0.0.1:1", "--input", &input, "--save-request"];
    let saved = folder.path().join("offline.bin");
    stdout(&fake, &[&nowhere[..], &[saved.to_str().unwrap()]].concat());
    let bare = file(folder.path(), "bare.json", "[1]");
    let error = refusal(&fake, &["predict", "tiny", "--url", "http://127.0.0.1:1", "--input", &bare, "--save-request", "x.json"]);
    assert!(error.contains("does not name its input") && error.contains("cannot reach http://127.0.0.1:1"), "{error}");
}

#[test]
fn a_saved_request_is_of_its_protocol() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let input = file(folder.path(), "in.json", r#"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[0,0,1,2]}]}"#);
    let saved = folder.path().join("rows.json");
    let save = ["predict", "tiny", "--input", &input, "--save-request"];
    let command = stdout(&fake, &[&save[..], &[saved.to_str().unwrap(), "--protocol", "tfs"]].concat());
    let body: Value = serde_json::from_slice(&std::fs::read(&saved).unwrap()).unwrap();
    assert_eq!(body, json!({"instances": [[0.0, 0.0, 1.0, 2.0]]}));
    assert!(command.contains("/v1/models/tiny:predict"), "{command}");
    for (name, protocol, words) in [
        ("request.txt", "binary", "expected .json (JSON), .bin (binary tensors) or .pb (a PredictRequest)"),
        ("request", "binary", "expected .json (JSON)"),
        ("request.bin", "tfs", "--protocol tfs has no such file; expected .json (rows) or .pb (a PredictRequest)"),
        ("request.json", "grpc", "--protocol grpc has no such file; expected .pb, or --protocol json or binary"),
    ] {
        let error = misuse(&fake, &[&save[..], &[name, "--protocol", protocol]].concat());
        assert!(error.starts_with(&format!("error: --save-request {name}: ")) && error.contains(words), "{error}");
    }
}

#[test]
fn flags_that_would_be_ignored_are_refused() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let input = file(folder.path(), "in.json", "[0, 0, 1, 2]");
    let from_file = ["predict", "tiny", "--input", &input];
    for (base, more) in [
        (&from_file[..], &["--batch", "5"][..]),
        (&from_file, &["--shape", "x=2,4"]),
        (&from_file, &["--seed", "4"]),
        (&["predict", "tiny", "--zeros"], &["--seed", "4"]),
        (&["predict", "tiny", "--zeros"], &["--batch", "3", "--shape", "x=2,4"]),
        (&["predict", "tiny", "--random"], &["--scale", "0..1"]),
        (&["predict", "tiny", "--random"], &["--invert"]),
        (&["bench", "tiny"], &["--batch", "3", "--shape", "x=2,4"]),
        (&from_file, &["--save-request", "x.json", "--top", "1"]),
    ] {
        let error = misuse(&fake, &[base, more].concat());
        assert!(error.contains("cannot be used with"), "{base:?} {more:?}: {error}");
    }
    let error = misuse(&fake, &[&from_file[..], &["-o", "json", "--top", "1"]].concat());
    assert!(error.starts_with("error: --top: only a table"), "{error}");
    for command in ["bench", "predict"] {
        let mut arguments = vec![command, "tiny", "--shape", "x=1,4", "--shape", "x=2,4"];
        arguments.extend((command == "predict").then_some("--zeros"));
        let error = misuse(&fake, &arguments);
        assert_eq!(error, "error: --shape: input 'x' has two shapes; expected one for each input\n");
    }
    assert_eq!(fake.requests.infers.load(Ordering::Relaxed), 0);
}

#[test]
fn a_number_that_no_flag_takes_is_told_with_those_that_it_does() {
    let fake = Fake::start();
    for (flag, value, words) in [
        ("--seed", "-1", "expected a whole number from 0 to 18446744073709551615, found '-1'"),
        ("--batch", "-1", "expected a whole number from 1 to"),
        ("--timeout", "-1", "expected more than 0 and at most 1000000000 seconds"),
        ("--timeout", "1e300", "expected more than 0 and at most 1000000000 seconds"),
    ] {
        let error = misuse(&fake, &["predict", "tiny", "--random", flag, value]);
        assert!(error.contains(words), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("black.png");
    image::GrayImage::from_pixel(28, 28, image::Luma([0])).save(&path).unwrap();
    let found = document(&fake, &["predict", "pixels", "--input", path.to_str().unwrap(), "--scale", "-1..1", "-o", "json"]);
    assert_eq!(found["outputs"][0]["data"], json!([-1.0, 2.0]));
}

#[test]
fn a_body_that_the_server_would_refuse_is_refused() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let inputs = r#""inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[0,0,1,2]}]"#;
    for (body, words) in [
        (r#"{"instances":[[0,0,1,2]],"signature_name":"foo"}"#.to_owned(), r#"Serving signature key "foo" not found"#),
        (format!(r#"{{{inputs},"outputs":[{{"name":"nope"}}]}}"#), "unknown output 'nope'; the model has 'y'"),
        (format!(r#"{{{inputs},"instances":[[0,0,1,2]]}}"#), "expected exactly one of 'instances' and 'inputs'"),
    ] {
        let input = file(folder.path(), "in.json", &body);
        let error = refusal(&fake, &["predict", "tiny", "--input", &input]);
        assert!(error.starts_with("error: in.json: ") && error.contains(words), "{body}: {error}");
    }
    let sample = file(folder.path(), "sample.json", format!(r#"{{"request":{{{inputs}}},"response":{{}},"tolerance":1}}"#));
    assert_softmax(&document(&fake, &["predict", "tiny", "--input", &sample, "-o", "json"])["outputs"]);
    let doubles = modelyard_wire::Tensor::new(
        modelyard_wire::DataType::Fp64,
        vec![2, 4],
        (0..8).flat_map(|at| if at == 6 { 1e300_f64 } else { 0.0 }.to_le_bytes()).collect(),
    );
    let mut npy = Vec::new();
    modelyard::inputs::write_npy(&doubles.unwrap(), &mut npy).unwrap();
    let npy = file(folder.path(), "big.npy", npy);
    let error = refusal(&fake, &["predict", "tiny", "--input", &npy]);
    assert!(error.contains("input 'x': row 1, element 2 is 1") && error.contains("which FP32 cannot hold"), "{error}");
    assert_eq!(fake.requests.infers.load(Ordering::Relaxed), 1);
}

/// `| head -1` has seen enough: that is no failure.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let fake = Fake::start();
    for form in ["table", "json", "npy", "npz"] {
        let arguments = ["predict", "tiny", "--random", "--batch", "30000", "-o", form];
        let mut child = modelyard(&fake, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{form}");
    }
}
