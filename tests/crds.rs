//! The definitions in `crds/`, and the chart's rights, are what the code says, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use modelyard::cli::crds::{file_name, yaml};
use modelyard_core::api::crds;
use modelyard_core::rights;
use serde_json::Value;

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for definition in crds() {
        let (file, wanted) = (dir.join(file_name(&definition)), yaml(&definition).unwrap());
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == wanted, "{} is not what the types say: run `make generate`", file.display());
        // kubectl's client-side apply keeps the object's JSON in an annotation, which may have 262144 bytes with all others.
        let kept = serde_json::to_string(&definition).unwrap().len();
        assert!(kept < 240_000, "{kept} bytes: too large to be applied client-side");
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

#[test]
fn the_chart_grants_what_the_table_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/modelyard/files/rights.yaml");
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == rights::yaml(), "{} is not what the table says: run `make generate`", file.display());
    let read: Value = serde_yaml::from_str(&found).unwrap();
    for part in rights::PARTS {
        let rules: Vec<PolicyRule> = serde_json::from_value(read[part.name].clone()).unwrap();
        let granted = |right: &rights::Right, rule: &PolicyRule| {
            rule.api_groups.as_deref() == Some(&[right.group.to_owned()])
                && rule.resources.as_deref() == Some(&[right.resource.to_owned()])
                && rule.resource_names.as_deref().unwrap_or_default() == right.names
                && rule.verbs == right.verbs
        };
        assert_eq!(rules.len(), part.rights.len());
        assert!(part.rights.iter().zip(&rules).all(|(right, rule)| granted(right, rule)), "{rules:?}");
    }
}
