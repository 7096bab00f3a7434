//! Tokens that a store takes in `Authorization: Bearer`.

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::StoreError;

/// Makes a request one of whoever holds the token.
pub(super) fn authorize(headers: &mut HeaderMap, token: &str) -> Result<(), StoreError> {
    headers.insert(AUTHORIZATION, header(token)?);
    Ok(())
}

/// The header's value.
pub(super) fn header(token: &str) -> Result<HeaderValue, StoreError> {
    let bad = |_| StoreError::Unauthorized("the store's token holds bytes that no header can have".to_owned());
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(bad)?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
pub(super) struct Granted {
    access_token: Option<String>,
    /// What registries call it; some answer both.
    token: Option<String>,
    /// Seconds; Azure's oldest endpoints write them as text.
    expires_in: Option<serde_json::Value>,
}

impl Granted {
    /// Reads an answer of `from`: the token, and when it ends.
    pub(super) fn read(body: &[u8], from: &str) -> Result<(String, Timestamp), StoreError> {
        let none = || StoreError::Unavailable(format!("{from} answered no access token"));
        let granted: Self = serde_json::from_slice(body).map_err(|_| none())?;
        let token = granted.access_token.or(granted.token).ok_or_else(none)?;
        let seconds = granted.expires_in.and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
        let seconds = SignedDuration::from_secs(seconds.unwrap_or(300).clamp(0, 86_400));
        Ok((token, Timestamp::now() + seconds))
    }
}
