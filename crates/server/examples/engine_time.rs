//! Times the runs of a model: `engine_time MODEL INPUTS ROWS [own|tract|onnxruntime]`, or says for which processors it was
//! built: `engine_time build`. It runs on the engine that the server would choose by itself (`own`, unless it is said), on tract whatever
//! else takes the file, or on ONNX Runtime.
//!
//! INPUTS is a file of rows of the model's one input, little-endian, one after another; or a folder with a file for each input, named
//! after it, whose shape but for the rows stands before the values: the number of dimensions and each of them, as INT64. The first line printed is the engine, the nanoseconds that
//! loading it took, and the bytes by which the process has grown after a first run. Each line read is a number of runs; they are made, and the
//! nanoseconds that all of them took are printed. For `answer` the first output is printed, as numbers. So `bench/engines` can take turns with
//! another engine.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use modelyard_core::api::EngineName;
use modelyard_server::engine::choice::{self, Wanted};
use modelyard_server::engine::tract::Tract;
use modelyard_server::engine::{Engine, Stop};
use modelyard_server::signature::TensorSpec;
use modelyard_wire::Tensor;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first `rows` rows of each input.
fn inputs(engine: &dyn Engine, path: &Path, rows: usize) -> anyhow::Result<Vec<Tensor>> {
    let specs = &engine.signature().inputs;
    if path.is_dir() {
        return specs.iter().map(|spec| shaped(spec, &path.join(&spec.name), rows)).collect();
    }
    let [spec] = &specs[..] else { bail!("the model has more inputs than one: their rows are in a folder") };
    let rest = spec.shape.get(1..).unwrap_or_default().iter();
    let rest = rest.map(|dim| usize::try_from(*dim).context("a dimension other than the rows is free"));
    let raw = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(vec![first(spec, &rest.collect::<Result<Vec<_>, _>>()?, Bytes::from(raw), rows)?])
}

/// Rows from a file that says their shape.
fn shaped(spec: &TensorSpec, path: &Path, rows: usize) -> anyhow::Result<Tensor> {
    let raw = Bytes::from(std::fs::read(path).with_context(|| path.display().to_string())?);
    let sizes: Vec<i64> = raw.as_chunks().0.iter().take(8).map(|bytes| i64::from_le_bytes(*bytes)).collect();
    let rank = sizes.first().and_then(|rank| usize::try_from(*rank).ok()).filter(|rank| *rank < sizes.len());
    let rank = rank.with_context(|| format!("{}: expected the number of dimensions and their sizes", path.display()))?;
    let rest = sizes[1..=rank].iter().map(|size| usize::try_from(*size)).collect::<Result<Vec<_>, _>>()?;
    first(spec, &rest, raw.slice(8 * (rank + 1)..), rows)
}

fn first(spec: &TensorSpec, rest: &[usize], raw: Bytes, rows: usize) -> anyhow::Result<Tensor> {
    let shape: Vec<usize> = std::iter::once(rows).chain(rest.iter().copied()).collect();
    let bytes = shape.iter().product::<usize>() * spec.datatype.size().context("the input holds strings")?;
    ensure!(raw.len() >= bytes, "input '{}': {} bytes are too few for {shape:?}", spec.name, raw.len());
    Ok(Tensor::new(spec.datatype, shape, raw.slice(..bytes))?)
}

fn load(model: &Path, engine: &str) -> anyhow::Result<Box<dyn Engine>> {
    let named = |name| Wanted { name, self_check: false, ..Wanted::default() };
    Ok(match engine {
        "own" => choice::load(model, &named(EngineName::Auto))?.engine,
        "onnxruntime" => choice::load(model, &named(EngineName::OnnxRuntime))?.engine,
        "tract" => Box::new(Tract::load(model)?),
        other => bail!("no engine is called '{other}'"),
    })
}

/// Bytes of this process in memory. Source: proc_pid_statm(5).
fn resident() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).context("statm has no second field")?.parse()?;
    Ok(pages * u64::try_from(rustix::param::page_size())?)
}

/// The level of x86-64 that the compiler was told of, elsewhere the architecture.
fn built_for() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" if cfg!(target_feature = "avx512f") => "x86-64-v4",
        "x86_64" if cfg!(target_feature = "avx2") => "x86-64-v3",
        other => other,
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, rows_file, rows, engine) = match &arguments[..] {
        [model, file, rows] => (model, file, rows, "own"),
        [model, file, rows, engine] => (model, file, rows, engine.as_str()),
        [word] if word == "build" => {
            println!("{}", built_for());
            return Ok(());
        }
        _ => bail!("usage: engine_time MODEL INPUTS ROWS [own|tract|onnxruntime], or: engine_time build"),
    };
    let (before, begun) = (resident()?, Instant::now());
    let engine = load(model.as_ref(), engine)?;
    let loading = begun.elapsed().as_nanos();
    let input = inputs(&*engine, rows_file.as_ref(), rows.parse()?)?;
    let stop = Stop::at(Instant::now() + Duration::from_secs(3600));
    engine.run(&input, &stop)?;
    let mut out = std::io::stdout();
    writeln!(out, "{} {loading} {}", engine.facts().engine, resident()?.saturating_sub(before))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim() == "answer" {
            let answer =
                engine.run(&input, &stop)?.first().and_then(Tensor::to_f64).context("the first output has no numbers")?;
            writeln!(out, "{}", answer.iter().map(f64::to_string).collect::<Vec<_>>().join(" "))?;
            continue;
        }
        let runs: u32 = line.trim().parse()?;
        let begun = Instant::now();
        for _ in 0..runs {
            std::hint::black_box(engine.run(&input, &stop)?);
        }
        writeln!(out, "{}", begun.elapsed().as_nanos())?;
        out.flush()?;
    }
    Ok(())
}
