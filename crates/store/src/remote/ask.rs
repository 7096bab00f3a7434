//! One request: its redirects, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ACCEPT_RANGES, AUTHORIZATION, CONTENT_RANGE, LOCATION, RANGE, RETRY_AFTER, USER_AGENT};
use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;

use super::address::Address;
use super::client::{Client, Failed};
use super::refusal::Refusal;
use super::validator::Validator;
use crate::{Limits, StoreError};

/// What is asked for.
#[derive(Default)]
pub(super) struct Wish {
    /// Only what follows these bytes of that version.
    pub(super) rest: Option<(u64, Validator)>,
    /// And of that only what is before this byte.
    pub(super) until: Option<u64>,
    /// Only what differs from that version.
    pub(super) unless: Option<Validator>,
}

/// What came.
pub(super) enum Answer {
    /// The version that is known is the newest.
    NotModified,
    /// Bytes from `offset` on; `total` in all, if the server says so.
    Bytes { body: Incoming, offset: u64, total: Option<u64>, validator: Validator, ranges: bool },
}

/// Why nothing of use came.
pub(super) enum Trouble {
    /// Asking again would not help.
    Final(StoreError),
    /// Asking again may help, after a while.
    Again { why: String, after: Option<Duration> },
    /// What is here is no start of what is there: to be forgotten before asking again.
    Restart { why: String },
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

pub(super) fn again(why: impl Into<String>) -> Trouble {
    Trouble::Again { why: why.into(), after: None }
}

/// Asks `address` for `wish`, following redirects.
pub(super) async fn ask(client: &Client, address: &Address, wish: &Wish, limits: &Limits) -> Result<Answer, Trouble> {
    let mut address = address.clone();
    for _ in 0..=limits.redirects {
        let response = send(client, &address, wish, limits).await?;
        let location = response.headers().get(LOCATION);
        match (response.status().as_u16(), location) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => {
                let followed = location.to_str().map_err(|error| error.to_string()).and_then(|to| address.redirect(to));
                address = followed.map_err(|why| StoreError::Unavailable(format!("{}: {why}", address.shown())))?;
            }
            _ => return understand(response, &address, wish, limits).await,
        }
    }
    Err(StoreError::Unavailable(format!("more than {} redirects, the last to {}", limits.redirects, address.shown())).into())
}

async fn send(client: &Client, address: &Address, wish: &Wish, limits: &Limits) -> Result<Response<Incoming>, Trouble> {
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = address.uri.clone();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, super::AGENT);
    // The sum is that of the artefact's own bytes, and a range counts them.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(authorization) = &address.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    if let Some((from, validator)) = &wish.rest {
        let last = wish.until.map(|end| (end - 1).to_string()).unwrap_or_default();
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-{last}")) {
            headers.insert(RANGE, range);
        }
        validator.if_range(headers);
    } else if let Some(validator) = &wish.unless {
        validator.if_changed(headers);
    }
    if let Some(signer) = &address.signer {
        signer.sign(&mut request).await?;
    }
    match tokio::time::timeout(limits.stall, client.send(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(Failed::Never(why))) => Err(StoreError::Unavailable(why).into()),
        Ok(Err(Failed::Now(error))) => Err(again(format!("{}: {}", address.shown(), with_causes(&*error)))),
        Err(_) => Err(again(format!("{}: no answer for {:?}", address.shown(), limits.stall))),
    }
}

async fn understand(response: Response<Incoming>, address: &Address, wish: &Wish, limits: &Limits) -> Result<Answer, Trouble> {
    let (status, shown) = (response.status(), address.shown());
    let validator = Validator::of(response.headers());
    let length = response.body().size_hint().exact();
    let ranges = response.headers().get(ACCEPT_RANGES).is_some_and(|unit| unit == "bytes");
    match status.as_u16() {
        200 => Ok(Answer::Bytes { body: response.into_body(), offset: 0, total: length, validator, ranges }),
        206 if wish.rest.is_some() => {
            let (from, known) = wish.rest.as_ref().map_or((0, validator.clone()), |(from, known)| (*from, known.clone()));
            match content_range(response.headers()) {
                Some((first, total)) if first == from && !known.differs(&validator) => {
                    let total = total.or(length.map(|length| from + length));
                    Ok(Answer::Bytes { body: response.into_body(), offset: from, total, validator: known, ranges: true })
                }
                _ => Err(Trouble::Restart { why: format!("{shown} sent another part than was asked for") }),
            }
        }
        304 if wish.unless.is_some() => Ok(Answer::NotModified),
        _ => {
            let after = retry_after(response.headers());
            let refusal = Refusal::read(response, limits).await;
            let renewed = (refusal.is_expired() || status == StatusCode::UNAUTHORIZED)
                && address.signer.as_ref().is_some_and(|signer| signer.renew());
            let said = format!("{shown} answered {status}{refusal}");
            Err(if renewed { again(said) } else { class(status, said, after) })
        }
    }
}

/// What a status that brings nothing means.
pub(super) fn class(status: StatusCode, said: String, after: Option<Duration>) -> Trouble {
    match status.as_u16() {
        416 => Trouble::Restart { why: said },
        404 | 410 => StoreError::NotFound(said).into(),
        401 | 403 | 407 => StoreError::Unauthorized(said).into(),
        408 | 425 | 429 | 500..=599 if status != StatusCode::NOT_IMPLEMENTED => Trouble::Again { why: said, after },
        _ => StoreError::Unavailable(format!("{said}; expected 200")).into(),
    }
}

/// `bytes FIRST-LAST/TOTAL`, the total `*` if unknown.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let (range, total) = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()))
}

/// Seconds, or a date, of `Retry-After`.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or_default())
}

/// An error with what caused it: hyper's own words alone say little.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_dates_are_read() {
        let headers = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        assert_eq!(content_range(&headers(CONTENT_RANGE, "bytes 5-9/10")), Some((5, Some(10))));
        assert_eq!(content_range(&headers(CONTENT_RANGE, "bytes 5-9/*")), Some((5, None)));
        assert_eq!(content_range(&headers(CONTENT_RANGE, "items 5-9/10")), None);
        assert_eq!(retry_after(&headers(RETRY_AFTER, "120")), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&headers(RETRY_AFTER, "Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        let far = retry_after(&headers(RETRY_AFTER, "Fri, 21 Oct 2050 07:28:00 GMT")).unwrap();
        assert!(far > Duration::from_secs(3600));
        assert_eq!(retry_after(&headers(RETRY_AFTER, "soon")), None);
    }
}
