//! Models that are out to crash the server, to eat its memory or its time: each meets its end in a process of its own.

use std::path::Path;

use prost::Message;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tract_onnx::pb;

use crate::http::{get, post};
use crate::server::{Server, eventually, mnist, mnist_body, path};

fn node(operator: &str, inputs: &[&str], output: &str) -> pb::NodeProto {
    pb::NodeProto {
        op_type: operator.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    }
}

fn port(name: &str, shape: &[i64]) -> pb::ValueInfoProto {
    let value = |size: &i64| Some(pb::tensor_shape_proto::dimension::Value::DimValue(*size));
    let dim = shape.iter().map(|size| pb::tensor_shape_proto::Dimension { value: value(size), ..Default::default() }).collect();
    let elem_type = pb::tensor_proto::DataType::Float as i32;
    let tensor = pb::type_proto::Tensor { elem_type, shape: Some(pb::TensorShapeProto { dim }) };
    let value = Some(pb::type_proto::Value::TensorType(tensor));
    let kind = Some(pb::TypeProto { value, ..Default::default() });
    pb::ValueInfoProto { name: name.to_owned(), r#type: kind, ..Default::default() }
}

/// A file of a few hundred bytes that makes a square matrix of zeros and multiplies it with itself so many times.
fn bomb(file: &Path, width: i64, products: usize) -> Value {
    let mut nodes = vec![node("ConstantOfShape", &["shape"], "m0")];
    nodes.extend((0..products).map(|at| node("MatMul", &[&format!("m{at}"), "m0"], &format!("m{}", at + 1))));
    nodes.push(node("ReduceSum", &[&format!("m{products}")], "sum"));
    nodes.push(node("Add", &["x", "sum"], "y"));
    let shape = pb::TensorProto {
        name: "shape".to_owned(),
        dims: vec![2],
        data_type: pb::tensor_proto::DataType::Int64 as i32,
        int64_data: vec![width, width],
        ..Default::default()
    };
    let graph = pb::GraphProto {
        name: "bomb".to_owned(),
        node: nodes,
        initializer: vec![shape],
        input: vec![port("x", &[1, 1])],
        output: vec![port("y", &[1, 1])],
        ..Default::default()
    };
    let opset = pb::OperatorSetIdProto { version: 13, ..Default::default() };
    let model = pb::ModelProto { ir_version: 8, graph: Some(graph), opset_import: vec![opset], ..Default::default() };
    std::fs::write(file, model.encode_to_vec()).unwrap();
    json!({ "name": "bomb", "uri": format!("file:{}", file.display()) })
}

/// What became of the bomb, once it is known; the digits answer meanwhile and afterwards.
fn outcome(server: &mut Server) -> (String, String) {
    let answers = |server: &Server| {
        let answer = post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    eventually("the digits are served", || (state(server, "mnist")["state"] == "Ready").then_some(()));
    answers(server);
    let failed = eventually("the bomb has failed", || Some(state(server, "bomb")).filter(|state| state["state"] == "Failed"));
    answers(server);
    assert!(server.is_running());
    eventually("its process is gone", || children(server).is_empty().then_some(()));
    let text = |field: &str| failed[field].as_str().unwrap().to_owned();
    (text("reason"), text("message"))
}

fn state(server: &Server, name: &str) -> Value {
    let ready = get(server.admin(), "/readyz").unwrap().json();
    ready["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap().clone()
}

/// The processes that the server has started and not yet seen end.
fn children(server: &Server) -> Vec<Pid> {
    let parent = server.id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let Ok(stat) = std::fs::read_to_string(entry.unwrap().path().join("stat")) else { continue };
        // "pid (name) state ppid ...", and the name may hold anything (proc(5)).
        let (Some(pid), Some((_, rest))) = (stat.split(' ').next(), stat.rsplit_once(") ")) else { continue };
        if rest.split(' ').nth(1) == Some(&*parent) {
            found.push(Pid::from_raw(pid.parse().unwrap()).unwrap());
        }
    }
    found
}

/// Signals to the process of the bomb, for as long as one tries it: first beside others perhaps, and then alone.
fn signal_until_failed(server: &Server, signal: Signal) {
    eventually("the bomb has failed", || {
        for child in children(server) {
            // It may have ended meanwhile.
            let _ = kill_process(child, signal);
        }
        (state(server, "bomb")["state"] == "Failed").then_some(())
    });
}

/// A server with a model that takes minutes to load, and signals to its child.
fn signalled(signal: Signal, load_timeout: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let model = bomb(&folder.path().join("model.onnx"), 4000, 200);
    let mut server = Server::start_unready(&[mnist(), model], |command| {
        command.args(["--load-timeout", load_timeout]);
    });
    eventually("the digits' process is gone", || (state(&server, "mnist")["state"] == "Ready").then_some(()));
    eventually("the bomb's process runs", || children(&server).first().copied());
    signal_until_failed(&server, signal);
    outcome(&mut server)
}

#[test]
fn a_crash_is_told_with_its_signal() {
    for (signal, class, name) in
        [(Signal::SEGV, "ModelInvalid", "SIGSEGV (signal 11)"), (Signal::KILL, "OutOfMemory", "SIGKILL (signal 9)")]
    {
        let (reason, message) = signalled(signal, "600");
        assert_eq!(reason, class, "{message}");
        assert!(message.contains(name) && message.contains("the server is unharmed"), "{message}");
    }
}

#[test]
fn a_process_that_hangs_is_ended() {
    let (reason, message) = signalled(Signal::STOP, "5");
    assert_eq!(reason, "ModelUnsupported", "{message}");
    assert!(message.contains("--load-timeout"), "{message}");
}

#[test]
fn a_model_that_eats_time_is_ended_by_the_bound_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = bomb(&folder.path().join("model.onnx"), 4000, 200);
    let mut server = Server::start_unready(&[mnist(), model], |command| {
        command.args(["--load-timeout", "8"]);
    });
    let (reason, message) = outcome(&mut server);
    assert_eq!(reason, "ModelInvalid", "{message}");
    assert!(message.contains("SIGXCPU (signal 24)") && message.contains("2 s of processor time"), "{message}");
}

#[test]
fn a_model_that_eats_memory_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    // Two gigabytes, of a process that may have a quarter of one.
    let model = bomb(&folder.path().join("model.onnx"), 22_000, 0);
    let mut server = Server::start_unready(&[mnist(), model], |command| {
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        bounded(command, "ulimit -d 262144");
    });
    let (reason, message) = outcome(&mut server);
    assert_eq!(reason, "OutOfMemory", "{message}");
    assert!(message.contains("more memory than the 2") && message.contains("resources.limits.memory"), "{message}");
}

/// Makes `command` one that sets bounds for itself first.
fn bounded(command: &mut std::process::Command, bounds: &str) {
    let mut shell = std::process::Command::new("/bin/sh");
    shell.arg("-c").arg(format!("{bounds}; exec \"$0\" \"$@\"")).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    *command = shell;
}

#[test]
fn a_trusted_model_needs_no_process() {
    let mut trusted = mnist();
    trusted["engine"] = json!({ "isolation": "None" });
    for (model, tried) in [(mnist(), true), (trusted, false)] {
        let server = Server::start_with(&[model], &json!({}), |command| {
            command.args(["--log-level", "debug"]);
        });
        assert_eq!(server.log().contains("runs in a process of its own"), tried, "{}", server.log());
    }
}

#[test]
fn a_model_is_compared_once_wherever_it_is_loaded_first() {
    let model = |engine: Value| json!({ "name": "cnn", "uri": format!("file:{}", path("examples/mnist-cnn/model").display()), "engine": engine });
    for (engine, compared) in [
        (json!({}), 1),
        (json!({ "isolation": "None" }), 1),
        (json!({ "selfCheck": "Disabled" }), 0),
        (json!({ "selfCheck": "Disabled", "isolation": "None" }), 0),
    ] {
        let server = Server::start_with(&[model(engine.clone())], &json!({}), |command| {
            command.args(["--log-level", "debug"]);
        });
        assert_eq!(server.log().matches("self-check: ").count(), compared, "{engine}: {}", server.log());
    }
}

/// So many models beside the bomb, tried one after another where nothing goes wrong.
const MANY: usize = 20;

/// A server of so many threads with the bomb among many good models, which are ready by now.
fn among_others(
    threads: usize,
    (width, products): (i64, usize),
    more: impl FnOnce(&mut std::process::Command),
) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut models: Vec<Value> = (0..MANY).map(|at| json!({ "name": format!("m{at}"), "uri": mnist()["uri"] })).collect();
    models.insert(MANY / 2, bomb(&folder.path().join("model.onnx"), width, products));
    let server = Server::start_unready(&models, |command| {
        command.args(["--threads", &threads.to_string(), "--log-level", "debug"]);
        more(command);
    });
    eventually("all but the bomb are ready", || {
        let states = get(server.admin(), "/readyz").unwrap().json();
        let ready = states["models"].as_array().unwrap().iter().filter(|model| model["state"] == "Ready").count();
        (ready == MANY).then_some(())
    });
    (server, folder)
}

/// The bomb's reason and message; its neighbours answer, and were not tried in a process each.
fn blamed(mut server: Server) -> (String, String) {
    let failed = eventually("the bomb has failed", || Some(state(&server, "bomb")).filter(|state| state["state"] == "Failed"));
    for at in 0..MANY {
        assert_eq!(post(server.address(), &format!("/v1/models/m{at}:predict"), &mnist_body(1)).unwrap().status, 200);
    }
    eventually("no process is left", || children(&server).is_empty().then_some(()));
    assert!(server.is_running());
    let started = server.log().matches("a process is started to try models in").count();
    assert!(started > 0 && started < MANY / 2, "{started}");
    let text = |field: &str| failed[field].as_str().unwrap().to_owned();
    (text("reason"), text("message"))
}

#[test]
fn among_others_a_crash_is_blamed_on_the_one_at_fault() {
    // The others are not to wait until the bomb is done, which takes minutes.
    let (server, _folder) = among_others(2, (4000, 200), |_| ());
    signal_until_failed(&server, Signal::SEGV);
    let (reason, message) = blamed(server);
    assert_eq!(reason, "ModelInvalid", "{message}");
    assert!(message.contains("SIGSEGV (signal 11)"), "{message}");
}

#[test]
fn among_others_one_that_eats_time_is_ended_alone() {
    let (server, _folder) = among_others(1, (4000, 200), |command| {
        command.args(["--load-timeout", "12"]);
    });
    let (reason, message) = blamed(server);
    assert_eq!(reason, "ModelInvalid", "{message}");
    assert!(message.contains("SIGXCPU (signal 24)") && message.contains("3 s of processor time"), "{message}");
}

#[test]
fn among_others_one_that_eats_memory_fails_alone() {
    let (server, _folder) = among_others(1, (22_000, 0), |command| {
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        bounded(command, "ulimit -d 262144");
    });
    let (reason, message) = blamed(server);
    assert_eq!(reason, "OutOfMemory", "{message}");
    assert!(message.contains("more memory than the 2"), "{message}");
}
