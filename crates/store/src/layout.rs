//! Where in a folder the model is: beside its external data, or in the highest version of a model repository.
//!
//! An `.onnx` file is told by its name; a booster's own file, which may have any, by its content.

use std::fs;
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::native::{Native, native_of_file};

/// Folders of one folder that are looked into, one in another, before it counts as holding no model.
const DEPTH: usize = 4;

/// Files of one folder that are looked into for a booster's.
const LOOKED_INTO: usize = 100;

/// What a folder holds, as far as a model may hide in it.
#[derive(Default)]
struct Listing {
    models: Vec<PathBuf>,
    versions: Vec<(u64, PathBuf)>,
    folders: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

/// The model's file in `root`: `model.onnx`, or the only `.onnx`; else in the highest numbered folder (`NAME/1/model.onnx`, as
/// Triton and TensorFlow Serving lay out a repository), or in the only folder. Where none of these has one: the booster's own file
/// named `model`, or the only one.
///
/// # Errors
/// `Invalid` that lists what is there, if that is none or several.
pub(super) fn find_model(root: &Path) -> Result<PathBuf, StoreError> {
    let mut folder = root.to_owned();
    let (mut found, mut boosters) = (Vec::new(), Vec::new());
    for _ in 0..DEPTH {
        let mut listing = list(&folder)?;
        if let Some(model) = only(&listing.models, |model| shown(model) == "model.onnx") {
            return Ok(model);
        }
        if !listing.models.is_empty() {
            return Err(several(&folder, ".onnx files and none is named model.onnx", &listing.models));
        }
        boosters.extend(natives(&listing.others)?);
        found = listing.others.iter().map(|path| shown(path)).collect();
        found.extend(listing.folders.iter().chain(listing.versions.iter().map(|(_, path)| path)).map(|path| shown(path) + "/"));
        found.sort();
        match (listing.versions.into_iter().max(), listing.folders.len()) {
            (Some((_, highest)), _) => folder = highest,
            (None, 1) => folder = listing.folders.remove(0),
            (None, _) => break,
        }
    }
    if let Some(model) = only(&boosters, |model| model.file_stem().is_some_and(|stem| stem == "model")) {
        return Ok(model);
    }
    if !boosters.is_empty() {
        return Err(several(root, "files of XGBoost's, LightGBM's or CatBoost's and none is named model", &boosters));
    }
    let found = if found.is_empty() { "nothing".to_owned() } else { names(found.into_iter()) };
    let hint = if found.contains("saved_model.pb") { " (a TensorFlow SavedModel: export it to ONNX)" } else { "" };
    Err(StoreError::Invalid(format!("expected a .onnx file, or a booster's own, in {}, found {found}{hint}", folder.display())))
}

/// The one that `is_named` so, or the only one.
fn only(found: &[PathBuf], is_named: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let single = if let [single] = found { Some(single) } else { None };
    found.iter().find(|path| is_named(path)).or(single).cloned()
}

fn several(folder: &Path, of: &str, found: &[PathBuf]) -> StoreError {
    let listed = names(found.iter().map(|path| shown(path)));
    StoreError::Invalid(format!("{} holds {} {of}: {listed}", folder.display(), found.len()))
}

/// Those of `files` that are in a booster's own format.
fn natives(files: &[PathBuf]) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for path in files.iter().take(LOOKED_INTO) {
        let failed = |source| StoreError::file(path, source);
        // Anything but a regular file may have no end, or never begin.
        if fs::metadata(path).map_err(failed)?.is_file() && native_of_file(path).map_err(failed)?.is_some_and(Native::is_model) {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn list(folder: &Path) -> Result<Listing, StoreError> {
    let failed = |source| StoreError::disk(format!("cannot list {}", folder.display()), source);
    let mut listing = Listing::default();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Hidden files, and what macOS adds to archives: `._model.onnx` is no model. A mounted ConfigMap's `..data` is hidden
        // too, and its links to it are followed.
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        let path = entry.path();
        let is_dir = fs::metadata(&path).map_err(|source| StoreError::file(&path, source))?.is_dir();
        match (is_dir, name.parse::<u64>()) {
            (true, Ok(version)) => listing.versions.push((version, path)),
            (true, Err(_)) => listing.folders.push(path),
            (false, _) if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx")) => listing.models.push(path),
            (false, _) => listing.others.push(path),
        }
    }
    listing.models.sort();
    listing.others.sort();
    Ok(listing)
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The first ten names, and how many more there are.
fn names(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(10);
    let mut text = all.take(10).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        root
    }

    #[test]
    fn the_model_is_found_in_each_layout() {
        for (files, model) in [
            (&["a.onnx", "a.onnx.data", "sample.json"][..], "a.onnx"),
            (&["a.onnx", "model.onnx"], "model.onnx"),
            (&["config.pbtxt", "1/model.onnx", "3/model.onnx", "10/model.onnx"], "10/model.onnx"),
            (&["mnist/1/model.onnx", "mnist/2/m.onnx"], "mnist/2/m.onnx"),
            (&["._a.onnx", "__MACOSX/a.onnx", "top/A.ONNX"], "top/A.ONNX"),
        ] {
            let root = tree(files);
            assert_eq!(find_model(root.path()).unwrap(), root.path().join(model), "{files:?}");
        }
    }

    #[test]
    fn a_boosters_file_is_found_by_its_content() {
        for (files, model) in [
            (&["sample.json", "m.bin"][..], "m.bin"),
            (&["model.json", "old.json"], "model.json"),
            (&["meta.json", "m/1/a.onnx"], "m/1/a.onnx"),
            (&["m/1/a.json", "m/2/b.json", "readme.md"], "m/2/b.json"),
        ] {
            let root = tree(files);
            for file in files.iter().filter(|file| !file.starts_with("sample") && !file.ends_with("md")) {
                fs::write(root.path().join(file), "{\"learner\":{}}").unwrap();
            }
            assert_eq!(find_model(root.path()).unwrap(), root.path().join(model), "{files:?}");
        }
        let root = tree(&["sample.json"]);
        for file in ["a.txt", "b.txt"] {
            fs::write(root.path().join(file), "tree\nversion=v4\n").unwrap();
        }
        let message = find_model(root.path()).unwrap_err().to_string();
        assert!(
            message.contains("holds 2 files of XGBoost's, LightGBM's or CatBoost's") && message.contains("a.txt, b.txt"),
            "{message}"
        );
    }

    #[test]
    fn none_or_several_is_an_error_that_lists_them() {
        for (files, words) in [
            (&["b.onnx", "a.onnx"][..], &["2 .onnx files", "a.onnx, b.onnx"][..]),
            (&["readme.md"], &["found readme.md"]),
            (&["x/a.onnx", "y/a.onnx"], &["found x/, y/"]),
            (&["1/saved_model.pb"], &["SavedModel"]),
            (&["a/b/c/d/e/model.onnx"], &["expected a .onnx"]),
        ] {
            let message = find_model(tree(files).path()).unwrap_err().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{files:?}: {message}");
        }
    }
}
