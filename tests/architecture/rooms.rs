//! Which room may name which, by the paths in its files.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::paths::paths;

/// What the files of a room must not name.
struct Rule {
    /// The folder of sources that holds the room.
    sources: &'static str,
    /// The room: a module of the crate, or `""` for all of it.
    room: &'static str,
    /// Paths, and all beneath them, that the room must not name.
    forbidden: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        sources: "src",
        room: "gateway",
        forbidden: &[
            "crate::controller",
            "crate::local",
            "crate::cli",
            "crate::manifest",
            "crate::inputs",
            "crate::evaluation",
            "crate::*",
        ],
        why: "controller, gateway, local and cli do not import one another",
    },
    Rule {
        sources: "src",
        room: "local",
        forbidden: &["crate::controller", "crate::cli", "crate::*"],
        why: "controller, gateway, local and cli do not import one another; local runs the gateway, and nothing else of them",
    },
    Rule {
        sources: "src",
        room: "controller",
        forbidden: &["crate::gateway", "crate::local", "crate::cli", "crate::*"],
        why: "controller, gateway, local and cli do not import one another",
    },
    Rule {
        sources: "src",
        room: "cli",
        // `cli` starts the others by their one entry each, as `main` would; it takes nothing of them apart.
        forbidden: &["crate::gateway", "crate::*"],
        why: "controller, gateway, local and cli do not import one another",
    },
    Rule {
        sources: "src",
        room: "client",
        forbidden: &["crate::cli", "crate::local", "crate::gateway", "crate::controller", "crate::*"],
        why: "rooms that cli and local share know neither",
    },
    Rule {
        sources: "src",
        room: "inputs",
        forbidden: &["crate::cli", "crate::local", "crate::gateway", "crate::controller", "crate::*"],
        why: "rooms that cli and local share know neither",
    },
    Rule {
        sources: "src",
        room: "evaluation",
        forbidden: &["crate::cli", "crate::local", "crate::gateway", "crate::controller", "crate::client", "crate::*"],
        why: "figures are computed from data alone",
    },
    Rule {
        sources: "src",
        room: "manifest",
        forbidden: &["crate::cli", "crate::local", "crate::gateway", "crate::controller", "crate::client", "crate::*"],
        why: "rooms that cli and local share know neither",
    },
    Rule {
        sources: "crates/server/src",
        room: "engine",
        forbidden: &[
            "http",
            "http_body",
            "http_body_util",
            "hyper",
            "hyper_util",
            "tokio",
            "modelyard_wire::json",
            "modelyard_wire::proto",
            "crate::protocol",
            "crate::serve",
            "crate::observe",
            "crate::fault",
            "crate::registry",
            "crate::load",
            "crate::infer",
            "crate::*",
        ],
        why: "engines are synchronous and never see HTTP or protocol types",
    },
    Rule {
        sources: "crates/server/src",
        room: "steps",
        forbidden: &[
            "http",
            "hyper",
            "tokio",
            "modelyard_wire::json",
            "crate::protocol",
            "crate::serve",
            "crate::fault",
            "crate::registry",
            "crate::load",
            "crate::infer",
            "crate::*",
        ],
        why: "steps are functions over tensors around an engine, and know nothing of serving",
    },
    Rule {
        sources: "crates/server/src",
        room: "protocol",
        forbidden: &["crate::infer::batch", "crate::infer::lane", "crate::infer::*", "crate::engine::tract", "crate::*"],
        why: "protocol adapters decode, call infer and encode; they never touch the batcher, the lanes or one engine",
    },
    Rule {
        sources: "crates/core/src",
        room: "",
        forbidden: &[
            "tokio",
            "hyper",
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "Timestamp::now",
            "jiff::Timestamp::now",
            "Zoned::now",
            "jiff::Zoned::now",
        ],
        why: "core decides without I/O, and time is a parameter",
    },
];

/// A rule broken.
#[derive(Debug, PartialEq, Eq)]
struct Broken {
    file: PathBuf,
    path: String,
    why: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} names {}: {}", self.file.display(), self.path, self.why)
    }
}

/// What the file `file` (relative to the rule's sources) breaks of `rule`.
fn broken(rule: &Rule, file: &Path, source: &str) -> Vec<Broken> {
    let module = module_of(file);
    let room = if rule.room.is_empty() { "crate".to_owned() } else { format!("crate::{}", rule.room) };
    if !is_within(&module, &room) {
        return Vec::new();
    }
    let names = paths(source, &module).into_iter();
    let bad = names.filter(|path| rule.forbidden.iter().any(|forbidden| is_within(path, forbidden)));
    bad.map(|path| Broken { file: Path::new(rule.sources).join(file), path, why: rule.why }).collect()
}

/// `local/run.rs` is `crate::local::run`, `local/mod.rs` is `crate::local`.
fn module_of(file: &Path) -> String {
    let without = file.with_extension("");
    let parts = without.iter().map(|part| part.to_string_lossy()).filter(|part| !matches!(&**part, "mod" | "lib" | "main"));
    parts.fold("crate".to_owned(), |outer, inner| format!("{outer}::{inner}"))
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The Rust files beneath `folder`, relative to it, without those of tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if stem == "tests" || stem.ends_with("_tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn rooms_name_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for rule in RULES {
        let folder = root.join(rule.sources);
        for file in files(&folder) {
            all.extend(broken(rule, &file, &fs::read_to_string(folder.join(&file)).unwrap()));
        }
    }
    let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    assert!(all.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn every_room_of_a_rule_exists_or_is_yet_to_come() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for rule in RULES.iter().filter(|rule| rule.room != "controller") {
        let folder = root.join(rule.sources).join(rule.room);
        assert!(folder.is_dir(), "{} is gone: a rule that guards nothing", folder.display());
    }
}

#[test]
fn the_checker_sees_each_way_to_break_a_rule() {
    let rule = |room: &str| RULES.iter().find(|rule| rule.room == room).unwrap();
    for (room, file, source, path) in [
        ("gateway", "gateway/relay.rs", "use crate::local::Options;", "crate::local::Options"),
        ("gateway", "gateway/relay.rs", "use super::super::cli;", "crate::cli"),
        ("gateway", "gateway/mod.rs", "fn f() -> crate::{cli::X} {}", "crate::cli::X"),
        ("local", "local/run.rs", "use crate::{gateway::Table, cli::served};", "crate::cli::served"),
        ("engine", "engine/tract/mod.rs", "use http::StatusCode;", "http::StatusCode"),
        ("engine", "engine/mod.rs", "fn f(x: &hyper::Request<()>) {}", "hyper::Request"),
        ("engine", "engine/mod.rs", "use crate::fault::{Code, Fault};", "crate::fault::Code"),
        ("steps", "steps/mod.rs", "use crate::infer::Model;", "crate::infer::Model"),
        ("protocol", "protocol/oip/infer.rs", "use crate::infer::{batch::stack, Model};", "crate::infer::batch::stack"),
        ("protocol", "protocol/oip/infer.rs", "use crate::infer::lane;", "crate::infer::lane"),
        ("", "plan.rs", "fn now() { std::fs::read(\"x\"); }", "std::fs::read"),
        ("", "plan.rs", "use tokio::time;", "tokio::time"),
        ("", "plan.rs", "use jiff::Timestamp; fn f() { Timestamp::now(); }", "Timestamp::now"),
    ] {
        let found = broken(rule(room), Path::new(file), source);
        assert!(found.iter().any(|broken| broken.path == path), "{room}, {source}: {found:?}");
    }
}

#[test]
fn the_checker_leaves_what_is_allowed() {
    let rule = |room: &str| RULES.iter().find(|rule| rule.room == room).unwrap();
    for (room, file, source) in [
        ("local", "local/run.rs", "use crate::gateway::{self, Table};"),
        ("gateway", "local/run.rs", "use crate::local::Options;"),
        ("gateway", "gateway/relay.rs", "// crate::cli\nconst X: &str = \"crate::cli\";"),
        ("engine", "engine/mod.rs", "#[cfg(test)]\nmod tests { use http::StatusCode; }"),
        ("engine", "engine/mod.rs", "use crate::signature::Signature; use crate::httpd::X;"),
        ("protocol", "protocol/oip/infer.rs", "use crate::infer::{Call, Model};"),
    ] {
        assert_eq!(broken(rule(room), Path::new(file), source), [], "{source}");
    }
}
