//! Where the content of large tensors lies while a model is worked on: in the files that it came from, and what was made of it in a file
//! of this room's own. So memory holds the largest tensor, not the model.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::proto::{EXTERNAL, StringStringEntryProto, TensorProto, data_type};

/// Contents of so many bytes or more stay in files.
pub(crate) const LARGE: u64 = 1 << 20;

/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 20;

/// Takes the content that rewrites make. It is gone when this goes: a model has to be written before.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    spool: Option<NamedTempFile>,
    end: u64,
}

impl Store {
    /// One whose file, if it comes to need one, is made in `folder`.
    #[must_use]
    pub fn within(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), spool: None, end: 0 }
    }

    /// Puts the content of a large tensor into the file; a small one stays as it is.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn keep(&mut self, mut tensor: TensorProto) -> io::Result<TensorProto> {
        let Some(raw) = tensor.raw_data.as_ref().filter(|raw| raw.len() as u64 >= LARGE) else { return Ok(tensor) };
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(tempfile::Builder::new().prefix(".modelyard-").tempfile_in(&self.folder)?),
        };
        let place = Place { file: spool.path().to_owned(), offset: self.end, length: raw.len() as u64 };
        spool.write_all(raw)?;
        self.end += place.length;
        tensor.raw_data = None;
        place.put(&mut tensor);
        Ok(tensor)
    }
}

/// Where the content of a tensor lies: a stretch of a file, whose path is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    /// Bytes from its beginning.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) length: u64,
}

impl Place {
    /// The place of a tensor that was read by this crate; `None` for one whose content is in the message.
    pub(crate) fn of(tensor: &TensorProto) -> Option<Self> {
        let entry = |key: &str| tensor.external_data.iter().find(|one| one.key() == key).map(StringStringEntryProto::value);
        let number = |key: &str| entry(key)?.parse().ok();
        if tensor.data_location() != EXTERNAL {
            return None;
        }
        Some(Self { file: entry("location")?.into(), offset: number("offset")?, length: number("length")? })
    }

    /// Says it of a tensor.
    pub(crate) fn put(&self, tensor: &mut TensorProto) {
        let entry = |key: &str, value: String| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
        tensor.data_location = Some(EXTERNAL);
        tensor.external_data = vec![
            entry("location", self.file.to_string_lossy().into_owned()),
            entry("offset", self.offset.to_string()),
            entry("length", self.length.to_string()),
        ];
    }

    fn content(&self) -> io::Result<Bytes> {
        let length = usize::try_from(self.length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut content = vec![0; length];
        File::open(&self.file)?.read_exact_at(&mut content, self.offset)?;
        Ok(content.into())
    }

    /// Hands the content over piece by piece.
    pub(crate) fn each(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut file = File::open(&self.file)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0; CHUNK];
        let mut left = self.length;
        while left > 0 {
            let size = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            file.read_exact(&mut chunk[..size])?;
            take(&chunk[..size])?;
            left -= size as u64;
        }
        Ok(())
    }
}

impl TensorProto {
    /// The values of an FP32 tensor, wherever they lie; `None` for any other, and where they do not fill the dimensions.
    ///
    /// # Errors
    /// What the system says of the file that they lie in.
    pub(crate) fn fetched(&self) -> io::Result<Option<Vec<f32>>> {
        let Some(place) = Place::of(self).filter(|_| self.data_type() == data_type::FLOAT) else { return Ok(self.floats()) };
        let here =
            Self { raw_data: Some(place.content()?), data_type: self.data_type, dims: self.dims.clone(), ..Self::default() };
        Ok(here.floats())
    }

    /// Whether it has that many FP32 values, wherever they lie.
    pub(crate) fn is_floats(&self) -> bool {
        match Place::of(self) {
            Some(place) => {
                self.data_type() == data_type::FLOAT && self.count().map(|count| count as u64 * 4) == Some(place.length)
            }
            None => self.floats().is_some(),
        }
    }

    /// Bytes of its content, where that is raw.
    pub(crate) fn raw_length(&self) -> Option<u64> {
        Place::of(self).map(|place| place.length).or_else(|| self.raw_data.as_ref().map(|raw| raw.len() as u64))
    }

    /// A sum of the content in a file; `None` where it is in the message.
    pub(crate) fn sum(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = Place::of(self) else { return Ok(None) };
        let mut sum = Sha256::new();
        place.each(|piece| {
            sum.update(piece);
            Ok(())
        })?;
        Ok(Some(sum.finalize().to_vec()))
    }
}
