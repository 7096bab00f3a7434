//! Where a server is.

use std::path::Path;
use std::str::FromStr;

use http::Uri;

use super::ClientError;
use super::tls::Tls;

/// A server's address, and the path under which its protocols begin.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`, as the Host header says it.
    pub authority: String,
    /// What stands before `/v2` and `/v1`: empty, or `/prefix`.
    pub prefix: String,
    /// Of `https`: whom to trust.
    pub tls: Option<Tls>,
}

impl FromStr for Target {
    type Err = ClientError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        // Before all else: no message may repeat a password.
        if let Some((_, behind)) = url.rsplit_once('@') {
            let why = "a user and a password before '@' are not taken; expected http://HOST:PORT or https://HOST:PORT".to_owned();
            return Err(ClientError::Url { url: format!("...@{behind}"), why });
        }
        let wrong = |why: String| ClientError::Url { url: url.to_owned(), why };
        let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = with_scheme.parse().map_err(|error| wrong(format!("{error}")))?;
        let (tls, port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(Tls::default()), 443),
            other => {
                let found = other.unwrap_or_default();
                return Err(wrong(format!("expected http://HOST:PORT or https://HOST:PORT, found the scheme '{found}'")));
            }
        };
        let authority = uri.authority().ok_or_else(|| wrong("expected http://HOST:PORT".to_owned()))?;
        if uri.query().is_some() {
            return Err(wrong("a query has no place here".to_owned()));
        }
        let authority = match authority.port_u16() {
            Some(_) => authority.as_str().to_owned(),
            None if authority.as_str() == authority.host() => format!("{authority}:{port}"),
            None => return Err(wrong(format!("expected HOST:PORT, found '{authority}'"))),
        };
        Ok(Self { authority, prefix: uri.path().trim_end_matches('/').to_owned(), tls })
    }
}

impl Target {
    /// The address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.prefix)
    }

    /// The host alone, as a certificate names it.
    pub(super) fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The same server, trusted by the certificates of this file in place of the system's.
    ///
    /// # Errors
    /// Over plain HTTP nobody is trusted by a certificate.
    pub fn trusting(mut self, ca_file: &Path) -> Result<Self, ClientError> {
        match &mut self.tls {
            Some(tls) => *tls = Tls::of(ca_file),
            None => {
                let why = format!("--ca-file {} is for https", ca_file.display());
                return Err(ClientError::Url { url: self.url(), why });
            }
        }
        Ok(self)
    }

    /// The file that [`Target::trusting`] named.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref()?.ca_file.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_the_host_alone() {
        for (url, host) in [("https://host", "host"), ("https://[::1]:8443", "::1"), ("https://127.0.0.1:1", "127.0.0.1")] {
            assert_eq!(url.parse::<Target>().unwrap().host(), host);
        }
        let plain = "http://host".parse::<Target>().unwrap().trusting(Path::new("ca.pem")).unwrap_err().to_string();
        assert_eq!(plain, "--url 'http://host:80': --ca-file ca.pem is for https");
    }

    #[test]
    fn urls() {
        for (text, url) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost:9000/", "http://localhost:9000"),
            ("http://host/models/", "http://host:80/models"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://host", "https://host:443"),
            ("https://host:8443/models", "https://host:8443/models"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().url(), url);
        }
        for (text, why) in [("ftp://host", "scheme 'ftp'"), ("http://", ""), ("h:x", "expected HOST:PORT, found 'h:x'")] {
            assert!(text.parse::<Target>().unwrap_err().to_string().contains(why), "{text}");
        }
        for text in ["http://user:s3cret@host", "https://user:s3/cr@et@host:1", "user:s3cret@host:1/p", "ftp://s3cret@"] {
            let said = text.parse::<Target>().unwrap_err().to_string();
            assert!(said.contains("a user and a password before '@' are not taken") && !said.contains("s3"), "{said}");
        }
    }
}
