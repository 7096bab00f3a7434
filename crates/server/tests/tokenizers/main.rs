//! Tokens are those of the published tokenizers (reference.py writes reference.json), and what is not known is refused by name.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

use std::collections::BTreeMap;

use modelyard_server::tokenizer::Tokenizer;
use serde_json::{Value, json};

fn reference() -> Value {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

fn read(file: &Value) -> Result<Tokenizer, String> {
    Tokenizer::read(&serde_json::to_vec(file).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn tokens_are_those_of_the_published_tokenizers() {
    let reference = reference();
    let files = reference["tokenizers"].as_object().unwrap();
    let tokenizers: BTreeMap<&str, Tokenizer> = files.iter().map(|(name, file)| (name.as_str(), read(file).unwrap())).collect();
    let mut wrong = Vec::new();
    let cases = reference["cases"].as_array().unwrap();
    assert!(cases.len() > 500, "{}", cases.len());
    for case in cases {
        let name = case["tokenizer"].as_str().unwrap();
        let tokenizer = &tokenizers[name];
        let most = tokenizer.longest().unwrap_or(usize::MAX);
        let found = tokenizer.encode(case["text"].as_str().unwrap(), case["pair"].as_str(), most);
        let same = match &found {
            Ok(found) => json!(found.ids) == case["ids"] && json!(found.types) == case["types"],
            Err(_) => case["error"].is_string(),
        };
        if !same {
            wrong.push(format!(
                "{name}: {}, {}: {found:?}\n  expected {} {}",
                case["text"], case["pair"], case["ids"], case["error"]
            ));
        }
    }
    let shown: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} of {}: {shown:#?}", wrong.len(), cases.len());
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let reference = reference();
    let bert = &reference["tokenizers"]["bert-uncased"];
    for (pointer, value, message) in [
        ("/model/type", json!("Other"), "model.type: Other is not known here; expected BPE, Unigram, WordLevel, WordPiece"),
        ("/model/unk_token", json!("<none>"), "model.unk_token: expected a token of the vocabulary, found \"<none>\""),
        ("/normalizer", json!({"type": "Odd"}), "normalizer.type: Odd is not known here; expected BertNormalizer,"),
        (
            "/normalizer",
            json!({"type": "Replace", "pattern": {"Regex": r"\p{L}(?=x)"}, "content": ""}),
            "normalizer.pattern.Regex: this pattern is not known here",
        ),
        (
            "/pre_tokenizer",
            json!({"type": "Sequence", "pretokenizers": [{"type": "UnicodeScripts"}]}),
            "pre_tokenizer.pretokenizers[0].type: UnicodeScripts is not known here",
        ),
        ("/normalizer/lowercase", json!(3), "normalizer.lowercase: expected true or false, found 3"),
        ("/truncation/strategy", json!("Longest"), "truncation.strategy: expected LongestFirst, OnlyFirst or OnlySecond"),
        (
            "/padding",
            json!({"strategy": {"Fixed": -1}, "pad_id": 0}),
            "padding.strategy.Fixed: expected a whole number, found -1",
        ),
        (
            "/post_processor",
            json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}], "pair": [], "special_tokens": {}}),
            "post_processor.special_tokens.x.ids: expected a list, found null",
        ),
        ("/version", json!("2.0"), ""),
    ] {
        let mut file = bert.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        let said = read(&file).err().unwrap_or_default();
        assert!(said.starts_with(message) && said.is_empty() == message.is_empty(), "{pointer}: {said}");
    }
    let mut file = bert.clone();
    file["normalizer"]["new_rule"] = json!(true);
    assert_eq!(read(&file).err().unwrap(), "normalizer.new_rule: this field is not known here");
    file["normalizer"] = json!(null);
    file["model"] = json!({"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1});
    assert!(read(&file).err().unwrap().starts_with("model.dropout: expected null"));
    file["model"] = json!({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]});
    assert_eq!(read(&file).err().unwrap(), "model.merges[0]: 'ab' is no token of the vocabulary");
    assert!(Tokenizer::read(b"{").err().unwrap().to_string().starts_with("the file: expected JSON"));
}

/// Whatever the file's texts are, tokens are as many as are wanted at most.
#[test]
fn texts_are_cut_to_length() {
    let reference = reference();
    for (name, file) in reference["tokenizers"].as_object().unwrap() {
        let tokenizer = read(file).unwrap();
        for most in [8, 9, 20] {
            let found = tokenizer.encode("a rather long text, of which little is left", None, most).unwrap();
            assert!(found.ids.len() <= most && found.types.len() == found.ids.len(), "{name}: {found:?}");
        }
    }
}
