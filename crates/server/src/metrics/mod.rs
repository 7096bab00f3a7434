//! Counters and histograms of what the server does: always on, cheap enough for a request of ten microseconds, and the text
//! that Prometheus reads.
//!
//! Names follow Prometheus's rules: base units, `_total` for counters, own prefix `modelyard_`.

mod expose;
mod histogram;
mod model;
mod process;

pub use expose::{Format, expose};
pub use histogram::Histogram;
pub use model::{Count, InFlight, ModelMetrics, Runs};
pub use process::ProcessMetrics;
