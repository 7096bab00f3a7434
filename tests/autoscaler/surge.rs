//! A new revision where every machine is full.

use modelyard_core::api::ModelDeployment;
use serde_json::{Value, json};

use crate::pool::{Pool, with_pool};
use crate::watch::named;

/// Two replicas that fill a machine each.
fn spec(version: u32, capacity: &str) -> Value {
    json!({
        "model": { "version": version }, "replicas": 2, "rollout": { "capacity": capacity },
        "resources": { "requests": { "cpu": "3", "memory": "1Gi" } },
    })
}

async fn until_unschedulable(pool: &Pool) {
    pool.until("that there is no room is told", named(&pool.name), |all: &[&ModelDeployment]| {
        let ready = all.first()?.status.as_ref()?.conditions.iter().find(|one| one.type_ == "Ready")?;
        (ready.status == "False" && ready.reason == "Unschedulable").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_surge_brings_a_machine_which_goes_afterwards() {
    with_pool("surge", 100, async |pool| {
        pool.deploy(spec(1, "Surge")).await;
        pool.until_ready().await;
        assert_eq!(pool.machines().await.len(), 2);
        let fewest = pool.fewest();
        pool.deploy(spec(2, "Surge")).await;
        pool.until_machines(3).await;
        pool.until_ready().await;
        assert_eq!(fewest.so_far().await, 2, "never fewer than wanted");
        pool.until_machines(2).await;
        pool.until_ready().await;
    })
    .await;
}

#[tokio::test]
async fn where_no_machine_may_come_the_old_makes_room_for_the_new() {
    with_pool("replace", 8, async |pool| {
        pool.deploy(spec(1, "Auto")).await;
        pool.until_ready().await;
        let machines = pool.machines().await;
        assert_eq!(machines.len(), 2);
        let fewest = pool.fewest();
        pool.deploy(spec(2, "Auto")).await;
        until_unschedulable(pool).await;
        pool.until_ready().await;
        assert_eq!(fewest.so_far().await, 1, "one at a time");
        assert!(pool.machines().await.len() <= 2);
    })
    .await;
}
