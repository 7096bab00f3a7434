//! What a server says to tell versions of an artefact apart (RFC 9110, section 8.8).

use http::HeaderMap;
use http::header::{ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

/// `ETag` and `Last-Modified`, as the server wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validator {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// The store's own name of the version, with its kind: [`modelyard_core::pins::Pin::version`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
}

/// Headers by which stores that keep versions name them, and how they are called here. S3 says `null` of an object that was there before
/// its bucket kept any.
const VERSIONS: [(&str, &str); 3] =
    [("x-amz-version-id", "versionId="), ("x-goog-generation", "generation="), ("x-ms-version-id", "versionid=")];

impl Validator {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(ToOwned::to_owned);
        let named = |(header, kind): &(&str, &str)| {
            let value = headers.get(*header)?.to_str().ok().filter(|value| *value != "null" && !value.is_empty())?;
            Some(format!("{kind}{value}"))
        };
        Self { etag: text(ETAG), last_modified: text(LAST_MODIFIED), version: VERSIONS.iter().find_map(named) }
    }

    /// A version that a listing names.
    pub(super) fn tag(etag: impl Into<String>) -> Self {
        Self { etag: Some(etag.into()), ..Self::default() }
    }

    /// Whether it is [`Self::tag`]'s of that text.
    pub(super) fn is_tag(&self, etag: &str) -> bool {
        self.etag.as_deref() == Some(etag)
    }

    /// The name of the version, the best that there is.
    pub(super) fn told(&self) -> Option<String> {
        let etag = || Some(format!("ETag={}", self.etag.as_ref()?));
        self.version.clone().or_else(etag).or_else(|| Some(format!("Last-Modified={}", self.last_modified.as_ref()?)))
    }

    /// Whether an answer with this tag is of the version that a listing told, which may leave the quotes out.
    pub(super) fn is_of(&self, listed: &str) -> bool {
        self.etag.as_deref().is_none_or(|tag| tag.trim_matches('"') == listed.trim_matches('"'))
    }

    /// What `If-Range` may carry: a weak tag does not promise equal bytes.
    fn strong(&self) -> Option<&String> {
        self.etag.as_ref().filter(|tag| !tag.starts_with("W/")).or(self.last_modified.as_ref())
    }

    /// Whether a server can be asked for the rest of just this version.
    pub(super) fn can_resume(&self) -> bool {
        self.strong().is_some()
    }

    /// Whether an answer that says `other` can be of another version.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let differs = |ours: &Option<String>, theirs: &Option<String>| ours.is_some() && theirs.is_some() && ours != theirs;
        differs(&self.etag, &other.etag) || differs(&self.last_modified, &other.last_modified)
    }

    /// Asks for a part only if the artefact is still of this version.
    pub(super) fn if_range(&self, headers: &mut HeaderMap) {
        if let Some(value) = self.strong().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(IF_RANGE, value);
        }
    }

    /// Asks for the artefact only if it is of another version.
    pub(super) fn if_changed(&self, headers: &mut HeaderMap) {
        let (name, text) = match (&self.etag, &self.last_modified) {
            (Some(tag), _) => (IF_NONE_MATCH, tag),
            (None, Some(date)) => (IF_MODIFIED_SINCE, date),
            (None, None) => return,
        };
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
}
