//! `modelyard explain`: the documentation of a field, from the schema that the cluster enforces; and of a reason, from the table
//! that the operator tells it from.

use std::process::ExitCode;

use anyhow::bail;
use modelyard_core::schema::{Schema, nearest, schemas};

pub(super) mod field;
mod page;
pub(super) mod reason;

use field::Field;

/// Print the documentation of a field, as kubectl explain would, or of a reason in a status
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A path such as spec.model.uri, with or without the kind before it (mdep.spec.model); or the word reason
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// After the word reason: which one; without it, all are listed
    #[arg(value_name = "REASON")]
    reason: Option<String>,
    /// Print the fields of the fields too, names and types alone
    #[arg(long)]
    recursive: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// As kubectl explain prints it
    #[default]
    Text,
    /// One object: group, version, kind, path, type, description, constraints, fields
    Json,
}

const EXAMPLES: &str = "\
Examples:
  modelyard explain
  modelyard explain spec.model.uri
  modelyard explain mdep.spec.serving --recursive
  modelyard explain reason                  # all, with their meanings
  modelyard explain reason ModelNotFound    # what is behind it, and what to do

Exit codes: 0 explained; 1 there is no such field or reason; 2 wrong arguments.";

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// There is no such field or reason; the message lists the nearest.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.path.as_deref().is_some_and(|path| path.eq_ignore_ascii_case("reason") || path.eq_ignore_ascii_case("reasons")) {
            super::stdout::print(&reason::explain(self.reason.as_deref(), matches!(self.output, Format::Json))?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(more) = &self.reason {
            bail!(
                "expected one path, found {more:?} after it; a reason follows the word reason: modelyard explain reason {more}"
            );
        }
        let (schema, steps) = parse(self.path.as_deref().unwrap_or_default())?;
        let field = find(schema, &steps)?;
        let text = match self.output {
            Format::Text => page::text(schema, &field, self.recursive),
            Format::Json => format!("{:#}\n", page::json(schema, &field, self.recursive)),
        };
        super::stdout::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The kind, and the steps below it: `mdep.spec.models[0].name` is `spec`, `models`, `name`. Indexes say nothing here.
fn parse(path: &str) -> anyhow::Result<(&'static Schema, Vec<String>)> {
    let mut steps: Vec<String> = path
        .split('.')
        .map(|step| step.split('[').next().unwrap_or_default().trim().to_owned())
        .filter(|step| !step.is_empty())
        .collect();
    let named = |schema: &&Schema| {
        steps.first().is_some_and(|first| {
            first.eq_ignore_ascii_case(&schema.kind) || schema.aliases.iter().any(|alias| first.eq_ignore_ascii_case(alias))
        })
    };
    if let Some(schema) = schemas().iter().find(named) {
        steps.remove(0);
        return Ok((schema, steps));
    }
    match schemas() {
        [first, ..] => Ok((first, steps)),
        [] => bail!("no kind has a schema"),
    }
}

/// Walks down; a list is walked through as kubectl walks through it.
fn find<'a>(schema: &'a Schema, steps: &[String]) -> anyhow::Result<Field<'a>> {
    let mut field = Field::root(schema);
    for step in steps {
        match field.below(step) {
            Some(below) => field = below,
            None => bail!(missing(schema, &field, step)),
        }
    }
    Ok(field)
}

fn missing(schema: &Schema, above: &Field<'_>, step: &str) -> String {
    let place = if above.path.is_empty() { schema.kind.clone() } else { above.path.clone() };
    let fields = above.fields();
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let mut message = format!("{place} has no field {step:?}");
    let elsewhere = everywhere(&Field::root(schema)).into_iter().filter(|path| path.rsplit('.').next() == Some(step));
    let elsewhere: Vec<String> = elsewhere.take(5).collect();
    if let Some(near) = nearest(step, names.iter().copied()) {
        message += &format!("; did you mean {near:?}?");
    } else if !elsewhere.is_empty() {
        message += &format!("; did you mean {}?", elsewhere.join(" or "));
    }
    if names.is_empty() {
        message + ": it has no fields"
    } else {
        message + &format!("\nfields of {place}: {}", names.join(", "))
    }
}

fn everywhere(field: &Field<'_>) -> Vec<String> {
    field.fields().iter().flat_map(|below| std::iter::once(below.path.clone()).chain(everywhere(below))).collect()
}
