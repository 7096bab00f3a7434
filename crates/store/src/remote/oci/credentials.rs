//! Who asks a registry: a login of a Docker configuration, exchanged for a token where the registry says so; else nobody.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use jiff::Timestamp;
use serde_json::Value;

use super::named::Named;
use crate::environment::Variables;
use crate::remote::address::Address;
use crate::remote::bearer::{self, Granted};
use crate::remote::call::Call;
use crate::remote::encode;
use crate::remote::renewed::Renewed;
use crate::remote::sign::{Asking, Sign, Signing};
use crate::{Store, StoreError};

const KEY: &str = ".dockerconfigjson";

/// A name and a password.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    password: String,
}

impl Login {
    fn header(&self) -> Result<HeaderValue, StoreError> {
        let bad = |_| StoreError::Unauthorized("the login holds bytes that no header can have".to_owned());
        let text = format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)));
        let mut value = HeaderValue::from_str(&text).map_err(bad)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The login for a host: that of the Secret, else of Docker's own configuration on this machine.
///
/// # Errors
/// What is wrong with the Secret's; nothing of it is shown.
pub(super) async fn login(variables: &Variables, host: &str) -> Result<Option<Login>, String> {
    if let Some(text) = variables.get(KEY) {
        let config = serde_json::from_str(&text).map_err(|_| format!("{KEY} is no JSON"))?;
        return find(&config, host).map(Some).ok_or_else(|| format!("{KEY} has no login for {host}"));
    }
    let folder = variables.get("DOCKER_CONFIG").or_else(|| Some(format!("{}/.docker", variables.get("HOME")?)));
    let Some(folder) = folder else { return Ok(None) };
    let Ok(text) = tokio::fs::read_to_string(format!("{folder}/config.json")).await else { return Ok(None) };
    Ok(serde_json::from_str(&text).ok().and_then(|config| find(&config, host)))
}

/// `auths` of a Docker configuration; its keys may be whole addresses.
fn find(config: &Value, host: &str) -> Option<Login> {
    let bare = |key: &str| {
        let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default().to_owned()
    };
    let (_, login) = config["auths"].as_object()?.iter().find(|(key, _)| bare(key) == host)?;
    let text = |name: &str| login[name].as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    if let Some((user, password)) = text("username").zip(text("password")) {
        return Some(Login { user, password });
    }
    let decoded = String::from_utf8(STANDARD.decode(text("auth")?).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Login { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}

/// How a registry lets in.
pub(super) enum Door {
    Open,
    Basic(HeaderValue),
    Token(Arc<Caller>),
}

impl Door {
    /// Asks the registry, which says what it wants of whoever is to do `actions`, such as `pull` or `pull,push`.
    pub(super) async fn find(named: &Named, actions: &str, login: Option<Login>, store: &Store) -> Result<Self, StoreError> {
        let (base, repository) = (&*named.base(), &named.repository);
        let call = Call { challenged: true, ..Call::get(Address::parse(base).map_err(StoreError::Invalid)?) };
        let shown = call.address.shown();
        let answered = call.send(store).await?;
        let challenges = answered.headers.get_all(WWW_AUTHENTICATE);
        let challenges: Vec<_> = challenges.iter().filter_map(|one| one.to_str().ok()).collect();
        let of = |kind: &str| {
            challenges.iter().find_map(|one| {
                one.get(..kind.len()).filter(|start| start.eq_ignore_ascii_case(kind)).map(|_| &one[kind.len()..])
            })
        };
        if let Some(parameters) = of("Bearer ") {
            let realm = parameter(parameters, "realm")
                .ok_or_else(|| StoreError::Unavailable(format!("{shown} wants a token, and names no realm")))?;
            if !may_send(base, &realm) {
                return Err(StoreError::Unavailable(format!("{shown} sends for a token to {realm}, which is no https:")));
            }
            let scope = encode(&format!("repository:{repository}:{actions}"));
            let service =
                parameter(parameters, "service").map(|service| format!("&service={}", encode(&service))).unwrap_or_default();
            let joint = if realm.contains('?') { '&' } else { '?' };
            let url = format!("{realm}{joint}scope={scope}{service}");
            return Ok(Self::Token(Arc::new(Caller { store: store.clone(), url, login, token: Renewed::new() })));
        }
        match (of("Basic "), login) {
            (Some(_), Some(login)) => Ok(Self::Basic(login.header()?)),
            _ => Ok(Self::Open),
        }
    }

    pub(super) fn address(&self, url: &str) -> Result<Address, StoreError> {
        let mut address = Address::parse(url).map_err(StoreError::Invalid)?;
        match self {
            Self::Open => {}
            Self::Basic(header) => address.authorization = Some(header.clone()),
            Self::Token(caller) => address.signer = Some(Arc::clone(caller) as Arc<dyn Sign>),
        }
        Ok(address)
    }
}

/// A login does not leave https: for plain http.
fn may_send(base: &str, realm: &str) -> bool {
    realm.starts_with("https:") || (realm.starts_with("http:") && base.starts_with("http:"))
}

/// A parameter of a challenge, quoted or not.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim().trim_start_matches(',').trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
}

/// Fetches tokens for one repository.
pub(super) struct Caller {
    store: Store,
    url: String,
    login: Option<Login>,
    token: Renewed<String>,
}

impl Caller {
    async fn fetch(&self) -> Result<(String, Timestamp), StoreError> {
        let mut address = Address::parse(&self.url).map_err(StoreError::Unavailable)?;
        if let Some(login) = &self.login {
            address.authorization = Some(login.header()?);
        }
        let shown = address.shown();
        Granted::read(&Call::get(address).send(&self.store).await?.body, &shown)
    }
}

impl Sign for Caller {
    fn sign<'a>(&'a self, request: &'a mut Asking) -> Signing<'a> {
        Box::pin(async move {
            let token = self.token.get(|| self.fetch()).await?;
            bearer::authorize(request.headers_mut(), &token)
        })
    }

    fn renew(&self) -> bool {
        self.token.renew()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_login_is_found_by_its_host_in_each_form() {
        let auth = STANDARD.encode("reader:pass:word");
        let config = json!({"auths": {"r.example": {"auth": auth}, "https://index.example/v1/": {"username": "a", "password": "b"}, "empty": {}}});
        let of = |host| find(&config, host).map(|login| (login.user, login.password));
        assert_eq!(of("r.example"), Some(("reader".to_owned(), "pass:word".to_owned())));
        assert_eq!(of("index.example"), Some(("a".to_owned(), "b".to_owned())));
        assert_eq!((of("empty"), of("other.example")), (None, None));
    }

    #[test]
    fn a_challenge_is_read() {
        let text = r#"realm="https://auth.example/token",service="registry, of r",scope=x"#;
        let of = |name| parameter(text, name);
        assert_eq!(of("realm").as_deref(), Some("https://auth.example/token"));
        assert_eq!(of("service").as_deref(), Some("registry, of r"));
        assert_eq!((of("scope").as_deref(), of("error")), (Some("x"), None));
        let sent = [("https://r", "https://a"), ("http://r", "http://a"), ("https://r", "http://a"), ("https://r", "file:a")];
        assert_eq!(sent.map(|(base, realm)| may_send(base, realm)), [true, true, false, false]);
    }
}
