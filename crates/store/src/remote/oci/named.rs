//! What an `oci:` uri names, and where that is asked for.

use modelyard_core::location::oci::Reference;

use crate::StoreError;

/// What the uri names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// With its port.
    pub(super) host: String,
    pub(super) repository: String,
    /// A tag or a digest.
    pub(super) reference: String,
}

impl Named {
    pub(super) fn parse(uri: &str) -> Result<Self, StoreError> {
        Reference::parse(uri).map(Self::of).map_err(StoreError::Invalid)
    }

    /// What is to be pushed to.
    pub(super) fn to_push(uri: &str) -> Result<Self, StoreError> {
        Reference::to_push(uri).map(Self::of).map_err(StoreError::Invalid)
    }

    fn of(Reference { host, repository, reference }: Reference) -> Self {
        Self { host, repository, reference }
    }

    /// Registries are asked by https; one on this machine by plain http, as Docker does.
    pub(super) fn base(&self) -> String {
        let name = self.host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|one| one.is_ascii_digit()));
        let near = matches!(name.map_or(self.host.as_str(), |(name, _)| name), "localhost" | "127.0.0.1" | "[::1]");
        format!("{}://{}/v2/", if near { "http" } else { "https" }, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_on_this_machine_is_asked_by_plain_http() {
        for (uri, base) in [
            ("oci://localhost/a", "http://localhost/v2/"),
            ("oci://127.0.0.1:5000/a", "http://127.0.0.1:5000/v2/"),
            ("oci://[::1]:5000/a", "http://[::1]:5000/v2/"),
            ("oci://localhost.example/a", "https://localhost.example/v2/"),
            ("oci://r.example:443/a", "https://r.example:443/v2/"),
        ] {
            assert_eq!(Named::parse(uri).unwrap().base(), base, "{uri}");
        }
    }
}
