//! What models take in memory is measured, told and bounded: those unused for longest leave it, and come back when they are asked for.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Connection, Response, get, post, request};
use crate::memory::product;
use crate::server::{Server, eventually, mnist, mnist_body, model};

/// A square matrix of as many FP32 is 4 MB.
const WIDTH: usize = 1024;

fn products(folder: &Path, names: &[&str]) -> Vec<Value> {
    let file = folder.join("product.onnx");
    std::fs::write(&file, product(WIDTH as i64)).unwrap();
    names.iter().map(|name| json!({ "name": name, "uri": format!("file:{}", file.display()) })).collect()
}

/// Bytes that a model takes.
fn measured(models: &[Value], name: &str) -> u64 {
    state(&Server::start(models, &json!({})), name)["memoryBytes"].as_u64().unwrap()
}

fn ask(server: &Server, name: &str) -> Response {
    let body = json!({ "instances": vec![vec![0.5; WIDTH]; 1] }).to_string();
    post(server.address(), &format!("/v1/models/{name}:predict"), &body).unwrap()
}

fn state(server: &Server, name: &str) -> Value {
    let ready = get(server.admin(), "/readyz").unwrap().json();
    ready["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap().clone()
}

fn states(server: &Server, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| state(server, name)["state"].as_str().unwrap().to_owned()).collect()
}

fn total(server: &Server, metric: &str, name: &str) -> f64 {
    server.metric(metric, &[&format!("model=\"{name}\"")])
}

#[test]
fn what_a_model_takes_is_measured_and_told_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut untried = products(folder.path(), &["untried"]);
    untried[0]["engine"] = json!({ "isolation": "None" });
    let tried: Vec<Value> = products(folder.path(), &["tried"]).into_iter().chain([mnist()]).collect();
    let servers = [Server::start(&tried, &json!({})), Server::start(&untried, &json!({}))];
    // Without a process of its own, what the load itself needed is in it.
    for (server, name, around) in [
        (&servers[0], "tried", 4_000_000_u64..17_000_000),
        (&servers[0], "mnist", 100_000..3_000_000),
        (&servers[1], "untried", 4_000_000..40_000_000),
    ] {
        let bytes = state(server, name)["memoryBytes"].as_u64().unwrap();
        assert!(around.contains(&bytes), "{name}: {bytes}");
        assert_eq!(total(server, "modelyard_model_memory_bytes", name), bytes as f64);
        let statistics = get(server.address(), &format!("/v2/models/{name}/stats")).unwrap().json();
        assert_eq!(statistics["model_stats"][0]["memory_usage"][0]["byte_size"], bytes, "{statistics}");
    }
}

#[test]
fn the_one_unused_for_longest_makes_room_and_comes_back_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c"];
    let models = products(folder.path(), &names);
    let budget = measured(&models[..1], "a") * 11 / 4;
    let server = Server::start(&models, &json!({ "memoryBudget": budget }));
    let standing_by = |server: &Server| states(server, &names).iter().filter(|state| *state == "Standby").count();
    assert_eq!(standing_by(&server), 1, "{}", get(server.admin(), "/readyz").unwrap().body);
    // A model on standby is as good as one that is loaded, for whoever asks.
    for name in names {
        assert_eq!(get(server.address(), &format!("/v2/models/{name}/ready")).unwrap().status, 200);
        assert_eq!(get(server.address(), &format!("/v1/models/{name}")).unwrap().json()["ready"], true);
    }
    let before = total(&server, "modelyard_requests_total", "c");
    for round in 0..3 {
        for name in names {
            let answer = ask(&server, name);
            assert_eq!(answer.status, 200, "{round} {name}: {}", answer.body);
            assert_eq!(state(&server, name)["state"], "Ready");
            assert_eq!(standing_by(&server), 1);
            assert!(server.metric("modelyard_memory_taken_bytes", &[]) <= budget as f64);
        }
    }
    // c was used last, and b before it: a makes room for none of them.
    assert_eq!(states(&server, &names), ["Standby", "Ready", "Ready"]);
    assert_eq!(ask(&server, "b").status, 200);
    assert_eq!(ask(&server, "a").status, 200);
    assert_eq!(states(&server, &names), ["Ready", "Ready", "Standby"], "c was unused for longest");
    let sum = |metric| names.iter().map(|name| total(&server, metric, name)).sum::<f64>();
    assert_eq!(sum("modelyard_model_loads_total"), 2.0 + sum("modelyard_model_evictions_total"));
    // What it did before it went on standby is not forgotten.
    assert_eq!(total(&server, "modelyard_requests_total", "c"), before + 3.0);
    assert_eq!(total(&server, "modelyard_model_memory_bytes", "c"), 0.0);
}

#[test]
fn one_that_is_larger_than_the_budget_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let models: Vec<Value> = products(folder.path(), &["large"]).into_iter().chain([mnist()]).collect();
    let server = Server::start(&models, &json!({ "memoryBudget": 3_000_000 }));
    assert_eq!((&state(&server, "mnist")["state"], &state(&server, "large")["reason"]), (&json!("Ready"), &json!("OutOfMemory")));
    let answer = ask(&server, "large");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("serving.memoryBudget"), "{}", answer.body);
    assert_eq!(post(server.address(), "/v1/models/mnist:predict", &mnist_body(1)).unwrap().status, 200);
}

/// Rows that keep the slow model busy for longer than the test takes.
fn busy(server: &Server) -> Connection {
    let rows = 2000;
    let input = json!({ "name": "x", "shape": [rows, 256], "datatype": "FP32", "data": vec![0.5; rows * 256] });
    let mut connection = Connection::open(server.address()).unwrap();
    connection.send(&request("/v2/models/slow/infer", &json!({ "inputs": [input] }).to_string())).unwrap();
    eventually("the slow model is busy", || (server.in_flight("slow") >= 1.0).then_some(()));
    connection
}

#[test]
fn one_in_use_stays_and_those_that_wait_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let large = products(folder.path(), &["large"]);
    // Room for either, not for both. What the small one takes is told within a megabyte, what the large one takes within pages.
    let budget = measured(&large, "large") + 100_000;
    let models: Vec<Value> = large.into_iter().chain([model("slow")]).collect();
    let server = Server::start(
        &models,
        &json!({
            "threads": 1, "requestTimeout": "1h", "memoryBudget": budget, "queue": { "maxLength": 1 }
        }),
    );
    let running = busy(&server);
    assert_eq!(state(&server, "large")["state"], "Standby");
    let body = json!({ "instances": vec![vec![0.5; WIDTH]; 1] }).to_string();
    let mut waiting = Connection::open(server.address()).unwrap();
    waiting.send(&request("/v1/models/large:predict", &body)).unwrap();
    let waits = || total(&server, "modelyard_requests_waiting_for_load", "large");
    eventually("a request waits for the large one", || (waits() >= 1.0).then_some(()));
    let refused = ask(&server, "large");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some() && refused.body.contains("wait for it already"), "{refused:?}");
    assert_eq!(state(&server, "slow")["state"], "Ready", "the one in use is never sent away");
    drop(running);
    let answer = waiting.read().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(states(&server, &["slow", "large"]), ["Standby", "Ready"]);
    assert_eq!(waits(), 0.0);
}

#[test]
fn many_at_once_for_more_models_than_there_is_room_for_are_all_answered() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..6).map(|at| format!("m{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let models = products(folder.path(), &names);
    let budget = measured(&models[..1], "m0") * 5 / 2;
    let server = Server::start(&models, &json!({ "memoryBudget": budget }));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for name in &names {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..5 {
                    let answer = ask(server, name);
                    assert_eq!(answer.status, 200, "{name}: {}", answer.body);
                }
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(server.metric("modelyard_memory_taken_bytes", &[]) <= budget as f64);
}
