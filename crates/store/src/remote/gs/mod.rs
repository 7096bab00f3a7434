//! `gs://BUCKET/KEY`: Google Cloud Storage, by its JSON API. What is listed is read at the generation that was listed.

use std::sync::Arc;

use serde::Deserialize;

use super::address::Address;
use super::bucket::{self, Bucket, Listed};
use super::call::Call;
use super::sign::Sign;
use super::{Task, encode};
use crate::environment::Variables;
use crate::{Artifact, Store, StoreError};

mod credentials;
mod jwt;

use credentials::{Caller, Provider};

/// Fetches `gs://BUCKET/KEY`.
pub(crate) async fn fetch(task: &Task<'_>) -> Result<Artifact, StoreError> {
    let (source, store) = (task.source, task.store);
    let rest = source.uri.split_once("://").map_or("", |(_, rest)| rest);
    let Some((name, key)) = rest.split_once('/').filter(|(name, key)| !name.is_empty() && !key.is_empty()) else {
        return Err(StoreError::Invalid(format!("expected gs://BUCKET/KEY, found '{}'", source.uri)));
    };
    let variables = Variables::new(&store.environment, source.credentials_env.as_ref());
    // As Google's own libraries read it, with or without http://.
    let emulator = variables.get("STORAGE_EMULATOR_HOST");
    let provider = Provider::find(&variables, emulator.is_some(), store).await?;
    let endpoint = match emulator {
        Some(host) if host.contains("://") => host,
        Some(host) => format!("http://{host}"),
        None => "https://storage.googleapis.com".to_owned(),
    };
    let who = provider.who();
    let signer: Option<Arc<dyn Sign>> = match provider {
        Provider::Nobody => None,
        provider => Some(Arc::new(Caller::new(provider))),
    };
    let base = format!("{}/storage/v1/b/{}/o", endpoint.trim_end_matches('/'), encode(name));
    bucket::fetch(&Gs { base, signer, who }, key, task).await
}

/// A bucket, and how it is reached.
struct Gs {
    base: String,
    signer: Option<Arc<dyn Sign>>,
    who: String,
}

/// A page of a listing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<Item>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    size: String,
    generation: String,
}

impl Gs {
    fn address(&self, url: &str) -> Result<Address, StoreError> {
        let address = Address::parse(url).map_err(|why| StoreError::Invalid(format!("STORAGE_EMULATOR_HOST: {why}")))?;
        Ok(address.signed(self.signer.clone()))
    }
}

impl Bucket for Gs {
    fn object(&self, key: &str) -> Result<Address, StoreError> {
        self.address(&format!("{}/{}?alt=media", self.base, encode(key)))
    }

    fn version(&self, listed: &Listed) -> Result<(Address, bool), StoreError> {
        let url = format!("{}/{}?alt=media&generation={}", self.base, encode(&listed.key), encode(&listed.tag));
        Ok((self.address(&url)?, true))
    }

    fn at_version(&self, key: &str, version: &str) -> Option<Result<Address, StoreError>> {
        let generation = version.strip_prefix("generation=")?;
        Some(self.address(&format!("{}/{}?alt=media&generation={}", self.base, encode(key), encode(generation))))
    }

    async fn list(&self, store: &Store, prefix: &str, most: usize) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        let mut next = None;
        loop {
            let from = next.map(|token: String| format!("&pageToken={}", encode(&token))).unwrap_or_default();
            let fields = "fields=items(name,size,generation),nextPageToken";
            let call = Call::get(self.address(&format!("{}?prefix={}&{fields}{from}", self.base, encode(prefix)))?);
            let shown = call.address.shown();
            let wrong = |why: String| StoreError::Unavailable(format!("{shown} answered no list of objects: {why}"));
            let page: Page = serde_json::from_slice(&call.send(store).await?.body).map_err(|error| wrong(error.to_string()))?;
            for item in page.items {
                let bytes = item.size.parse().map_err(|_| wrong(format!("a size of '{}'", item.size)))?;
                listed.push(Listed { key: item.name, bytes, tag: item.generation });
            }
            next = page.next_page_token.filter(|token| !token.is_empty());
            if next.is_none() || listed.len() > most {
                return Ok(listed);
            }
        }
    }

    fn advice(&self) -> String {
        format!(
            "asked {}; the caller needs storage.objects.get, and storage.objects.list for a folder: put a service account's JSON key into \
             GOOGLE_APPLICATION_CREDENTIALS in the Secret of model.secretRef, or give the pod's service account the role",
            self.who
        )
    }
}
