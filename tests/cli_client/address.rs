//! Addresses of servers: what is wrong with them, and what answers there.

use std::io::Read;
use std::net::TcpListener;

use super::*;

#[test]
fn a_password_is_never_printed() {
    let fake = Fake::start();
    let url = "http://user:s3cret@127.0.0.1:1";
    for arguments in [
        &["predict", "tiny", "--zeros", "--url", url][..],
        &["inspect", "tiny", "--url", url],
        &["predict", "tiny", "--zeros", "--url", "http://user:s3c/ret@127.0.0.1:1"],
    ] {
        let error = misuse(&fake, arguments);
        assert!(error.starts_with("error: --url '...@127.0.0.1:1': a user and a password before '@' are not taken"), "{error}");
        assert!(!error.contains("s3c"), "{error}");
    }
    for arguments in [&["predict", "tiny", "--zeros"][..], &["predict", "--help"], &["bench", "--help"]] {
        let output = modelyard(&fake, arguments).env("MODELYARD_URL", url).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8(said).unwrap().contains("s3cret"), "{arguments:?}");
    }
}

#[test]
fn an_empty_variable_is_not_set() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let input = file(folder.path(), "in.json", r#"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[0,0,1,2]}]}"#);
    let saved = folder.path().join("request.json");
    let arguments = ["predict", "tiny", "--input", &input, "--save-request", saved.to_str().unwrap()];
    let output = modelyard(&fake, &arguments).env("MODELYARD_URL", "").output().unwrap();
    let command = String::from_utf8(output.stdout).unwrap();
    assert!(command.contains("http://127.0.0.1:8080/v2/"), "{command} {}", String::from_utf8_lossy(&output.stderr));
}

/// Answers every request alike, whatever it is.
fn answering(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The request first: closing with it unread would reset the connection.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(reply.as_bytes());
        }
    });
    url
}

#[test]
fn what_is_no_model_server_is_told_so() {
    let fake = Fake::start();
    for (reply, words) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
            "GET /v2/models/tiny gave 404 with text/html",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "GET /v2/models/tiny gave 200 with no Content-Type"),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "no HTTP came back"),
    ] {
        let url = answering(reply);
        for command in [&["predict", "tiny", "--zeros"][..], &["bench", "tiny"], &["inspect", "tiny"]] {
            let error = refusal(&fake, &[command, &["--url", &url]].concat());
            let start = format!("error: {url} does not answer as Modelyard or another model server does: {words}");
            assert!(error.starts_with(&start), "{error}");
        }
    }
}
