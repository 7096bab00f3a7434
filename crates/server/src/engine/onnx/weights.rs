//! Tensors that a file carries: each holds as many bytes as its shape says, and external ones lie in the model's folder.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

use crate::engine::LoadError;

/// The name of a datatype in ONNX, whether or not tract knows it.
pub(in crate::engine) fn datatype_name(code: i32) -> String {
    DataType::try_from(code).map_or_else(|_| format!("unknown ({code})"), |known| known.as_str_name().to_owned())
}

/// Bytes per element of a datatype that tract computes with; 0 for strings, `None` for what it does not know.
pub(in crate::engine) fn element_bytes(code: i32) -> Option<u64> {
    Some(match DataType::try_from(code).ok()? {
        DataType::Bool | DataType::Uint8 | DataType::Int8 => 1,
        DataType::Uint16 | DataType::Int16 | DataType::Float16 => 2,
        DataType::Uint32 | DataType::Int32 | DataType::Float => 4,
        DataType::Uint64 | DataType::Int64 | DataType::Double => 8,
        DataType::String => 0,
        _ => return None,
    })
}

/// Elements of a tensor by its dimensions; `None` where one is negative or the product overflows.
pub(in crate::engine) fn element_count(dims: &[i64]) -> Option<u64> {
    dims.iter().try_fold(1_u64, |all, dim| all.checked_mul(u64::try_from(*dim).ok()?)).filter(|count| *count < 1 << 60)
}

/// Whether the tensor's bytes are in another file.
pub(in crate::engine) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

/// Checks that the data is as long as the shape says. The datatype must be known (see [`element_bytes`]).
///
/// # Errors
/// [`LoadError::Invalid`] or [`LoadError::Read`] that names the tensor.
pub(in crate::engine) fn check(tensor: &TensorProto, size: u64, folder: &Path) -> Result<(), LoadError> {
    let name = &tensor.name;
    let Some(count) = element_count(&tensor.dims) else {
        return Err(LoadError::Invalid(format!("initializer '{name}' has the impossible shape {:?}", tensor.dims)));
    };
    let wrong = |found: u64, expected: u64, unit: &str| {
        let shape = &tensor.dims;
        LoadError::Invalid(format!("initializer '{name}' of shape {shape:?} needs {expected} {unit}, found {found}"))
    };
    if !tensor.raw_data.is_empty() {
        let found = tensor.raw_data.len() as u64;
        return if found == count * size && size > 0 { Ok(()) } else { Err(wrong(found, count * size, "bytes")) };
    }
    if is_external(tensor) {
        let found = External::locate(tensor, folder)?.length;
        return if found == count * size && size > 0 { Ok(()) } else { Err(wrong(found, count * size, "bytes")) };
    }
    match typed_len(tensor) {
        found if found == count => Ok(()),
        found => Err(wrong(found, count, "values")),
    }
}

/// Values in the field that the datatype is stored in. tract reads no `uint64_data`, where 32 and 64 bit unsigned are stored.
fn typed_len(tensor: &TensorProto) -> u64 {
    let len = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) => tensor.float_data.len(),
        Ok(DataType::Double) => tensor.double_data.len(),
        Ok(DataType::Int64) => tensor.int64_data.len(),
        Ok(DataType::String) => tensor.string_data.len(),
        Ok(DataType::Uint32 | DataType::Uint64) => 0,
        _ => tensor.int32_data.len(),
    };
    len as u64
}

/// The tensor's values where it is FP32, checked as [`check`] does; `None` for another datatype.
///
/// # Errors
/// [`LoadError::Invalid`] or [`LoadError::Read`] that names the tensor.
pub(in crate::engine) fn floats(tensor: &TensorProto, folder: &Path) -> Result<Option<Vec<f32>>, LoadError> {
    if tensor.data_type != DataType::Float as i32 {
        return Ok(None);
    }
    check(tensor, 4, folder)?;
    let decoded = |raw: &[u8]| raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(Some(if !tensor.raw_data.is_empty() {
        decoded(&tensor.raw_data)
    } else if is_external(tensor) {
        decoded(&External::locate(tensor, folder)?.read()?)
    } else {
        tensor.float_data.clone()
    }))
}

/// The bytes of a tensor whose elements have `size`, checked as [`check`] does. What lies in `int32_data` is cut to size.
///
/// # Errors
/// [`LoadError::Invalid`] or [`LoadError::Read`] that names the tensor.
pub(in crate::engine) fn stored(tensor: &TensorProto, size: usize, folder: &Path) -> Result<Vec<u8>, LoadError> {
    check(tensor, size as u64, folder)?;
    if !tensor.raw_data.is_empty() {
        return Ok(tensor.raw_data.clone());
    }
    if is_external(tensor) {
        return External::locate(tensor, folder)?.read();
    }
    Ok(tensor.int32_data.iter().flat_map(|value| value.to_le_bytes().into_iter().take(size)).collect())
}

/// Where an external tensor's bytes are.
pub(in crate::engine) struct External {
    /// The file, canonical, in the model's folder.
    pub(in crate::engine) path: PathBuf,
    /// Where in it the tensor begins.
    offset: u64,
    /// Bytes of the tensor in it.
    pub(in crate::engine) length: u64,
    /// Bytes of the whole file.
    pub(in crate::engine) file_bytes: u64,
}

impl External {
    /// Finds the tensor's file and checks that it is in the model's folder, links followed, and long enough.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] for a place outside the folder or a range past the file's end, [`LoadError::Read`] for no file.
    pub(in crate::engine) fn locate(tensor: &TensorProto, folder: &Path) -> Result<Self, LoadError> {
        let name = &tensor.name;
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        let number = |key: &str| match entry(key).map(str::parse::<u64>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => {
                let found = entry(key).unwrap_or_default();
                Err(LoadError::Invalid(format!("initializer '{name}': external data's {key} '{found}' is not a number")))
            }
        };
        let Some(location) = entry("location") else {
            return Err(LoadError::Invalid(format!("initializer '{name}': its external data has no location")));
        };
        let outside =
            || LoadError::Invalid(format!("initializer '{name}': external data '{location}' is outside the model's folder"));
        if Path::new(location).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(outside());
        }
        let failed = |source| LoadError::Read { path: folder.join(location).display().to_string(), source };
        let path = folder.join(location).canonicalize().map_err(failed)?;
        if !path.starts_with(folder.canonicalize().map_err(failed)?) {
            return Err(outside());
        }
        let metadata = path.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(LoadError::Invalid(format!("initializer '{name}': external data '{location}' is not a regular file")));
        }
        let (file_bytes, offset) = (metadata.len(), number("offset")?.unwrap_or(0));
        let length = number("length")?.unwrap_or(file_bytes.saturating_sub(offset));
        if offset.checked_add(length).is_none_or(|end| end > file_bytes) {
            return Err(LoadError::Invalid(format!(
                "initializer '{name}': external data '{location}' has {file_bytes} bytes, too few for {length} from byte {offset}"
            )));
        }
        Ok(Self { path, offset, length, file_bytes })
    }

    fn read(&self) -> Result<Vec<u8>, LoadError> {
        let failed = |source| LoadError::Read { path: self.path.display().to_string(), source };
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let mut raw = vec![0; usize::try_from(self.length).unwrap_or(usize::MAX)];
        file.read_exact(&mut raw).map_err(failed)?;
        Ok(raw)
    }
}
