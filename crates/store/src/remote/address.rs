//! URLs: what is asked for, what is shown of it, and where a redirect leads.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use http::uri::{Scheme, Uri};
use percent_encoding::percent_decode_str;

use super::sign::Sign;

/// A URL to fetch from. Its credentials are kept apart, to be sent to its own host only.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) uri: Uri,
    /// `Authorization` from `user:password@` in the URL.
    pub(super) authorization: Option<HeaderValue>,
    /// What signs each request, where the store wants that.
    pub(super) signer: Option<Arc<dyn Sign>>,
}

impl Address {
    /// Reads an absolute `http:` or `https:` URL.
    ///
    /// # Errors
    /// What is wrong with it, without its secrets.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri = text.parse().map_err(|error| format!("a URL cannot be read: {error}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme().cloned(), uri.authority()) else {
            return Err("expected http://host/path or https://host/path".to_owned());
        };
        if (scheme != Scheme::HTTP && scheme != Scheme::HTTPS) || authority.host().is_empty() {
            return Err(format!("expected http://host/path or https://host/path, found '{scheme}:'"));
        }
        let Some((user, host)) = authority.as_str().rsplit_once('@') else {
            return Ok(Self { uri, authorization: None, signer: None });
        };
        let credentials = STANDARD.encode(percent_decode_str(user).collect::<Vec<_>>());
        let mut authorization = HeaderValue::try_from(format!("Basic {credentials}")).map_err(|error| error.to_string())?;
        authorization.set_sensitive(true);
        let mut parts = uri.clone().into_parts();
        parts.authority = Some(host.parse().map_err(|error| format!("a URL's host cannot be read: {error}"))?);
        let uri = Uri::from_parts(parts).map_err(|error| error.to_string())?;
        Ok(Self { uri, authorization: Some(authorization), signer: None })
    }

    /// The same, with what signs its requests.
    pub(super) fn signed(mut self, signer: Option<Arc<dyn Sign>>) -> Self {
        self.signer = signer;
        self
    }

    /// Where a redirect's `Location` leads.
    ///
    /// # Errors
    /// Why it is not followed.
    pub(super) fn redirect(&self, location: &str) -> Result<Self, String> {
        let next = Self::parse(&self.resolve(location))?;
        if self.uri.scheme() == Some(&Scheme::HTTPS) && next.uri.scheme() == Some(&Scheme::HTTP) {
            return Err(format!("a redirect leads from https: to plain http: ({})", next.shown()));
        }
        let same_host = self.uri.scheme() == next.uri.scheme() && self.uri.authority() == next.uri.authority();
        let (inherited, signer) = if same_host { (self.authorization.clone(), self.signer.clone()) } else { (None, None) };
        Ok(Self { authorization: next.authorization.or(inherited), signer, uri: next.uri })
    }

    /// RFC 3986, section 5.2, for the forms of `Location` in use.
    fn resolve(&self, reference: &str) -> String {
        let scheme = self.uri.scheme_str().unwrap_or("http");
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let path = self.uri.path();
        let has_scheme = reference.split_once(':').is_some_and(|(head, _)| !head.contains(['/', '?']) && !head.is_empty());
        if has_scheme {
            return reference.to_owned();
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return format!("{scheme}://{rest}");
        }
        let merged = if reference.starts_with('/') {
            reference.to_owned()
        } else if reference.starts_with('?') {
            format!("{path}{reference}")
        } else {
            format!("{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
        };
        let (path, query) = merged.split_once('?').map_or((merged.as_str(), None), |(path, query)| (path, Some(query)));
        let mut kept: Vec<&str> = Vec::new();
        for part in path.split('/').skip(1) {
            match part {
                "." => {}
                ".." => drop(kept.pop()),
                part => kept.push(part),
            }
        }
        if path.ends_with("/.") || path.ends_with("/..") {
            kept.push("");
        }
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{scheme}://{authority}/{}{query}", kept.join("/"))
    }

    /// The URL for messages: without credentials, and without the query, which often holds a signature.
    pub(super) fn shown(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let query = if self.uri.query().is_some() { "?..." } else { "" };
        format!("{scheme}://{authority}{}{query}", self.uri.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_resolve_as_the_rfc_says() {
        let base = Address::parse("http://a.example:81/b/c/d?q").unwrap();
        for (location, url) in [
            ("http://x.example/y", "http://x.example/y"),
            ("https://x.example", "https://x.example/"),
            ("//x.example/y?z", "http://x.example/y?z"),
            ("/y", "http://a.example:81/y"),
            ("y", "http://a.example:81/b/c/y"),
            ("../y?z=../w", "http://a.example:81/b/y?z=../w"),
            ("../../../y", "http://a.example:81/y"),
            ("./", "http://a.example:81/b/c/"),
            ("?r", "http://a.example:81/b/c/d?r"),
            ("y#part", "http://a.example:81/b/c/y"),
        ] {
            assert_eq!(base.redirect(location).unwrap().uri.to_string(), url, "{location}");
        }
    }

    #[test]
    fn https_never_leads_to_http_nor_to_another_scheme() {
        let base = Address::parse("https://a.example/x").unwrap();
        assert!(base.redirect("http://a.example/x").err().unwrap().contains("plain http"));
        assert!(base.redirect("file:///etc/passwd").is_err());
        assert!(base.redirect("ftp://a.example/").is_err());
        assert!(base.redirect("/y").is_ok());
    }

    #[test]
    fn credentials_go_to_their_own_host_only_and_are_never_shown() {
        let base = Address::parse("http://us%40er:p%3Aw@a.example/x?sig=secret").unwrap();
        assert_eq!(base.authorization.as_ref().unwrap(), "Basic dXNAZXI6cDp3");
        assert_eq!(base.shown(), "http://a.example/x?...");
        assert!(base.redirect("/y").unwrap().authorization.is_some());
        assert!(base.redirect("http://b.example/y").unwrap().authorization.is_none());
        assert!(base.redirect("http://a.example:8080/y").unwrap().authorization.is_none());
    }
}
