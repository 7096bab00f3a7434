//! One document: is it ours, what does the schema say, what do the rules say, what does it resolve to.

use std::path::Path as File;

use modelyard_core::api;
use modelyard_core::resolve::resolve;
use modelyard_core::schema::{Kind, Path, Schema, Violation, nearest, schemas};
use modelyard_core::warn::warnings;
use serde_json::Value;

use super::diagnostic::Severity;
use super::yaml::{self, Node, Span};
use super::{Diagnostic, Manifest, Reading, Written, rules, typed, words};

/// Reads every document of a text into the reading. Whether the file was `listed` in a folder, and not named, decides what JSON
/// that is no manifest is: data beside it, or a fault.
pub(super) fn text(file: &File, text: &str, listed: bool, reading: &mut Reading) {
    let documents = yaml::documents(text);
    let lines: Vec<&str> = text.lines().collect();
    let page = Page { file, lines: &lines };
    if documents.is_empty() {
        reading.notes.push(Diagnostic::of_file(file, "no document in this file"));
    }
    let mut found = Vec::new();
    let may_be_data = listed && file.extension().is_some_and(|end| end == "json");
    for document in &documents {
        if may_be_data && document.node.as_ref().is_some_and(claims_nothing) {
            reading.notes.push(Diagnostic::of_file(file, "skipped: it has no apiVersion and no kind"));
            continue;
        }
        let faults = document.faults.iter().map(|fault| page.about(fault.span, &fault.path, fault.message.clone()));
        let mut check = Check { page: &page, found: faults.collect() };
        if let Some(node) = &document.node {
            check.document(node, reading);
        }
        found.append(&mut check.found);
    }
    found.sort_by_key(|one| one.position.map_or((0, 0), |at| (at.line, at.column)));
    reading.diagnostics.append(&mut found);
}

/// Whether it is an object that does not say what kind of object it is.
fn claims_nothing(node: &Node) -> bool {
    let written = |field: &str| node.has(&Path::root().key(field));
    node.value().is_object() && !written("apiVersion") && !written("kind")
}

/// Reads every document of a text, whatever kind it is of.
pub(super) fn every(file: &File, text: &str, found: &mut Vec<Written>, faults: &mut Vec<Diagnostic>) {
    let lines: Vec<&str> = text.lines().collect();
    let page = Page { file, lines: &lines };
    for document in yaml::documents(text) {
        faults.extend(document.faults.iter().map(|fault| page.about(fault.span, &fault.path, fault.message.clone())));
        let Some(node) = document.node.filter(|_| document.faults.is_empty()) else { continue };
        let items = match (node.text("apiVersion"), node.text("kind")) {
            (Some("v1"), Some("List")) => node.items("items"),
            _ => None,
        };
        let nodes = items.unwrap_or(std::slice::from_ref(&node));
        found.extend(nodes.iter().map(|node| Written { file: file.to_owned(), line: node.span().line, value: node.value() }));
    }
}

/// A file's name and lines, for messages.
struct Page<'a> {
    file: &'a File,
    lines: &'a [&'a str],
}

impl Page<'_> {
    /// The text at a place, as far as it is on one line.
    fn written(&self, span: Span) -> String {
        let line = self.lines.get(span.line - 1).copied().unwrap_or_default();
        line.chars().skip(span.column - 1).take(span.length).collect()
    }

    fn about(&self, span: Option<Span>, path: &Path, message: String) -> Diagnostic {
        Diagnostic {
            position: span.map(Into::into),
            path: path.to_string(),
            source: span.and_then(|span| self.lines.get(span.line - 1)).map(|line| (*line).to_owned()),
            ..Diagnostic::of_file(self.file, &message)
        }
    }
}

struct Check<'a> {
    page: &'a Page<'a>,
    found: Vec<Diagnostic>,
}

/// Whose a document is.
enum Owner {
    Ours(&'static Schema),
    Foreign(String),
    Unclear,
}

impl Check<'_> {
    fn document(&mut self, node: &Node, reading: &mut Reading) {
        if let (Some("v1"), Some("List"), Some(items)) = (node.text("apiVersion"), node.text("kind"), node.items("items")) {
            return items.iter().for_each(|item| self.document(item, reading));
        }
        match self.owner(node) {
            Owner::Ours(schema) => self.object(schema, node, reading),
            Owner::Foreign(name) => {
                let message = format!("{name} is skipped: it is no kind of Modelyard");
                let note = self.page.about(Some(node.span()), &Path::root(), message);
                reading.notes.push(Diagnostic { source: None, ..note });
            }
            Owner::Unclear => {}
        }
    }

    fn say(&mut self, span: Span, path: &Path, message: impl Into<String>) {
        let diagnostic = self.page.about(Some(span), path, message.into());
        self.found.push(diagnostic);
    }

    /// Decides by `apiVersion` and `kind`, and says what is wrong with them.
    fn owner(&mut self, node: &Node) -> Owner {
        let (at_version, at_kind) = (Path::root().key("apiVersion"), Path::root().key("kind"));
        if !node.value().is_object() {
            self.say(node.span(), &Path::root(), "Invalid value: expected an object with apiVersion, kind, metadata and spec");
            return Owner::Unclear;
        }
        let (version, kind) = match (node.text("apiVersion"), node.text("kind")) {
            (Some(version), Some(kind)) => (version, kind),
            (version, kind) => {
                for (path, value, expected) in [(at_version, version, api::API_VERSION), (at_kind, kind, "ModelDeployment")] {
                    if value.is_none() {
                        self.say(node.place(&path), &path, format!("Required value: expected a text such as {expected}"));
                    }
                }
                return Owner::Unclear;
            }
        };
        let ours = version.split('/').next() == Some(api::GROUP);
        let known = schemas().iter().find(|schema| schema.kind == kind);
        match known {
            Some(schema) if schema.api_version == version => Owner::Ours(schema),
            Some(schema) => {
                let message = format!("Unsupported value: {version:?}: supported values: {:?}", schema.api_version);
                self.say(node.place(&at_version), &at_version, message);
                Owner::Unclear
            }
            None if ours => {
                let kinds: Vec<&str> = schemas().iter().map(|schema| schema.kind.as_str()).collect();
                let hint =
                    nearest(kind, kinds.iter().copied()).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                let message = format!("Unsupported value: {kind:?}: supported values: {:?}{hint}", kinds.join(", "));
                self.say(node.place(&at_kind), &at_kind, message);
                Owner::Unclear
            }
            None => {
                let name = node.value()["metadata"]["name"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
                Owner::Foreign(format!("{kind}{name} ({version})"))
            }
        }
    }

    fn object(&mut self, schema: &'static Schema, node: &Node, reading: &mut Reading) {
        let mut object = node.value();
        schema.complete(&mut object);
        let violations = schema.violations(&object);
        for violation in &violations {
            let place = place(node, violation);
            self.say(place, &violation.path, words::explained(schema, violation, self.page.written(place)));
        }
        for broken in rules::broken(schema, &object, node, !violations.is_empty()) {
            // A field that the schema refuses already needs no second message.
            if violations.iter().all(|violation| violation.path != broken.path) {
                let value = at(&object, &broken.path).map(|value| format!("{value}: ")).unwrap_or_default();
                self.say(node.place(&broken.about), &broken.path, format!("Invalid value: {value}{}", broken.message));
            }
        }
        let name = object["metadata"]["name"].as_str().map(|name| format!("{}/{name}", schema.kind));
        // Of a list, one bad item spoils the rest: it is one document.
        if !self.found.is_empty() {
            self.typed(schema, node, &object);
        } else if let Some(manifest) = self.manifest(schema, node, object) {
            reading.manifests.push(manifest);
        }
        self.found.iter_mut().filter(|one| one.object.is_none()).for_each(|one| one.object.clone_from(&name));
    }

    /// The typed object, resolved. What fails only here is a gap in the schema or its rules, and is said all the same.
    fn manifest(&mut self, schema: &Schema, node: &Node, object: Value) -> Option<Manifest> {
        let deployment = match serde_json::from_value::<api::ModelDeployment>(object.clone()) {
            Ok(deployment) => deployment,
            Err(error) => {
                self.say(node.span(), &Path::root(), format!("Invalid value: {error}"));
                return None;
            }
        };
        match resolve(&deployment) {
            Ok(resolved) => {
                let written = node.value();
                let object = Some(format!("ModelDeployment/{}", resolved.name));
                let warnings = warnings(&deployment, &written).into_iter().map(|one| {
                    let path = Path::parse(&one.field);
                    let about = self.page.about(Some(node.place(&path)), &path, one.message);
                    Diagnostic { object: object.clone(), severity: Severity::Warning, ..about }
                });
                let warnings = warnings.collect();
                Some(Manifest {
                    file: self.page.file.to_owned(),
                    line: node.span().line,
                    deployment,
                    resolved,
                    written,
                    warnings,
                })
            }
            Err(_) => {
                self.typed(schema, node, &object);
                None
            }
        }
    }

    /// Says what only the typed object shows, beside what is said of this object already.
    fn typed(&mut self, schema: &Schema, node: &Node, object: &Value) {
        let known: Vec<Path> = self.found.iter().filter(|one| one.object.is_none()).map(|one| Path::parse(&one.path)).collect();
        for invalid in typed::faults(schema, object, &known) {
            let path = Path::parse(&invalid.field);
            self.say(node.place(&path), &path, format!("Invalid value: {}", invalid.message));
        }
    }
}

/// An unknown field is pointed at by its key, and so is a key that is none; everything else by its value.
fn place(node: &Node, violation: &Violation) -> Span {
    match violation.kind {
        Kind::Unknown | Kind::Key => node.key_place(&violation.path),
        _ => node.place(&violation.path),
    }
}

/// The value at a path for a message, where it is a scalar: the API server shows no others.
fn at<'a>(object: &'a Value, path: &Path) -> Option<&'a Value> {
    use modelyard_core::schema::Segment;

    let found = path.segments().iter().try_fold(object, |value, segment| match segment {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    });
    found.filter(|value| !value.is_object() && !value.is_array())
}
