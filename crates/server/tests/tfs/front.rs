//! The front page, for people and for tools, and paths that nothing serves.

use http::{Method, Request};
use serde_json::json;

use crate::house::{call, get, house, send};

#[tokio::test]
async fn json_says_what_this_is() {
    let house = house();
    let got = get(&house, "/").await;
    assert_eq!(got.header("content-type"), "application/json");
    let front = got.json();
    assert_eq!(front["status"], "alive");
    assert_eq!(front["name"], "modelyard");
    assert_eq!(front["ready"], false);
    let find = |name: &str| front["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap().clone();
    assert_eq!(find("half")["state"], "Ready");
    assert_eq!(find("half")["version"], "3");
    assert_eq!(find("half")["inputs"], json!([{ "name": "x", "datatype": "FP32", "shape": [-1, 2] }]));
    let half = "curl -s http://localhost:8080/v1/models/half:predict -d '{\"instances\":[[0.0,0.0]]}'";
    assert_eq!(find("half")["try"], half);
    assert_eq!(find("failed")["reason"], "ChecksumMismatch");
    assert_eq!(find("loading").get("inputs"), None);
}

#[tokio::test]
async fn a_browser_gets_a_page() {
    let house = house();
    for (host, shown) in [("models.example:80", "http://models.example:80/v1"), ("a<script>", "http://localhost:8080/v1")] {
        let request = Request::get("/").header("accept", "text/html,*/*;q=0.8").header("host", host);
        let got = send(&house, request.body(vec![]).unwrap()).await;
        assert_eq!(got.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(got.header("vary"), "accept");
        let page = got.text();
        assert!(page.contains(shown), "{page}");
        assert!(!page.contains("<script"), "{page}");
        for words in ["mnist", "image", "[-1, 784]", "ChecksumMismatch", "version 3", "/openapi.json", "state Ready"] {
            assert!(page.contains(words), "{words}");
        }
    }
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere() {
    let house = house();
    let request = Request::get("/").header("accept", "text/html");
    let front = send(&house, request.body(vec![]).unwrap()).await;
    for page in [front, get(&house, "/docs").await] {
        let policy = page.header("content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let text = page.text().replace("http://localhost:8080", "");
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src=\""), "{text}");
    }
}

#[tokio::test]
async fn unknown_paths_are_told_where_to_look() {
    let house = house();
    for (path, words) in [
        ("/v3/models", "unknown path '/v3/models'; the nearest known are /v2/models and /v1/models; GET / lists what there is"),
        ("/v2/health", "/v2/health/live and /v2/health/ready"),
        ("/v2/models/m/predict", "predictions are at /v2/models/m/infer"),
        ("/metrics", "on the admin port"),
        ("/docs/", "/docs"),
        ("/openapi", "/openapi.json"),
    ] {
        for method in [Method::GET, Method::POST] {
            let got = call(&house, method, path, "").await;
            assert_eq!(got.status.as_u16(), 404);
            assert!(got.error().contains(words), "{path}: {}", got.error());
        }
    }
    let long = get(&house, &format!("/{}", "x".repeat(60_000))).await;
    assert!(long.body.len() < 1000);
}

#[tokio::test]
async fn the_front_only_reads() {
    let house = house();
    for path in ["/", "/docs", "/openapi.json"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let got = call(&house, method.parse().unwrap(), path, "").await;
            assert_eq!(got.status.as_u16(), 405, "{method} {path}");
            assert_eq!(got.header("allow"), "GET, HEAD");
        }
    }
}
