//! Local mode: the same YAML on this machine, with processes in place of pods.
//!
//! Reading, resolving, planning and telling are the operator's own; what differs is who carries the plan out. One task owns all
//! state and takes events in order: a replica has news, the files changed, somebody pressed Ctrl-C. After each it observes, plans,
//! starts and stops processes, publishes the gateway's table and tells what is new.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

mod backoff;
mod deployment;
mod events;
mod folder;
mod launch;
mod models;
mod observe;
mod process;
mod replica;
mod routes;
mod run;
mod screen;
mod table;
mod wanted;
mod watch;
mod words;

pub use screen::Output;

/// What `modelyard local` is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// YAML files and folders; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The address of the one port.
    pub host: IpAddr,
    /// The one port; 0 takes a free one.
    pub port: u16,
    /// Whether to tell each replica's own port, and to honour `drainDelay` for clients that use it.
    pub direct: bool,
    /// How to tell what happens.
    pub output: Output,
    /// The server; without a path the `modelyard-server` beside this executable, or in `PATH`.
    pub server: Option<PathBuf>,
    /// Which log lines the servers write.
    pub log_level: String,
}

/// Why local mode could not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The files are not to be served.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// The port is taken.
    #[error("--port: cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no server to launch.
    #[error(
        "no modelyard-server beside {beside} nor in PATH; build it with 'cargo build --workspace', or name it by --server-bin"
    )]
    NoServer {
        /// Where it was looked for.
        beside: String,
    },
    /// What `--server-bin` names is no file.
    #[error("--server-bin: no file {path}")]
    ServerBin {
        /// As it was given.
        path: String,
    },
    /// A variable that the servers would inherit, and refuse.
    #[error("{name}: expected {expected}, found '{found}'")]
    Environment {
        /// The variable.
        name: &'static str,
        /// What it says.
        found: String,
        /// What a server takes.
        expected: String,
    },
    /// Threads, folders or signals are not to be had.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Serves until a signal.
///
/// # Errors
/// When it cannot begin.
pub fn run(options: &Options) -> Result<ExitCode, LocalError> {
    let failed = |source| LocalError::System { what: "cannot start".to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(run::run(options))
}
