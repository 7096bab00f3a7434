//! Models named on the command line, and what is said of all of them.

use clap::ValueEnum;
use modelyard_core::api::{EngineName, Format, Isolation, SelfCheck};
use modelyard_core::location::Scheme;
use modelyard_core::server_config::{EngineConfig, InvalidConfig, ModelConfig, ServerConfig, ServingConfig};

use super::InvalidArguments;

// The flags of models that no configuration names (clap would make a doc comment the help of the whole).
#[derive(Debug, clap::Args)]
pub(super) struct ByHand {
    /// A model to serve: a name, and where it is (file:, http(s):, s3:, gs:, az:, hf:, oci:; a bare path is file:); repeatable
    #[arg(long, value_name = "NAME=URI", env = "MODELYARD_MODEL", value_delimiter = ' ', help_heading = "What to serve")]
    model: Vec<String>,
    /// What computes those models: those within the server (tract), ONNX Runtime, or what runs a model and runs it fastest (a configuration
    /// says it for each)
    #[arg(long, value_enum, default_value_t = Name::Auto, env = "MODELYARD_ENGINE", help_heading = "What to serve", conflicts_with = "config")]
    engine: Name,
    /// What those models go through before they are taken in: loaded and run in a process of their own first, or not (a
    /// configuration says it for each)
    #[arg(long, value_enum, default_value_t = Try::Process, env = "MODELYARD_ISOLATION", help_heading = "What to serve", conflicts_with = "config")]
    isolation: Try,
    /// Compute those models in more than one way on made-up inputs first, and refuse one whose answers differ (a configuration says it for
    /// each)
    #[arg(long, value_enum, default_value_t = Switch::Enabled, env = "MODELYARD_SELF_CHECK", help_heading = "What to serve", conflicts_with = "config")]
    self_check: Switch,
    /// What the files of those models are (default: told by their first bytes; a configuration says it for each)
    #[arg(long, value_enum, env = "MODELYARD_FORMAT", help_heading = "What to serve", conflicts_with = "config")]
    format: Option<FileFormat>,
}

/// What computes a model named by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// What runs it, and runs it fastest.
    Auto,
    /// Those within the server.
    Tract,
    /// ONNX Runtime.
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}

/// What a model named by hand goes through before it is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Try {
    /// Loaded and run once in a process of its own.
    Process,
    /// Loaded at once.
    None,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}

/// What the file of a model named by hand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// An .onnx file.
    Onnx,
    /// XGBoost's own.
    #[value(name = "xgboost")]
    XgBoost,
    /// LightGBM's own.
    #[value(name = "lightgbm")]
    LightGbm,
    /// CatBoost's own.
    #[value(name = "catboost")]
    CatBoost,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Onnx => Self::Onnx,
            FileFormat::XgBoost => Self::XgBoost,
            FileFormat::LightGbm => Self::LightGbm,
            FileFormat::CatBoost => Self::CatBoost,
        }
    }
}

impl ByHand {
    fn engine(&self) -> EngineConfig {
        let isolation = match self.isolation {
            Try::Process => Isolation::Process,
            Try::None => Isolation::None,
        };
        let name = match self.engine {
            Name::Auto => EngineName::Auto,
            Name::Tract => EngineName::Tract,
            Name::OnnxRuntime => EngineName::OnnxRuntime,
        };
        let self_check = match self.self_check {
            Switch::Enabled => SelfCheck::Enabled,
            Switch::Disabled => SelfCheck::Disabled,
        };
        EngineConfig { name, isolation, self_check }
    }

    /// The models, as a configuration.
    ///
    /// # Errors
    /// Names the flag that is wrong.
    pub(super) fn config(&self) -> Result<ServerConfig, InvalidArguments> {
        if self.model.is_empty() {
            return Err(InvalidArguments::Nothing);
        }
        let (engine, format) = (self.engine(), self.format.map(Format::from));
        let mut configs = Vec::with_capacity(self.model.len());
        for one in &self.model {
            let Some((name, uri)) = one.split_once('=').filter(|(name, uri)| !name.is_empty() && !uri.is_empty()) else {
                return Err(InvalidArguments::Model(one.clone()));
            };
            let has_scheme = Scheme::of(uri).is_ok() || uri.contains("://");
            let uri = if has_scheme { uri.to_owned() } else { format!("file:{uri}") };
            let name = name.to_owned();
            configs.push(ModelConfig { engine, format, ..ModelConfig::of(name, uri) });
        }
        let config = ServerConfig { models: configs, serving: ServingConfig::default() };
        config.check().map_err(|invalid| named(&config, invalid))?;
        Ok(config)
    }
}

/// A fault of `models[1]` in the words of the flag that the user wrote.
fn named(config: &ServerConfig, invalid: InvalidConfig) -> InvalidArguments {
    let index = invalid.field.strip_prefix("models[").and_then(|rest| rest.split_once(']')?.0.parse::<usize>().ok());
    match index.and_then(|index| config.models.get(index)) {
        Some(model) => InvalidArguments::ModelConfig { name: model.name.clone(), message: invalid.message },
        None => invalid.into(),
    }
}
