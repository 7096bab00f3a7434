//! Times the runs of a model on the engine that the server would choose: `engine_time MODEL ROWS.bin ROWS`.
//!
//! ROWS.bin holds rows of the model's one input, little-endian, one after another. Each line read is a number of runs; they are
//! made, and the nanoseconds that all of them took are printed. So `bench/engines/run` can take turns with another engine.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use modelyard_server::engine::{Engine, Stop, load};
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

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rows_file, rows] = &arguments[..] else { bail!("usage: engine_time MODEL ROWS.bin ROWS") };
    let engine = load(model.as_ref())?;
    let input = [input(&*engine, rows_file, rows.parse()?)?];
    let stop = Stop::at(Instant::now() + Duration::from_secs(3600));
    let mut out = std::io::stdout();
    writeln!(out, "{}", engine.facts().engine)?;
    for line in std::io::stdin().lock().lines() {
        let runs: u32 = line?.trim().parse()?;
        let begun = Instant::now();
        for _ in 0..runs {
            std::hint::black_box(engine.run(&input, &stop)?);
        }
        writeln!(out, "{}", begun.elapsed().as_nanos())?;
        out.flush()?;
    }
    Ok(())
}
