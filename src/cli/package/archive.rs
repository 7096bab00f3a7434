//! A .tar.gz that depends on the files alone: names in order, no times, no owners.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};

/// Packs the files of `folder` that `names` names, in that order.
pub(super) fn pack<'a>(folder: &Path, names: impl Iterator<Item = &'a String>, to: &Path) -> io::Result<()> {
    let writer = BufWriter::new(File::create_new(to)?);
    let mut tar = tar::Builder::new(GzBuilder::new().write(writer, Compression::default()));
    for name in names {
        let file = File::open(folder.join(name))?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, name, file)?;
    }
    let mut writer = tar.into_inner()?.finish()?;
    writer.flush()?;
    writer.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_bytes() {
        let pack_in = |seconds: u64| {
            let root = tempfile::tempdir().unwrap();
            let long = format!("{}/model.onnx.data", "deep".repeat(40));
            let names = ["model.onnx".to_owned(), long];
            for name in &names {
                let path = root.path().join("content").join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, name).unwrap();
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
                File::open(&path).unwrap().set_modified(time).unwrap();
            }
            let to = root.path().join("packed");
            pack(&root.path().join("content"), names.iter(), &to).unwrap();
            std::fs::read(to).unwrap()
        };
        let packed = pack_in(1_000_000);
        assert_eq!(packed, pack_in(2_000_000));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let found: Vec<_> = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!((found.len(), found[0].to_str()), (2, Some("model.onnx")));
    }
}
