//! Tensors whose content lies in files beside the model.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use crate::proto::{EXTERNAL, GraphProto, TensorProto};
use crate::read::ReadError;
use crate::store::{LARGE, Place};

/// Where a model's file is, and what may lie beside it.
pub(crate) struct Home {
    /// The file, by its whole path: what lies there was found by the scan, and not named by the file.
    own: PathBuf,
    folder: PathBuf,
}

impl Home {
    pub(crate) fn of(path: &Path) -> Self {
        let own = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Self { folder: path.parent().unwrap_or(Path::new("")).to_owned(), own }
    }

    fn is_own(&self, tensor: &TensorProto) -> bool {
        value(tensor, "location").is_some_and(|location| Path::new(location) == self.own)
    }
}

/// Brings the content of all external tensors of a graph, and of the graphs within, into the model; large contents of its own
/// initializers get a whole path instead.
pub(crate) fn load(graph: &mut GraphProto, home: &Home) -> Result<(), ReadError> {
    for tensor in &mut graph.initializer {
        fetch(tensor, home, true)?;
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(|tensor| fetch(tensor, home, false))?;
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|inner| load(inner, home))?;
    }
    Ok(())
}

/// What is wrong with the places of a graph's tensors, and of those of graphs within.
pub(crate) fn faults(graph: &GraphProto, home: &Home) -> Vec<ReadError> {
    let within = graph.node.iter().flat_map(|node| &node.attribute);
    let tensors = graph.initializer.iter().chain(within.clone().flat_map(|one| one.t.iter().chain(&one.tensors)));
    let mut found: Vec<ReadError> = tensors.filter_map(|tensor| find(tensor, home).err()).collect();
    found.extend(within.flat_map(|one| one.g.iter().chain(&one.graphs)).flat_map(|inner| faults(inner, home)));
    found
}

/// Collects the files that tensors of a graph, and of the graphs within, lie in.
pub(crate) fn files(graph: &GraphProto, home: &Home, into: &mut BTreeSet<PathBuf>) -> Result<(), ReadError> {
    for tensor in graph.initializer.iter().filter(|tensor| !home.is_own(tensor)) {
        into.extend(location(tensor)?.map(PathBuf::from));
    }
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        for tensor in attribute.t.iter().chain(&attribute.tensors) {
            into.extend(location(tensor)?.map(PathBuf::from));
        }
        attribute.g.iter().chain(&attribute.graphs).try_for_each(|inner| files(inner, home, into))?;
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

/// Where a tensor's content lies; an error where that is no stretch of a file there.
fn find(tensor: &TensorProto, home: &Home) -> Result<Option<Place>, ReadError> {
    if let Some(place) = Place::of(tensor).filter(|_| home.is_own(tensor)) {
        return Ok(Some(place));
    }
    let Some(location) = location(tensor)? else { return Ok(None) };
    let wrong = |what: String| ReadError::External { tensor: tensor.name().to_owned(), what };
    let value = |key: &str| value(tensor, key);
    let number = |key: &str| match value(key).map(str::parse::<u64>) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(wrong(format!("its {key} is '{}'; expected a number of bytes", value(key).unwrap_or_default()))),
    };
    let read = |error: std::io::Error| wrong(format!("'{location}' cannot be read: {error}"));
    let path = std::fs::canonicalize(home.folder.join(location)).map_err(read)?;
    let size = std::fs::metadata(&path).map_err(read)?.len();
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or(size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(wrong(format!("it wants {length} bytes at {offset} of '{location}', which has {size}")));
    }
    Ok(Some(Place { file: path, offset, length }))
}

fn fetch(tensor: &mut TensorProto, home: &Home, may_stay: bool) -> Result<(), ReadError> {
    let Some(place) = find(tensor, home)? else { return Ok(()) };
    if may_stay && place.length >= LARGE {
        place.put(tensor);
        return Ok(());
    }
    let wrong = |what: String| ReadError::External { tensor: tensor.name().to_owned(), what };
    let read = |error: std::io::Error| wrong(format!("'{}' cannot be read: {error}", place.file.display()));
    let length =
        usize::try_from(place.length).map_err(|_| wrong(format!("{} bytes are too many for this machine", place.length)))?;
    let mut content = vec![0; length];
    File::open(&place.file).and_then(|file| file.read_exact_at(&mut content, place.offset)).map_err(read)?;
    (tensor.raw_data, tensor.data_location) = (Some(Bytes::from(content)), None);
    tensor.external_data.clear();
    Ok(())
}
