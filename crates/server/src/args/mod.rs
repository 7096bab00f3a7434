//! What the command line and the environment say, turned into [`Settings`] before any port opens.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use modelyard_core::server_config::{InvalidConfig, ServerConfig, ServingConfig};
use modelyard_core::units;

use crate::exchange::{Exchange, PullArguments, PushArguments};
use crate::load::LOAD_TIMEOUT;
use crate::look;

mod by_hand;

use by_hand::ByHand;

/// A configuration is no larger: thousands of models fit in.
pub(crate) const MOST_CONFIG_BYTES: u64 = 16 << 20;

/// Serves models over HTTP and gRPC on one port: Open Inference Protocol v2, TensorFlow Serving, KServe v1.
#[derive(Debug, Parser)]
#[command(name = "modelyard-server", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a model file takes, gives and is made of, and what of it will not run
    Inspect(InspectArguments),
    /// Load models and run each once, within bounds, as standard input names them: the server starts itself so before it takes models in
    #[command(hide = true)]
    Try,
    /// Push a model to a registry: `modelyard push` starts the server so
    #[command(hide = true)]
    Push(PushArguments),
    /// Bring a model into a folder: `modelyard pull` starts the server so
    #[command(hide = true)]
    Pull(PullArguments),
}

/// `modelyard-server inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArguments {
    /// The .onnx file, or a folder with one
    pub file: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, clap::Args)]
struct ServeArguments {
    /// The whole configuration as JSON, or @FILE that holds it; the models of a file may change while they are served
    #[arg(long, value_name = "JSON|@FILE", env = "MODELYARD_CONFIG", help_heading = "What to serve", conflicts_with = "model")]
    config: Option<String>,
    #[command(flatten)]
    by_hand: ByHand,
    /// Let clients load and unload models
    #[arg(long, env = "MODELYARD_ALLOW_CONTROL", help_heading = "What to serve")]
    allow_control: bool,
    /// What the models' uris led to before, as JSON: they are held to it. The file may come later, and change
    #[arg(long, value_name = "FILE", env = "MODELYARD_PINS_FILE", help_heading = "What to serve")]
    pins_file: Option<PathBuf>,
    /// Which restart of its revision this process is of: what that file says of others does not hold here
    #[arg(long, value_name = "NAME", default_value = "", env = "MODELYARD_RESTARTED_AT", help_heading = "What to serve")]
    restarted_at: String,
    /// Where fetched models are kept (default: modelyard/models in the user's cache folder)
    #[arg(long, value_name = "DIR", env = "MODELYARD_CACHE_DIR", help_heading = "What to serve")]
    cache_dir: Option<PathBuf>,
    /// Bytes that they may take before those unused for longest are removed; with a suffix such as Mi or G
    #[arg(long, value_name = "SIZE", default_value = "20Gi", value_parser = units::whole, env = "MODELYARD_CACHE_LIMIT", help_heading = "What to serve")]
    cache_limit: u64,
    /// Seconds that preparing a model may take once it is here
    #[arg(long, value_name = "SECONDS", default_value_t = LOAD_TIMEOUT.as_secs(), env = "MODELYARD_LOAD_TIMEOUT", help_heading = "What to serve", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    load_timeout: u64,

    /// The address to listen on
    #[arg(long, default_value = "0.0.0.0", env = "MODELYARD_HOST", help_heading = "Network")]
    host: IpAddr,
    /// The port of every protocol; 0 takes a free one
    #[arg(long, default_value_t = 8080, env = "MODELYARD_PORT", help_heading = "Network")]
    port: u16,
    /// The port of health and metrics; 0 takes a free one
    #[arg(long, default_value_t = 9090, env = "MODELYARD_ADMIN_PORT", help_heading = "Network")]
    admin_port: u16,
    /// Write {"port", "adminPort"} to this file once both listen
    #[arg(long, value_name = "FILE", env = "MODELYARD_PORTS_FILE", help_heading = "Network")]
    ports_file: Option<PathBuf>,

    /// Worker threads (default: serving.threads of the configuration, or the CPU quota of the cgroup)
    #[arg(long, env = "MODELYARD_THREADS", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Process")]
    threads: Option<u32>,
    /// Exit as soon as standard input ends: the parent that holds its other end has died
    #[arg(long, env = "MODELYARD_DIE_WITH_PARENT", help_heading = "Process")]
    die_with_parent: bool,
    /// Where to write the reason of a failure to start; used if the file exists
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/dev/termination-log",
        env = "MODELYARD_TERMINATION_LOG",
        help_heading = "Process"
    )]
    termination_log: PathBuf,
    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "MODELYARD_LOG_FORMAT", help_heading = "Process")]
    log_format: LogFormat,
    /// error, warn, info or debug; or by target, such as info,access=debug
    #[arg(long, default_value = "info", env = "MODELYARD_LOG_LEVEL", help_heading = "Process")]
    log_level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What this process is to do.
#[derive(Debug)]
pub enum Task {
    /// Serve models.
    Serve(Box<Settings>),
    /// Report on a file.
    Inspect(InspectArguments),
    /// Try models in place of the server that asks.
    Try,
    /// Push or pull a model for the command that asks.
    Exchange(Exchange),
}

/// Everything that serving needs to know, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The models and limits.
    pub config: ServerConfig,
    /// The file that they come from, which is followed.
    pub config_file: Option<ConfigFile>,
    /// Whether clients may load and unload models.
    pub allow_control: bool,
    /// The file that says what the models' uris led to before.
    pub pins_file: Option<PathBuf>,
    /// Which restart of its revision this process is of.
    pub restarted_at: String,
    /// Where fetched models are kept.
    pub cache_dir: Option<PathBuf>,
    /// Bytes that they may take.
    pub cache_limit: u64,
    /// How long preparing a model may take once it is here.
    pub load_timeout: Duration,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port of every protocol.
    pub port: u16,
    /// The port of health and metrics.
    pub admin_port: u16,
    /// Where to write the ports.
    pub ports_file: Option<PathBuf>,
    /// Whether to exit when standard input ends.
    pub die_with_parent: bool,
    /// Where to write the reason of a failure to start.
    pub termination_log: PathBuf,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines there are.
    pub log_level: String,
}

/// The file that a configuration comes from.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// What stood in it.
    pub text: String,
    /// `serving` as it stood there: what the command line says is not in it.
    pub serving: ServingConfig,
}

/// A command line or configuration that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum InvalidArguments {
    /// Neither a configuration nor a model.
    #[error("nothing to serve: give --model NAME=URI, or --config (MODELYARD_CONFIG)")]
    Nothing,
    /// A `--model` that is not `NAME=URI`.
    #[error("--model: expected NAME=URI, found '{0}'")]
    Model(String),
    /// A `--model` that cannot be served.
    #[error("--model {name}: {message}")]
    ModelConfig {
        /// The model's name, as it was given.
        name: String,
        /// What was found, and what was expected.
        message: String,
    },
    /// A configuration file that cannot be read.
    #[error("--config: cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A configuration that cannot be served.
    #[error("--config: {0}")]
    Config(#[from] InvalidConfig),
}

impl Arguments {
    /// What this process is to do.
    ///
    /// # Errors
    /// Names the flag or field that is wrong.
    pub fn task(self) -> Result<Task, InvalidArguments> {
        match self.command {
            Some(Command::Inspect(inspect)) => Ok(Task::Inspect(inspect)),
            Some(Command::Try) => Ok(Task::Try),
            Some(Command::Push(model)) => Ok(Task::Exchange(Exchange::Push(model))),
            Some(Command::Pull(model)) => Ok(Task::Exchange(Exchange::Pull(model))),
            None => Ok(Task::Serve(Box::new(self.serve.settings()?))),
        }
    }
}

impl ServeArguments {
    fn settings(self) -> Result<Settings, InvalidArguments> {
        let (mut config, config_file) = match &self.config {
            Some(json) => {
                let text = read_config(json)?;
                let config = ServerConfig::from_json(&text)?;
                let serving = config.serving.clone();
                let file = json.strip_prefix('@').map(|path| ConfigFile { path: path.into(), text, serving });
                (config, file)
            }
            None => (self.by_hand.config()?, None),
        };
        config.serving.threads = self.threads.or(config.serving.threads);
        Ok(Settings {
            config,
            config_file,
            allow_control: self.allow_control,
            pins_file: self.pins_file,
            restarted_at: self.restarted_at,
            cache_dir: self.cache_dir,
            cache_limit: self.cache_limit,
            load_timeout: Duration::from_secs(self.load_timeout),
            host: self.host,
            port: self.port,
            admin_port: self.admin_port,
            ports_file: self.ports_file,
            die_with_parent: self.die_with_parent,
            termination_log: self.termination_log,
            log_format: self.log_format,
            log_level: self.log_level,
        })
    }
}

fn read_config(text: &str) -> Result<String, InvalidArguments> {
    match text.strip_prefix('@') {
        Some(path) => look::text(Path::new(path), MOST_CONFIG_BYTES)
            .map_err(|source| InvalidArguments::Read { path: path.to_owned(), source }),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        let all = std::iter::once("modelyard-server").chain(arguments.iter().copied());
        match Arguments::try_parse_from(all).map_err(|error| error.to_string())?.task().map_err(|error| error.to_string())? {
            Task::Serve(settings) => Ok(*settings),
            Task::Inspect(_) | Task::Try | Task::Exchange(_) => Err("another task".to_owned()),
        }
    }

    #[test]
    fn models_by_hand() {
        let by_hand = settings(&["--model", "a=/x/y.onnx", "--model", "b=http://h/z.zip", "--threads", "3"]).unwrap();
        let uris: Vec<_> = by_hand.config.models.iter().map(|model| model.uri.as_str()).collect();
        assert_eq!(uris, ["file:/x/y.onnx", "http://h/z.zip"]);
        assert_eq!(by_hand.config.serving.threads, Some(3));
    }

    #[test]
    fn each_fault_names_its_flag() {
        for (arguments, part) in [
            (vec![], "nothing to serve"),
            (vec!["--model", "a"], "--model: expected NAME=URI, found 'a'"),
            (vec!["--model", "a=x", "--model", "b=ftp://b"], "--model b: expected file:PATH, "),
            (vec!["--model", "a=x", "--model", "a=y"], "--model a: 'a' is the name of an earlier model"),
            (vec!["--model", "a/b=x"], "--model a/b: expected a name without '/' and ':', found 'a/b'"),
            (vec!["--config", "{}"], "--config: config: missing field `models`"),
            (vec!["--config", "@/nowhere.json"], "--config: cannot read /nowhere.json"),
            (vec!["--model", "a=x", "--threads", "0"], "--threads"),
            (vec!["--model", "a=x", "--port", "70000"], "--port"),
            (vec!["--model", "a=x", "--cache-limit", "much"], "--cache-limit"),
            (vec!["--model", "a=x", "--load-timeout", "0"], "--load-timeout"),
        ] {
            let message = settings(&arguments).unwrap_err();
            assert!(message.contains(part), "{arguments:?}: {message}");
            assert!(arguments.contains(&"--config") || !message.contains("--config:"), "{message}");
        }
    }
}
