//! What a file on disk is, and what in a folder is no model's.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use modelyard_core::content::HEAD;
pub(super) use modelyard_core::content::Kind;

use super::StoreError;

/// Weights of other frameworks, which lie beside the ONNX file in many repositories: nothing here reads them.
const FOREIGN: [&str; 13] =
    [".safetensors", ".h5", ".msgpack", ".ot", ".pt", ".pth", ".ckpt", ".gguf", ".tflite", ".mlmodel", ".pb", ".pkl", ".joblib"];

/// Whether a file of that name is another framework's.
pub(super) fn is_foreign(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    FOREIGN.iter().any(|end| name.ends_with(end))
}

/// Tells what the file at `path` is; `name` is for messages.
pub(super) fn kind(path: &Path, name: &str) -> Result<Kind, StoreError> {
    let mut head = Vec::with_capacity(HEAD);
    File::open(path)
        .and_then(|file| file.take(HEAD as u64).read_to_end(&mut head))
        .map_err(|source| StoreError::disk(format!("cannot read {}", path.display()), source))?;
    modelyard_core::content::kind(&head).map_err(|what| StoreError::Invalid(format!("{name} is {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_without_the_word_ustar_is_told_by_its_sum() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_old();
        header.set_size(0);
        header.set_cksum();
        tar.append_data(&mut header, "model.onnx", std::io::empty()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), tar.into_inner().unwrap()).unwrap();
        assert_eq!(kind(file.path(), "it").unwrap(), Kind::Tar);
        std::fs::write(file.path(), "").unwrap();
        assert!(kind(file.path(), "it").unwrap_err().to_string().contains("it is empty: 0 bytes"));
    }
}
