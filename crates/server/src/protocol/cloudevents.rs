//! Predictions as CloudEvents 1.0: in binary mode the attributes are headers and the body is the data, in structured mode one
//! JSON document holds both. A prediction is taken out before any adapter sees it, and its answer put back in the same mode, so
//! every REST protocol speaks it. Source: CloudEvents 1.0, the HTTP protocol binding and the JSON format.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt;
use modelyard_wire::json::{Cursor, JsonError, write};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::front::shown;
use super::{Inbound, Received, Reply, Seen, encoding};
use crate::fault::{Code, Fault};

/// How an event travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in `ce-` headers.
    Binary,
    /// Attributes and data in one document of `application/cloudevents+json`.
    Structured,
    /// Several events in one document, which nothing here answers.
    Batch,
}

const STRUCTURED: &str = "application/cloudevents+json";
const JSON: &str = "application/json";
const VERSION: &str = "1.0";
const ANSWER_TYPE: &str = "io.modelyard.inference.response";

/// Attributes that an event must have.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];
/// The same as headers.
const REQUIRED_HEADERS: [&str; 4] = ["ce-specversion", "ce-id", "ce-source", "ce-type"];

/// The mode of a prediction that came as an event; `None` for every other request.
pub fn mode(head: &Parts) -> Option<Mode> {
    let path = head.uri.path().as_bytes();
    let predicts = ends_with(path, b":predict") || ends_with(path, b"/infer");
    if head.method != Method::POST || !predicts {
        return None;
    }
    let headers = &head.headers;
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if starts_with(kind, b"application/cloudevents-batch") {
        return Some(Mode::Batch);
    }
    if starts_with(kind, b"application/cloudevents") {
        return Some(Mode::Structured);
    }
    let event = |name: &HeaderName| name.as_str().starts_with("ce-") && REQUIRED_HEADERS.contains(&name.as_str());
    headers.keys().any(event).then_some(Mode::Binary)
}

fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len() >= end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// The request that an event carries.
///
/// # Errors
/// `INVALID_ARGUMENT` for an event without a required attribute or of another version, `UNSUPPORTED_MEDIA_TYPE` for a batch or
/// another format than JSON.
pub async fn open((head, body): Received<'_>, mode: Mode, limit: u64) -> Result<(Parts, Inbound), Fault> {
    match mode {
        Mode::Binary => {
            check_headers(&head.headers)?;
            Ok((head.clone(), body))
        }
        Mode::Structured => open_structured((head, body), limit).await,
        Mode::Batch => {
            Err(Fault::new(Code::UnsupportedMediaType, "a batch of CloudEvents is not taken; send one event for each prediction"))
        }
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), Fault> {
    for name in REQUIRED_HEADERS {
        let value = headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        if value.is_empty() {
            return Err(Fault::invalid(format!("CloudEvent: the header '{name}' is missing or empty")));
        }
        if name == "ce-specversion" {
            check_version(&String::from_utf8_lossy(value))?;
        }
    }
    Ok(())
}

fn check_version(version: &str) -> Result<(), Fault> {
    if version == VERSION {
        return Ok(());
    }
    Err(Fault::invalid(format!("CloudEvent: expected specversion {VERSION}, found '{}'", shown(version))))
}

async fn open_structured((head, inbound): Received<'_>, limit: u64) -> Result<(Parts, Inbound), Fault> {
    let mut parts = head.clone();
    let kind = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let format = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !format.eq_ignore_ascii_case(STRUCTURED.as_bytes()) {
        let found = shown(&String::from_utf8_lossy(format));
        return Err(Fault::new(Code::UnsupportedMediaType, format!("expected a CloudEvent as {STRUCTURED}, found {found}")));
    }
    let document = encoding::read(&parts.headers, inbound, limit).await?;
    let (data, kind) = data_of(&document)?;
    // The document was decoded, its data is what follows; and the answer must stay readable until it is in its event.
    for stale in [CONTENT_ENCODING, CONTENT_LENGTH, ACCEPT_ENCODING] {
        parts.headers.remove(stale);
    }
    parts.headers.insert(CONTENT_TYPE, kind);
    Ok((parts, Inbound::Whole(Some(data))))
}

/// What a document of structured mode holds.
#[derive(Default)]
struct Document<'a> {
    attributes: [Option<Cow<'a, str>>; REQUIRED.len()],
    content_type: Option<Cow<'a, str>>,
    data: Option<&'a [u8]>,
    base64: Option<Cow<'a, str>>,
}

/// The data of an event in structured mode, and its media type.
fn data_of(document: &Bytes) -> Result<(Bytes, HeaderValue), Fault> {
    let event = Document::read(document).map_err(|error| Fault::invalid(format!("CloudEvent: {error}")))?;
    for (name, value) in REQUIRED.iter().zip(&event.attributes) {
        if value.as_deref().unwrap_or_default().is_empty() {
            return Err(Fault::invalid(format!("CloudEvent: the attribute '{name}' is missing or empty")));
        }
    }
    check_version(event.attributes[0].as_deref().unwrap_or_default())?;
    let (data, usual) = match (event.data, event.base64) {
        (Some(data), None) => (document.slice_ref(data), JSON),
        (None, Some(text)) => {
            let data = STANDARD.decode(text.as_bytes());
            let wrong = |error| Fault::invalid(format!("CloudEvent: 'data_base64' is not base64: {error}"));
            (data.map_err(wrong)?.into(), "application/octet-stream")
        }
        (None, None) => return Err(Fault::invalid("CloudEvent: expected 'data' or 'data_base64', found neither")),
        (Some(_), Some(_)) => return Err(Fault::invalid("CloudEvent: expected one of 'data' and 'data_base64', found both")),
    };
    let kind = event.content_type.as_deref().unwrap_or(usual);
    let kind = HeaderValue::from_str(kind).map_err(|_| Fault::invalid("CloudEvent: 'datacontenttype' is no media type"))?;
    Ok((data, kind))
}

impl<'a> Document<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let mut event = Self::default();
        let mut cursor = Cursor::new(bytes);
        cursor.object(|key, cursor| {
            match &*key {
                "data" => event.data = Some(cursor.raw_value()?),
                "data_base64" => event.base64 = Some(cursor.string()?),
                "datacontenttype" => event.content_type = Some(cursor.string()?),
                name => match REQUIRED.iter().position(|one| *one == name) {
                    Some(index) => event.attributes[index] = Some(cursor.string()?),
                    None => cursor.skip_value()?,
                },
            }
            Ok::<_, JsonError>(())
        })?;
        cursor.end()?;
        Ok(event)
    }
}

/// The answer in an event of the request's mode.
///
/// # Errors
/// `INTERNAL` where an attribute is no header value, which their encoding rules out.
pub async fn seal(mut response: Response<Reply>, mode: Mode, seen: &Seen) -> Result<Response<Reply>, Fault> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let name = seen.model.as_ref().map_or("", |model| model.name.as_str());
    let source = format!("io.modelyard.inference.{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let attributes = [VERSION.to_owned(), new_id(), source, ANSWER_TYPE.to_owned()];
    if mode == Mode::Binary {
        for (header, value) in REQUIRED_HEADERS.into_iter().zip(&attributes) {
            let value = HeaderValue::from_str(value).map_err(|error| Fault::internal(error.to_string()))?;
            response.headers_mut().insert(header, value);
        }
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or(JSON);
    let document = document(&attributes, kind, &body.to_bytes());
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(STRUCTURED));
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Reply::from(document)))
}

fn document(attributes: &[String; REQUIRED.len()], kind: &str, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 256);
    out.push(b'{');
    for (name, value) in REQUIRED.into_iter().zip(attributes.iter().map(String::as_str)).chain([("datacontenttype", kind)]) {
        write::string(&mut out, name);
        out.push(b':');
        write::string(&mut out, value);
        out.push(b',');
    }
    if kind == JSON {
        out.extend_from_slice(b"\"data\":");
        out.extend_from_slice(data);
    } else {
        out.extend_from_slice(b"\"data_base64\":");
        write::string(&mut out, &STANDARD.encode(data));
    }
    out.push(b'}');
    out
}

/// An identifier that no other event of any server has, for all that 122 bits can do: the hash of a count under keys that
/// the system made for this process.
fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let [high, low] = [KEYS[0].hash_one(count), KEYS[1].hash_one(!count)];
    // Version 4 and variant 10, as RFC 9562 marks random identifiers.
    let (high, low) = (high & !0xf000 | 0x4000, low & (u64::MAX >> 2) | 1 << 63);
    let (node, clock) = (low & 0xffff_ffff_ffff, low >> 48);
    format!("{:08x}-{:04x}-{:04x}-{clock:04x}-{node:012x}", high >> 32, high >> 16 & 0xffff, high & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_look_like_uuids_and_differ() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let lengths: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "4");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }

    #[test]
    fn data_is_a_part_of_the_document() {
        let document = Bytes::from_static(br#"{"id":"1","source":"s","type":"t","specversion":"1.0","x":[1],"data": {"a": 1} }"#);
        let (data, kind) = data_of(&document).unwrap();
        assert_eq!(data, &br#"{"a": 1}"#[..]);
        assert_eq!(kind, JSON);
    }
}
