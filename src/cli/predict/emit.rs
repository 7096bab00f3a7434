//! An answer for programs: JSON, or NumPy's files, on stdout.

use std::io::Cursor;

use anyhow::{Context, bail};
use modelyard_wire::json::write;
use modelyard_wire::{Data, Tensor};

use crate::cli::stdout;
use crate::client::Answer;
use crate::inputs;

/// `{"model", "version", "outputs": [{"name", "datatype", "shape", "data"}]}`: the Open Inference Protocol's outputs. NaN and
/// infinities, which JSON has not, are null; bytes that are no text are `{"b64": ...}`.
pub(super) fn json(model: &str, answer: &Answer) -> anyhow::Result<()> {
    let mut out = b"{\"model\":".to_vec();
    write::string(&mut out, model);
    if let Some(version) = &answer.version {
        out.extend_from_slice(b",\"version\":");
        write::string(&mut out, version);
    }
    out.extend_from_slice(b",\"outputs\":[");
    for (index, (name, tensor)) in answer.outputs.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        write::string(&mut out, name);
        out.extend_from_slice(b",\"datatype\":");
        write::string(&mut out, tensor.datatype().as_str());
        out.extend_from_slice(b",\"shape\":");
        write::shape(&mut out, tensor.shape().iter().copied());
        out.extend_from_slice(b",\"data\":");
        data(&mut out, tensor)?;
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
    stdout::write(&out).context("cannot write the answer")
}

fn data(out: &mut Vec<u8>, tensor: &Tensor) -> anyhow::Result<()> {
    let text = match tensor.data() {
        Data::Strings(strings) if strings.iter().any(|one| std::str::from_utf8(one).is_err()) => write::Text::Base64,
        _ => write::Text::Utf8,
    };
    match tensor.to_f64() {
        Some(values) if values.iter().any(|value| !value.is_finite()) => {
            // serde_json writes what JSON has not as null.
            serde_json::to_writer(out, &values)?;
        }
        _ => write::flat(out, tensor, text)?,
    }
    Ok(())
}

/// The only output as `.npy`.
pub(super) fn npy(answer: &Answer) -> anyhow::Result<()> {
    let [(_, tensor)] = answer.outputs.as_slice() else {
        let names: Vec<&str> = answer.outputs.iter().map(|(name, _)| name.as_str()).collect();
        bail!("-o npy writes one output, the model has {}: choose with --only, or -o npz", names.join(", "));
    };
    let mut array = Vec::new();
    inputs::write_npy(tensor, &mut array)?;
    stdout::write(&array).context("cannot write the answer")
}

/// All outputs as `.npz`.
pub(super) fn npz(answer: &Answer) -> anyhow::Result<()> {
    let mut archive = Cursor::new(Vec::new());
    inputs::write_npz(answer.outputs.iter().map(|(name, tensor)| (name.as_str(), tensor)), &mut archive)?;
    stdout::write(archive.get_ref()).context("cannot write the answer")
}
