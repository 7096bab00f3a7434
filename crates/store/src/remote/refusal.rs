//! What a store says of a request that it refuses: every one has its own place for that, and only a little of it is for people.

use http::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::xml;
use crate::Limits;

/// Bytes of a refusal that are read.
const READ: usize = 16 << 10;

/// Characters of it that are shown.
const SHOWN: usize = 240;

/// A refusal in the store's words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The store's own name of the fault, such as `AccessDenied`.
    pub(super) code: String,
    /// Its sentence.
    message: String,
}

impl Refusal {
    /// Reads an answer that brings no artefact. What cannot be read says nothing.
    pub(super) async fn read(response: Response<Incoming>, limits: &Limits) -> Self {
        let (head, body) = response.into_parts();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let named = ["x-ms-error-code", "x-error-code"].map(header).into_iter().find(|code| !code.is_empty());
        let region = header("x-amz-bucket-region");
        let said = header("x-error-message");
        let body = tokio::time::timeout(limits.stall, Limited::new(body, READ).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        let mut refusal = Self::of_body(&String::from_utf8_lossy(&body));
        if let Some(code) = named {
            refusal.code = code;
        }
        if !said.is_empty() {
            refusal.message = said;
        }
        if !region.is_empty() && matches!(head.status.as_u16(), 301 | 307 | 400) {
            refusal.message = format!("the bucket is in the region {region}: set AWS_REGION to it");
        }
        refusal
    }

    fn of_body(body: &str) -> Self {
        if body.trim_start().starts_with('<') {
            let text = |name| xml::text(body, name).unwrap_or_default();
            return Self { code: text("Code"), message: text("Message") };
        }
        let Ok(json) = serde_json::from_str::<Value>(body) else { return Self::default() };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // OCI's registries answer a list, Google an object, OAuth a name and a description, the Hub one sentence.
        let error = json["errors"].get(0).unwrap_or(&json["error"]);
        match error {
            Value::Object(error) => Self {
                code: error.get("code").or_else(|| error.get("status")).map(text).unwrap_or_default(),
                message: error.get("message").map(text).unwrap_or_default(),
            },
            Value::String(error) => Self { code: error.clone(), message: text(&json["error_description"]) },
            _ => Self::default(),
        }
    }

    /// Whether other credentials of the same caller would do.
    pub(super) fn is_expired(&self) -> bool {
        const EXPIRED: [&str; 5] =
            ["ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidAuthenticationInfo"];
        EXPIRED.contains(&self.code.as_str())
    }
}

impl std::fmt::Display for Refusal {
    /// ` (CODE: MESSAGE)`, or nothing; one line, of a bounded length.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = match (self.code.as_str(), self.message.as_str()) {
            ("", "") => return Ok(()),
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        let line = words.lines().next().unwrap_or_default();
        let line: String = line.chars().filter(|character| !character.is_control()).take(SHOWN).collect();
        write!(f, " ({line})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stores_words_are_found() {
        for (body, words) in [
            ("<?xml?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", " (AccessDenied: Access Denied)"),
            (
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]}"#,
                " (NAME_UNKNOWN: repository name not known)",
            ),
            (r#"{"error":{"code":403,"message":"no access","status":"PERMISSION_DENIED"}}"#, " (no access)"),
            (r#"{"error":"invalid_grant","error_description":"bad\nnews"}"#, " (invalid_grant: bad)"),
            ("<html>", ""),
            ("nothing", ""),
        ] {
            assert_eq!(Refusal::of_body(body).to_string(), words, "{body}");
        }
        let long = format!("<Error><Message>{}</Message></Error>", "x".repeat(5000));
        assert_eq!(Refusal::of_body(&long).to_string().len(), SHOWN + 3);
    }
}
