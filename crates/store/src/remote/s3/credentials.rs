//! Who asks S3: keys of the environment, a web identity, or what a container's agent hands out; else nobody, as for a public bucket.
//! The metadata of a machine is not asked: what it hands out is the machine's, and a pod's hop limit keeps it away.

use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde::Deserialize;

use super::sigv4;
use crate::environment::Variables;
use crate::remote::address::Address;
use crate::remote::call::Call;
use crate::remote::renewed::Renewed;
use crate::remote::sign::{Asking, Sign, Signing};
use crate::remote::{read_token as read, xml};
use crate::{Store, StoreError};

/// What signs.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    /// Of temporary ones.
    pub(super) session: Option<String>,
}

/// Where keys come from.
pub(super) enum Provider {
    Given(Keys),
    /// `AssumeRoleWithWebIdentity`, with the token that the kubelet keeps fresh in a file.
    WebIdentity {
        store: Store,
        endpoint: String,
        role: String,
        session: String,
        file: String,
    },
    /// An agent beside the container: EKS Pod Identity, ECS.
    Container {
        store: Store,
        url: String,
        token: Option<String>,
        token_file: Option<String>,
    },
    Nobody,
}

impl Provider {
    pub(super) fn find(variables: &Variables, region: &str, store: &Store) -> Result<Self, StoreError> {
        let missing = |name: &str| StoreError::Unauthorized(format!("AWS_ACCESS_KEY_ID is set and {name} is not"));
        if let Some(alone) = variables.of_whom_has("AWS_ACCESS_KEY_ID") {
            let id = alone.get("AWS_ACCESS_KEY_ID").unwrap_or_default();
            let secret = alone.get("AWS_SECRET_ACCESS_KEY").ok_or_else(|| missing("AWS_SECRET_ACCESS_KEY"))?;
            return Ok(Self::Given(Keys { id, secret, session: alone.get("AWS_SESSION_TOKEN") }));
        }
        if variables.has_secret() {
            let words = "the Secret of model.secretRef has no AWS_ACCESS_KEY_ID, and this process's environment has none";
            return Err(StoreError::Unauthorized(words.to_owned()));
        }
        if let Some((role, file)) = variables.get("AWS_ROLE_ARN").zip(variables.get("AWS_WEB_IDENTITY_TOKEN_FILE")) {
            let own = || format!("https://sts.{region}.amazonaws.com/");
            let endpoint = variables.first(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]).unwrap_or_else(own);
            let session = variables.get("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "modelyard".to_owned());
            return Ok(Self::WebIdentity { store: store.clone(), endpoint, role, session, file });
        }
        let relative = variables.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let full = variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        let Some(url) = relative.map(|path| format!("http://169.254.170.2{path}")).or(full) else { return Ok(Self::Nobody) };
        let token = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        let token_file = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        Ok(Self::Container { store: store.clone(), url, token, token_file })
    }

    /// For messages.
    pub(super) const fn who(&self) -> &'static str {
        match self {
            Self::Given(_) => "with AWS_ACCESS_KEY_ID",
            Self::WebIdentity { .. } => "with the role of AWS_ROLE_ARN",
            Self::Container { .. } => "with the container's credentials",
            Self::Nobody => "without credentials",
        }
    }

    async fn fetch(&self) -> Result<(Keys, Timestamp), StoreError> {
        match self {
            Self::Given(keys) => Ok((keys.clone(), Timestamp::MAX)),
            Self::WebIdentity { store, endpoint, role, session, file } => {
                let token = read(file).await?;
                let address = Address::parse(endpoint).map_err(StoreError::Invalid)?;
                let fields = [
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role),
                    ("RoleSessionName", session),
                    ("WebIdentityToken", token.as_str()),
                ];
                let said = Call::post(address, &fields).send(store).await.map_err(|error| of_the_role(error, role))?.text();
                let text = |name| xml::text(&said, name);
                let keys = text("AccessKeyId").zip(text("SecretAccessKey")).zip(text("Expiration"));
                let Some(((id, secret), end)) = keys else { return Err(no_keys(endpoint)) };
                Ok((Keys { id, secret, session: text("SessionToken") }, time(&end, endpoint)?))
            }
            Self::Container { store, url, token, token_file } => {
                let address = Address::parse(url).map_err(StoreError::Invalid)?;
                check_agent(&address)?;
                let token = match token_file {
                    Some(file) => Some(read(file).await?),
                    None => token.clone(),
                };
                let call = Call::get(address);
                let call = if let Some(token) = token { call.with(AUTHORIZATION, &token)? } else { call };
                let said: Agent = serde_json::from_slice(&call.send(store).await?.body).map_err(|_| no_keys(url))?;
                let keys = Keys { id: said.access_key_id, secret: said.secret_access_key, session: said.token };
                Ok((keys, time(&said.expiration, url)?))
            }
            Self::Nobody => Err(StoreError::Unauthorized("nobody has no keys".to_owned())),
        }
    }
}

/// What a container's agent answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Agent {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: String,
}

/// Keys may be fetched without TLS from agents that are on this machine only.
fn check_agent(address: &Address) -> Result<(), StoreError> {
    let host = address.uri.host().unwrap_or_default();
    let local = matches!(host, "127.0.0.1" | "localhost" | "[::1]" | "169.254.170.2" | "169.254.170.23" | "[fd00:ec2::23]");
    if local || address.uri.scheme_str() == Some("https") {
        return Ok(());
    }
    let words =
        format!("AWS_CONTAINER_CREDENTIALS_FULL_URI: expected https: or an agent of this machine, found {}", address.shown());
    Err(StoreError::Unauthorized(words))
}

/// STS says 400 to a token that it does not accept.
fn of_the_role(error: StoreError, role: &str) -> StoreError {
    match error {
        StoreError::Unavailable(why) if why.contains(" answered 400") => {
            StoreError::Unauthorized(format!("the role {role} is not given: {why}"))
        }
        other => other,
    }
}

fn no_keys(from: &str) -> StoreError {
    StoreError::Unavailable(format!("{} answered no credentials", crate::shown(from)))
}

fn time(text: &str, from: &str) -> Result<Timestamp, StoreError> {
    text.parse().map_err(|_| StoreError::Unavailable(format!("{} answered credentials that end at '{text}'", crate::shown(from))))
}

/// Signs requests to one bucket.
pub(super) struct Caller {
    provider: Provider,
    region: String,
    keys: Renewed<Keys>,
}

impl Caller {
    pub(super) fn new(provider: Provider, region: String) -> Self {
        Self { provider, region, keys: Renewed::new() }
    }
}

impl Sign for Caller {
    fn sign<'a>(&'a self, request: &'a mut Asking) -> Signing<'a> {
        Box::pin(async move {
            let keys = self.keys.get(|| self.provider.fetch()).await?;
            sigv4::sign(request, &keys, &self.region, Timestamp::now())
        })
    }

    fn renew(&self) -> bool {
        !matches!(self.provider, Provider::Given(_)) && self.keys.renew()
    }
}
