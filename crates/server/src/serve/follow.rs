//! A server that was started with `--config @FILE` follows that file: models that are added, removed or changed there come, go and
//! change here, each by itself, while the others serve on.
//!
//! The file is looked at, not watched: what stands behind its name may be exchanged in many ways (the kubelet swaps a symbolic link to
//! a folder), and a look costs some microseconds.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use modelyard_core::server_config::{ServerConfig, ServingConfig};
use sha2::{Digest, Sha256};

use crate::args::ConfigFile;
use crate::load::change::Changes;
use crate::protocol::Service;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// A configuration is no larger: thousands of models fit in.
const MOST_BYTES: u64 = 16 << 20;

/// Which state of a file was looked at.
type Stamp = (u64, u64, i64, i64, u64);

/// Follows the file for as long as the process lives. Its `serving` only a new process can change.
pub(super) async fn follow(service: Arc<Service>, file: ConfigFile) {
    let ConfigFile { path, serving, .. } = file;
    let mut changes = Changes::new(Arc::clone(&service));
    let mut seen: Option<Stamp> = None;
    loop {
        let now = std::fs::metadata(&path).ok().map(|about| stamp(&about));
        // A file that is gone for a moment is being exchanged; one that stays away says nothing new.
        if now.is_some() && now != seen {
            seen = now;
            match read(&path, &serving) {
                // Written anew with what is followed already.
                Ok((_, digest)) if service.following().is_some_and(|now| now.digest == digest && now.refused.is_none()) => {}
                Ok((config, digest)) => {
                    changes.want(&config.models);
                    service.followed(Ok(digest));
                }
                Err(message) => {
                    tracing::error!(path = %path.display(), reason = message, "the new configuration is refused; the one before stays");
                    service.followed(Err(message));
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn stamp(about: &Metadata) -> Stamp {
    (about.dev(), about.ino(), about.mtime(), about.mtime_nsec(), about.len())
}

/// The configuration, and the SHA-256 of its text.
fn read(path: &Path, serving: &ServingConfig) -> Result<(ServerConfig, String), String> {
    let text = text(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let config = ServerConfig::from_json(&text).map_err(|invalid| invalid.to_string())?;
    if config.serving != *serving {
        return Err("serving: expected what the server started with, since only a new process can change it".to_owned());
    }
    Ok((config, digest(&text)))
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("expected at most {MOST_BYTES} bytes")));
    }
    Ok(text)
}

/// The SHA-256 of a configuration's text, in hexadecimal.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_may_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let serving = ServingConfig::default();
        let of = |json: &str| {
            std::fs::write(&path, json).unwrap();
            read(&path, &serving).map(|(config, digest)| (config.models.len(), digest.len()))
        };
        assert_eq!(of(r#"{"models":[{"name":"a","uri":"file:a"},{"name":"b","uri":"file:b"}]}"#), Ok((2, 64)));
        for (json, part) in [
            (
                r#"{"models":[{"name":"a","uri":"file:a"}],"serving":{"threads":3}}"#,
                "serving: expected what the server started with",
            ),
            (r#"{"models":[]}"#, "models: expected at least one"),
            ("{", "config: EOF"),
        ] {
            let refused = of(json).unwrap_err();
            assert!(refused.contains(part), "{refused}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path, &serving).unwrap_err().contains("cannot read"));
    }
}
