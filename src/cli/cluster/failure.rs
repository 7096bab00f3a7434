//! Why a call to the cluster failed, and what to do about it.

use kube::core::Status;
use kube::runtime::watcher;

/// A command could not talk to the cluster, or was told no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// Nothing says which cluster.
    #[error("no cluster to talk to: {0}; set KUBECONFIG or --kubeconfig, and --context where the file has several")]
    NoConfig(String),
    /// The kubeconfig has no such context.
    #[error("{0}")]
    NoContext(String),
    /// Nobody answers.
    #[error("the API server {address} does not answer: {said}; check the address and the kubeconfig's context")]
    Unreachable { address: String, said: String },
    /// The cluster does not know our kind.
    #[error(
        "the cluster does not know ModelDeployments: install the Helm chart, which brings the operator and its CustomResourceDefinition"
    )]
    NoKind,
    /// There is no object of that name.
    #[error("no ModelDeployment {name} in namespace {namespace}: {hint}")]
    NoObject { name: String, namespace: String, hint: String },
    /// Not allowed.
    #[error("cannot {deed}: {said}; ask whoever runs the cluster for that right")]
    Forbidden { deed: String, said: String },
    /// The credentials are not taken.
    #[error("cannot {deed}: the API server does not know these credentials: {said}; renew those of the kubeconfig's user")]
    Unauthorized { deed: String, said: String },
    /// Somebody else changed it.
    #[error("cannot {deed}: {said}; run the command again")]
    Conflict { deed: String, said: String },
    /// Anything else that was said.
    #[error("cannot {deed}: {said}")]
    Refused { deed: String, said: String },
}

impl ClusterError {
    /// Whether a 404 is about an object, and not about a kind that the cluster does not know.
    pub(super) fn is_missing_object(status: &Status) -> bool {
        status.is_not_found() && status.details.as_ref().is_some_and(|details| !details.name.is_empty())
    }

    /// What a failed call means. `deed` completes "cannot ...".
    pub(super) fn of(deed: &str, address: &str, error: kube::Error) -> Self {
        let deed = deed.to_owned();
        match error {
            kube::Error::Api(status) => Self::said(deed, &status),
            kube::Error::Service(error) => Self::Unreachable { address: address.to_owned(), said: innermost(error.as_ref()) },
            kube::Error::HyperError(error) => Self::Unreachable { address: address.to_owned(), said: innermost(&error) },
            kube::Error::Auth(error) => Self::Unauthorized { deed, said: innermost(&error) },
            error => Self::Refused { deed, said: error.to_string() },
        }
    }

    fn said(deed: String, status: &Status) -> Self {
        let said = status.message.trim().to_owned();
        match status.code {
            // Without a body of its own a 404 is about the path: the kind is not served.
            404 if !Self::is_missing_object(status) => Self::NoKind,
            401 => Self::Unauthorized { deed, said },
            403 => Self::Forbidden { deed, said },
            409 => Self::Conflict { deed, said },
            _ => Self::Refused { deed, said },
        }
    }

    /// What a broken watch means; none where it will be opened again.
    pub(crate) fn of_watch(deed: &str, address: &str, error: watcher::Error) -> Option<Self> {
        match error {
            watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => match error {
                kube::Error::Api(status) if status.code == 429 || status.code >= 500 => None,
                error => Some(Self::of(deed, address, error)),
            },
            watcher::Error::NoResourceVersion => Some(Self::Refused { deed: deed.to_owned(), said: error.to_string() }),
            // A watch ends now and then; the next one goes on where it was.
            watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_) => None,
        }
    }
}

/// The last cause: the outer ones say only that something failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str, name: Option<&str>) -> kube::Error {
        let mut status = Status::failure(message, "").with_code(code);
        status.details = name.map(|name| serde_json::from_value(serde_json::json!({ "name": name })).unwrap());
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (error, words) in [
            (api(404, "404 page not found", None), "install the Helm chart"),
            (api(403, "pods is forbidden", None), "cannot read pods: pods is forbidden; ask whoever runs the cluster"),
            (api(401, "Unauthorized", None), "renew those of the kubeconfig's user"),
            (api(409, "the object has been modified", Some("m")), "run the command again"),
            (api(422, "spec.replicas: Invalid value", Some("m")), "cannot read pods: spec.replicas: Invalid value"),
            (kube::Error::Service(std::io::Error::other("refused").into()), "https://here does not answer: refused"),
        ] {
            let said = ClusterError::of("read pods", "https://here", error).to_string();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn a_watch_that_ends_is_opened_again() {
        let ended = watcher::Error::WatchError(Status::failure("too old", "Expired").with_code(410).boxed());
        assert!(ClusterError::of_watch("watch", "", ended).is_none());
        let busy = watcher::Error::InitialListFailed(api(503, "starting", None));
        assert!(ClusterError::of_watch("watch", "", busy).is_none());
        let denied = watcher::Error::InitialListFailed(api(403, "no", None));
        assert!(matches!(ClusterError::of_watch("watch", "", denied), Some(ClusterError::Forbidden { .. })));
    }
}
