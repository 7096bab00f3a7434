//! The process: bind, listen, load behind, serve, drain, exit with a code that says why.

use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use modelyard_core::digest::sha256;
use rustix::process::{Resource, Rlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::args::Settings;
use crate::infer::Scheduling;
use crate::load::{Held, Loader, load_all};
use crate::protocol::Service;
use crate::registry::Failure;
use crate::telemetry::traces::Traces;
use crate::trial::Trial;
use modelyard_store::{Limits, Store};

mod admin;
pub(crate) mod cgroup;
mod connection;
mod cpu;
mod follow;
mod head_timeout;
mod hold;
mod streams;

use connection::DataPlane;
pub use cpu::quota_threads;

/// Exit code of a bad command line or configuration (sysexits.h: EX_USAGE).
pub const EXIT_CONFIG: u8 = 64;
/// Exit code of a model that cannot be served (EX_DATAERR).
pub const EXIT_MODEL: u8 = 65;
/// Exit code of a fault of ours (EX_SOFTWARE).
pub const EXIT_BUG: u8 = 70;
/// Exit code of a machine without enough memory for the model (EX_OSERR).
pub const EXIT_MEMORY: u8 = 71;

/// How long the collector may take to accept the last spans at the end.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// The exit code by which a supervisor tells why no model became ready.
pub(crate) fn exit_code(reason: &str) -> u8 {
    match reason {
        "InvalidSpec" => EXIT_CONFIG,
        "ModelInvalid" | "ModelUnsupported" | "ChecksumMismatch" | "ModelChanged" => EXIT_MODEL,
        "ModelNotFound" => 66,
        "StoreUnavailable" => 69,
        "OutOfMemory" => EXIT_MEMORY,
        "ModelUnauthorized" => 77,
        _ => EXIT_BUG,
    }
}

/// Why the server could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("--{flag}: cannot listen on {address}: {source}")]
    Bind {
        /// The flag that named it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file for the ports cannot be written.
    #[error("--ports-file: cannot write {path}: {source}")]
    PortsFile {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The environment's settings for traces are wrong.
    #[error("{0}")]
    Traces(String),
    /// Threads, signals or timers are not to be had.
    #[error("the system refused a thread, signal handler or socket: {0}")]
    System(#[from] std::io::Error),
}

/// Serves until a signal, or until it is clear that no model will become ready.
///
/// # Errors
/// When it cannot listen.
pub async fn run(settings: Settings) -> Result<ExitCode, ServeError> {
    let mut signals = Signals::new()?;
    allow_descriptors();
    let serving = settings.config.serving.clone();
    let threads = serving.threads.map_or_else(quota_threads, |threads| threads as usize);
    let service = service(&settings, threads);
    if let Some(file) = &settings.config_file {
        service.followed(Ok(sha256(&file.text)));
    }
    let traces = Traces::from_environment().map_err(ServeError::Traces)?.map(Arc::new);
    let (listener, admin) = listen(&settings).await?;
    if settings.die_with_parent {
        die_with_parent()?;
    }
    tracing::info!(threads, address = %listener.local_addr()?, admin = %admin.local_addr()?, "listening");
    start_admin(admin, Arc::clone(&service))?;
    let (close, closing) = watch::channel(false);
    let reactors = connection::Reactors::start(threads)?;
    let plane = DataPlane { service: Arc::clone(&service), traces: traces.clone() };
    let data_plane = tokio::spawn(connection::serve(listener, plane, reactors, closing));

    let loading = Arc::clone(&service);
    let mut loads = tokio::spawn(async move { load_all(&loading).await });
    let failures = tokio::select! {
        biased;
        () = signals.first() => None,
        failures = &mut loads => failures.ok(),
    };
    let mut code = ExitCode::SUCCESS;
    if let Some(failures) = failures {
        let all_failed = failures.len() == service.registry.entries().len();
        if let Some(failure) = failures.first().filter(|_| all_failed && !settings.allow_control) {
            write_termination_log(&settings, failure);
            return Ok(ExitCode::from(exit_code(failure.reason)));
        }
        if let Some(file) = &settings.config_file {
            tokio::spawn(follow::follow(Arc::clone(&service), file.clone()));
        }
        if let Some(lost) = until_the_end(&service, &mut signals).await {
            write_termination_log(&settings, &lost);
            code = ExitCode::from(exit_code(lost.reason));
        }
    }
    drain(&service, signals, serving.drain_delay, Closing { close, data_plane }).await;
    if let Some(traces) = traces {
        let last = tokio::task::spawn_blocking(move || traces.finish());
        if tokio::time::timeout(LAST_SPANS, last).await.is_err() {
            tracing::warn!("the collector does not take the last spans");
        }
    }
    Ok(code)
}

/// Serves until a signal, or until nothing is left to serve: then it says why.
async fn until_the_end(service: &Arc<Service>, signals: &mut Signals) -> Option<Failure> {
    if !service.loader.held().is_noted() {
        signals.first().await;
        return None;
    }
    tokio::select! {
        () = signals.first() => None,
        lost = hold::hold(Arc::clone(service)) => Some(lost),
    }
}

/// Raises the soft limit of open files, 1024 by custom, to the hard one: each connection is one.
fn allow_descriptors() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, soft = limit.current, "the limit of open files stays as it is");
    }
}

/// The data plane, and the word on which it ends.
struct Closing {
    close: watch::Sender<bool>,
    data_plane: tokio::task::JoinHandle<()>,
}

/// Not ready, yet still serving, for `delay`; then what is in flight finishes. A second signal ends at once.
async fn drain(service: &Arc<Service>, mut signals: Signals, delay: Duration, plane: Closing) {
    tracing::info!(?delay, "draining: not ready any more, still serving; a second signal ends at once");
    service.drain();
    let orderly = async {
        tokio::time::sleep(delay).await;
        plane.close.send_replace(true);
        if let Err(error) = plane.data_plane.await {
            tracing::error!(%error, "the data plane stopped");
        }
    };
    tokio::select! {
        () = orderly => tracing::info!("drained"),
        // Whoever sends two means it: `modelyard local` does whenever it ends a server.
        () = signals.first() => tracing::info!("second signal: ending at once"),
    }
}

fn service(settings: &Settings, threads: usize) -> Arc<Service> {
    let serving = &settings.config.serving;
    let scheduling = Scheduling {
        threads,
        queue_length: serving.queue.max_length as usize,
        batching: serving.batching.clone(),
        request_timeout: serving.request_timeout,
    };
    let limits = Limits { max_cache_bytes: settings.cache_limit, ..Limits::default() };
    let store = Store::new(settings.cache_dir.clone().unwrap_or_else(Store::default_dir), limits);
    let loader = Loader::new(store, scheduling).within(settings.load_timeout);
    let held = Held::by(settings.pins_file.clone(), settings.restarted_at.clone());
    let loader = loader.holding(held).with_budget(serving.memory_budget).trying_first(Trial::by_this_program(threads));
    Service::new(&settings.config, loader, settings.allow_control)
}

async fn listen(settings: &Settings) -> Result<(TcpListener, TcpListener), ServeError> {
    let bind = async |flag, port| {
        let address = SocketAddr::new(settings.host, port);
        TcpListener::bind(address).await.map_err(|source| ServeError::Bind { flag, address, source })
    };
    let (data, admin) = (bind("port", settings.port).await?, bind("admin-port", settings.admin_port).await?);
    if let Some(path) = &settings.ports_file {
        let ports = serde_json::json!({ "port": data.local_addr()?.port(), "adminPort": admin.local_addr()?.port() });
        // Written beside and renamed, so that a reader never sees half of it.
        let beside = path.with_extension("partial");
        let written = std::fs::write(&beside, ports.to_string()).and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|source| ServeError::PortsFile { path: path.display().to_string(), source })?;
    }
    Ok((data, admin))
}

fn start_admin(listener: TcpListener, service: Arc<Service>) -> Result<(), ServeError> {
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => admin::serve(listener, service).await,
                Err(error) => tracing::error!(%error, "the admin port is lost"),
            }
        });
    })?;
    Ok(())
}

/// Ends this process as soon as standard input ends. The parent holds the other end of that pipe, so this is true even after it
/// was killed; unlike the kernel's parent-death signal it does not depend on which of the parent's threads started us.
fn die_with_parent() -> Result<(), ServeError> {
    std::thread::Builder::new().name("parent-watch".to_owned()).spawn(|| {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 256];
        while stdin.read(&mut buffer).is_ok_and(|count| count > 0) {}
        // Not a word: the parent held the other end of standard error too, and a log line that cannot be written panics.
        std::process::exit(0);
    })?;
    Ok(())
}

/// Writes `{reason, message}` where Kubernetes reads it, if that file exists.
fn write_termination_log(settings: &Settings, failure: &Failure) {
    let path = &settings.termination_log;
    if !path.exists() {
        return;
    }
    let body = serde_json::json!({ "reason": failure.reason, "message": failure.message });
    if let Err(error) = std::fs::write(path, body.to_string()) {
        tracing::warn!(%error, path = %path.display(), "cannot write the termination message");
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
