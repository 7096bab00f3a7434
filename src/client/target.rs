//! Where a server is.

use std::str::FromStr;

use http::Uri;

use super::ClientError;

/// A server's address, and the path under which its protocols begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host:port`, as the Host header says it.
    pub authority: String,
    /// What stands before `/v2` and `/v1`: empty, or `/prefix`.
    pub prefix: String,
}

impl FromStr for Target {
    type Err = ClientError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| ClientError::Url { url: url.to_owned(), why };
        let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = with_scheme.parse().map_err(|error| wrong(format!("{error}")))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(wrong("https is not spoken here; forward a port (kubectl port-forward) and use http".to_owned()));
            }
            other => return Err(wrong(format!("expected http://HOST:PORT, found the scheme '{}'", other.unwrap_or_default()))),
        }
        let authority = uri.authority().ok_or_else(|| wrong("expected http://HOST:PORT".to_owned()))?;
        if uri.query().is_some() {
            return Err(wrong("a query has no place here".to_owned()));
        }
        let authority = match authority.port_u16() {
            Some(_) => authority.as_str().to_owned(),
            None if authority.as_str() == authority.host() => format!("{authority}:80"),
            None => return Err(wrong(format!("expected HOST:PORT, found '{authority}'"))),
        };
        Ok(Self { authority, prefix: uri.path().trim_end_matches('/').to_owned() })
    }
}

impl Target {
    /// The address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, url) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost:9000/", "http://localhost:9000"),
            ("http://host/models/", "http://host:80/models"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().url(), url);
        }
        for (text, why) in [
            ("https://host", "https is not spoken"),
            ("ftp://host", "scheme 'ftp'"),
            ("http://", ""),
            ("h:x", "expected HOST:PORT, found 'h:x'"),
        ] {
            assert!(text.parse::<Target>().unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
