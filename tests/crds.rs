//! The definitions in `crds/` are what the types say, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use modelyard::cli::crds::{file_name, yaml};
use modelyard_core::api::crds;
use serde_json::Value;

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for definition in crds() {
        let (file, wanted) = (dir.join(file_name(&definition)), yaml(&definition).unwrap());
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == wanted, "{} is not what the types say: run `make generate`", file.display());
        assert!(wanted.len() < 200_000, "{} bytes: too large to be applied client-side", wanted.len());
    }
    let files = fs::read_dir(&dir).unwrap().count();
    assert_eq!(files, crds().len(), "a file in crds/ that no type makes: remove it, then run `make generate`");
}

#[test]
fn the_yaml_is_read_back_as_the_definition() {
    for definition in crds() {
        let read: Value = serde_yaml::from_str(&yaml(&definition).unwrap()).unwrap();
        assert_eq!(definition, serde_json::from_value::<CustomResourceDefinition>(read).unwrap());
    }
}
