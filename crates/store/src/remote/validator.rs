//! What a server says to tell versions of an artefact apart (RFC 9110, section 8.8).

use http::HeaderMap;
use http::header::{ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

/// `ETag` and `Last-Modified`, as the server wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validator {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

impl Validator {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(ToOwned::to_owned);
        Self { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }

    /// A version that a listing names.
    pub(super) fn tag(etag: impl Into<String>) -> Self {
        Self { etag: Some(etag.into()), last_modified: None }
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
