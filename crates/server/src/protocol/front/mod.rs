//! The front: what this server is and where to look, for people and for tools, and the answer to paths that nothing serves.

use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, VARY};
use http::request::Parts;
use http::{Method, Response};
use http_body::Body;

use super::{Reply, Seen, Service, encoding, error_response, json_response};
use crate::fault::{Code, Fault};

mod accept;
mod example;
mod index;
mod nearest;
mod openapi;

/// The name that this server goes by.
pub const SERVER_NAME: &str = "modelyard";
/// Its version.
pub const SERVER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What GET serves may also be asked by HEAD.
pub(crate) const READ: &str = "GET, HEAD";

/// The pages carry all they need: nothing is ever loaded from another host.
const OWN_HOST_ONLY: &str = "default-src 'none'; connect-src 'self'; img-src data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'";

/// Answers `/`, `/openapi.json`, `/docs`, and 404 for what no protocol knows.
///
/// # Errors
/// A fault that the caller turns into the error body.
pub fn handle(service: &Arc<Service>, head: &Parts, seen: &mut Seen) -> Result<Response<Reply>, Fault> {
    let path = head.uri.path();
    if !matches!(path, "/" | "/docs" | "/openapi.json") {
        return Err(unknown_path(path));
    }
    if !is_read(&head.method) {
        return Ok(method_not_allowed(&head.method, path, READ, seen));
    }
    let response = match path {
        "/docs" => html(include_str!("docs.html").to_owned()),
        "/openapi.json" => json_response(openapi::document(service).to_string().into_bytes()),
        _ => front_page(service, head),
    };
    let response = if encoding::wants_gzip(&head.headers) { encoding::gzip(response) } else { response };
    Ok(without_body_for_head(&head.method, response))
}

/// `/`, as JSON or as a page, whichever the client prefers.
fn front_page(service: &Service, head: &Parts) -> Response<Reply> {
    let base = base_url(head);
    let mut response = if accept::prefers_html(&head.headers) {
        html(index::page(service, &base))
    } else {
        json_response(index::json(service, &base).to_string().into_bytes())
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

fn html(page: String) -> Response<Reply> {
    let mut response = Response::new(Reply::from(page.into_bytes()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(OWN_HOST_ONLY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Where the client reached this server, for the commands that it may copy; what is no host name is not repeated.
fn base_url(head: &Parts) -> String {
    let host = head.uri.authority().map(|one| one.as_str());
    let host = host.or_else(|| head.headers.get(HOST).and_then(|one| one.to_str().ok()));
    let plain = |host: &&str| !host.is_empty() && host.bytes().all(|one| one.is_ascii_alphanumeric() || b".:-_[]".contains(&one));
    format!("http://{}", host.filter(plain).unwrap_or("localhost:8080"))
}

/// Whether the method only reads.
pub(crate) fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// HEAD's answer: the head that GET would have, its length too, and no body.
pub(crate) fn without_body_for_head(method: &Method, mut response: Response<Reply>) -> Response<Reply> {
    if *method == Method::HEAD {
        if let Some(length) = response.body().size_hint().exact() {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        *response.body_mut() = Reply::Empty;
    }
    response
}

/// 405, with `Allow`.
pub(crate) fn method_not_allowed(method: &Method, path: &str, allow: &'static str, seen: &mut Seen) -> Response<Reply> {
    let fault = Fault::new(Code::MethodNotAllowed, format!("{} takes {allow}, not {}", shown(path), shown(method.as_str())));
    seen.code = fault.code;
    let mut response = without_body_for_head(method, error_response(&fault));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// 404 that says where to look.
pub(crate) fn unknown_path(path: &str) -> Fault {
    Fault::not_found(format!("unknown path '{}'; {}; GET / lists what there is", shown(path), nearest::advice(path)))
}

/// The beginning of what a client sent, short enough for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}
