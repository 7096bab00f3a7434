//! The `.onnx` file itself: read within a bound, decoded, never trusted.

use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use modelyard_core::content::{self, Native};
use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto};

use super::{dequantise, functions, knn_imputer, maps, sequences, zipmap};
use crate::engine::LoadError;

/// The largest `.onnx` file: what one protobuf message may hold.
pub(in crate::engine) const MAX_FILE_BYTES: u64 = i32::MAX as u64;

/// The largest sum of external data.
pub(in crate::engine) const MAX_EXTERNAL_BYTES: u64 = 64 << 30;

/// A decoded file that holds a graph.
pub(in crate::engine) struct File {
    proto: ModelProto,
    folder: String,
    bytes: u64,
    maps: zipmap::Maps,
}

impl File {
    /// Reads and decodes `path`.
    pub(in crate::engine) fn read(path: &Path) -> Result<Self, LoadError> {
        let raw = slurp(path)?;
        let head = &raw[..raw.len().min(content::HEAD)];
        // Boosters' own files come here where somebody said that they are ONNX: that is told in other words.
        if let Some(what) = content::instead_of_onnx(head).filter(|_| Native::of(head).is_none_or(|native| !native.is_model())) {
            return Err(LoadError::Invalid(format!("{} is {what}", name_of(path))));
        }
        let mut proto = ModelProto::decode(raw.as_slice())
            .map_err(|error| LoadError::Invalid(format!("{} is not an ONNX file, or is cut short: {error}", name_of(path))))?;
        if proto.graph.is_none() {
            return Err(LoadError::Invalid(format!("{} is not an ONNX file: it holds no graph", name_of(path))));
        }
        knn_imputer::gather(&mut proto);
        functions::inline(&mut proto, &raw)?;
        maps::open(&mut proto, &raw)?;
        let maps = zipmap::strip(&mut proto);
        sequences::spread(&mut proto);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Some(folder) = folder.to_str() else {
            return Err(LoadError::Invalid(format!("the path of {} is not UTF-8", name_of(path))));
        };
        dequantise::fold(&mut proto, Path::new(folder))?;
        Ok(Self { proto, folder: folder.to_owned(), bytes: raw.len() as u64, maps })
    }

    /// The message.
    pub(in crate::engine) const fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The message's graph, which [`File::read`] made sure of.
    pub(in crate::engine) fn graph(&self) -> &GraphProto {
        static NONE: LazyLock<GraphProto> = LazyLock::new(GraphProto::default);
        self.proto.graph.as_ref().unwrap_or(&NONE)
    }

    /// Changes the graph.
    pub(in crate::engine) fn rewrite(&mut self, change: impl FnOnce(&mut GraphProto)) {
        if let Some(graph) = &mut self.proto.graph {
            change(graph);
        }
    }

    /// The folder that external data must stay in.
    pub(in crate::engine) fn folder(&self) -> &str {
        &self.folder
    }

    /// The outputs that are maps of classes in the file, each with its keys; may be empty.
    pub(in crate::engine) const fn maps(&self) -> &zipmap::Maps {
        &self.maps
    }

    /// The file's size.
    pub(in crate::engine) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The bytes of a model's file, within the bound.
///
/// # Errors
/// [`LoadError::Read`] where it cannot be read, [`LoadError::Invalid`] where it is too large or no regular file.
pub(in crate::engine) fn slurp(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read { path: path.display().to_string(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(LoadError::Invalid(format!("{} is not a regular file", name_of(path))));
    }
    let too_large = |size| LoadError::Invalid(format!("the file has {size} bytes; an .onnx file has at most {MAX_FILE_BYTES}"));
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut raw = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    // The file may grow while it is read.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut raw).map_err(failed)?;
    if raw.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(raw.len() as u64));
    }
    Ok(raw)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
