//! What a replica serves, those that start later serve too: beside it, in its place after it was killed. An edit asks anew.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::Value;

use crate::session::{Session, condition, deployment, kill, model, one};

/// A store without versions, of one object: its bytes.
fn store(bytes: Arc<Mutex<Vec<u8>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/m.onnx", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // A request without a body fits in here; who says none has gone.
            if !stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                continue;
            }
            let body = bytes.lock().unwrap().clone();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    url
}

/// The digest that each replica says that it serves.
fn digests(event: &Value) -> Vec<Option<String>> {
    let replicas = one(event, "m")["replicas"].as_array().into_iter().flatten();
    replicas.map(|replica| replica["models"][0]["digest"].as_str().map(str::to_owned)).collect()
}

/// Until so many replicas serve, all the same.
fn until(session: &mut Session, replicas: usize, wanted: impl Fn(&str) -> bool) -> String {
    let event = session.until("all replicas serve the same", |event| {
        let all = digests(event);
        condition(event, "m", "Ready")["status"] == "True"
            && all.len() == replicas
            && all.iter().all(|digest| digest == &all[0] && digest.as_deref().is_some_and(&wanted))
    });
    assert_eq!(one(&event, "m")["status"]["revisions"][0]["digest"].as_str(), digests(&event)[0].as_deref());
    digests(&event).remove(0).unwrap()
}

#[test]
fn a_replica_that_comes_later_serves_what_the_first_does() {
    let (first, second) = (std::fs::read(model("add")).unwrap(), std::fs::read(model("identity_fp32")).unwrap());
    let bytes = Arc::new(Mutex::new(first));
    let url = store(Arc::clone(&bytes));
    let yaml = |replicas: u32, version: u32| {
        deployment(
            "m",
            &format!("  model: {{uri: \"{url}\", version: {version}}}\n  replicas: {replicas}\n  serving: {{drainDelay: 0s}}"),
        )
    };
    let mut session = Session::start(&yaml(1, 1));
    let digest = until(&mut session, 1, |_| true);
    *bytes.lock().unwrap() = second;
    session.edit(&yaml(2, 1));
    assert_eq!(until(&mut session, 2, |_| true), digest, "beside it");
    let victim = session.pids()[0];
    kill(victim, Signal::KILL);
    session.until("it is gone", |event| {
        let replicas = one(event, "m")["replicas"].as_array().cloned().unwrap_or_default();
        !replicas.is_empty() && replicas.iter().all(|replica| replica["pid"] != victim)
    });
    assert_eq!(until(&mut session, 2, |_| true), digest, "in its place");
    session.edit(&yaml(2, 2));
    assert_ne!(until(&mut session, 2, |now| now != digest), digest, "an edit asks anew");
}
