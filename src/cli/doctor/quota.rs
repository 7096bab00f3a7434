//! Quotas that are nearly used up: the next replica, or the next rollout's surge, will not fit.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::ResourceExt;
use modelyard_core::units;

use super::Finding;

/// What a replica takes of a quota.
const COUNTED: [&str; 8] =
    ["pods", "count/pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// Nearly: so much of the whole, in percent.
const NEARLY: u64 = 90;

pub(super) fn judge<'a>(quotas: impl Iterator<Item = &'a ResourceQuota>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut checked = 0;
    for quota in quotas {
        checked += 1;
        let name = format!("{}/{}", quota.namespace().unwrap_or_default(), quota.name_any());
        let status = quota.status.clone().unwrap_or_default();
        let (hard, used) = (status.hard.unwrap_or_default(), status.used.unwrap_or_default());
        for resource in COUNTED {
            let (Some(most), Some(taken)) = (hard.get(resource), used.get(resource)) else { continue };
            let (Ok(most_milli), Ok(taken_milli)) = (units::milli(&most.0), units::milli(&taken.0)) else { continue };
            if u128::from(taken_milli) * 100 >= u128::from(most_milli) * u128::from(NEARLY) {
                let words = format!(
                    "ResourceQuota {name}: {} of {} {resource} are used; a rollout needs room for one pod more",
                    taken.0, most.0
                );
                findings.push(Finding::note("quotas", words));
            }
        }
    }
    if findings.is_empty() {
        let words = if checked == 0 { "none".to_owned() } else { format!("{checked} with room") };
        findings.push(Finding::good("quotas", words));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nine_tenths_are_nearly_all() {
        let quota = |used: &str| -> ResourceQuota {
            serde_json::from_value(json!({"metadata": {"name": "q", "namespace": "models"}, "status": {
                "hard": {"requests.cpu": "2", "secrets": "1"}, "used": {"requests.cpu": used, "secrets": "1"}}}))
            .unwrap()
        };
        let told = |used: &str| judge([quota(used)].iter()).remove(0).words;
        assert_eq!(told("1799m"), "1 with room");
        assert!(told("1800m").starts_with("ResourceQuota models/q: 1800m of 2 requests.cpu are used"));
        assert_eq!(judge([].iter()).remove(0).words, "none");
    }
}
