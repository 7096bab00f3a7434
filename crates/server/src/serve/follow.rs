//! A server that was started with `--config @FILE` follows that file: models that are added, removed or changed there come, go and
//! change here, each by itself, while the others serve on.
//!
//! The file is looked at, not watched: the kubelet swaps a symbolic link to a folder, others write a file's name anew.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use modelyard_core::digest::sha256;
use modelyard_core::server_config::{ServerConfig, ServingConfig};

use crate::args::{ConfigFile, MOST_CONFIG_BYTES};
use crate::load::change::Changes;
use crate::look::{self, Stamp};
use crate::protocol::Service;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Follows the file for as long as the process lives. Its `serving` only a new process can change.
pub(super) async fn follow(service: Arc<Service>, file: ConfigFile) {
    let ConfigFile { path, serving, .. } = file;
    let mut changes = Changes::new(Arc::clone(&service));
    let mut seen: Option<Stamp> = None;
    loop {
        let now = Stamp::of(&path).ok();
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

/// The configuration, and the SHA-256 of its text.
fn read(path: &Path, serving: &ServingConfig) -> Result<(ServerConfig, String), String> {
    let text = look::text(path, MOST_CONFIG_BYTES).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let config = ServerConfig::from_json(&text).map_err(|invalid| invalid.to_string())?;
    if config.serving != *serving {
        return Err("serving: expected what the server started with, since only a new process can change it".to_owned());
    }
    Ok((config, sha256(&text)))
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
