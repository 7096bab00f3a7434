//! How a server treats requests: limits, the queue, batching, threads, shutting down.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use kube::core::Duration;
use serde::{Deserialize, Serialize};

use super::units;

/// How requests are served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.batching) || duration(self.batching.maxDelay) < duration(self.requestTimeout)")
    .message("batching.maxDelay must be shorter than requestTimeout: a row that waits longer is answered too late"))]
pub struct Serving {
    /// How long a request may take, queueing included. Past it the answer is 504 (DEADLINE_EXCEEDED over gRPC); a shorter deadline
    /// of the client wins. A duration such as `500ms`, `30s` or `1m30s`.
    #[serde(default = "request_timeout")]
    #[schemars(schema_with = "units::duration")]
    #[x_kube(validation = Rule::new("duration(self) > duration('0s')").message("must be longer than 0s"))]
    pub request_timeout: Duration,
    /// The size of one request's body, decompressed. Past it the answer is 413 (RESOURCE_EXHAUSTED over gRPC). A quantity such as
    /// `64Mi` or `1G`.
    #[serde(default = "max_request_bytes")]
    #[schemars(schema_with = "units::quantity")]
    #[x_kube(validation = Rule::new("quantity(string(self)).isGreaterThan(quantity('0'))").message("must be more than 0"))]
    pub max_request_bytes: Quantity,
    /// The queue before the threads.
    #[serde(default)]
    pub queue: Queue,
    /// Runs the rows of several requests together. Off unless it is written; only for models whose first dimension is a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batching: Option<Batching>,
    /// Threads that run models. Without a number: the CPU limit, rounded up, and without a limit what the machine or the cgroup
    /// allows. A number above the CPU limit counts as the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<i32>,
    /// How long a server that was told to stop is no longer ready yet still serves, so that clients find the others; then what is
    /// in flight finishes. A duration such as `5s`.
    #[serde(default = "drain_delay")]
    #[schemars(schema_with = "units::duration")]
    pub drain_delay: Duration,
    /// Memory that the models of one server may take together, each as it was measured when it was loaded. Past it those unused for
    /// longest are put on standby: they leave memory, and the next request for one waits while it is loaded again. Without it all
    /// stay loaded. Below the memory limit, since the server and its requests need memory too. A quantity such as `2Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "units::optional_quantity")]
    #[x_kube(validation = Rule::new("quantity(string(self)).isGreaterThan(quantity('0'))").message("must be more than 0"))]
    pub memory_budget: Option<Quantity>,
}

/// The queue of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Requests of one model that may wait for a thread. Past it the answer is 503 with Retry-After (UNAVAILABLE over gRPC).
    #[serde(default = "max_length")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_length: i32,
}

/// Rows of several requests in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Batching {
    /// Rows in one run at most, 2 or more.
    #[schemars(range(min = 2, max = 65536))]
    pub max_size: i32,
    /// How long the oldest row waits for company. A duration such as `5ms`, shorter than `requestTimeout`.
    #[serde(default = "max_delay")]
    #[schemars(schema_with = "units::duration")]
    pub max_delay: Duration,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            request_timeout: request_timeout(),
            max_request_bytes: max_request_bytes(),
            queue: Queue::default(),
            batching: None,
            threads: None,
            drain_delay: drain_delay(),
            memory_budget: None,
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { max_length: max_length() }
    }
}

fn request_timeout() -> Duration {
    std::time::Duration::from_secs(30).into()
}

fn max_request_bytes() -> Quantity {
    Quantity("64Mi".to_owned())
}

const fn max_length() -> i32 {
    1000
}

fn drain_delay() -> Duration {
    std::time::Duration::from_secs(5).into()
}

fn max_delay() -> Duration {
    std::time::Duration::from_millis(5).into()
}
