//! Who asks Google Cloud Storage: a service account's key, or whom the metadata server says that this pod is; else nobody.

use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::jwt;
use crate::environment::Variables;
use crate::remote::address::Address;
use crate::remote::bearer::{self, Granted};
use crate::remote::call::Call;
use crate::remote::renewed::Renewed;
use crate::remote::sign::{Asking, Sign, Signing};
use crate::{Store, StoreError};

const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

/// A service account's key file.
#[derive(Clone, Deserialize)]
pub(super) struct Account {
    client_email: String,
    private_key: String,
    #[serde(default = "token_uri")]
    token_uri: String,
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

/// Where tokens come from.
pub(super) enum Provider {
    Account {
        store: Store,
        account: Account,
    },
    /// The metadata server of Google's machines.
    Metadata {
        store: Store,
        url: String,
    },
    Nobody,
}

impl Provider {
    /// The key that is named, else the metadata server if it answers; an emulator has none unless it is named.
    pub(super) async fn find(variables: &Variables, emulated: bool, store: &Store) -> Result<Self, StoreError> {
        if let Some(text) = variables.get(VARIABLE) {
            return Ok(Self::Account { store: store.clone(), account: account(&text).await? });
        }
        if variables.has_secret() {
            return Err(StoreError::Unauthorized(format!("the Secret of model.secretRef has no {VARIABLE}")));
        }
        let host = variables.get("GCE_METADATA_HOST");
        let named = host.is_some();
        if emulated && !named {
            return Ok(Self::Nobody);
        }
        let host = host.unwrap_or_else(|| "metadata.google.internal".to_owned());
        let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
        let metadata = Self::Metadata { store: store.clone(), url };
        if named {
            return Ok(metadata);
        }
        // Elsewhere nobody has that name, which is soon known.
        let wait = std::time::Duration::from_secs(2);
        Ok(match tokio::time::timeout(wait, metadata.fetch()).await {
            Ok(Ok(_)) => metadata,
            _ => Self::Nobody,
        })
    }

    /// For messages.
    pub(super) fn who(&self) -> String {
        match self {
            Self::Account { account, .. } => format!("as {}", account.client_email),
            Self::Metadata { .. } => "with the metadata server's token".to_owned(),
            Self::Nobody => "without credentials".to_owned(),
        }
    }

    async fn fetch(&self) -> Result<(String, Timestamp), StoreError> {
        match self {
            Self::Account { store, account } => {
                let Account { client_email, private_key, token_uri } = account;
                let assertion = jwt::assertion(client_email, private_key, token_uri, Timestamp::now())
                    .map_err(|why| StoreError::Unauthorized(format!("{VARIABLE}: {why}")))?;
                let address = Address::parse(token_uri).map_err(|why| StoreError::Unauthorized(format!("{VARIABLE}: {why}")))?;
                let fields = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
                let shown = address.shown();
                let said = Call::post(address, &fields).send(store).await.map_err(|error| refused(error, client_email))?;
                Granted::read(&said.body, &shown)
            }
            Self::Metadata { store, url } => {
                let mut call = Call::get(Address::parse(url).map_err(StoreError::Invalid)?);
                call.headers.push((FLAVOR, HeaderValue::from_static("Google")));
                call.attempts = 1;
                let shown = call.address.shown();
                Granted::read(&call.send(store).await?.body, &shown)
            }
            Self::Nobody => Err(StoreError::Unauthorized("nobody has no token".to_owned())),
        }
    }
}

/// The key itself, or the path of a file that holds it: a Secret hands out the one, Google's tools expect the other.
async fn account(text: &str) -> Result<Account, StoreError> {
    let wrong = |why: String| StoreError::Unauthorized(format!("{VARIABLE}: {why}"));
    let json = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        tokio::fs::read_to_string(text).await.map_err(|error| wrong(format!("cannot read {text}: {error}")))?
    };
    let value: serde_json::Value = serde_json::from_str(&json)
        .map_err(|_| wrong("expected a service account's key as JSON, or the path of one".to_owned()))?;
    match value["type"].as_str() {
        Some("service_account") => {}
        found => {
            let found = found.unwrap_or("none");
            return Err(wrong(format!("expected the type service_account, found {found}; workload identity needs no file")));
        }
    }
    // Its own message would show a part of the key.
    serde_json::from_value(value).map_err(|_| wrong("expected client_email and private_key".to_owned()))
}

/// Google says 400 to an assertion that it does not accept.
fn refused(error: StoreError, email: &str) -> StoreError {
    match error {
        StoreError::Unavailable(why) if why.contains(" answered 400") => {
            StoreError::Unauthorized(format!("{VARIABLE}: {email} is given no token: {why}"))
        }
        other => other,
    }
}

/// Signs requests to one bucket.
pub(super) struct Caller {
    provider: Provider,
    token: Renewed<String>,
}

impl Caller {
    pub(super) fn new(provider: Provider) -> Self {
        Self { provider, token: Renewed::new() }
    }
}

impl Sign for Caller {
    fn sign<'a>(&'a self, request: &'a mut Asking) -> Signing<'a> {
        Box::pin(async move {
            let token = self.token.get(|| self.provider.fetch()).await?;
            bearer::authorize(request.headers_mut(), &token)
        })
    }

    fn renew(&self) -> bool {
        self.token.renew()
    }
}
