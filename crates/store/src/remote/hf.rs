//! `hf://OWNER/REPO[@REVISION][/PATH]`: the Hugging Face Hub. A revision that moves is resolved to its commit first, and everything is
//! read at that commit; large files lie elsewhere, and the Hub names their sums.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::address::Address;
use super::bucket::explain;
use super::call::Call;
use super::folder::{Folder, Member};
use super::{Task, bearer, cached, encode, encode_path, moving};
use crate::content::is_foreign;
use crate::environment::Variables;
use crate::{Artifact, Store, StoreError};

/// What the uri names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    repo: String,
    revision: String,
    /// A file or a folder; all of the repository, if empty.
    path: String,
}

impl Named {
    fn parse(uri: &str) -> Result<Self, StoreError> {
        let wrong = || StoreError::Invalid(format!("expected hf://OWNER/REPO[@REVISION][/PATH], found '{uri}'"));
        let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
        let mut parts = rest.splitn(3, '/');
        let (owner, repo) = parts.next().zip(parts.next()).ok_or_else(wrong)?;
        let path = parts.next().unwrap_or_default().trim_end_matches('/');
        let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|one| one.is_ascii_alphanumeric() || b"._-".contains(&one))
                && name != "."
                && name != ".."
        };
        if !is_name(owner) || !is_name(repo) || revision.is_empty() {
            return Err(wrong());
        }
        // A revision with a slash (refs/pr/1) is written with %2F.
        let revision = percent_decode_str(revision).decode_utf8().map_err(|_| wrong())?.into_owned();
        Ok(Self { repo: format!("{owner}/{repo}"), revision, path: path.to_owned() })
    }
}

/// The Hub, and who asks.
struct Hub<'a> {
    store: &'a Store,
    endpoint: String,
    token: Option<String>,
}

/// A file of a repository.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    /// Git's own sum of the file, or of the pointer to it.
    oid: String,
    lfs: Option<Large>,
}

/// Where the Hub keeps a large file apart.
#[derive(Deserialize)]
struct Large {
    /// The SHA-256 of its bytes.
    oid: String,
    size: u64,
}

impl Large {
    fn sum(&self) -> Option<String> {
        let is_sum = self.oid.len() == 64 && self.oid.bytes().all(|one| one.is_ascii_hexdigit());
        is_sum.then(|| self.oid.to_ascii_lowercase())
    }
}

/// Fetches `hf://OWNER/REPO[@REVISION][/PATH]`.
pub(crate) async fn fetch(task: &Task<'_>) -> Result<Artifact, StoreError> {
    let (uri, store) = (&task.source.uri, task.store);
    let named = Named::parse(uri)?;
    let variables = Variables::new(&store.environment, task.source.credentials_env.as_ref());
    let token = variables.first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]);
    if variables.has_secret() && token.is_none() {
        return Err(StoreError::Unauthorized(format!("{uri}: the Secret of model.secretRef has no HF_TOKEN")));
    }
    let endpoint = variables.get("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
    let hub = Hub { store, endpoint: endpoint.trim_end_matches('/').to_owned(), token };
    let advice = match hub.token {
        Some(_) => {
            "asked with HF_TOKEN, which needs the right to read the repository; a gated one has to be accepted on its page"
        }
        None => "the Hub answers so for what is private, gated or not there: set HF_TOKEN in the Secret of model.secretRef",
    };
    if let Some(artifact) = cached(store, task.expected.as_ref(), task.progress).await? {
        return Ok(artifact);
    }
    let identity = format!("{} {uri}", hub.endpoint);
    let fetched = moving::or_last_copy(&identity, task, hub.fetch(&named, &identity, task)).await;
    fetched.map_err(|error| explain(error, uri, advice))
}

impl Hub<'_> {
    async fn fetch(&self, named: &Named, identity: &str, task: &Task<'_>) -> Result<Artifact, StoreError> {
        let commit = match task.version("commit=") {
            Some(commit) => commit.to_owned(),
            None => self.commit(named).await?,
        };
        let version = format!("commit={commit}");
        tracing::info!(uri = task.source.uri, commit, "the revision is this commit");
        let entries = self.tree(&named.repo, &commit).await?;
        if let Some(file) = entries.iter().find(|entry| entry.path == named.path) {
            let address = self.file(&named.repo, &commit, &file.path)?;
            let sum = file.lfs.as_ref().and_then(Large::sum);
            return moving::file((identity, version), &address, sum, task).await;
        }
        let prefix = if named.path.is_empty() { String::new() } else { format!("{}/", named.path) };
        let mut members = Vec::new();
        for entry in &entries {
            let Some(path) = entry.path.strip_prefix(&prefix).filter(|path| is_wanted(path)) else { continue };
            let address = self.file(&named.repo, &commit, &entry.path)?;
            let (bytes, sha256) = match &entry.lfs {
                Some(large) => (large.size, large.sum()),
                None => (entry.size, None),
            };
            members.push(Member {
                path: path.to_owned(),
                address,
                bytes,
                tag: entry.oid.clone(),
                pinned: true,
                sha256,
                packed: None,
            });
        }
        if members.is_empty() {
            let (repo, path) = (&named.repo, &named.path);
            return Err(StoreError::NotFound(format!("{repo} at {commit} has no file and no folder '{path}' with one")));
        }
        Folder { identity: identity.to_owned(), uri: task.source.uri.clone(), version: Some(version), members }.fetch(task).await
    }

    /// The commit that the revision is now. A commit's own name needs no question.
    async fn commit(&self, named: &Named) -> Result<String, StoreError> {
        if named.revision.len() == 40 && named.revision.bytes().all(|one| one.is_ascii_hexdigit()) {
            return Ok(named.revision.clone());
        }
        let call = Call::get(self.address(&format!("api/models/{}/revision/{}", named.repo, encode(&named.revision)))?);
        let shown = call.address.shown();
        let said: Value = serde_json::from_slice(&call.send(self.store).await?.body).unwrap_or_default();
        let commit = said["sha"].as_str().filter(|sha| sha.len() == 40 && sha.bytes().all(|one| one.is_ascii_hexdigit()));
        commit.map(ToOwned::to_owned).ok_or_else(|| StoreError::Unavailable(format!("{shown} answered no commit ('sha')")))
    }

    /// All files of a commit.
    async fn tree(&self, repo: &str, commit: &str) -> Result<Vec<Entry>, StoreError> {
        let mut files = Vec::new();
        let mut call = Call::get(self.address(&format!("api/models/{repo}/tree/{commit}?recursive=true"))?);
        loop {
            let shown = call.address.shown();
            let answered = call.send(self.store).await?;
            let page: Vec<Entry> = serde_json::from_slice(&answered.body)
                .map_err(|error| StoreError::Unavailable(format!("{shown} answered no list of files: {error}")))?;
            files.extend(page.into_iter().filter(|entry| entry.kind == "file"));
            let link = answered.headers.get(http::header::LINK).and_then(|link| link.to_str().ok());
            let Some(next) = link.and_then(next_page) else { return Ok(files) };
            if files.len() > self.store.limits.max_entries {
                let limit = self.store.limits.max_entries;
                return Err(StoreError::Invalid(format!("{repo} has more than the limit of {limit} files")));
            }
            call.address = call.address.redirect(next).map_err(StoreError::Unavailable)?;
        }
    }

    fn file(&self, repo: &str, commit: &str, path: &str) -> Result<Address, StoreError> {
        self.address(&format!("{repo}/resolve/{commit}/{}", encode_path(path)))
    }

    fn address(&self, path: &str) -> Result<Address, StoreError> {
        let url = format!("{}/{path}", self.endpoint);
        let mut address = Address::parse(&url).map_err(|why| StoreError::Invalid(format!("HF_ENDPOINT: {why}")))?;
        if let Some(token) = &self.token {
            address.authorization = Some(bearer::header(token)?);
        }
        Ok(address)
    }
}

/// Weights of other frameworks are left there, unless they are named.
fn is_wanted(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let torch = name.starts_with("pytorch_model") || name.starts_with("training_args");
    !name.is_empty() && !name.starts_with('.') && !torch && !is_foreign(&name)
}

/// The address of the next page in a `Link` header.
fn next_page(link: &str) -> Option<&str> {
    let one = link.split(',').find(|one| one.contains("rel=\"next\""))?;
    one.trim().strip_prefix('<')?.split_once('>').map(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_read() {
        let named = |repo: &str, revision: &str, path: &str| Named {
            repo: repo.to_owned(),
            revision: revision.to_owned(),
            path: path.to_owned(),
        };
        for (uri, expected) in [
            ("hf://a/b", named("a/b", "main", "")),
            ("hf://a/b/", named("a/b", "main", "")),
            ("hf://a/b-c.d@v1.0/onnx/model.onnx", named("a/b-c.d", "v1.0", "onnx/model.onnx")),
            ("hf://a/b@refs%2Fpr%2F1", named("a/b", "refs/pr/1", "")),
        ] {
            assert_eq!(Named::parse(uri).unwrap(), expected, "{uri}");
        }
        for uri in ["hf://a", "hf:///b", "hf://a/", "hf://a/b@", "hf://a b/c"] {
            assert!(Named::parse(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn other_frameworks_weights_and_hidden_files_stay_there() {
        for (path, wanted) in [
            ("onnx/model.onnx", true),
            ("tokenizer.json", true),
            ("model.onnx_data", true),
            ("1_Pooling/config.json", true),
            ("model.safetensors", false),
            ("pytorch_model-00001-of-2.bin", false),
            (".gitattributes", false),
        ] {
            assert_eq!(is_wanted(path), wanted, "{path}");
        }
        assert_eq!(next_page("<https://h/x?cursor=2>; rel=\"next\""), Some("https://h/x?cursor=2"));
        assert_eq!(next_page("<https://h/x>; rel=\"prev\""), None);
    }
}
