//! What happens, in the order in which the one task takes it.

use std::net::SocketAddr;

use modelyard_core::diagnose::{Loaded, Loading, Refused};
use modelyard_core::pins::Pin;
use serde::Deserialize;

/// Something that calls for another look.
#[derive(Debug)]
pub(super) enum Event {
    /// A replica has news.
    Replica(u64, News),
    /// The files are not what they were.
    Edited,
}

/// A replica's news.
#[derive(Debug)]
pub(super) enum News {
    /// A process runs.
    Spawned { pid: u32 },
    /// It listens.
    Listening { data: SocketAddr, admin: SocketAddr },
    /// What it says of itself.
    Readiness(Readiness),
    /// It ended, unasked.
    Ended(Ending),
    /// It ended, as asked, and starts no more.
    Gone,
}

/// What `/readyz` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Readiness {
    /// The server's state: `Downloading`, `Loading`, `Warming`, `Ready`, `Failed`, `Draining`.
    pub(super) state: String,
    /// Bytes that have come.
    #[serde(default)]
    pub(super) bytes: u64,
    /// Bytes in all; 0 while unknown.
    #[serde(default)]
    pub(super) total_bytes: u64,
    /// Each model.
    #[serde(default)]
    pub(super) models: Vec<ModelState>,
    /// Which configuration it follows.
    pub(super) config: Option<Followed>,
}

/// Which configuration a server follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Followed {
    /// The SHA-256 of its text.
    pub(super) sha256: String,
    /// Why it refuses the one that there is now.
    pub(super) refused: Option<String>,
}

/// One model's part of [`Readiness`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModelState {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    /// Whether it came while the server was serving others.
    #[serde(default)]
    pub(super) late: bool,
    /// Whether another one is on its way to take its place.
    #[serde(default)]
    pub(super) changing: bool,
    /// Why what was to take its place does not.
    pub(super) refused: Option<Refused>,
    /// What its name led to, once it was loaded.
    pub(super) pin: Option<Pin>,
    /// What it takes of memory while it is loaded.
    pub(super) memory_bytes: Option<u64>,
}

impl ModelState {
    /// Its name, and what that led to, where it answers.
    pub(super) fn pinned(&self) -> Option<(&str, &Pin)> {
        Some((&self.name, self.pin.as_ref().filter(|_| self.is_ready())?))
    }

    /// Whether requests for it are answered: at once, or once it is loaded.
    pub(super) fn is_ready(&self) -> bool {
        self.state == "Ready" || self.state == "Standby"
    }
}

impl Readiness {
    /// What it says of its models, as the status has it; `None` where it says nothing of them yet.
    pub(super) fn of_models(&self) -> Option<Loading> {
        let loaded = |model: &ModelState| Loaded {
            name: model.name.clone(),
            state: model.state.clone(),
            reason: model.reason.clone(),
            message: model.message.clone(),
            changing: model.changing,
            refused: model.refused.clone().map(Box::new),
            ..Loaded::default()
        };
        let models: Vec<Loaded> = self.models.iter().map(loaded).collect();
        (!models.is_empty()).then(|| Loading { models, ..Loading::default() })
    }

    /// Whether every model of the server answers, but for those that came later: what was there goes on without them.
    pub(super) fn is_ready(&self) -> bool {
        self.state == "Ready" && self.models.iter().all(|model| model.late || model.is_ready())
    }
}

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// Its exit code, if it had one.
    pub(super) code: Option<i32>,
    /// The class of the failure, if the server told.
    pub(super) reason: Option<String>,
    /// What happened.
    pub(super) message: String,
    /// How many times in a row it ended without having served for a while.
    pub(super) in_a_row: u32,
}
