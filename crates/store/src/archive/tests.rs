//! Honest archives, and hostile ones.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use ::tar::{Builder, EntryType, Header};
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::content;
use super::*;

const MODEL: &[u8] = b"\x08\x08 a model";

/// One entry of a tar archive, its name as raw bytes.
fn member(kind: EntryType, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = members.concat();
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The same archive with `from` as `to`, which has the same length, wherever it is.
fn patched(mut archive: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<_> = (0..=archive.len() - from.len()).filter(|at| archive[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        archive[at..at + to.len()].copy_from_slice(to);
    }
    archive
}

fn limits() -> Limits {
    Limits { max_unpacked_bytes: 1 << 20, max_entries: 20, ratio_from_bytes: 64 << 10, ..Limits::default() }
}

/// Unpacks into `root/into`, and asserts that nothing came to lie beside it.
fn try_unpack(archive: &[u8], root: &Path) -> Result<Vec<Kept>, StoreError> {
    let (path, into) = (root.join("archive"), root.join("into"));
    fs::write(&path, archive).unwrap();
    fs::create_dir(&into).unwrap();
    let kind = content::kind(&path, "it")?;
    let outcome = unpack(&path, kind, &into, &limits());
    assert_eq!(fs::read_dir(root).unwrap().count(), 2);
    outcome
}

fn refused(archive: &[u8]) -> String {
    let root = tempfile::tempdir().unwrap();
    let error = try_unpack(archive, root.path()).unwrap_err();
    assert_eq!(error.reason(), "ModelInvalid", "{error}");
    error.to_string()
}

#[test]
fn honest_archives_are_unpacked() {
    let mut made = Builder::new(Vec::new());
    let long = format!("top/{}/x", "long".repeat(40));
    for name in ["top/model.onnx", "top/model.onnx.data", long.as_str()] {
        let mut header = Header::new_gnu();
        header.set_size(MODEL.len() as u64);
        header.set_mode(0o644);
        made.append_data(&mut header, name, MODEL).unwrap();
    }
    let gnu = made.into_inner().unwrap();
    let pax = tar(&[
        member(EntryType::Directory, b"./top/", b""),
        member(EntryType::XGlobalHeader, b"pax_global_header", b"18 comment=commit\n"),
        member(EntryType::XHeader, b"pax", b"23 path=top/model.onnx\n"),
        member(EntryType::Regular, b"short", MODEL),
    ]);
    let zipped = zip(&[("top/model.onnx", MODEL), ("top/model.onnx.data", &[0; 100])]);
    for archive in [gzip(&gnu), gnu, gzip(&pax), pax, zipped] {
        let root = tempfile::tempdir().unwrap();
        let kept = try_unpack(&archive, root.path()).unwrap();
        assert_eq!(fs::read(root.path().join("into/top/model.onnx")).unwrap(), MODEL);
        for file in kept {
            assert_eq!(digest(&root.path().join("into").join(&file.path)), file.sha256);
        }
    }
}

fn digest(path: &Path) -> String {
    super::super::digest::of_file(path).unwrap().0
}

#[test]
fn hostile_tars_are_refused_by_name() {
    let file = |name: &[u8]| tar(&[member(EntryType::Regular, name, MODEL)]);
    let of_kind = |kind| tar(&[member(kind, b"evil", b"")]);
    let huge = {
        let mut header = Header::new_ustar();
        header.set_path("huge.onnx").unwrap();
        header.set_entry_type(EntryType::Regular);
        header.set_size(1 << 40);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    for (archive, words) in [
        (file(b"../evil"), "'../evil' leads out of its folder"),
        (file(b"a/../../evil"), "leads out of its folder"),
        (file(b"/etc/evil"), "'/etc/evil' has an absolute path"),
        (file(b"a\\..\\evil"), "backslash"),
        (file(b"caf\xe9.onnx"), "not UTF-8"),
        (file(b"."), "has no name"),
        (
            tar(&[member(EntryType::XHeader, b"pax", b"19 path=../../evil\n"), member(EntryType::Regular, b"m", MODEL)]),
            "leads out",
        ),
        (tar(&[member(EntryType::GNULongName, b"L", b"../evil\0"), member(EntryType::Regular, b"m", MODEL)]), "leads out"),
        (of_kind(EntryType::Symlink), "'evil' is a symbolic link"),
        (of_kind(EntryType::Link), "hard link"),
        (of_kind(EntryType::Char), "a device"),
        (of_kind(EntryType::Block), "a device"),
        (of_kind(EntryType::Fifo), "a pipe"),
        (of_kind(EntryType::GNUSparse), "a sparse file"),
        (of_kind(EntryType::new(b'Z')), "of an unknown kind"),
        (tar(&[member(EntryType::Regular, b"m", MODEL), member(EntryType::Regular, b"./m", MODEL)]), "'./m' occurs twice"),
        (
            tar(&[member(EntryType::Regular, b"m", MODEL), member(EntryType::Regular, b"m/x", MODEL)]),
            "'m/x' makes a folder of what is a file",
        ),
        (tar(&[member(EntryType::Directory, b"m/", b""), member(EntryType::Regular, b"m", MODEL)]), "'m' is a file and a folder"),
        (tar(&vec![member(EntryType::Directory, b"d", b""); 21]), "more than the limit of 20 entries"),
        (tar(&[member(EntryType::XHeader, b"pax", b"99 path=x\n")]), "pax header is malformed"),
        (tar(&[member(EntryType::XHeader, b"pax", b"12 size=999\n")]), "a pax header sets size"),
        (tar(&[member(EntryType::XGlobalHeader, b"pax", b"10 path=x\n")]), "a global header names a path"),
        (tar(&[member(EntryType::GNULongName, b"L", &[b'x'; 70_000])]), "an extension header of 70000 bytes"),
        (tar(&[member(EntryType::GNULongName, b"L", &[b'x'; 5000]), member(EntryType::Regular, b"m", MODEL)]), "5000 bytes"),
        (huge, "'huge.onnx' makes the archive unpack to more than"),
        (file(b"m")[..515].to_vec(), "'m' holds 3 bytes where its header says"),
        (gzip(b"no tar at all"), "tar archive cannot be unpacked"),
        (tar(&[]), "holds no file"),
    ] {
        for archive in [gzip(&archive), archive] {
            // An empty tar, bare, is 1024 zeros like any.
            if archive.starts_with(&[0; 512]) {
                continue;
            }
            let message = refused(&archive);
            assert!(message.contains(words), "expected '{words}', found '{message}'");
        }
    }
}

#[test]
fn hostile_zips_are_refused_by_name() {
    let stored = |mode: u32| {
        let archive = zip(&[("evil", MODEL)]);
        // The directory's record: version made by (Unix = 3 in its high byte) and, 38 bytes in, the mode in the high half.
        let at = archive.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        let mut archive = archive;
        archive[at + 5] = 3;
        archive[at + 38..at + 42].copy_from_slice(&(mode << 16).to_le_bytes());
        archive
    };
    let many: Vec<_> = (0..21).map(|at| format!("f{at}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), MODEL)).collect();
    for (archive, words) in [
        (patched(zip(&[("aa/evil", MODEL)]), b"aa/", b"../"), "'../evil' leads out of its folder"),
        (patched(zip(&[("aetc/evil", MODEL)]), b"aetc", b"/etc"), "'/etc/evil' has an absolute path"),
        (patched(zip(&[("a_evil", MODEL)]), b"a_", b"a\\"), "backslash"),
        (patched(zip(&[("cafe.onnx", MODEL)]), b"cafe", b"caf\xe9"), "not UTF-8"),
        (patched(zip(&[("one", MODEL), ("two", MODEL)]), b"two", b"one"), "occurs twice"),
        (stored(0o120_777), "'evil' is a link or a device"),
        (stored(0o020_666), "'evil' is a link or a device"),
        (stored(0o010_666), "'evil' is a link or a device"),
        (zip(&many), "more than the limit of 20 entries"),
        (zip(&[("bomb", &vec![0; 2 << 20])]), "'bomb' makes the archive unpack to more than"),
        (b"PK\x03\x04 and no more".to_vec(), "zip archive cannot be unpacked"),
        (zip(&[]), "holds no file"),
    ] {
        let message = refused(&archive);
        assert!(message.contains(words), "expected '{words}', found '{message}'");
    }
}

#[test]
fn a_size_that_lies_does_not_pass_the_count() {
    let content = vec![0; 2 << 20];
    // The sizes in both records say 16 bytes; the data say otherwise.
    let archive = patched(zip(&[("bomb", &content)]), &(content.len() as u32).to_le_bytes(), &16_u32.to_le_bytes());
    assert!(refused(&archive).contains("'bomb'"));
    // Nor does padding: an archive of nothing but zeros after its end.
    let mut padded = tar(&[member(EntryType::Regular, b"m", MODEL)]);
    padded.resize(2 << 20, 0);
    assert!(refused(&gzip(&padded)).contains("over 200 times the archive's own size"));
}

#[test]
fn damaged_data_are_refused() {
    let mut zipped = zip(&[("m.onnx", &(0..200).collect::<Vec<u8>>())]);
    zipped[60] ^= 0xff;
    assert!(refused(&zipped).contains("'m.onnx'"));
    let mut compressed = gzip(&tar(&[member(EntryType::Regular, b"m", MODEL)]));
    let end = compressed.len();
    compressed[end - 6] ^= 0xff;
    assert!(refused(&compressed).contains("tar archive cannot be unpacked"));
}
