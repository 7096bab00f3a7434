//! What the names of this server's models led to: what a file says of it, and else what they led to when this process loaded them first. A
//! model that is loaded again is the same one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use modelyard_core::pins::{Pin, Pins};
use modelyard_core::server_config::ModelConfig;
use parking_lot::Mutex;

use super::failure::NotLoaded;
use super::{Loader, Occasion};
use crate::look::{self, Stamp};
use crate::protocol::Service;
use crate::registry::{Entry, Failure, State};

/// A file of pins is no larger: a ConfigMap has 1 MiB.
const MOST_BYTES: u64 = 4 << 20;

/// What models are held to.
#[derive(Default)]
pub(crate) struct Held {
    /// Who started this server writes it there, if anybody does; it may come later.
    file: Option<PathBuf>,
    /// Which restart of its revision this server is of.
    restart: String,
    noted: Mutex<(Option<Stamp>, Pins)>,
}

impl Held {
    pub(crate) fn by(file: Option<PathBuf>, restart: String) -> Self {
        Self { file, restart, noted: Mutex::default() }
    }

    /// Whether somebody else notes what the names lead to.
    pub(crate) const fn is_noted(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file if it is another than before.
    ///
    /// # Errors
    /// It cannot be read. What it said before holds on.
    pub(crate) fn look(&self) -> Result<(), String> {
        let Some(path) = &self.file else { return Ok(()) };
        let stamp = match Stamp::of(path) {
            Ok(stamp) => stamp,
            // Nobody has noted anything so far, or it is being exchanged: what was said holds on.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let mut noted = self.noted.lock();
        if noted.0 != Some(stamp) {
            let text = look::text(path, MOST_BYTES).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            *noted = (Some(stamp), Pins::from_json(&text).map_err(|why| format!("{}: {why}", path.display()))?);
        }
        Ok(())
    }

    /// What the file says that this model's name led to.
    pub(crate) fn noted(&self, model: &ModelConfig) -> Option<Pin> {
        self.noted.lock().1.of(&self.restart, model).cloned()
    }
}

impl Loader {
    /// The same, with models that are held to what a file says that their names led to.
    #[must_use]
    pub(crate) fn holding(self, held: Held) -> Self {
        Self { held, ..self }
    }

    /// What models are held to.
    pub(crate) const fn held(&self) -> &Held {
        &self.held
    }

    /// Loads a model for a client that asks for it: what its name leads to now, where nobody else notes what it led to.
    ///
    /// # Errors
    /// What [`State::Failed`] holds then.
    pub async fn load_anew(&self, service: &Arc<Service>, entry: &Arc<Entry>) -> Result<(), Failure> {
        let occasion = if self.held.is_noted() { Occasion::Asked } else { Occasion::Anew };
        self.load_for(service, entry, occasion).await
    }

    /// Whether a model that answers is another than it is held to. What is on standby becomes that when it is loaded again.
    pub(crate) fn has_strayed(&self, entry: &Entry) -> bool {
        let Some(noted) = self.held.noted(&entry.config) else { return false };
        let answers = matches!(*entry.state(), State::Ready(_));
        answers && entry.pin().is_some_and(|pin| pin.content() != noted.content())
    }

    /// Brings a model that has strayed back to what it is held to: it answers until that is ready, and if that fails, no more.
    ///
    /// # Errors
    /// What [`State::Failed`] holds then.
    pub(crate) async fn bring_back(&self, service: &Arc<Service>, entry: &Arc<Entry>) -> Result<(), Failure> {
        let name = &entry.config.name;
        tracing::warn!(model = name, "it is another than its revision serves; that one is loaded in its place");
        let outcome = self.load(service, entry).await;
        if let Err(failure) = &outcome {
            tracing::error!(model = name, "it is not served any more: it is another than its revision serves");
            entry.enter(State::Failed(failure.clone()));
            service.refresh();
        }
        outcome
    }

    /// What the model's name led to before, and is to lead to now.
    pub(super) fn pin_of(&self, entry: &Entry, occasion: Occasion) -> Result<Option<Pin>, NotLoaded> {
        self.held.look().map_err(NotLoaded::Pins)?;
        let noted = self.held.noted(&entry.config);
        Ok(noted.or_else(|| entry.pin().filter(|_| occasion != Occasion::Anew)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_may_come_later_and_holds_for_its_own_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins.json");
        let model = ModelConfig::of("m".to_owned(), "file:m.onnx".to_owned());
        let (held, other) = (Held::by(Some(path.clone()), "1".to_owned()), Held::by(Some(path.clone()), "2".to_owned()));
        assert!(held.look().is_ok() && held.noted(&model).is_none());
        let write = |sum: &str| {
            let pin = serde_json::json!({ "of": model.named(), "digest": sum });
            std::fs::write(folder.path().join("new"), serde_json::json!({ "1": { "m": pin } }).to_string()).unwrap();
            std::fs::rename(folder.path().join("new"), &path).unwrap();
        };
        write("a");
        assert!(held.look().is_ok() && other.look().is_ok());
        assert_eq!((held.noted(&model).unwrap().digest.as_str(), other.noted(&model)), ("a", None));
        std::fs::write(&path, "{").unwrap();
        assert!(held.look().unwrap_err().contains("pins.json: pins: EOF"));
        assert!(held.look().is_err(), "it is not believed the second time either");
        assert_eq!(held.noted(&model).unwrap().digest, "a", "what it said before holds on");
        std::fs::remove_file(&path).unwrap();
        assert!(held.look().is_ok() && held.noted(&model).is_some());
        write("b");
        assert!(held.look().is_ok());
        assert_eq!(held.noted(&model).unwrap().digest, "b");
        assert!(Held::default().look().is_ok() && !Held::default().is_noted());
    }
}
