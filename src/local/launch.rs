//! How a server is launched: which executable, with which arguments.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use modelyard_core::pins::{Pin, Pins};
use modelyard_core::server_config::ServerConfig;
use modelyard_core::units;
use tokio::process::Command;

use super::{LocalError, Options};

/// The server's own variables begin so. Those that say what is served, and where, would contradict the arguments, so none is
/// inherited but these.
const OF_SERVER: &str = "MODELYARD_";
/// What is about this machine rather than about what is served; the last is the beginning of names.
const INHERITED: [&str; 5] = [CACHE_DIR, CACHE_LIMIT, LOAD_TIMEOUT, "MODELYARD_ORT_LIB", "MODELYARD_STORE_"];
const CACHE_DIR: &str = "MODELYARD_CACHE_DIR";
const CACHE_LIMIT: &str = "MODELYARD_CACHE_LIMIT";
const LOAD_TIMEOUT: &str = "MODELYARD_LOAD_TIMEOUT";
/// Seconds that the server takes there.
const LOAD_SECONDS: RangeInclusive<u64> = 1..=86_400;

/// The files in a replica's folder that its server follows.
const CONFIG: &str = "config.json";
const PINS: &str = "pins.json";

/// What one server is to serve.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) config: ServerConfig,
    /// What the names of its models led to, as far as that is known.
    pub(super) pins: Pins,
}

impl Served {
    /// What the name of the only model led to.
    pub(super) fn pin(&self) -> Option<&Pin> {
        let [model] = self.config.models.as_slice() else { return None };
        self.pins.of("", model)
    }
}

/// Writes what the server is to serve, now and whenever that changes. It never sees half of it.
pub(super) fn write(served: &Served, folder: &Path) -> std::io::Result<()> {
    for (file, text) in [(PINS, served.pins.to_json()), (CONFIG, served.config.to_json())] {
        let (now, beside) = (folder.join(file), folder.join(file).with_extension("partial"));
        // Written anew is another, as far as a look tells.
        if std::fs::read(&now).is_ok_and(|before| before == text.as_bytes()) {
            continue;
        }
        std::fs::write(&beside, text)?;
        std::fs::rename(beside, now)?;
    }
    Ok(())
}

/// What all servers have in common.
#[derive(Clone, Debug)]
pub(super) struct Launcher {
    server: PathBuf,
    log_level: String,
}

impl Launcher {
    /// Finds the server, and looks at what it will inherit: it would refuse that at each of its starts.
    pub(super) fn new(options: &Options) -> Result<Self, LocalError> {
        check_load_timeout(std::env::var_os(LOAD_TIMEOUT))?;
        check_cache_limit(std::env::var_os(CACHE_LIMIT))?;
        let server = match &options.server {
            Some(path) if path.is_file() => path.clone(),
            Some(path) => return Err(LocalError::ServerBin { path: path.display().to_string() }),
            None => found()?,
        };
        Ok(Self { server, log_level: options.log_level.clone() })
    }

    /// The command of one replica, which writes its ports and its last words into `folder`.
    pub(super) fn command(&self, config: &ServerConfig, folder: &Path) -> Command {
        let mut command = Command::new(&self.server);
        for (name, _) in std::env::vars_os().filter(|(name, _)| !is_inherited(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command
            .envs(credentials(config))
            .arg("--config")
            .arg(format!("@{}", folder.join(CONFIG).display()))
            .arg("--pins-file")
            .arg(folder.join(PINS))
            .args(["--host", "127.0.0.1", "--port", "0", "--admin-port", "0", "--die-with-parent", "--log-format", "text"])
            .args(["--log-level", &self.log_level])
            .arg("--ports-file")
            .arg(folder.join("ports.json"))
            .arg("--termination-log")
            .arg(folder.join("termination.json"))
            // The server ends with the pipe on its standard input: even if we are killed, none is left behind.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is ours to act on; servers are told once their requests are answered.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

fn is_inherited(name: &str) -> bool {
    let of_machine = |known: &str| name == known || (known.ends_with('_') && name.starts_with(known));
    !name.starts_with(OF_SERVER) || INHERITED.into_iter().any(of_machine)
}

fn check_load_timeout(value: Option<OsString>) -> Result<(), LocalError> {
    let Some(value) = value else { return Ok(()) };
    let value = value.to_string_lossy();
    if value.parse::<u64>().is_ok_and(|seconds| LOAD_SECONDS.contains(&seconds)) {
        return Ok(());
    }
    let (least, most) = LOAD_SECONDS.into_inner();
    Err(LocalError::Environment { name: LOAD_TIMEOUT, found: value.into(), expected: format!("seconds from {least} to {most}") })
}

fn check_cache_limit(value: Option<OsString>) -> Result<(), LocalError> {
    let Some(value) = value else { return Ok(()) };
    let value = value.to_string_lossy();
    units::whole(&value).map(drop).map_err(|_| LocalError::Environment {
        name: CACHE_LIMIT,
        found: value.as_ref().into(),
        expected: "a quantity of bytes such as '500M' or '20Gi'".to_owned(),
    })
}

/// Makes sure that models that are fetched can be kept: each server would fail for it, by itself.
pub(super) fn check_cache<'a>(configs: impl Iterator<Item = &'a ServerConfig>) -> Result<(), LocalError> {
    let fetched = |config: &ServerConfig| config.models.iter().any(|model| !model.uri.starts_with("file:"));
    let mut configs = configs;
    let Some(folder) = std::env::var_os(CACHE_DIR).map(PathBuf::from).filter(|_| configs.any(fetched)) else { return Ok(()) };
    let tried = std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder));
    tried
        .map(drop)
        .map_err(|source| LocalError::System { what: format!("{CACHE_DIR}: cannot write to {}", folder.display()), source })
}

fn found() -> Result<PathBuf, LocalError> {
    let name = format!("modelyard-server{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let in_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let found = beside.iter().chain(&in_path).map(|folder| folder.join(&name)).find(|path| path.is_file());
    found.ok_or_else(|| LocalError::NoServer { beside: beside.unwrap_or_default().display().to_string() })
}

/// What a Secret holds on a cluster, this process's own environment holds here.
fn credentials(config: &ServerConfig) -> impl Iterator<Item = (&String, String)> {
    let header = std::env::var("HTTP_AUTHORIZATION").ok();
    config.models.iter().filter_map(move |model| Some((model.authorization_env.as_ref()?, header.clone()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_timeout_that_no_server_takes_is_named() {
        for good in [None, Some("1"), Some("86400")] {
            assert!(check_load_timeout(good.map(OsString::from)).is_ok(), "{good:?}");
        }
        for bad in ["", "abc", "0", "86401", "1.5"] {
            let message = check_load_timeout(Some(bad.into())).unwrap_err().to_string();
            assert_eq!(message, format!("MODELYARD_LOAD_TIMEOUT: expected seconds from 1 to 86400, found '{bad}'"));
        }
    }

    #[test]
    fn a_cache_limit_that_no_server_takes_is_named() {
        for good in [None, Some("0"), Some("500M"), Some("1.5Gi")] {
            assert!(check_cache_limit(good.map(OsString::from)).is_ok(), "{good:?}");
        }
        for bad in ["", "lots", "-1", "5Q"] {
            let message = check_cache_limit(Some(bad.into())).unwrap_err().to_string();
            let expected = format!("MODELYARD_CACHE_LIMIT: expected a quantity of bytes such as '500M' or '20Gi', found '{bad}'");
            assert_eq!(message, expected);
        }
    }
}
