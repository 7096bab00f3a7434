//! Many at once.

use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use modelyard_core::render::DEPLOYMENT_LABEL;

use crate::deployed::mnist;
use crate::namespace::within;
use crate::watch::labelled;

const MANY: usize = 20;

#[tokio::test]
async fn twenty_come_and_go_at_once() {
    within("crowd", async |namespace| {
        let names: Vec<String> = (0..MANY).map(|number| format!("mnist-{number}")).collect();
        let all = join_all(names.iter().map(|name| namespace.deploy(name, mnist(1)))).await;
        let ready = join_all(all.iter().map(|one| one.until_ready())).await;
        assert!(ready.iter().all(|one| one["status"]["readyOfWanted"] == "1/1"));
        assert_eq!(all.last().unwrap().predict().await, 7);
        join_all(all.iter().map(|one| one.delete())).await;
        let ours = || labelled(DEPLOYMENT_LABEL);
        namespace.until("no Deployment", ours(), |there: &[&Deployment]| there.is_empty().then_some(())).await;
        namespace.until("no Service", ours(), |there: &[&Service]| there.is_empty().then_some(())).await;
        namespace.until("no pod", ours(), |there: &[&Pod]| there.is_empty().then_some(())).await;
    })
    .await;
}
