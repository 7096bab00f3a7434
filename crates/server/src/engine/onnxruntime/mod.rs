//! ONNX Runtime: Microsoft's engine, a library that is there or not ([`library`]). It knows every operator of ONNX, and is ahead of
//! tract on convolutions and transformers.
//!
//! The way of a file: [`hazards`] refuses what would end the process, a session is opened, [`probe`] settles the signature. The way
//! of a request: [`tensors`] copies it in, [`pool`] gives it a session, [`watch`] stops it when nobody waits any more.

use std::path::{Path, PathBuf};

use modelyard_wire::Tensor;
use ort::ErrorCode;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use prost::Message;

use super::onnx::declared::{Declared, Port};
use super::onnx::facts;
use super::onnx::file::File;
use super::onnx::maps;
use super::quiet::catch;
use super::{Engine, Facts, LoadError, RunError, Stop};
use crate::signature::{Signature, TensorSpec};

mod hazards;
mod library;
mod pool;
mod probe;
mod tensors;
mod watch;

pub use library::{Absence, absence, again_without_telemetry};
pub(crate) use library::{NO_TELEMETRY, VARIABLE, is_at_hand};
use pool::{Pool, Runner};

/// Bytes of weights that the sessions of one model may hold together: each has its own.
const MOST_BYTES: u64 = 512 << 20;

/// A model that ONNX Runtime runs.
pub(super) struct OnnxRuntime {
    signature: Signature,
    facts: Facts,
    pool: Pool,
}

/// What a session is opened from.
pub(super) enum Source {
    /// The file as it is.
    File(PathBuf),
    /// The file with what no protocol carries taken out of it, and the folder of its external data.
    Changed { bytes: Vec<u8>, folder: String },
}

impl OnnxRuntime {
    /// The model of a file, to be run by as many threads.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] where the library is missing or does not take the model, [`LoadError::Invalid`] for a broken file.
    pub(super) fn of(path: &Path, file: &File, threads: usize) -> Result<Self, LoadError> {
        library::environment().map_err(|missing| LoadError::Unsupported(missing.to_string()))?;
        hazards::check(file)?;
        if let Some(node) = maps::reader(file.graph()) {
            return Err(LoadError::Unsupported(format!(
                "{} '{}': its map comes as a text, which only the engine within the server reads; leave engine.name out",
                node.op_type, node.name
            )));
        }
        let declared = Declared::of(file.graph());
        let inputs = declared.inputs.iter().map(Port::spec).collect::<Option<Vec<_>>>();
        let Some(inputs) = inputs else {
            return Err(LoadError::Unsupported(
                "an input declares no datatype or no shape; a request could not be checked".to_owned(),
            ));
        };
        let facts = facts::collect(file, "OnnxRuntime");
        let sessions = usize::try_from(MOST_BYTES / facts.bytes.max(1)).unwrap_or(threads).clamp(1, threads.max(1));
        let mut pool = Pool::new(Source::File(path.to_owned()), sessions, threads.max(1) / sessions);
        let mut outputs = pool.describe(tensors::specs)?;
        if outputs.is_none() {
            let (bytes, folder) = (file.proto().encode_to_vec(), file.folder().to_owned());
            pool = Pool::new(Source::Changed { bytes, folder }, sessions, threads.max(1) / sessions);
            outputs = pool.describe(tensors::specs)?;
        }
        let Some(outputs) = outputs else {
            return Err(LoadError::Unsupported(
                "an output is a sequence, a map or of a datatype that no protocol carries".to_owned(),
            ));
        };
        let mut model = Self { signature: Signature { inputs, outputs, batched: false }, facts, pool };
        model.signature = probe::settle(&declared, &model);
        Ok(model)
    }
}

impl Source {
    /// A session of its own weights, whose runs may use as many threads.
    fn open(&self, threads: usize) -> Result<Session, LoadError> {
        let environment = library::environment().map_err(|missing| LoadError::Unsupported(missing.to_string()))?;
        let opened = catch(|| -> ort::Result<Session> {
            // Spinning threads would take what other models' runs need. A memory pattern is kept for each shape that comes.
            let mut builder = Session::builder(environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(threads)?
                .with_inter_threads(1)?
                .with_intra_op_spinning(false)?
                .with_memory_pattern(false)?;
            match self {
                Self::File(path) => builder.commit_from_file(path),
                Self::Changed { bytes, folder } => {
                    let mut builder =
                        builder.with_config_entry("session.model_external_initializers_file_folder_path", folder)?;
                    builder.commit_from_memory(bytes)
                }
            }
        });
        match opened {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(panic) => Err(LoadError::Unsupported(format!("ONNX Runtime gave up on the file: {}", cut(&panic)))),
        }
    }
}

/// Why ONNX Runtime does not take a file.
fn refusal(error: &ort::Error) -> LoadError {
    let message = format!("ONNX Runtime: {}", cut(error.message()));
    match error.code() {
        ErrorCode::InvalidProtobuf | ErrorCode::InvalidGraph => LoadError::Invalid(message),
        _ => LoadError::Unsupported(message),
    }
}

/// The beginning of a message, on one line: ONNX Runtime's may hold a whole stack.
fn cut(message: &str) -> String {
    const MOST: usize = 400;
    let line: String = message.chars().map(|one| if one.is_control() { ' ' } else { one }).take(MOST).collect();
    line.trim().to_owned()
}

impl Engine for OnnxRuntime {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        RunError::check_empty(&self.signature, inputs)?;
        let mut size = 0;
        let mut values: Vec<SessionInputValue<'_>> = Vec::with_capacity(inputs.len());
        for (tensor, spec) in inputs.iter().zip(&self.signature.inputs) {
            size += tensor.raw_len();
            values.push(tensors::to_ort(tensor, &spec.name)?.into());
        }
        let mut runner = self.pool.take(stop)?;
        let outcome = catch(|| runner.run(&values, (size, stop), &self.signature.outputs));
        match outcome {
            Ok(outcome) => {
                self.pool.give(runner);
                outcome
            }
            Err(panic) => {
                // Nobody knows what state it is in.
                self.pool.lose(runner);
                Err(RunError::Internal(format!("ONNX Runtime gave up: {}", cut(&panic))))
            }
        }
    }
}

impl Runner {
    /// One run. `size` is the bytes of the inputs.
    fn run(
        &mut self,
        values: &[SessionInputValue<'_>],
        (size, stop): (usize, &Stop),
        specs: &[TensorSpec],
    ) -> Result<Vec<Tensor>, RunError> {
        let options = self.options(size);
        let watched = watch::enter(stop, &options);
        let result = self.session.run_with_options(values, &*options);
        let stopped = watched.end();
        let outcome = match result {
            Ok(outputs) => {
                outputs.into_iter().zip(specs).map(|((_, value), spec)| tensors::from_ort(&value, &spec.name)).collect()
            }
            Err(error) => Err(stop.reason().filter(|_| stopped).unwrap_or_else(|| fault(&error))),
        };
        if stopped && let Err(error) = options.unterminate() {
            return Err(RunError::Internal(cut(error.message())));
        }
        outcome
    }
}

/// A run's error: of the data unless it is plainly the library's own. It checks what a model computes only as it computes it, and
/// tells most of that as a failure.
fn fault(error: &ort::Error) -> RunError {
    let message = cut(error.message());
    match error.code() {
        ErrorCode::InvalidArgument | ErrorCode::GenericFailure | ErrorCode::RuntimeException if !message.contains("allocat") => {
            RunError::InvalidData(format!("the model cannot compute with this data: {message}"))
        }
        _ => RunError::Internal(message),
    }
}
