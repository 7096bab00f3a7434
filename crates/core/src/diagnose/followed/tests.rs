//! What servers that follow their models say, and what is told of it.

use serde_json::{Value, json};

use super::*;

fn config(names: &[&str]) -> ServerConfig {
    let models: Vec<Value> = names.iter().map(|name| json!({"name": name, "uri": format!("http://models/{name}")})).collect();
    ServerConfig::from_json(&json!({ "models": models }).to_string()).unwrap()
}

/// A server that follows `digest`, with models in these states.
fn server(digest: &str, models: &[Value]) -> Loading {
    serde_json::from_value(json!({"state": "Ready", "models": models, "config": {"sha256": digest, "refused": null}})).unwrap()
}

fn model(name: &str, state: &str) -> Value {
    json!({"name": name, "version": 1, "state": state})
}

fn failed(name: &str) -> Value {
    json!({"name": name, "version": 1, "state": "Failed", "late": true, "reason": "ModelNotFound", "message": "404"})
}

fn refused(name: &str) -> Value {
    json!({"name": name, "version": 1, "state": "Ready", "refused": {"reason": "ModelInvalid", "message": "cut short"}})
}

#[test]
fn a_server_is_asked_until_it_has_nothing_new_to_say() {
    let changing = json!({"name": "a", "state": "Ready", "changing": true});
    for (said, expected) in [
        (server("now", &[model("a", "Ready"), model("b", "Standby")]), Attention::Enough),
        (server("before", &[model("a", "Ready")]), Attention::Soon),
        (server("now", &[model("a", "Ready"), model("b", "Downloading")]), Attention::Soon),
        (server("now", &[changing]), Attention::Soon),
        (server("now", &[failed("a"), model("b", "Warming")]), Attention::Soon),
        (server("now", &[model("a", "Ready"), failed("b")]), Attention::Later),
        (server("now", &[refused("a")]), Attention::Later),
        (server("now", &[model("a", "Unloaded")]), Attention::Later),
        (Loading::default(), Attention::Enough),
    ] {
        assert_eq!(attention(&said, "now"), expected, "{said:?}");
    }
    let mut said = server("before", &[model("a", "Ready")]);
    said.config.as_mut().unwrap().refused = Some("serving: expected".to_owned());
    assert_eq!(attention(&said, "now"), Attention::Later);
}

/// Each model as `name state reason message`, and what is told of all.
fn told(names: &[&str], said: &[Option<Loading>]) -> (Vec<String>, Option<(Reason, String)>) {
    let config = config(names);
    let followers = Followers { config: &config, digest: "now", said: said.iter().map(Option::as_ref).collect() };
    let models = followers.models();
    let shown = models.iter().map(|one| {
        let reason = one.reason.map_or("-", Reason::as_str);
        format!("{} {} {reason} {}", one.name, one.state.as_str(), one.message.as_deref().unwrap_or("-"))
    });
    (shown.collect(), followers.trouble(&models))
}

#[test]
fn each_model_is_as_where_it_is_worst() {
    let well = || Some(server("now", &[model("a", "Ready"), model("b", "Ready")]));
    let (models, trouble) = told(&["a", "b"], &[well(), well()]);
    assert_eq!((models, trouble), (vec!["a Ready - -".to_owned(), "b Ready - -".to_owned()], None));

    let one = Some(server("now", &[model("a", "Standby"), failed("b")]));
    let (models, trouble) = told(&["a", "b"], &[well(), one.clone()]);
    assert_eq!(models, ["a Ready - -", "b Failed ModelNotFound 1 of 2 replicas: 404"]);
    assert_eq!(trouble.unwrap(), (Reason::ModelNotFound, "model 'b': 1 of 2 replicas: 404".to_owned()));
    assert_eq!(told(&["a", "b"], &[one.clone(), one]).0, ["a Standby - -", "b Failed ModelNotFound 404"]);

    let (models, trouble) = told(&["a", "b", "c"], &[Some(server("now", &[refused("a"), failed("b"), model("c", "Ready")]))]);
    assert_eq!(models[0], "a Failed ModelInvalid cut short; the one before serves on");
    let words = "model 'a': cut short; the one before serves on; 1 others failed too";
    assert_eq!(trouble.unwrap(), (Reason::ModelInvalid, words.to_owned()));
}

#[test]
fn what_is_under_way_is_told_as_that() {
    let before = Some(server("before", &[model("a", "Ready")]));
    let (models, trouble) = told(&["a", "b"], &[before]);
    assert_eq!(models, ["a Ready - -", "b Loading - its server has not been told of it yet"]);
    assert_eq!(trouble.unwrap(), (Reason::Loading, "1 of 1 replicas are being told of their models".to_owned()));

    let coming = Some(server("now", &[model("a", "Ready"), model("b", "Downloading")]));
    let (models, trouble) = told(&["a", "b"], &[coming]);
    assert_eq!(models[1], "b Loading Downloading its bytes are on their way");
    assert_eq!(trouble.unwrap(), (Reason::Loading, "model 'b' is being loaded".to_owned()));

    // Somebody's wish is nobody's trouble.
    let (models, trouble) = told(&["a"], &[Some(server("now", &[model("a", "Unloaded")]))]);
    assert!(models[0].starts_with("a Unloaded - a client asked"), "{models:?}");
    assert_eq!(trouble, None);
}

#[test]
fn servers_that_say_nothing_or_follow_nothing_are_told_apart() {
    let (models, trouble) = told(&["a"], &[None]);
    assert!(models[0].starts_with("a Unknown - no replica says how it is"), "{models:?}");
    assert_eq!(trouble, None);

    let mut old = server("", &[model("a", "Ready")]);
    old.config = None;
    assert_eq!(told(&["a"], &[Some(old.clone())]).1, None, "it has what is wanted, however it came to it");
    let (reason, words) = told(&["a", "b"], &[Some(old)]).1.unwrap();
    assert!(reason == Reason::InvalidSpec && words.contains("modelyard restart"), "{words}");

    let mut refusing = server("before", &[model("a", "Ready")]);
    refusing.config.as_mut().unwrap().refused = Some("serving: expected what the server started with".to_owned());
    let (reason, words) = told(&["a"], &[Some(refusing)]).1.unwrap();
    assert!(reason == Reason::InvalidSpec && words.contains("serving: expected"), "{words}");
}
