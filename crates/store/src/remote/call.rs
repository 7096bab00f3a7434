//! Short exchanges with a store beside the artefact itself: a listing, a token. Their answers fit into memory, or are refused.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full, Limited};

use super::address::Address;
use super::ask::{Trouble, again, class, retry_after, with_causes};
use super::backoff::Backoff;
use super::client::Failed;
use super::refusal::Refusal;
use super::sign::Asking;
use crate::{Store, StoreError, cache};

/// Bytes of one answer at most.
const MOST: usize = 8 << 20;

/// What is asked.
pub(super) struct Call {
    pub(super) address: Address,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// A form to post; without one it is a GET.
    pub(super) form: Option<String>,
    /// Tries before the other side counts as unavailable; 0 stands for the store's own number.
    pub(super) attempts: u32,
    /// Whether 401 is an answer too: it is asked what the store wants.
    pub(super) challenged: bool,
}

/// What was answered.
pub(super) struct Answered {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) const fn get(address: Address) -> Self {
        Self { address, headers: Vec::new(), form: None, attempts: 0, challenged: false }
    }

    /// A form's fields, which may be secret: they are in no message.
    pub(super) fn post(address: Address, fields: &[(&str, &str)]) -> Self {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", super::encode(value))).collect();
        Self { form: Some(fields.join("&")), ..Self::get(address) }
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Result<Self, StoreError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            StoreError::Unauthorized(format!("the value for the header {name} holds bytes that no header can have"))
        })?;
        value.set_sensitive(name == AUTHORIZATION);
        self.headers.push((name, value));
        Ok(self)
    }

    /// Asks until there is an answer, or nothing more is to be hoped for.
    pub(super) async fn send(&self, store: &Store) -> Result<Answered, StoreError> {
        let attempts = if self.attempts == 0 { store.limits.attempts } else { self.attempts };
        let mut backoff = Backoff::new(&store.limits, attempts, 0);
        loop {
            let (why, after) = match self.attempt(store).await {
                Ok(answered) => return Ok(answered),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Again { why, after }) => (why, after),
                Err(Trouble::Restart { why }) => (why, None),
            };
            let Some(wait) = backoff.next(0, after, cache::random()) else {
                return Err(StoreError::Unavailable(format!("{why} (after {} attempts)", backoff.failures())));
            };
            tracing::warn!(%why, wait_ms = wait.as_millis(), "a store did not answer; asking again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, store: &Store) -> Result<Answered, Trouble> {
        let (limits, shown) = (&store.limits, self.address.shown());
        let mut request = Asking::new(self.form.clone().map_or_else(Full::default, |form| Full::new(form.into())));
        *request.uri_mut() = self.address.uri.clone();
        if self.form.is_some() {
            *request.method_mut() = http::Method::POST;
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        request.headers_mut().insert(USER_AGENT, super::AGENT);
        if let Some(authorization) = &self.address.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        request.headers_mut().extend(self.headers.iter().cloned());
        if let Some(signer) = &self.address.signer {
            signer.sign(&mut request).await?;
        }
        let response = match tokio::time::timeout(limits.stall, store.client.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(Failed::Never(why))) => return Err(StoreError::Unavailable(why).into()),
            Ok(Err(Failed::Now(error))) => return Err(again(format!("{shown}: {}", with_causes(&*error)))),
            Err(_) => return Err(again(format!("{shown}: no answer for {:?}", limits.stall))),
        };
        let status = response.status();
        let challenge = self.challenged && status == StatusCode::UNAUTHORIZED;
        if !status.is_success() && !challenge {
            let after = retry_after(response.headers());
            let refusal = Refusal::read(response, limits).await;
            let renewed = refusal.is_expired() && self.address.signer.as_ref().is_some_and(|signer| signer.renew());
            let said = format!("{shown} answered {status}{refusal}");
            return Err(if renewed { again(said) } else { class(status, said, after) });
        }
        let (head, body) = response.into_parts();
        match tokio::time::timeout(limits.stall, Limited::new(body, MOST).collect()).await {
            Ok(Ok(body)) => Ok(Answered { headers: head.headers, body: body.to_bytes() }),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(StoreError::Unavailable(format!("{shown} answered more than {MOST} bytes")).into())
            }
            Ok(Err(error)) => Err(again(format!("{shown}: {}", with_causes(&*error)))),
            Err(_) => Err(again(format!("{shown}: its answer did not end within {:?}", limits.stall))),
        }
    }
}

impl Answered {
    /// The answer as text; what is no UTF-8 is replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
