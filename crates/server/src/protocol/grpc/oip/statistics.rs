//! What models did since they were loaded: REST's figures in gRPC's messages.

use modelyard_wire::proto::inference as pb;

use super::super::super::Service;
use super::super::super::oip::statistics::{Duration, ModelStatistics};
use crate::fault::Fault;
use crate::metrics::Runs;

/// The statistics of one model, or of every model that is available.
///
/// # Errors
/// Those of [`crate::registry::Registry::find`]; `INVALID_ARGUMENT` for a version without a name.
pub(super) fn of(service: &Service, request: &pb::ModelStatisticsRequest) -> Result<pb::ModelStatisticsResponse, Fault> {
    if !request.name.is_empty() {
        let entry = service.registry.versioned(&request.name, Some(&request.version))?;
        return Ok(pb::ModelStatisticsResponse { model_stats: vec![statistics(ModelStatistics::of(&entry)?)] });
    }
    if !request.version.is_empty() {
        return Err(Fault::invalid("a version without a name: expected both, a name, or neither"));
    }
    Ok(pb::ModelStatisticsResponse { model_stats: ModelStatistics::of_all(service).into_iter().map(statistics).collect() })
}

/// What is not counted (a cache; decoding and encoding by batch size) is there and zero, as in REST.
fn statistics(of: ModelStatistics) -> pb::ModelStatistics {
    pb::ModelStatistics {
        name: of.name,
        version: of.version.to_string(),
        last_inference: of.last_inference,
        inference_count: of.inference_count,
        execution_count: of.execution_count,
        inference_stats: Some(pb::InferStatistics {
            success: duration(of.success),
            fail: duration(of.fail),
            queue: duration(of.queue),
            compute_input: duration(of.compute_input),
            compute_infer: duration(of.compute_infer),
            compute_output: duration(of.compute_output),
            cache_hit: duration(Duration::default()),
            cache_miss: duration(Duration::default()),
        }),
        batch_stats: of.runs.into_iter().map(batch).collect(),
        memory_usage: vec![pb::MemoryUsage { r#type: "CPU".to_owned(), id: 0, byte_size: of.memory }],
        ..pb::ModelStatistics::default()
    }
}

fn batch(Runs { rows, count, nanoseconds }: Runs) -> pb::InferBatchStatistics {
    pb::InferBatchStatistics {
        batch_size: rows,
        compute_input: duration(Duration::default()),
        compute_infer: duration(Duration { count, ns: nanoseconds }),
        compute_output: duration(Duration::default()),
    }
}

const fn duration(Duration { count, ns }: Duration) -> Option<pb::StatisticDuration> {
    Some(pb::StatisticDuration { count, ns })
}
