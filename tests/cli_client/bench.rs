//! `bench`: loops, counts, and a prober beside a rollout.

use super::*;

#[test]
fn every_protocol_is_measured() {
    let fake = Fake::start();
    for protocol in PROTOCOLS {
        let arguments = ["bench", "tiny", "--protocol", protocol, "-n", "200", "-c", "3", "--warm-up", "0", "-o", "json"];
        let found = document(&fake, &arguments);
        assert_eq!((&found["answered"], &found["failed"], &found["loop"]), (&json!(200), &json!(0), &json!("closed")), "{found}");
        assert!(found["latency_ms"]["p50"].as_f64() > Some(0.0) && found["requests_per_second"].as_f64() > Some(10.0));
        assert!(found["latency_ms"]["p50"].as_f64() <= found["latency_ms"]["max"].as_f64());
    }
    let shown = stdout(&fake, &["bench", "tiny", "--rate", "200", "-d", "0.5", "--warm-up", "0.1"]);
    assert!(
        shown.contains("open loop at 200 requests/s") && shown.contains("p99.9") && shown.contains("raise --rate"),
        "{shown}"
    );
}

/// One stall of 400 ms at 200 requests a second delays some eighty of two hundred, and every one of them must count.
#[test]
fn an_open_loop_charges_a_stall_in_full() {
    let fake = Fake::start();
    let arguments = ["bench", "stalls", "-d", "1", "--warm-up", "0", "-c", "1", "-o", "json"];
    let open = document(&fake, &[&arguments[..], &["--rate", "200"]].concat());
    assert!(open["latency_ms"]["p90"].as_f64() > Some(100.0), "{open}");
    assert_eq!(open["answered"], json!(200), "{open}");
}

#[test]
fn failures_are_counted_by_status() {
    let fake = Fake::start();
    let found = run(&fake, &["bench", "full", "-n", "50", "--warm-up", "0", "-o", "json"]);
    assert_eq!(found.status.code(), Some(1), "nothing was answered");
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((&found["answered"], &found["failures"]["503"]["count"]), (&json!(0), &json!(50)), "{found}");
    assert!(found["failures"]["503"]["first"].as_str().unwrap().contains("the queue is full"));
}

#[test]
fn a_prober_runs_until_stopped_and_says_failures() {
    let fake = Fake::start();
    let arguments = ["bench", "full", "--until-stopped", "--rate", "100", "-c", "2", "--warm-up", "0", "-o", "json"];
    let child = modelyard(&fake, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while fake.requests.infers.load(Ordering::Relaxed) < 30 {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Z after ") && said.contains("the server answered 503: the queue is full"), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["failures"]["503"]["count"].as_u64() >= Some(20), "{found}");
}
