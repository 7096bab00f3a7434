//! What is noted, for whom it holds, and what is forgotten.

use super::*;

fn model(name: &str, uri: &str) -> ModelConfig {
    ModelConfig::of(name.to_owned(), uri.to_owned())
}

fn pin(model: &ModelConfig, digit: &str) -> Pin {
    Pin { of: model.named(), digest: digit.repeat(64), content: None, version: Some("ETag=\"1\"".to_owned()) }
}

fn config(models: &[&ModelConfig]) -> ServerConfig {
    ServerConfig {
        models: models.iter().map(|model| (*model).clone()).collect(),
        serving: crate::server_config::ServingConfig::default(),
    }
}

#[test]
fn the_first_word_holds_for_its_restart_alone() {
    let m = model("m", "oci://r.example/m:1");
    let (config, mut pins) = (config(&[&m]), Pins::default());
    assert!(pins.lacks("", &config));
    pins.learn("", &config, [("m", &pin(&m, "a"))]);
    pins.learn("", &config, [("m", &pin(&m, "b"))]);
    assert_eq!(pins.of("", &m).unwrap().digest, "a".repeat(64));
    assert!(!pins.lacks("", &config) && pins.lacks("2026", &config) && pins.of("2026", &m).is_none());
    pins.learn("2026", &config, [("m", &pin(&m, "b"))]);
    assert_eq!(pins.of("2026", &m).unwrap().digest, "b".repeat(64));
    assert_eq!(Pins::from_json(&pins.to_json()).unwrap(), pins);
    let mut late = Pins::default();
    late.learn("", &config, [("m", &pin(&m, "c"))]);
    late.learn("2027", &config, [("m", &pin(&m, "c"))]);
    late.yield_to(&pins);
    assert_eq!(late.of("", &m).unwrap().digest, "a".repeat(64), "what was noted before holds");
    assert_eq!(late.of("2027", &m).unwrap().digest, "c".repeat(64));
    pins.keep(|restart| restart == "2026", &config);
    assert!(pins.of("", &m).is_none() && pins.of("2026", &m).is_some());
}

#[test]
fn a_model_that_asks_for_something_else_is_not_held_to_it_and_the_others_are() {
    let (a, b) = (model("a", "s3://b/a"), model("b", "s3://b/b"));
    let mut pins = Pins::default();
    pins.learn("", &config(&[&a, &b]), [("a", &pin(&a, "a")), ("b", &pin(&b, "b"))]);
    let changed: [fn(&mut ModelConfig); 4] = [
        |model| model.uri = "s3://b/c".to_owned(),
        |model| model.version = 2,
        |model| model.sha256 = Some("c".repeat(64)),
        |model| model.stamp = Some("1".to_owned()),
    ];
    for change in changed {
        let mut other = a.clone();
        change(&mut other);
        assert!(pins.of("", &other).is_none() && pins.lacks("", &config(&[&other, &b])), "{other:?}");
        assert!(pins.of("", &b).is_some());
    }
    let same = ModelConfig { classes: vec!["x".to_owned()], credentials_env: Some("S_".to_owned()), ..a.clone() };
    assert!(pins.of("", &same).is_some(), "it asks for the same bytes");
    pins.keep(|_| true, &config(&[&b]));
    assert!(pins.of("", &a).is_none() && pins.of("", &b).is_some());
    pins.keep(|_| true, &config(&[&a]));
    assert!(pins.is_empty());
}

#[test]
fn what_no_server_of_ours_says_is_not_noted() {
    let (m, fixed) = (model("m", "file:m.onnx"), model("f", &format!("oci://r.example/f@sha256:{}", "0".repeat(64))));
    let config = config(&[&m, &fixed]);
    let good = pin(&m, "a");
    for bad in [
        Pin { digest: "A".repeat(64), ..good.clone() },
        Pin { digest: "a".repeat(63), ..good.clone() },
        Pin { content: Some("x".to_owned()), ..good.clone() },
        Pin { version: Some("x".repeat(513)), ..good.clone() },
        Pin { version: Some("a\nb".to_owned()), ..good.clone() },
        Pin { of: "other".to_owned(), ..good.clone() },
        Pin::default(),
    ] {
        let mut pins = Pins::default();
        pins.learn("", &config, [("m", &bad), ("f", &pin(&fixed, "a")), ("unknown", &good)]);
        assert!(pins.is_empty(), "{bad:?}");
    }
}

#[test]
fn names_that_stay_are_told_from_names_that_move() {
    let (sum, commit) = ("a".repeat(64), "0123456789".repeat(4));
    for (uri, sha256, fixed) in [
        (format!("oci://r.example/m@sha256:{sum}"), None, true),
        (format!("oci://r.example/m:1@sha256:{sum}"), None, true),
        ("oci://r.example/m:1".to_owned(), None, false),
        ("oci://r.example/m:1".to_owned(), Some(sum.as_str()), false),
        ("oci://r.example/m@sha256:12".to_owned(), None, false),
        (format!("hf://a/b@{commit}/m.onnx"), None, true),
        (format!("hf://a/b/m@{commit}.onnx"), None, false),
        ("hf://a/b@main".to_owned(), None, false),
        ("hf://a/b".to_owned(), None, false),
        ("https://h/m.onnx".to_owned(), Some(sum.as_str()), true),
        ("https://h/m.onnx".to_owned(), None, false),
        ("s3://b/m/".to_owned(), Some(sum.as_str()), false),
        ("file:m".to_owned(), Some(sum.as_str()), false),
    ] {
        assert_eq!(is_fixed(&uri, sha256), fixed, "{uri} {sha256:?}");
    }
}
