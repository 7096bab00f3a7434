//! Which files become layers, in which order, and what each one is called.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::content::{self, Kind};
use crate::{Limits, StoreError, archive, digest, files};

const WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";
const SETTING: &str = "application/vnd.cncf.model.weight.config.v1.raw";
const DOC: &str = "application/vnd.cncf.model.doc.v1.raw";
const TAR: &str = "application/vnd.cncf.model.weight.v1.tar";
const GZIP: &str = "application/vnd.cncf.model.weight.v1.tar+gzip";

/// A layer to be.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) file: PathBuf,
    /// Its path in the artifact.
    pub(super) path: String,
    pub(super) media_type: &'static str,
    /// The sum of its bytes as they are sent, and that of what they unpack to.
    pub(super) sum: String,
    pub(super) unpacked: String,
    pub(super) bytes: u64,
}

/// The layers of a folder in the order of their paths, or the one layer of a file.
///
/// # Errors
/// What of it no puller would take.
pub(super) fn plan(path: &Path, model: &Path, limits: &Limits) -> Result<Vec<Planned>, StoreError> {
    if !path.is_dir() {
        return Ok(vec![alone(path)?]);
    }
    let files = files::of_folder(path, limits)?;
    let mut planned = Vec::with_capacity(files.len());
    let mut all = 0_u64;
    for (name, file) in files {
        let media_type = if file == model { WEIGHT } else { media_type(&name) };
        let one = raw(file, name, media_type)?;
        all = all.saturating_add(one.bytes);
        planned.push(one);
    }
    if all > limits.max_artifact_bytes {
        let most = limits.max_artifact_bytes;
        return Err(StoreError::Invalid(format!("{} holds {all} bytes, more than the limit of {most}", path.display())));
    }
    Ok(planned)
}

/// A model's file, or an archive as it is.
fn alone(file: &Path) -> Result<Planned, StoreError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    archive::safe(name.as_bytes())?;
    let planned = |media_type| raw(file.to_owned(), name.clone(), media_type);
    match content::kind(file, &file.display().to_string())? {
        Kind::Model => planned(WEIGHT),
        Kind::Tar => planned(TAR),
        Kind::Gzip => {
            let unpacked = unpacked(file).map_err(|cause| StoreError::file(file, cause))?;
            Ok(Planned { unpacked, ..planned(GZIP)? })
        }
        Kind::Zip => Err(StoreError::Invalid(format!(
            "{} is a zip, for which a ModelPack has no layer; expected a folder, a model's file, a .tar or a .tar.gz",
            file.display()
        ))),
    }
}

fn raw(file: PathBuf, path: String, media_type: &'static str) -> Result<Planned, StoreError> {
    let (sum, bytes) = digest::of_file(&file).map_err(|cause| StoreError::file(&file, cause))?;
    Ok(Planned { unpacked: sum.clone(), file, path, media_type, sum, bytes })
}

/// What documents and settings are called; all else is the model's.
fn media_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let (stem, end) = name.rsplit_once('.').unwrap_or((&name, ""));
    match (stem, end) {
        ("readme" | "license" | "licence" | "notice", _) | (_, "md" | "txt" | "rst" | "pdf") => DOC,
        (_, "json" | "yaml" | "yml" | "toml" | "pbtxt") => SETTING,
        _ => WEIGHT,
    }
}

/// The sum of what a gzip holds.
fn unpacked(file: &Path) -> io::Result<String> {
    let mut reader = MultiGzDecoder::new(BufReader::with_capacity(64 << 10, File::open(file)?));
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(digest::hex(hasher)),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_file_has_its_media_type_and_its_place() {
        let root = tempfile::tempdir().unwrap();
        for name in
            ["model.onnx", "model.onnx.data", "sample.json", "README.md", "LICENSE", ".hidden", "sub/note.txt", "steps.yaml"]
        {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let planned = plan(root.path(), &root.path().join("model.onnx"), &Limits::default()).unwrap();
        let found: Vec<_> = planned.iter().map(|one| (one.path.as_str(), one.media_type)).collect();
        let expected = [
            ("LICENSE", DOC),
            ("README.md", DOC),
            ("model.onnx", WEIGHT),
            ("model.onnx.data", WEIGHT),
            ("sample.json", SETTING),
            ("steps.yaml", SETTING),
            ("sub/note.txt", DOC),
        ];
        assert_eq!(found, expected);
        assert_eq!((planned[2].sum.as_str(), planned[2].bytes), (digest::of_bytes(b"model.onnx").as_str(), 10));
        let few = Limits { max_entries: 3, ..Limits::default() };
        assert!(plan(root.path(), root.path(), &few).unwrap_err().to_string().contains("limit of 3 files"));
        let small = Limits { max_artifact_bytes: 20, ..Limits::default() };
        assert!(plan(root.path(), root.path(), &small).unwrap_err().to_string().contains("the limit of 20"));
    }

    #[test]
    fn a_boosters_json_is_no_setting() {
        let root = tempfile::tempdir().unwrap();
        let model = root.path().join("model.json");
        fs::write(&model, "{\"learner\":{}}").unwrap();
        let planned = plan(root.path(), &model, &Limits::default()).unwrap();
        assert_eq!((planned.len(), planned[0].media_type), (1, WEIGHT));
    }

    #[test]
    fn an_archive_is_one_layer_with_the_sum_of_what_it_holds() {
        use std::io::Write;
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("model.tar.gz");
        let mut packer = flate2::write::GzEncoder::new(File::create(&file).unwrap(), flate2::Compression::fast());
        packer.write_all(b"the tar").unwrap();
        packer.finish().unwrap();
        let planned = plan(&file, &file, &Limits::default()).unwrap();
        assert_eq!((planned[0].media_type, planned[0].unpacked.as_str()), (GZIP, digest::of_bytes(b"the tar").as_str()));
        assert_ne!(planned[0].sum, planned[0].unpacked);
        fs::write(&file, b"PK\x03\x04").unwrap();
        assert!(plan(&file, &file, &Limits::default()).unwrap_err().to_string().contains("is a zip"));
    }
}
