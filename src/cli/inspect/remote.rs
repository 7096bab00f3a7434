//! A served model, as its server tells: metadata, and the configuration where there is one.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::file::{Port, line, ports};
use super::{Arguments, Output, TIMEOUT};
use crate::cli::stdout;
use crate::client::{self, ClientError, Metadata, ModelName, Protocol, Session, Target, TensorSpec};

/// Asks the server and shows what it says.
pub(super) async fn show(target: &Target, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let model = ModelName { name: arguments.what.clone(), version: arguments.model_version.clone() };
    let (metadata, document) = ask(target, &model).await?;
    let text = match arguments.output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&document)?),
        Output::Table => render(target, &metadata, &document["config"]),
    };
    stdout::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(target: &Target, model: &ModelName) -> Result<(Metadata, Value), ClientError> {
    let session = Session::open(target, Protocol::Json, model, TIMEOUT).await?;
    let path = format!("/v2{}", model.path());
    let metadata = client::fetch_json(target, path.clone(), TIMEOUT).await?;
    // An extension: servers without it refuse, which is no failure of this command.
    let config = match client::fetch_json(target, format!("{path}/config"), TIMEOUT).await {
        Ok(config) => config,
        Err(ClientError::Refused { .. } | ClientError::Reply(_)) => Value::Null,
        Err(error) => return Err(error),
    };
    Ok((session.metadata().clone(), json!({"metadata": metadata, "config": config})))
}

fn render(target: &Target, metadata: &Metadata, config: &Value) -> String {
    let mut out = format!("{} at {}\n\n", metadata.name, target.url());
    line(&mut out, "format", &metadata.platform);
    line(&mut out, "versions", &metadata.versions.join(", "));
    if !metadata.classes.is_empty() {
        line(&mut out, "classes", &metadata.classes.join(", "));
    }
    let port =
        |spec: &TensorSpec| Port { name: spec.name.clone(), datatype: spec.datatype.to_string(), shape: spec.shape.clone() };
    ports(&mut out, "takes", &metadata.inputs.iter().map(port).collect::<Vec<_>>());
    ports(&mut out, "gives", &metadata.outputs.iter().map(port).collect::<Vec<_>>());
    if let Some(backend) = config["backend"].as_str() {
        out.push('\n');
        line(&mut out, "engine", backend);
    }
    if let Some(most) = config["max_batch_size"].as_u64() {
        let delay = config["dynamic_batching"]["max_queue_delay_microseconds"].as_u64();
        let words = match (most, delay) {
            (0, _) => "no: each request runs alone".to_owned(),
            (most, Some(delay)) => format!("up to {most} rows of several requests, waiting {delay} us at most"),
            (most, None) => format!("up to {most} rows"),
        };
        line(&mut out, "batching", &words);
    }
    for (name, value) in config["parameters"].as_object().into_iter().flatten() {
        if let Some(value) = value["string_value"].as_str() {
            let _ = writeln!(out, "  {name:<10} {value}");
        }
    }
    out
}
