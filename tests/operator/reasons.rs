//! Every reason that can be brought about: told in a condition, an event and by `modelyard status`, with what to do about it, and gone when that is
//! done.

use modelyard_core::api::Reason;

mod cluster;
mod models;
mod named;
mod pods;
mod rights;
mod unreadable;

/// The test that brings a reason about; none where nothing in the spec leads to it yet. A new reason does not compile until it is here.
const fn provoked_by(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Serving => "what_is_applied_serves_and_predicts",
        Reason::ScaledToZero => "kubectl_scale_goes_up_to_zero_and_back",
        Reason::Paused => "nothing_changes_while_it_is_paused",
        Reason::Scheduling => "a_pod_that_is_held_back",
        Reason::PullingImage => "an_image_that_comes_slowly_and_then_not_at_all",
        Reason::Downloading => "a_slow_store_is_told_with_what_has_come",
        Reason::Loading | Reason::NotResponding => "a_server_that_answers_nothing",
        Reason::RollingOut => "a_rollout_goes_on_when_the_operator_is_killed",
        Reason::Draining => "a_server_that_was_told_to_stop",
        Reason::InvalidSpec => "an_account_that_is_not_there",
        Reason::NameConflict => "a_name_that_is_taken",
        Reason::SecretNotFound => "a_secret_that_is_not_there_then_lacks_its_key_then_is_wrong",
        Reason::ClaimNotFound => "a_claim_that_is_not_there_and_then_has_no_volume",
        Reason::ModelNotFound => "a_model_that_is_not_there",
        Reason::ModelUnauthorized => "a_store_that_wants_a_password",
        Reason::ChecksumMismatch => "bytes_of_another_sum",
        Reason::ModelChanged => "where_it_keeps_none_a_replica_that_comes_later_says_so_and_the_first_serves_on",
        Reason::ModelUnsupported => "an_operator_that_the_engine_lacks",
        Reason::ModelInvalid => "a_damaged_file",
        Reason::Unschedulable => "no_node_has_room",
        Reason::QuotaExceeded => "a_quota_is_used_up",
        Reason::ImagePullFailed => "an_image_that_cannot_be_had",
        Reason::StoreUnavailable => "a_store_that_is_not_there_yet",
        Reason::OutOfMemory => "too_little_memory",
        Reason::CrashLooping => "a_server_that_ends_at_once",
        Reason::Evicted => "a_cache_that_outgrows_its_limit",
        Reason::ProgressDeadlineExceeded => "a_revision_that_takes_too_long",
        Reason::AdmissionDenied => "a_policy_refuses_the_pods",
        Reason::Forbidden => "a_right_that_the_operator_lacks",
        // Canaries are not in the spec.
        Reason::AwaitingPromotion | Reason::Analysing | Reason::AnalysisFailed | Reason::RolledBack => return None,
    })
}

#[test]
fn every_reason_has_a_test_that_brings_it_about() {
    let sources = [
        include_str!("fields.rs"),
        include_str!("first.rs"),
        include_str!("pins.rs"),
        include_str!("rollout.rs"),
        include_str!("reasons/cluster.rs"),
        include_str!("reasons/models.rs"),
        include_str!("reasons/named.rs"),
        include_str!("reasons/pods.rs"),
        include_str!("reasons/rights.rs"),
    ];
    for reason in Reason::ALL {
        let Some(test) = provoked_by(*reason) else { continue };
        let (head, name) = (format!("async fn {test}() {{"), reason.as_str());
        let body = sources.iter().find_map(|source| source.split_once(&head)).unwrap_or_else(|| panic!("no test {test}")).1;
        let body = body.split_once("\n}\n").unwrap().0;
        assert!(body.contains(&format!("{name:?}")), "{test} does not ask for {name}");
    }
}
