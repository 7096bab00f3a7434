//! What models did since they were loaded, in Triton's words.

use std::sync::atomic::Ordering;

use modelyard_wire::proto::inference as pb;

use super::super::super::Service;
use crate::fault::Fault;
use crate::infer::Model;
use crate::metrics::Histogram;

/// The statistics of one model, or of every model that answers.
///
/// # Errors
/// Those of [`crate::registry::Registry::find`]; `INVALID_ARGUMENT` for a version without a name.
pub(super) fn of(service: &Service, request: &pb::ModelStatisticsRequest) -> Result<pb::ModelStatisticsResponse, Fault> {
    if !request.name.is_empty() {
        let model = service.registry.find(&request.name, Some(&request.version))?;
        return Ok(pb::ModelStatisticsResponse { model_stats: vec![statistics(&model)] });
    }
    if !request.version.is_empty() {
        return Err(Fault::invalid("a version without a name: expected both, a name, or neither"));
    }
    let ready = service.registry.entries().iter().filter_map(|entry| entry.ready().ok());
    Ok(pb::ModelStatisticsResponse { model_stats: ready.map(|model| statistics(&model)).collect() })
}

/// Copying a request's tensors in and out is part of the protocol here, so only the run itself has a duration; nothing is cached.
fn statistics(model: &Model) -> pb::ModelStatistics {
    let metrics = &model.metrics;
    pb::ModelStatistics {
        name: model.name.clone(),
        version: model.version.to_string(),
        last_inference: metrics.last_inference.load(Ordering::Relaxed),
        inference_count: metrics.rows.load(Ordering::Relaxed),
        execution_count: metrics.batch.snapshot().count,
        inference_stats: Some(pb::InferStatistics {
            success: duration(metrics.success.read()),
            fail: duration(metrics.failure.read()),
            queue: duration(sum(&metrics.queue)),
            compute_infer: duration(sum(&metrics.compute)),
            ..pb::InferStatistics::default()
        }),
        ..pb::ModelStatistics::default()
    }
}

fn sum(histogram: &Histogram) -> (u64, u64) {
    let snapshot = histogram.snapshot();
    (snapshot.count, snapshot.sum)
}

const fn duration((count, ns): (u64, u64)) -> Option<pb::StatisticDuration> {
    Some(pb::StatisticDuration { count, ns })
}
