//! From a model to a file, which is there whole or not at all. Contents that lie in files are copied piece by piece.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;
use tempfile::NamedTempFile;

use crate::proto::{GraphProto, ModelProto, TensorProto};
use crate::scan::varint;
use crate::store::{LARGE, Place};

/// The largest message that other readers of protobuf take, in bytes.
const MOST: u64 = (1 << 31) - 1;

/// Contents in a file beside the model begin at multiples of this, so that a reader can map them.
const PAGE: u64 = 4096;

/// Why a model was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// One message cannot hold it, and what could lie beside it is not what is large.
    #[error("the model has {0} bytes without the contents of its initializers; one ONNX file holds at most {MOST}")]
    TooLarge(u64),
    /// The system did not take it.
    #[error("cannot write {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Bytes that a model has when it is written, those beside its file included but for what fills up pages.
#[must_use]
pub fn size(model: &ModelProto) -> u64 {
    Layout::of(model).total
}

/// Writes the model into one file: beside it first, then in its place. One that a single message cannot hold keeps its large initializers
/// in a second file, `OUT.onnx.data`, or with a number behind it where such a file is there already.
///
/// # Errors
/// See [`WriteError`].
pub fn write(model: &ModelProto, path: &Path) -> Result<(), WriteError> {
    write_within(model, path, MOST)
}

/// As [`write`], with a message of at most `most` bytes.
pub(crate) fn write_within(model: &ModelProto, path: &Path, most: u64) -> Result<(), WriteError> {
    let failed = |source| WriteError::Io { path: path.to_owned(), source };
    let layout = Layout::of(model);
    if layout.total <= most {
        let mut file = beside(path).map_err(failed)?;
        layout.write(&mut BufWriter::new(&mut file)).map_err(failed)?;
        return persist(file, path).map_err(failed);
    }
    let (data, name) = free(path);
    let mut file = beside(path).map_err(failed)?;
    let model = spread(model, &mut file, &name).map_err(failed)?;
    let layout = Layout::of(&model);
    if layout.total > most {
        return Err(WriteError::TooLarge(layout.total));
    }
    // The contents first: a model is there only once they are.
    persist(file, &data).map_err(failed)?;
    let mut file = beside(path).map_err(failed)?;
    let written = file.write_all(&model.encode_to_vec()).and_then(|()| persist(file, path));
    written.map_err(|source| {
        // What nobody names is of no use; that it cannot be removed either is the smaller trouble.
        let _ = std::fs::remove_file(&data);
        failed(source)
    })
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".modelyard-").tempfile_in(folder)
}

fn persist(mut file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.flush()?;
    file.as_file().sync_all()?;
    // A temporary file is its owner's alone; a model is read by servers.
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file for contents that is not there yet, and its name.
fn free(path: &Path) -> (PathBuf, String) {
    let mut number = 0_u64;
    loop {
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(if number == 0 { ".data".to_owned() } else { format!(".data-{number}") });
        let data = path.with_file_name(&name);
        if !data.exists() {
            return (data, name.to_string_lossy().into_owned());
        }
        number += 1;
    }
}

/// The model with its large contents in `file`, which will be called `name`.
fn spread(model: &ModelProto, file: &mut NamedTempFile, name: &str) -> io::Result<ModelProto> {
    let mut model = model.clone();
    let mut out = BufWriter::new(file);
    let mut at = 0_u64;
    for tensor in model.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
        let Some(length) = tensor.raw_length().filter(|length| *length >= LARGE) else { continue };
        let offset = at.next_multiple_of(PAGE);
        io::copy(&mut io::Read::take(io::repeat(0), offset - at), &mut out)?;
        content(tensor, &mut out)?;
        at = offset + length;
        tensor.raw_data = None;
        Place { file: name.into(), offset, length }.put(tensor);
    }
    out.flush()?;
    Ok(model)
}

fn content(tensor: &TensorProto, out: &mut impl Write) -> io::Result<()> {
    match (Place::of(tensor), &tensor.raw_data) {
        (Some(place), _) if place.file.is_absolute() => place.each(|piece| out.write_all(piece)),
        (None, Some(raw)) => out.write_all(raw),
        _ => Ok(()),
    }
}

/// A message in the pieces that it is written in.
struct Layout<'a> {
    /// The model without its graph.
    model: Vec<u8>,
    /// The graph without its initializers.
    graph: Option<Vec<u8>>,
    /// Each initializer, what comes before its content, and the content's length.
    tensors: Vec<(&'a TensorProto, Vec<u8>, u64)>,
    graph_length: u64,
    total: u64,
}

/// Field numbers with wire type 2: `ModelProto.graph`, `GraphProto.initializer`, `TensorProto.raw_data`.
const GRAPH: u64 = 7 << 3 | 2;
const INITIALIZER: u64 = 5 << 3 | 2;
const RAW_DATA: u64 = 9 << 3 | 2;

impl<'a> Layout<'a> {
    fn of(model: &'a ModelProto) -> Self {
        let tensors: Vec<_> = model.graph.iter().flat_map(|graph| &graph.initializer).map(before).collect();
        let graph = model.graph.as_ref().map(|graph| without_tensors(graph).encode_to_vec());
        let model = without_graph(model).encode_to_vec();
        let inner = tensors.iter().map(|(_, before, length)| before.len() as u64 + length).sum::<u64>();
        let graph_length = graph.as_ref().map_or(0, |graph| graph.len() as u64) + inner;
        let mut head = Vec::new();
        if graph.is_some() {
            varint(GRAPH, &mut head);
            varint(graph_length, &mut head);
        }
        let total = (model.len() + head.len()) as u64 + graph_length;
        Self { model, graph, tensors, graph_length, total }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.model)?;
        let Some(graph) = &self.graph else { return out.flush() };
        let mut head = Vec::new();
        varint(GRAPH, &mut head);
        varint(self.graph_length, &mut head);
        out.write_all(&head)?;
        out.write_all(graph)?;
        for (tensor, before, length) in &self.tensors {
            out.write_all(before)?;
            if *length > 0 {
                content(tensor, out)?;
            }
        }
        out.flush()
    }
}

/// An initializer's field up to its content.
fn before(tensor: &TensorProto) -> (&TensorProto, Vec<u8>, u64) {
    // A place with a name of its own is the file's to keep: contents lie beside it already.
    let stays = Place::of(tensor).is_some_and(|place| !place.file.is_absolute());
    let length = if stays { None } else { tensor.raw_length() };
    let mut small = TensorProto { raw_data: None, ..tensor.clone() };
    if !stays && Place::of(tensor).is_some() {
        small.data_location = None;
        small.external_data.clear();
    }
    let mut body = small.encode_to_vec();
    if let Some(length) = length {
        varint(RAW_DATA, &mut body);
        varint(length, &mut body);
    }
    let length = length.unwrap_or(0);
    let mut out = Vec::new();
    varint(INITIALIZER, &mut out);
    varint(body.len() as u64 + length, &mut out);
    out.append(&mut body);
    (tensor, out, length)
}

/// The graph's other fields; contents are shared, not copied.
fn without_tensors(graph: &GraphProto) -> GraphProto {
    GraphProto {
        node: graph.node.clone(),
        name: graph.name.clone(),
        initializer: Vec::new(),
        doc_string: graph.doc_string.clone(),
        input: graph.input.clone(),
        output: graph.output.clone(),
        value_info: graph.value_info.clone(),
        quantization_annotation: graph.quantization_annotation.clone(),
        sparse_initializer: graph.sparse_initializer.clone(),
        metadata_props: graph.metadata_props.clone(),
    }
}

fn without_graph(model: &ModelProto) -> ModelProto {
    ModelProto {
        ir_version: model.ir_version,
        producer_name: model.producer_name.clone(),
        producer_version: model.producer_version.clone(),
        domain: model.domain.clone(),
        model_version: model.model_version,
        doc_string: model.doc_string.clone(),
        graph: None,
        opset_import: model.opset_import.clone(),
        metadata_props: model.metadata_props.clone(),
        training_info: model.training_info.clone(),
        functions: model.functions.clone(),
        configuration: model.configuration.clone(),
    }
}
