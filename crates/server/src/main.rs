//! `modelyard-server`: serves models over HTTP and gRPC on one port.

use std::process::ExitCode;

use clap::Parser;
use modelyard_server::args::{Arguments, InspectArguments, Output, Settings, Task};
use modelyard_server::engine::onnxruntime;
use modelyard_server::serve::{EXIT_BUG, EXIT_CONFIG, EXIT_MODEL};
use modelyard_server::{exchange, serve, telemetry, trial};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        let code = if error.use_stderr() { EXIT_CONFIG } else { 0 };
        // Help and version go to standard output; if that is closed, nobody reads them.
        let _ = error.print();
        std::process::exit(code.into())
    });
    if let Some(error) = onnxruntime::again_without_telemetry() {
        return fail(EXIT_BUG, &error.to_string());
    }
    match arguments.task() {
        Ok(Task::Serve(settings)) => serve(*settings),
        Ok(Task::Inspect(arguments)) => inspect(&arguments),
        Ok(Task::Try) => trial::run(),
        Ok(Task::Exchange(task)) => exchange::run(task),
        Err(error) => fail(EXIT_CONFIG, &error.to_string()),
    }
}

fn serve(settings: Settings) -> ExitCode {
    if let Err(message) = telemetry::start(&settings) {
        return fail(EXIT_CONFIG, &message);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_BUG, &error.to_string()),
    };
    runtime.block_on(serve::run(settings)).unwrap_or_else(|error| fail(EXIT_CONFIG, &error.to_string()))
}

fn inspect(arguments: &InspectArguments) -> ExitCode {
    let report = modelyard_server::inspect::inspect(&arguments.file);
    match arguments.output {
        Output::Text => print!("{}", modelyard_server::inspect::print(&report)),
        Output::Json => println!("{}", serde_json::json!(report)),
    }
    ExitCode::from(if report.loadable { 0 } else { EXIT_MODEL })
}

fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(code)
}
