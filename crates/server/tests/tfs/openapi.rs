//! The OpenAPI document: it holds together, and what it names is there.

use std::collections::HashSet;

use http::Method;
use serde_json::{Value, json};

use crate::house::{call, get, house};

/// Every `$ref` of a document.
fn references<'a>(node: &'a Value, found: &mut Vec<&'a str>) {
    match node {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, one)| (path, method, one))).collect()
}

#[tokio::test]
async fn the_document_holds_together() {
    let document = get(&house(), "/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    let tags: HashSet<_> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = HashSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{method} {path}");
        let named: HashSet<_> = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let declared: HashSet<_> =
            parameters.iter().filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(named, declared.iter().map(String::as_str).collect(), "{method} {path}");
        assert!(!operation["responses"].as_object().unwrap().is_empty());
    }
}

#[tokio::test]
async fn every_path_is_served_and_every_status_documented() {
    let house = house();
    let document = get(&house, "/openapi.json").await.json();
    for (path, method, operation) in operations(&document) {
        for model in ["half", "nix", "loading", "unloaded", "failed"] {
            let path = path.replace("{model}", model).replace("{version}", "3");
            let method: Method = method.to_uppercase().parse().unwrap();
            for body in ["", "{}", r#"{"instances":[[1,2]]}"#] {
                let got = call(&house, method.clone(), &path, body).await;
                let status = got.status.as_str();
                assert!(!got.text().contains("unknown path") && !got.text().contains("Malformed"), "{method} {path}");
                let response = &operation["responses"][status];
                assert!(response.is_object(), "{method} {path} answered {status}: {}", got.text());
                let response = response["$ref"].as_str().map_or(response, |at| document.pointer(&at[1..]).unwrap());
                let kind = got.header("content-type").split(';').next().unwrap();
                assert!(response["content"].get(kind).is_some(), "{method} {path} {status} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn a_loaded_model_has_its_own_shapes() {
    let document = get(&house(), "/openapi.json").await.json();
    let mnist = &document["paths"]["/v1/models/mnist:predict"]["post"]["requestBody"]["content"]["application/json"];
    let rows = &mnist["schema"]["properties"]["instances"];
    assert_eq!(rows["minItems"], 1);
    assert_eq!(
        rows["items"],
        json!({ "type": "array", "items": { "type": ["number", "null"] }, "minItems": 784, "maxItems": 784 })
    );
    let pair = &document["paths"]["/v1/models/pair:predict"]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(pair["schema"]["properties"]["instances"]["items"]["required"], json!(["a", "b"]));
    let scalar = &document["paths"]["/v1/models/scalar:predict"]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(scalar["schema"]["properties"].get("instances"), None);
    let infer = &document["paths"]["/v2/models/half/infer"]["post"]["requestBody"]["content"]["application/json"];
    let input = &infer["schema"]["properties"]["inputs"]["items"]["oneOf"][0]["properties"];
    assert_eq!(input["name"]["const"], "x");
    assert_eq!(input["shape"]["prefixItems"], json!([{ "type": "integer", "minimum": 0 }, { "const": 2 }]));
    assert!(document["paths"].get("/v1/models/a%20model%2Fx%3Ay:predict").is_some());
    assert!(document["paths"].get("/v1/models/loading:predict").is_none());
}

#[tokio::test]
async fn examples_are_answered() {
    let house = house();
    let document = get(&house, "/openapi.json").await.json();
    let mut tried = 0;
    for (path, method, operation) in operations(&document) {
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        if example.is_null() || path.contains("/fails") {
            continue;
        }
        let got = call(&house, method.to_uppercase().parse().unwrap(), path, example.to_string()).await;
        // The Open Inference Protocol carries bytes that are not UTF-8 in binary alone.
        let binary = path.contains("/binary/infer");
        assert!(got.status.is_success() || binary, "{path} {example}: {}", got.text());
        tried += 1;
    }
    assert!(tried > 20);
}
