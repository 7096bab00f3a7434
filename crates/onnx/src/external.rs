//! Tensors whose content lies in files beside the model.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use crate::proto::{EXTERNAL, GraphProto, TensorProto};
use crate::read::ReadError;

/// Reads the content of all external tensors of a graph, and of the graphs within, into the model.
pub(crate) fn load(graph: &mut GraphProto, folder: &Path) -> Result<(), ReadError> {
    for tensor in &mut graph.initializer {
        fetch(tensor, folder)?;
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(|tensor| fetch(tensor, folder))?;
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|inner| load(inner, folder))?;
    }
    Ok(())
}

/// Collects the files that tensors of a graph, and of the graphs within, lie in.
pub(crate) fn files(graph: &GraphProto, into: &mut BTreeSet<PathBuf>) -> Result<(), ReadError> {
    for tensor in &graph.initializer {
        into.extend(location(tensor)?.map(PathBuf::from));
    }
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        for tensor in attribute.t.iter().chain(&attribute.tensors) {
            into.extend(location(tensor)?.map(PathBuf::from));
        }
        attribute.g.iter().chain(&attribute.graphs).try_for_each(|inner| files(inner, into))?;
    }
    Ok(())
}

fn value<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    tensor.external_data.iter().find(|one| one.key() == key).map(|one| one.value())
}

/// The file that a tensor's content lies in, relative to the model's folder, which it does not leave.
fn location(tensor: &TensorProto) -> Result<Option<&str>, ReadError> {
    if tensor.data_location() != EXTERNAL {
        return Ok(None);
    }
    let wrong = |what: String| ReadError::External { tensor: tensor.name().to_owned(), what };
    let Some(location) = value(tensor, "location") else { return Err(wrong("it names no location".to_owned())) };
    if Path::new(location).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(wrong(format!("its location '{location}' leaves the model's folder")));
    }
    Ok(Some(location))
}

fn fetch(tensor: &mut TensorProto, folder: &Path) -> Result<(), ReadError> {
    let Some(location) = location(tensor)? else { return Ok(()) };
    let wrong = |what: String| ReadError::External { tensor: tensor.name().to_owned(), what };
    let value = |key: &str| value(tensor, key);
    let number = |key: &str| match value(key).map(str::parse::<u64>) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(wrong(format!("its {key} is '{}'; expected a number of bytes", value(key).unwrap_or_default()))),
    };
    let read = |error: std::io::Error| wrong(format!("'{location}' cannot be read: {error}"));
    let file = File::open(folder.join(location)).map_err(read)?;
    let (size, offset) = (file.metadata().map_err(read)?.len(), number("offset")?.unwrap_or(0));
    let length = number("length")?.unwrap_or(size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(wrong(format!("it wants {length} bytes at {offset} of '{location}', which has {size}")));
    }
    let mut content =
        vec![0; usize::try_from(length).map_err(|_| wrong(format!("{length} bytes are too many for this machine")))?];
    file.read_exact_at(&mut content, offset).map_err(read)?;
    (tensor.raw_data, tensor.data_location) = (Some(Bytes::from(content)), None);
    tensor.external_data.clear();
    Ok(())
}
