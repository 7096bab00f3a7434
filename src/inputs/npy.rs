//! NumPy's files: `.npy` holds one array, `.npz` several by name.
//!
//! Source: NumPy Enhancement Proposal 1 and numpy.lib.format. Elements are read in either byte order, rows in either memory order.

use std::io::{Cursor, Read, Seek, Write};

use bytes::Bytes;
use modelyard_wire::{Data, DataType, Tensor, element_count};
use npyz::{Endianness, TypeChar};

use super::{InputError, Named};

mod header;

use header::{Fault, Header};

/// The array of a `.npy` file.
pub(super) fn read_array(bytes: &[u8]) -> Result<Tensor, InputError> {
    array("the array", ".npy", bytes)
}

/// The arrays of a `.npz` file, by name.
///
/// # Errors
/// When it is no `.npz`, or holds what no datatype stands for.
pub fn read_arrays(bytes: &[u8]) -> Result<Vec<Named>, InputError> {
    let mut archive = npyz::npz::NpzArchive::new(Cursor::new(bytes)).map_err(|error| broken(".npz", error))?;
    let files = archive.zip_archive();
    let mut arrays = Vec::with_capacity(files.len());
    for at in 0..files.len() {
        let file = files.by_index(at).map_err(|error| broken(".npz", error))?;
        let Some(name) = npyz::npz::array_name_from_file_name(file.name()).map(str::to_owned) else { continue };
        let tensor = array(&format!("array '{name}'"), ".npz", file)?;
        arrays.push((name, tensor));
    }
    arrays.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(arrays)
}

fn broken(kind: &str, why: impl std::fmt::Display) -> InputError {
    InputError::Content(format!("not a {kind} file: {why}"))
}

/// What an array's elements are.
enum Layout {
    Numbers(DataType),
    /// Bytes of each, padded with zeros.
    Bytes(usize),
    /// UTF-32 code units of each, padded with zeros.
    Unicode(usize),
}

fn array(what: &str, file: &str, mut reader: impl Read) -> Result<Tensor, InputError> {
    let invalid = |why: String| InputError::Content(format!("{what}: {why}"));
    let Header { kind, fortran, shape } = Header::read(&mut reader).map_err(|fault| match fault {
        Fault::Broken(why) if file == ".npz" => invalid(broken(".npy", why).to_string()),
        Fault::Broken(why) => broken(file, why),
        Fault::Unfit(why) => invalid(why),
    })?;
    let Some(kind) = kind else {
        return Err(invalid("a structured array has no datatype of a tensor; save each field by its own name".to_owned()));
    };
    let (layout, size) = layout(&kind).ok_or_else(|| invalid(format!("dtype '{kind}' has no datatype of a tensor")))?;
    let count = element_count(&shape).ok_or_else(|| invalid(format!("shape {shape:?} is too large")))?;
    let expected = count.checked_mul(size).ok_or_else(|| invalid(format!("shape {shape:?} is too large")))?;
    let mut raw = Vec::new();
    // One byte more than declared shows surplus; nothing is allocated on the header's word alone.
    reader.take((expected as u64).saturating_add(1)).read_to_end(&mut raw).map_err(|error| invalid(error.to_string()))?;
    if raw.len() != expected {
        return Err(invalid(format!("shape {shape:?} needs {expected} bytes, found {}", raw.len())));
    }
    let unit = if matches!(layout, Layout::Unicode(_)) { 4 } else { size };
    if kind.endianness() == Endianness::Big && unit > 1 && !matches!(layout, Layout::Bytes(_)) {
        raw.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
    }
    if fortran {
        raw = to_row_major(&raw, &shape, size);
    }
    Ok(match layout {
        Layout::Numbers(datatype) => Tensor::new(datatype, shape, Bytes::from(raw))?,
        Layout::Bytes(size) => Tensor::strings(shape, split(&raw, size, count).map(trimmed).collect())?,
        Layout::Unicode(units) => {
            let strings = split(&raw, units * 4, count).map(utf32).collect::<Option<_>>();
            Tensor::strings(shape, strings.ok_or_else(|| invalid("holds what is no Unicode".to_owned()))?)?
        }
    })
}

/// `count` pieces of `size` bytes, which may be none.
fn split(raw: &[u8], size: usize, count: usize) -> impl Iterator<Item = &[u8]> {
    (0..count).map(move |index| &raw[index * size..(index + 1) * size])
}

fn trimmed(padded: &[u8]) -> Bytes {
    let length = padded.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Bytes::copy_from_slice(&padded[..length])
}

fn utf32(padded: &[u8]) -> Option<Bytes> {
    let text: Option<String> = padded.as_chunks::<4>().0.iter().map(|unit| char::from_u32(u32::from_le_bytes(*unit))).collect();
    Some(Bytes::from(text?.trim_end_matches('\0').to_owned()))
}

fn layout(kind: &npyz::TypeStr) -> Option<(Layout, usize)> {
    let size = usize::try_from(kind.size_field()).ok()?;
    let datatype = match (kind.type_char(), size) {
        (TypeChar::ByteStr, size) => return Some((Layout::Bytes(size), size)),
        (TypeChar::UnicodeStr, units) => return Some((Layout::Unicode(units), units.checked_mul(4)?)),
        (TypeChar::Bool, 1) => DataType::Bool,
        (TypeChar::Uint, 1) => DataType::Uint8,
        (TypeChar::Uint, 2) => DataType::Uint16,
        (TypeChar::Uint, 4) => DataType::Uint32,
        (TypeChar::Uint, 8) => DataType::Uint64,
        (TypeChar::Int, 1) => DataType::Int8,
        (TypeChar::Int, 2) => DataType::Int16,
        (TypeChar::Int, 4) => DataType::Int32,
        (TypeChar::Int, 8) => DataType::Int64,
        (TypeChar::Float, 2) => DataType::Fp16,
        (TypeChar::Float, 4) => DataType::Fp32,
        (TypeChar::Float, 8) => DataType::Fp64,
        _ => return None,
    };
    Some((Layout::Numbers(datatype), size))
}

/// Elements in column-major order (the first index runs fastest) put into row-major order.
fn to_row_major(raw: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(raw.len());
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, dim| {
            let own = *stride;
            *stride *= dim;
            Some(own)
        })
        .collect();
    let count: usize = shape.iter().product();
    for index in 0..count {
        let mut rest = index;
        let mut from = 0;
        for (dim, stride) in shape.iter().zip(&strides).rev() {
            from += (rest % dim) * stride;
            rest /= dim;
        }
        ordered.extend_from_slice(&raw[from * size..(from + 1) * size]);
    }
    ordered
}

/// Writes one tensor as a `.npy` file.
///
/// # Errors
/// When `BF16` is to be written, which NumPy has not, or the writer fails.
pub fn write_npy(tensor: &Tensor, mut out: impl Write) -> Result<(), InputError> {
    let (descr, raw) = described(tensor)?;
    let dims: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
    let comma = if dims.len() == 1 { "," } else { "" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", dims.join(", "));
    // Magic, version and length take ten bytes; the data starts at a multiple of 64.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| InputError::Content("too many dimensions for .npy".to_owned()))?;
    let write = |out: &mut dyn Write| {
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        out.write_all(&raw)
    };
    write(&mut out).map_err(|error| InputError::Content(format!("cannot write .npy: {error}")))
}

/// Writes tensors as a `.npz` file.
///
/// # Errors
/// As [`write_npy`].
pub fn write_npz<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a Tensor)>, out: impl Write + Seek) -> Result<(), InputError> {
    let failed = |error: String| InputError::Content(format!("cannot write .npz: {error}"));
    let mut archive = npyz::npz::NpzWriter::new(out);
    for (name, tensor) in arrays {
        let mut file = Vec::new();
        write_npy(tensor, &mut file)?;
        let writer = archive.zip_writer();
        let path = npyz::npz::file_name_from_array_name(name);
        writer.start_file(path, Default::default()).map_err(|error| failed(error.to_string()))?;
        writer.write_all(&file).map_err(|error| failed(error.to_string()))?;
    }
    archive.zip_writer().finish().map_err(|error| failed(error.to_string()))?;
    Ok(())
}

fn described(tensor: &Tensor) -> Result<(String, Bytes), InputError> {
    let descr = match tensor.datatype() {
        DataType::Bool => "|b1",
        DataType::Uint8 => "|u1",
        DataType::Uint16 => "<u2",
        DataType::Uint32 => "<u4",
        DataType::Uint64 => "<u8",
        DataType::Int8 => "|i1",
        DataType::Int16 => "<i2",
        DataType::Int32 => "<i4",
        DataType::Int64 => "<i8",
        DataType::Fp16 => "<f2",
        DataType::Fp32 => "<f4",
        DataType::Fp64 => "<f8",
        DataType::Bf16 => return Err(InputError::Content("NumPy has no BF16; use -o json".to_owned())),
        DataType::Bytes => return Ok(padded(tensor)),
    };
    Ok((descr.to_owned(), tensor.to_raw()))
}

fn padded(tensor: &Tensor) -> (String, Bytes) {
    let Data::Strings(strings) = tensor.data() else { return ("|S0".to_owned(), Bytes::new()) };
    let size = strings.iter().map(Bytes::len).max().unwrap_or(0).max(1);
    let mut raw = vec![0; size * strings.len()];
    for (slot, text) in raw.chunks_exact_mut(size).zip(strings) {
        slot[..text.len()].copy_from_slice(text);
    }
    (format!("|S{size}"), Bytes::from(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_read_back() {
        let numbers = Tensor::from_f32(vec![2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, f32::INFINITY]).unwrap();
        let words = Tensor::strings(vec![2], vec![Bytes::from_static(b"one"), Bytes::from_static(b"three")]).unwrap();
        let scalar = Tensor::from_i64(vec![], &[7]).unwrap();
        for tensor in [&numbers, &words, &scalar] {
            let mut file = Vec::new();
            write_npy(tensor, &mut file).unwrap();
            assert_eq!(read_array(&file).unwrap(), *tensor);
            assert!(read_array(&file[..file.len() - 1]).unwrap_err().to_string().contains("needs"));
        }
        let mut archive = Cursor::new(Vec::new());
        write_npz([("x", &numbers), ("w", &words)], &mut archive).unwrap();
        assert_eq!(read_arrays(archive.get_ref()).unwrap(), [("w".to_owned(), words), ("x".to_owned(), numbers)]);
    }

    #[test]
    fn either_order_of_bytes_and_rows_is_read() {
        // [[1, 2, 3], [4, 5, 6]] in Fortran's order, big-endian.
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        let header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
        file.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
        file.extend_from_slice(header.as_bytes());
        [1_u16, 4, 2, 5, 3, 6].iter().for_each(|one| file.extend_from_slice(&one.to_be_bytes()));
        let tensor = read_array(&file).unwrap();
        assert_eq!(tensor.shape(), [2, 3]);
        assert_eq!(tensor.to_f64().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(read_array(b"PK\x03\x04").unwrap_err().to_string().starts_with("not a .npy file"));
    }

    #[test]
    fn a_declared_size_allocates_nothing_and_overflows_nothing() {
        for (shape, words) in [
            ("(1000000000, 1000000)", "shape [1000000000, 1000000] needs 8000000000000000 bytes, found 0"),
            ("(4294967295, 4294967295, 999999)", "the array: shape [4294967295, 4294967295, 999999] is too large"),
            ("(99999999999999999999,)", "the array: shape (99999999999999999999,) is too large"),
        ] {
            let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
            let mut file = b"\x93NUMPY\x01\x00".to_vec();
            file.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
            file.extend_from_slice(header.as_bytes());
            let said = read_array(&file).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
            let mut archive = npyz::npz::NpzWriter::new(Cursor::new(Vec::<u8>::new()));
            let zip = archive.zip_writer();
            zip.start_file("x.npy", Default::default()).unwrap();
            zip.write_all(&file).unwrap();
            let archive = zip.finish().unwrap().into_inner();
            let said = read_arrays(&archive).unwrap_err().to_string();
            assert!(said.starts_with("array 'x': shape "), "{said}");
        }
        let long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec();
        assert!(read_array(&long).unwrap_err().to_string().contains("its header is longer than"));
    }
}
