//! `az://CONTAINER[@ACCOUNT]/BLOB`: Azure Blob Storage.

use std::sync::Arc;

use super::address::Address;
use super::bucket::{self, Bucket, Listed};
use super::call::Call;
use super::sign::Sign;
use super::{Task, encode, encode_path, xml};
use crate::environment::Variables;
use crate::{Artifact, Store, StoreError};

mod credentials;
mod shared_key;

use credentials::{Account, Caller, Provider};

/// Fetches `az://CONTAINER[@ACCOUNT]/BLOB`.
pub(crate) async fn fetch(task: &Task<'_>) -> Result<Artifact, StoreError> {
    let (source, store) = (task.source, task.store);
    let wrong =
        || StoreError::Invalid(format!("expected az://CONTAINER/BLOB or az://CONTAINER@ACCOUNT/BLOB, found '{}'", source.uri));
    let rest = source.uri.split_once("://").map_or("", |(_, rest)| rest);
    let (place, blob) = rest.split_once('/').filter(|(_, blob)| !blob.is_empty()).ok_or_else(wrong)?;
    let (container, account) = place.split_once('@').map_or((place, None), |(container, account)| (container, Some(account)));
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|one| one.is_ascii_alphanumeric() || b"-$".contains(&one));
    if !is_name(container) || account.is_some_and(|account| !is_name(account)) {
        return Err(wrong());
    }
    let variables = Variables::new(&store.environment, source.credentials_env.as_ref());
    let account = Account::find(account, &variables)?;
    let provider = Provider::find(&account, &variables, store)?;
    let container =
        Container { base: format!("{}/{}", account.endpoint, encode(container)), who: provider.who(), signer: signer(provider) };
    bucket::fetch(&container, blob, task).await
}

fn signer(provider: Provider) -> Option<Arc<dyn Sign>> {
    match provider {
        Provider::Nobody => None,
        provider => Some(Arc::new(Caller::new(provider))),
    }
}

/// A container, and how it is reached.
struct Container {
    base: String,
    signer: Option<Arc<dyn Sign>>,
    who: &'static str,
}

impl Container {
    fn address(&self, url: &str) -> Result<Address, StoreError> {
        let address = Address::parse(url).map_err(|why| StoreError::Invalid(format!("AZURE_STORAGE_ENDPOINT: {why}")))?;
        Ok(address.signed(self.signer.clone()))
    }
}

impl Bucket for Container {
    fn object(&self, key: &str) -> Result<Address, StoreError> {
        self.address(&format!("{}/{}", self.base, encode_path(key)))
    }

    fn at_version(&self, key: &str, version: &str) -> Option<Result<Address, StoreError>> {
        let version = version.strip_prefix("versionid=")?;
        Some(self.address(&format!("{}/{}?versionid={}", self.base, encode_path(key), encode(version))))
    }

    async fn list(&self, store: &Store, prefix: &str, most: usize) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        let mut next = None;
        loop {
            let from = next.map(|marker: String| format!("&marker={}", encode(&marker))).unwrap_or_default();
            let url = format!("{}?restype=container&comp=list&prefix={}{from}", self.base, encode(prefix));
            let page = Call::get(self.address(&url)?).send(store).await?.text();
            for one in xml::elements(&page, "Blob") {
                let text = |name| xml::text(one, name);
                let entry = text("Name").zip(text("Content-Length").and_then(|size| size.parse().ok())).zip(text("Etag"));
                let Some(((key, bytes), tag)) = entry else {
                    let shown = self.address(&url)?.shown();
                    return Err(StoreError::Unavailable(format!("{shown} listed a blob without Name, Content-Length or Etag")));
                };
                listed.push(Listed { key, bytes, tag });
            }
            next = xml::text(&page, "NextMarker").filter(|marker| !marker.is_empty());
            if next.is_none() || listed.len() > most {
                return Ok(listed);
            }
        }
    }

    fn advice(&self) -> String {
        format!(
            "asked {}; the caller needs the role Storage Blob Data Reader: set AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or \
             AZURE_STORAGE_CONNECTION_STRING in the Secret of model.secretRef, or give the pod's service account a workload identity",
            self.who
        )
    }
}
