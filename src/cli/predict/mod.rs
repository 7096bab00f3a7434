//! `modelyard predict`: a file in, an answer out, whatever the file and whatever the protocol.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::number::whole;
use super::served::{Served, runtime};
use super::usage::Usage;
use crate::client::Metadata;
use crate::inputs::{self, Bound, Fill, InputError, Named, Reading, Scale};

mod emit;
mod save;
mod show;

/// Classes of each row that a table shows unless --top says otherwise.
const CLASSES_SHOWN: u32 = 5;

/// Send one prediction to a served model
///
/// A file's names, datatypes and shapes are fitted to the model's metadata; whatever is changed is said on stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("namespace", |namespace| namespace.short('n')))]
pub struct Arguments {
    #[command(flatten)]
    served: Served,

    #[command(flatten)]
    source: Source,

    /// A picture's values as the model takes them
    #[arg(long, value_enum, default_value = "auto", help_heading = "Input", allow_hyphen_values = true, conflicts_with_all = ["zeros", "random"])]
    scale: Scale,

    /// Swap a picture's light and dark
    #[arg(long, help_heading = "Input", conflicts_with_all = ["zeros", "random"])]
    invert: bool,

    /// Rows of --zeros and --random
    #[arg(long, value_name = "ROWS", default_value = "1", help_heading = "Input", value_parser = whole(1..=u32::MAX))]
    #[arg(allow_negative_numbers = true, conflicts_with = "input")]
    batch: u32,

    /// The shape of an input with free dimensions, rows first, for --zeros and --random: NAME=1,3,224,224
    #[arg(long, value_name = "NAME=DIMS", value_parser = parse_shape, help_heading = "Input", conflicts_with_all = ["input", "batch"])]
    shape: Vec<(String, Vec<usize>)>,

    /// The same values of --random for the same seed
    #[arg(long, default_value = "0", help_heading = "Input", value_parser = whole(0..=u64::MAX))]
    #[arg(allow_negative_numbers = true, conflicts_with_all = ["input", "zeros"])]
    seed: u64,

    /// How the answer is printed
    #[arg(long, short, value_enum, default_value = "table", help_heading = "Output")]
    output: Output,

    /// Classes to show of each row, in a table [default: 5]
    #[arg(long, value_name = "K", help_heading = "Output", value_parser = whole(1..=u32::MAX), allow_negative_numbers = true)]
    top: Option<u32>,

    /// Only this output
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    only: Option<String>,

    /// Write the request to FILE.json, FILE.bin or FILE.pb instead of sending it, and print how curl sends it
    #[arg(long, value_name = "FILE", help_heading = "Output", conflicts_with_all = ["output", "top", "only"])]
    save_request: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// .json (a body of any protocol, or a bare array), .npy, .npz, .csv, .png, .jpg, or - for JSON on stdin; several are one batch
    #[arg(long, short, value_name = "FILE", num_args = 1.., help_heading = "Input")]
    input: Vec<PathBuf>,

    /// Zeros of the model's shapes
    #[arg(long, help_heading = "Input")]
    zeros: bool,

    /// Random values of the model's shapes
    #[arg(long, help_heading = "Input")]
    random: bool,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For reading
    Table,
    /// The outputs as JSON
    Json,
    /// The only output as a NumPy array
    Npy,
    /// All outputs as a NumPy archive
    Npz,
}

const EXAMPLES: &str = "\
Examples:
  modelyard predict mnist --input digits/7-0.png
  modelyard predict mnist --input digits/*.png --top 1
  modelyard predict mnist --input digits/7-0.png --cluster --namespace models
  modelyard predict iris --input flowers.csv -o json
  echo '[[5.1, 3.5, 1.4, 0.2]]' | modelyard predict iris --input - --protocol tfs
  modelyard predict resnet --random --shape data=1,3,224,224 -o npy > scores.npy
  modelyard predict mnist --input 7-0.png --save-request request.pb

Exit codes: 0 answered; 1 not answered, with the reason; 2 wrong arguments.";

/// `NAME=1,2,3`.
pub(super) fn parse_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let (name, dims) = text.rsplit_once('=').ok_or("expected NAME=1,2,3")?;
    let dims = dims.trim_matches(['[', ']']).split(',').map(|dim| dim.trim().parse::<usize>());
    Ok((name.to_owned(), dims.collect::<Result<_, _>>().map_err(|_| format!("'{text}': expected NAME=1,2,3"))?))
}

/// Refuses an input with two shapes, of which only one could be meant.
pub(super) fn once(shapes: &[(String, Vec<usize>)]) -> Result<(), Usage> {
    let mut seen = std::collections::BTreeSet::new();
    match shapes.iter().find(|(name, _)| !seen.insert(name)) {
        Some((name, _)) => Err(Usage::new(format!("--shape: input '{name}' has two shapes; expected one for each input"))),
        None => Ok(()),
    }
}

/// What is sent, and what each row of it is called.
struct Request {
    inputs: Vec<Named>,
    rows: Vec<String>,
    /// The outputs that the files ask for; all of them where they name none.
    outputs: Vec<String>,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        once(&self.shape)?;
        if let Some(path) = &self.save_request {
            save::check(path, self.served.protocol)?;
        }
        if matches!(self.output, Output::Npy | Output::Npz) && std::io::stdout().is_terminal() {
            return Err(Usage::new(
                "-o npy and -o npz write bytes, which a terminal cannot show: write them to a file by '> FILE'",
            )
            .into());
        }
        if self.top.is_some() && self.output != Output::Table {
            return Err(Usage::new("--top: only a table shows some of the classes; what -o writes has all of them").into());
        }
        runtime()?.block_on(self.ask())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn ask(self) -> anyhow::Result<()> {
        if let Some(path) = &self.save_request {
            let request = self.request_to_save().await?;
            if !request.outputs.is_empty() {
                say(&["left out: the file's 'outputs'; the saved request asks for all".to_owned()]);
            }
            return save::save(&self.served, path, &request.inputs);
        }
        let (served, _way) = self.served.reach().await?;
        let mut session = served.open().await?;
        let request = self.request(Some(session.metadata()))?;
        let mut answer = session.infer(&request.inputs).await?;
        if !request.outputs.is_empty() {
            answer.outputs.retain(|(name, _)| request.outputs.contains(name));
        }
        if let Some(only) = &self.only {
            let known: Vec<String> = answer.outputs.iter().map(|(name, _)| format!("'{name}'")).collect();
            answer.outputs.retain(|(name, _)| name == only);
            if answer.outputs.is_empty() {
                bail!("--only '{only}': the model has the outputs {}", known.join(", "));
            }
        }
        match self.output {
            Output::Table => {
                let classes = session.metadata().classes.as_slice();
                show::print(&show::Shown {
                    answer: &answer,
                    rows: &request.rows,
                    classes,
                    top: self.top.unwrap_or(CLASSES_SHOWN) as usize,
                })
            }
            Output::Json => emit::json(&self.served.model, &answer),
            Output::Npy => emit::npy(&answer),
            Output::Npz => emit::npz(&answer),
        }
    }

    /// A request to save: no server is asked where the files say all there is to say.
    async fn request_to_save(&self) -> anyhow::Result<Request> {
        match self.request(None) {
            Err(error) if matches!(error.downcast_ref(), Some(InputError::NeedsModel(_))) => {
                let (served, _way) = self.served.reach().await?;
                let session = served.open().await.with_context(|| error.to_string())?;
                self.request(Some(session.metadata()))
            }
            outcome => outcome,
        }
    }

    fn request(&self, model: Option<&Metadata>) -> anyhow::Result<Request> {
        let specs = model.map(|model| model.inputs.as_slice());
        if self.source.input.is_empty() {
            let specs = specs.ok_or_else(|| InputError::NeedsModel("made-up data needs the model's shapes".to_owned()))?;
            let fill = if self.source.random { Fill::Random(self.seed) } else { Fill::Zeros };
            let Bound { inputs, notes, outputs } = inputs::synthetic(specs, self.batch as usize, &self.shape, fill)?;
            say(&notes);
            return Ok(Request { rows: row_names("row", &inputs), inputs, outputs });
        }
        let (mut samples, mut rows, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for path in &self.source.input {
            let outputs = model.map(|model| model.outputs.as_slice());
            let reading = Reading { specs, outputs, scale: self.scale, invert: self.invert };
            let Bound { inputs, notes, outputs } = inputs::read(path, reading)?;
            asked.extend(outputs);
            say(&notes);
            let file = path.file_name().map_or_else(|| "row".to_owned(), |name| name.to_string_lossy().into_owned());
            rows.extend(row_names(&file, &inputs));
            samples.push(inputs);
        }
        Ok(Request { inputs: inputs::stack(samples)?, rows, outputs: asked })
    }
}

fn say(notes: &[String]) {
    notes.iter().for_each(|note| crate::cli::say(format_args!("{note}")));
}

/// `FILE`, or `FILE row 3` where it holds several.
fn row_names(file: &str, inputs: &[Named]) -> Vec<String> {
    let rows = inputs.first().and_then(|(_, tensor)| tensor.shape().first().copied()).unwrap_or(1);
    match rows {
        1 => vec![file.to_owned()],
        _ => (0..rows).map(|row| format!("{file} {row}")).collect(),
    }
}
