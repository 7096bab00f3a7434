//! `modelyard`: the control plane, local mode, and what a person types.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    modelyard::cli::run()
}
