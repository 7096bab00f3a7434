//! What keeps a machine that is not needed.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use serde_json::json;

use crate::pool::with_pool;
use crate::watch::all;

/// How long a machine must stand that Karpenter would take away if it could, which it does within 20 to 45 s.
const HOLDS: Duration = Duration::from_secs(40);

#[tokio::test]
async fn a_budget_keeps_machines_until_it_has_something_to_give() {
    with_pool("budget", 100, async |pool| {
        let spec = |replicas: u32, nothing_to_give: bool| {
            let mut spec = json!({ "replicas": replicas, "resources": { "requests": { "cpu": "1", "memory": "1Gi" } } });
            if nothing_to_give {
                spec["availability"]["minAvailable"] = "100%".into();
            }
            spec
        };
        pool.deploy(spec(8, true)).await;
        pool.until_ready().await;
        assert_eq!(pool.machines().await.len(), 4, "three and one in each zone");
        pool.deploy(spec(4, true)).await;
        pool.until_ready().await;
        // A machine that has none left goes: the budget has nothing to say of it.
        let machines: BTreeSet<String> = pool.replicas().await.into_iter().filter_map(|pod| pod.spec?.node_name).collect();
        pool.until_machines(machines.len()).await;
        let refused = |events: &[&Event]| {
            let of_ours = |event: &&&Event| {
                event.reason.as_deref() == Some("DisruptionBlocked")
                    && event.message.as_deref().is_some_and(|said| said.contains("Pdb") && said.contains("/budget"))
            };
            events.iter().any(|event| of_ours(&event)).then_some(())
        };
        pool.until("Karpenter tells what the budget keeps", all(), refused).await;
        tokio::time::sleep(HOLDS).await; // what is tested is this time itself
        assert_eq!(pool.machines().await, machines);

        let fewest = pool.fewest();
        pool.deploy(spec(4, false)).await;
        pool.until_machines(2).await;
        pool.until_ready().await;
        let fewest = fewest.so_far().await;
        assert!(fewest >= 3, "a budget of one at a time left {fewest} of 4");
    })
    .await;
}
