//! Models on their way between stores and folders, for `modelyard push` and `modelyard pull`: the one program that knows the stores is the server's.
//!
//! What happens is told on standard output, a JSON object on a line; whoever reads it is gone when a line cannot be written, and then this
//! process ends too.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use modelyard_telemetry::logs::{self, Lines};
use serde_json::{Value, json};

use crate::inspect::inspect;
use crate::serve::{EXIT_BUG, exit_code};
use modelyard_store::{self as store, About, Limits, Progress, Source, Store, StoreError};

/// How often the progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// What is to be done.
#[derive(Debug)]
pub enum Exchange {
    /// From a folder to a registry.
    Push(PushArguments),
    /// From a store to a folder.
    Pull(PullArguments),
}

/// `modelyard-server push`.
#[derive(Debug, clap::Args)]
pub struct PushArguments {
    /// A folder with a model, a model's file, a .tar or a .tar.gz
    path: PathBuf,
    /// oci://HOST/REPOSITORY:TAG
    uri: String,
    /// Where archives are unpacked
    #[arg(long)]
    cache_dir: Option<PathBuf>,
}

/// `modelyard-server pull`.
#[derive(Debug, clap::Args)]
pub struct PullArguments {
    /// Where the model is
    uri: String,
    /// The folder to make
    output: PathBuf,
    /// What it has to be
    #[arg(long)]
    sha256: Option<String>,
    /// Where what is fetched is kept
    #[arg(long)]
    cache_dir: Option<PathBuf>,
}

/// The header for an `http(s):` store, by the name that it has in a Secret.
const AUTHORIZATION: &str = "HTTP_AUTHORIZATION";

/// Does it.
pub fn run(task: Exchange) -> ExitCode {
    if let Err(error) = logs::start("warn", Lines::Text) {
        eprintln!("warning: {error}");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_BUG);
        }
    };
    let outcome = runtime.block_on(async {
        match task {
            Exchange::Push(arguments) => push(arguments).await,
            Exchange::Pull(arguments) => pull(arguments).await,
        }
    });
    let (told, code) = match outcome {
        Ok(done) => (json!({"event": "done", "report": done}), 0),
        Err(error) => {
            let reason = error.reason();
            (json!({"event": "failed", "reason": reason, "message": error.to_string()}), exit_code(reason))
        }
    };
    tell(&told);
    ExitCode::from(code)
}

async fn push(arguments: PushArguments) -> Result<Value, StoreError> {
    let store = kept_in(arguments.cache_dir);
    let uri = format!("file:{}", arguments.path.display());
    let source = Source { uri, sha256: None, authorization_env: None, credentials_env: None, pin: None };
    let artifact = store::fetch(&source, &store, &Progress::default()).await?;
    let report = inspect(&artifact.model);
    for problem in report.problems {
        let what = if problem.node.is_empty() { problem.reason } else { problem.to_string() };
        tell(&json!({"event": "note", "message": format!("this server does not serve it: {what}")}));
    }
    let facts = report.facts.unwrap_or_default();
    let about = About {
        format: facts.platform.split('_').next().unwrap_or_default().to_owned(),
        parameters: facts.parameters,
        signature: report.signature.map_or(Value::Null, |signature| json!(signature)),
    };
    let progress = Progress::default();
    let pushed = store::push((&arguments.path, &artifact), &arguments.uri, &about, (&store, &progress));
    Ok(json!(telling(pushed, &progress).await?))
}

async fn pull(arguments: PullArguments) -> Result<Value, StoreError> {
    let store = kept_in(arguments.cache_dir);
    let authorization_env = std::env::var_os(AUTHORIZATION).map(|_| AUTHORIZATION.to_owned());
    let source = Source { uri: arguments.uri, sha256: arguments.sha256, authorization_env, credentials_env: None, pin: None };
    let progress = Progress::default();
    let artifact = telling(store::fetch(&source, &store, &progress), &progress).await?;
    let files = store::copy(&artifact, &source.uri, &store, &arguments.output).await?;
    Ok(json!({"sha256": artifact.digest, "bytes": artifact.bytes, "files": files}))
}

fn kept_in(cache: Option<PathBuf>) -> Store {
    Store::new(cache.unwrap_or_else(Store::default_dir), Limits::default())
}

/// Waits for work, and tells how far it has come.
async fn telling<T>(work: impl Future<Output = T>, progress: &Progress) -> T {
    let mut work = std::pin::pin!(work);
    let mut tick = tokio::time::interval(TOLD_EVERY);
    let mut last = (0, 0);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = tick.tick() => {
                let now = progress.read();
                if now != last {
                    last = now;
                    tell(&json!({"event": "progress", "bytes": now.0, "total": now.1}));
                }
            }
        }
    }
}

/// One line for whoever asked; without a reader there is nothing left to do.
fn tell(line: &Value) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(EXIT_BUG.into());
    }
}
