//! What an `oci:` uri names.

use super::manifest;
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
        let wrong = || {
            StoreError::Invalid(format!(
                "expected oci://HOST/REPOSITORY[:TAG] or oci://HOST/REPOSITORY@sha256:DIGEST, found '{uri}'"
            ))
        };
        let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
        let (host, rest) = rest.split_once('/').filter(|(host, _)| !host.is_empty()).ok_or_else(wrong)?;
        let (repository, reference) = match rest.split_once('@') {
            Some((name, digest)) => {
                manifest::sum(digest).ok_or_else(wrong)?;
                // The tag beside a digest is for people.
                (name.rsplit_once(':').map_or(name, |(name, _)| name), digest)
            }
            None => rest.rsplit_once(':').unwrap_or((rest, "latest")),
        };
        let is_part = |part: &str| {
            part.starts_with(|one: char| one.is_ascii_alphanumeric())
                && part.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || b"._-".contains(&one))
        };
        let is_tag = |tag: &str| {
            (1..=128).contains(&tag.len()) && tag.bytes().all(|one| one.is_ascii_alphanumeric() || b"._-".contains(&one))
        };
        let is_reference = is_tag(reference) || manifest::sum(reference).is_some();
        let is_host = host.bytes().all(|one| one.is_ascii_alphanumeric() || b".-:[]".contains(&one));
        if !is_host || !repository.split('/').all(is_part) || !is_reference {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), reference: reference.to_owned() })
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
    fn each_spelling_is_read() {
        let sum = format!("sha256:{}", "a".repeat(64));
        let by_digest = (format!("oci://h:5000/a/b:v1@{sum}"), "h:5000", "a/b", sum.as_str());
        for (uri, host, repository, reference) in [
            ("oci://r.example/a".to_owned(), "r.example", "a", "latest"),
            ("oci://r.example/a/b-c_d:V1.0".to_owned(), "r.example", "a/b-c_d", "V1.0"),
            ("oci://[::1]:5000/a:x".to_owned(), "[::1]:5000", "a", "x"),
            by_digest,
        ] {
            let expected = Named { host: host.into(), repository: repository.into(), reference: reference.into() };
            assert_eq!(Named::parse(&uri).unwrap(), expected, "{uri}");
        }
        for uri in
            ["oci://h", "oci://h/", "oci:///a", "oci://h/A", "oci://h/a:", "oci://h/a@sha256:12", "oci://h/../a", "oci://u@h/a"]
        {
            assert!(Named::parse(uri).is_err(), "{uri}");
        }
    }

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
