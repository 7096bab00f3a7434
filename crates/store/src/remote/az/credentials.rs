//! Who asks Azure: an account's key, a shared access signature, or a workload identity; else nobody, as for a public container.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use jiff::Timestamp;

use super::shared_key;
use crate::environment::Variables;
use crate::remote::address::Address;
use crate::remote::bearer::{self, Granted};
use crate::remote::call::Call;
use crate::remote::read_token;
use crate::remote::renewed::Renewed;
use crate::remote::sign::{Asking, Sign, Signing};
use crate::{Store, StoreError};

const DATE: HeaderName = HeaderName::from_static("x-ms-date");
const VERSION: HeaderName = HeaderName::from_static("x-ms-version");

/// The account, from the uri, its own variables, or a connection string.
pub(super) struct Account {
    name: String,
    /// Without a slash at its end.
    pub(super) endpoint: String,
    connection: Vec<(String, String)>,
}

impl Account {
    pub(super) fn find(named: Option<&str>, variables: &Variables) -> Result<Self, StoreError> {
        let connection: Vec<_> = variables.get("AZURE_STORAGE_CONNECTION_STRING").map(|text| parts(&text)).unwrap_or_default();
        let part = |name: &str| connection.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let name =
            named.map(ToOwned::to_owned).or_else(|| variables.first(&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"]));
        let Some(name) = name.or_else(|| part("AccountName")) else {
            let words = "which account? write az://CONTAINER@ACCOUNT/BLOB, or set AZURE_STORAGE_ACCOUNT_NAME";
            return Err(StoreError::Invalid(words.to_owned()));
        };
        let endpoint = variables.get("AZURE_STORAGE_ENDPOINT").or_else(|| part("BlobEndpoint"));
        let suffix = part("EndpointSuffix").unwrap_or_else(|| "core.windows.net".to_owned());
        let endpoint = endpoint.unwrap_or_else(|| format!("https://{name}.blob.{suffix}"));
        Ok(Self { name, endpoint: endpoint.trim_end_matches('/').to_owned(), connection })
    }

    fn part(&self, name: &str) -> Option<String> {
        self.connection.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

/// `AccountName=...;AccountKey=...`; a value may hold `=`.
fn parts(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(';').filter_map(|one| one.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// What proves who asks.
pub(super) enum Provider {
    SharedKey {
        account: String,
        key: Vec<u8>,
    },
    /// Added to each URL; it is in no message, since queries are not shown.
    Sas(String),
    WorkloadIdentity {
        store: Box<Store>,
        url: String,
        client: String,
        file: String,
    },
    Nobody,
}

impl Provider {
    pub(super) fn find(account: &Account, variables: &Variables, store: &Store) -> Result<Self, StoreError> {
        let key = variables.first(&["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY"]).or_else(|| account.part("AccountKey"));
        if let Some(key) = key {
            let wrong = |_| StoreError::Unauthorized("AZURE_STORAGE_ACCOUNT_KEY is no base64".to_owned());
            return Ok(Self::SharedKey { account: account.name.clone(), key: STANDARD.decode(key).map_err(wrong)? });
        }
        if let Some(sas) = variables.get("AZURE_STORAGE_SAS_TOKEN").or_else(|| account.part("SharedAccessSignature")) {
            return Ok(Self::Sas(sas.trim_start_matches('?').to_owned()));
        }
        if variables.has_secret() {
            let words = "the Secret of model.secretRef has none of AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN and \
                         AZURE_STORAGE_CONNECTION_STRING";
            return Err(StoreError::Unauthorized(words.to_owned()));
        }
        let identity = variables.get("AZURE_CLIENT_ID").zip(variables.get("AZURE_TENANT_ID"));
        let Some(((client, tenant), file)) = identity.zip(variables.get("AZURE_FEDERATED_TOKEN_FILE")) else {
            return Ok(Self::Nobody);
        };
        let host = variables.get("AZURE_AUTHORITY_HOST").unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
        let url = format!("{}/{tenant}/oauth2/v2.0/token", host.trim_end_matches('/'));
        Ok(Self::WorkloadIdentity { store: Box::new(store.clone()), url, client, file })
    }

    /// For messages.
    pub(super) const fn who(&self) -> &'static str {
        match self {
            Self::SharedKey { .. } => "with the account's key",
            Self::Sas(_) => "with a shared access signature",
            Self::WorkloadIdentity { .. } => "with the workload identity of AZURE_CLIENT_ID",
            Self::Nobody => "without credentials",
        }
    }
}

/// Signs requests to one container.
pub(super) struct Caller {
    provider: Provider,
    token: Renewed<String>,
}

impl Caller {
    pub(super) fn new(provider: Provider) -> Self {
        Self { provider, token: Renewed::new() }
    }

    async fn authorize(&self, request: &mut Asking) -> Result<(), StoreError> {
        match &self.provider {
            Provider::SharedKey { account, key } => shared_key::sign(request, account, key),
            Provider::Sas(sas) => with_query(request, sas),
            Provider::WorkloadIdentity { store, url, client, file } => {
                let token = self.token.get(|| exchange(store, url, client, file)).await?;
                bearer::authorize(request.headers_mut(), &token)
            }
            Provider::Nobody => Ok(()),
        }
    }
}

impl Sign for Caller {
    fn sign<'a>(&'a self, request: &'a mut Asking) -> Signing<'a> {
        Box::pin(async move {
            let now = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let bad = |_| StoreError::Unauthorized("no date for x-ms-date".to_owned());
            request.headers_mut().insert(DATE, HeaderValue::from_str(&now).map_err(bad)?);
            request.headers_mut().insert(VERSION, HeaderValue::from_static("2021-08-06"));
            self.authorize(request).await
        })
    }

    fn renew(&self) -> bool {
        matches!(self.provider, Provider::WorkloadIdentity { .. }) && self.token.renew()
    }
}

fn with_query(request: &mut Asking, sas: &str) -> Result<(), StoreError> {
    let wrong = || StoreError::Unauthorized("AZURE_STORAGE_SAS_TOKEN holds bytes that no URL can have".to_owned());
    let mut parts = request.uri().clone().into_parts();
    let path = request.uri().path();
    let query = request.uri().query().map(|query| format!("{query}&")).unwrap_or_default();
    parts.path_and_query = Some(format!("{path}?{query}{sas}").parse::<PathAndQuery>().map_err(|_| wrong())?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| wrong())?;
    Ok(())
}

/// Exchanges the token that the kubelet keeps fresh for one of Azure's.
async fn exchange(store: &Store, url: &str, client: &str, file: &str) -> Result<(String, Timestamp), StoreError> {
    let assertion = read_token(file).await?;
    let address = Address::parse(url).map_err(|why| StoreError::Invalid(format!("AZURE_AUTHORITY_HOST: {why}")))?;
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", "https://storage.azure.com/.default"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
    ];
    let shown = address.shown();
    let said = Call::post(address, &fields).send(store).await.map_err(|error| match error {
        StoreError::Unavailable(why) if why.contains(" answered 400") => {
            StoreError::Unauthorized(format!("AZURE_CLIENT_ID {client} is given no token: {why}"))
        }
        other => other,
    })?;
    Granted::read(&said.body, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_and_a_sas_are_read() {
        let parts = parts("DefaultEndpointsProtocol=http;AccountName=a;AccountKey=k==;BlobEndpoint=http://h:1/a/;");
        assert_eq!(parts[2], ("AccountKey".to_owned(), "k==".to_owned()));
        assert_eq!(parts.len(), 4);
        let mut request = Asking::default();
        *request.uri_mut() = "http://h/c?comp=list".parse().unwrap();
        with_query(&mut request, "sv=1&sig=a%2Bb").unwrap();
        assert_eq!(request.uri(), "http://h/c?comp=list&sv=1&sig=a%2Bb");
    }
}
