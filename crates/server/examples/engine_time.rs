//! Times the runs of a model: `engine_time MODEL ROWS.bin ROWS [own|tract|onnxruntime]`, or says for which processors it was
//! built: `engine_time build`. It runs on the engine that the server would choose by itself (`own`, unless it is said), on tract whatever
//! else takes the file, or on ONNX Runtime.
//!
//! ROWS.bin holds rows of the model's one input, little-endian, one after another. The first line printed is the engine, the nanoseconds that
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
use modelyard_wire::Tensor;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first `rows` rows of the file.
fn input(engine: &dyn Engine, path: &str, rows: usize) -> anyhow::Result<Tensor> {
    let [spec] = &engine.signature().inputs[..] else { bail!("the model has more inputs than one") };
    let mut shape = vec![rows];
    for dim in spec.shape.get(1..).unwrap_or_default() {
        shape.push(usize::try_from(*dim).context("a dimension other than the rows is free")?);
    }
    let bytes = shape.iter().product::<usize>() * spec.datatype.size().context("the input holds strings")?;
    let raw = std::fs::read(path).with_context(|| path.to_owned())?;
    ensure!(raw.len() >= bytes, "{path} has {} bytes, too few for {rows} rows of {shape:?}", raw.len());
    Ok(Tensor::new(spec.datatype, shape, Bytes::from(raw).slice(..bytes))?)
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
        _ => bail!("usage: engine_time MODEL ROWS.bin ROWS [own|tract|onnxruntime], or: engine_time build"),
    };
    let (before, begun) = (resident()?, Instant::now());
    let engine = load(model.as_ref(), engine)?;
    let loading = begun.elapsed().as_nanos();
    let input = [input(&*engine, rows_file, rows.parse()?)?];
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
