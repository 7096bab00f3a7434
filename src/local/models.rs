//! The bytes behind `file:` URIs, as far as a look tells one state of them from another. A spec that stays as it is names other
//! bytes once its file is overwritten, so here, where files are edited in place, a revision is of the spec and of what it names.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, Metadata};
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use modelyard_core::resolve::Resolved;
use modelyard_core::server_config::ModelConfig;

/// How deep a model's folder is looked through, as the server looks for the model in it.
const DEPTH: usize = 4;
/// Files of one model that are looked at: no model has so many, and a mistyped path may lead to all of a disk.
const MOST_FILES: usize = 4096;

/// The paths that models come from, each with its stamp.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Models(pub(super) BTreeMap<PathBuf, u64>);

impl Models {
    /// Looks at the models of a deployment, and makes its revision one of their bytes too.
    pub(super) fn stamp(&mut self, resolved: &mut Resolved) {
        let mut hasher = DefaultHasher::new();
        resolved.revision.hash(&mut hasher);
        let mut any = false;
        for path in resolved.config.models.iter().filter_map(|model| path_of(&model.uri)) {
            self.0.entry(path.clone()).or_insert_with(|| stamp(&path)).hash(&mut hasher);
            any = true;
        }
        if any {
            // As long as the names that the spec alone makes.
            resolved.revision = format!("{:010x}", hasher.finish() & 0xff_ffff_ffff);
        }
    }

    /// Looks at models, and has each carry the stamp of its bytes.
    pub(super) fn stamp_each(&mut self, models: &mut [ModelConfig]) {
        for model in models {
            let Some(path) = path_of(&model.uri) else { continue };
            let stamp = self.0.entry(path.clone()).or_insert_with(|| stamp(&path));
            model.stamp = Some(format!("{stamp:016x}"));
        }
    }

    /// The same paths as they are now.
    pub(super) fn now(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), stamp(path))).collect())
    }
}

/// The path of a `file:` URI. Percent-encoding is undone if no file has the name as it is written, as the server does.
fn path_of(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file:")?;
    let written = rest.strip_prefix("//").map_or(rest, |rest| rest.strip_prefix("localhost").unwrap_or(rest));
    let plain = PathBuf::from(written);
    match percent_encoding::percent_decode_str(written).decode_utf8() {
        Ok(decoded) if decoded != written && !plain.exists() => Some(PathBuf::from(decoded.as_ref())),
        _ => Some(plain),
    }
}

/// Of the names, sizes and times of the files; another one wherever one was written, replaced, added or taken away.
///
/// The bytes themselves are not read: of a model of gigabytes that would take longer than to load it. So a file that is written
/// anew with the same bytes counts as another one, which costs a revision and no request.
fn stamp(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut left = MOST_FILES;
    walk(path, DEPTH, &mut left, &mut hasher);
    hasher.finish()
}

fn walk(path: &Path, depth: usize, left: &mut usize, hasher: &mut DefaultHasher) {
    let Ok(about) = fs::metadata(path) else { return };
    if !about.is_dir() {
        return file(path, &about, hasher);
    }
    let Ok(entries) = fs::read_dir(path) else { return };
    let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| counts(path)).collect();
    inside.sort();
    for path in inside {
        if depth == 0 || *left == 0 {
            return;
        }
        *left -= 1;
        walk(&path, depth - 1, left, hasher);
    }
}

fn file(path: &Path, about: &Metadata, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    (about.len(), about.mtime(), about.mtime_nsec(), about.ino()).hash(hasher);
}

/// Hidden files are no part of a model. Neither are manifests, which may lie in the same folder: their edits are noticed by
/// themselves, and one of `replicas` alone must not make a revision.
fn counts(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_none_or(|end| end != "yaml" && end != "yml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_of_a_model_changes_its_stamp_and_no_other_does() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("1")).unwrap();
        fs::write(at("1/model.onnx"), "one").unwrap();
        let mut last = stamp(root.path());
        let mut changed = |what: &str| {
            let now = stamp(root.path());
            let changed = now != last;
            last = now;
            assert!(changed, "{what}");
        };
        fs::write(at("1/model.onnx"), "three").unwrap();
        changed("another size");
        fs::write(at("new"), "seven").unwrap();
        fs::rename(at("new"), at("1/model.onnx")).unwrap();
        changed("another file of the same size");
        fs::write(at("1/model.onnx.data"), "x").unwrap();
        changed("one more file");
        fs::remove_file(at("1/model.onnx.data")).unwrap();
        changed("one file less");
        fs::write(at("models.yaml"), "replicas: 2").unwrap();
        fs::write(at(".hidden"), "x").unwrap();
        assert_eq!(stamp(root.path()), last);
        fs::remove_dir_all(at("1")).unwrap();
        assert_ne!(stamp(root.path()), last);
        assert_eq!(stamp(&at("nowhere")), stamp(&at("nobody")));
    }

    #[test]
    fn each_spelling_of_a_path_is_read() {
        for (uri, path) in [
            ("file:m.onnx", Some("m.onnx")),
            ("file:/abs/m.onnx", Some("/abs/m.onnx")),
            ("file:///abs/my%20model.onnx", Some("/abs/my model.onnx")),
            ("file://localhost/abs", Some("/abs")),
            ("http://host/m.onnx", None),
        ] {
            assert_eq!(path_of(uri).as_deref(), path.map(Path::new), "{uri}");
        }
    }
}
