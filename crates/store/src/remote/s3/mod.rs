//! `s3://BUCKET/KEY`: Amazon S3 and what speaks its API.

use std::sync::Arc;

use super::address::Address;
use super::bucket::{self, Bucket, Listed};
use super::call::Call;
use super::sign::Sign;
use super::{Task, encode, encode_path, xml};
use crate::environment::Variables;
use crate::{Artifact, Store, StoreError};

mod credentials;
mod sigv4;

use credentials::{Caller, Provider};

/// Fetches `s3://BUCKET/KEY`.
pub(crate) async fn fetch(task: &Task<'_>) -> Result<Artifact, StoreError> {
    let (source, store) = (task.source, task.store);
    let rest = source.uri.split_once("://").map_or("", |(_, rest)| rest);
    let Some((name, key)) = rest.split_once('/').filter(|(name, key)| !name.is_empty() && !key.is_empty()) else {
        return Err(StoreError::Invalid(format!("expected s3://BUCKET/KEY, found '{}'", source.uri)));
    };
    let variables = Variables::new(&store.environment, source.credentials_env.as_ref());
    let bucket = S3::new(name, &variables, store)?;
    bucket::fetch(&bucket, key, task).await
}

/// A bucket, and how it is reached.
struct S3 {
    /// What keys follow, with a slash at its end.
    base: String,
    region: String,
    signer: Option<Arc<dyn Sign>>,
    who: &'static str,
}

impl S3 {
    fn new(name: &str, variables: &Variables, store: &Store) -> Result<Self, StoreError> {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !name.bytes().all(named) {
            return Err(StoreError::Invalid(format!(
                "expected a bucket's name of letters, digits, '.', '-', '_', found '{name}'"
            )));
        }
        let region = variables.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = variables.first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let base = match endpoint {
            Some(endpoint) => format!("{}/{name}/", endpoint.trim_end_matches('/')),
            // A certificate's wildcard stands for one label.
            None if name.contains(['.', '_']) => format!("https://s3.{region}.{domain}/{name}/"),
            None => format!("https://{name}.s3.{region}.{domain}/"),
        };
        let provider = Provider::find(variables, &region, store)?;
        let who = provider.who();
        let signer: Option<Arc<dyn Sign>> = match provider {
            Provider::Nobody => None,
            provider => Some(Arc::new(Caller::new(provider, region.clone()))),
        };
        Ok(Self { base, region, signer, who })
    }

    fn address(&self, url: &str) -> Result<Address, StoreError> {
        let address = Address::parse(url).map_err(|why| StoreError::Invalid(format!("AWS_ENDPOINT_URL: {why}")))?;
        Ok(address.signed(self.signer.clone()))
    }
}

impl Bucket for S3 {
    fn object(&self, key: &str) -> Result<Address, StoreError> {
        self.address(&format!("{}{}", self.base, encode_path(key)))
    }

    fn at_version(&self, key: &str, version: &str) -> Option<Result<Address, StoreError>> {
        let version = version.strip_prefix("versionId=")?;
        Some(self.address(&format!("{}{}?versionId={}", self.base, encode_path(key), encode(version))))
    }

    async fn list(&self, store: &Store, prefix: &str, most: usize) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        let mut next = None;
        loop {
            let from = next.map(|token: String| format!("continuation-token={}&", encode(&token))).unwrap_or_default();
            let url = format!("{}?{from}list-type=2&prefix={}", self.base, encode(prefix));
            let page = Call::get(self.address(&url)?).send(store).await?.text();
            for one in xml::elements(&page, "Contents") {
                let text = |name| xml::text(one, name);
                let entry = text("Key").zip(text("Size").and_then(|size| size.parse().ok())).zip(text("ETag"));
                let Some(((key, bytes), tag)) = entry else {
                    let shown = self.address(&url)?.shown();
                    return Err(StoreError::Unavailable(format!("{shown} listed an object without Key, Size or ETag")));
                };
                listed.push(Listed { key, bytes, tag });
            }
            next = xml::text(&page, "NextContinuationToken").filter(|token| !token.is_empty());
            if next.is_none() || listed.len() > most {
                return Ok(listed);
            }
        }
    }

    fn advice(&self) -> String {
        format!(
            "asked in region {} {}; the caller needs s3:GetObject, and s3:ListBucket for a folder: set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN for temporary ones) in the Secret of model.secretRef, and AWS_REGION",
            self.region, self.who
        )
    }
}
