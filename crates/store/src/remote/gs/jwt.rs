//! A signed assertion of who a service account is (RFC 7523, RS256), which Google exchanges for a token.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

/// What is asked for: reading, no more.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// Seconds that an assertion holds; Google takes an hour at most.
const HOLDS: i64 = 600;

/// The assertion of `email` for `audience`, from that time on.
///
/// # Errors
/// What is wrong with the key; nothing of it is shown.
pub(super) fn assertion(email: &str, pem: &str, audience: &str, at: Timestamp) -> Result<String, &'static str> {
    let key = key(pem)?;
    let claims = json!({"iss": email, "scope": SCOPE, "aud": audience, "iat": at.as_second(), "exp": at.as_second() + HOLDS});
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    let text = format!("{}.{}", part(json!({"alg": "RS256", "typ": "JWT"}).to_string()), part(claims.to_string()));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| "its private_key cannot sign")?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// PKCS #8 in PEM, as Google writes it.
fn key(pem: &str) -> Result<RsaKeyPair, &'static str> {
    let inner = pem.split_once("-----BEGIN PRIVATE KEY-----").and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"));
    let (inner, _) = inner.ok_or("its private_key is no PEM of a PRIVATE KEY")?;
    let der = STANDARD.decode(inner.split_ascii_whitespace().collect::<String>()).map_err(|_| "its private_key is no base64")?;
    RsaKeyPair::from_pkcs8(&der).map_err(|_| "its private_key is no RSA key of 2048 bits or more")
}
