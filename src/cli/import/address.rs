//! Where a model is, in the words of another system, and in ours: the same stores, some of them spelled otherwise.

use modelyard_core::claim::Claim;

use super::foreign::{Foreign, Refusal};

/// What artefacts are called. An address of a web server that ends otherwise is most likely a folder's.
const FILES: [&str; 5] = [".onnx", ".tar", ".tar.gz", ".tgz", ".zip"];

/// Where Azure's accounts are.
const AZURE: &str = ".blob.core.windows.net";

/// The uri of a `storageUri`, with a note at `path` on what is different about it.
pub(super) fn address(object: &mut Foreign, path: &str, uri: &str) -> Result<String, Refusal> {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
    let rest = rest.trim_end_matches('/');
    let refused = |words: String| Refusal::new(path, words);
    let found = match scheme {
        "http" | "https" => blob(scheme, rest).unwrap_or_else(|| format!("{scheme}://{rest}")),
        "gs" | "s3" => bucket(scheme, rest).ok_or_else(|| refused(format!("expected {scheme}://BUCKET/KEY, found '{uri}'")))?,
        "hf" => hub(rest).ok_or_else(|| refused(format!("expected hf://OWNER/REPO[:REVISION], found '{uri}'")))?,
        "pvc" => claim(rest).map_err(refused)?,
        "file" => format!("file:{rest}"),
        "" if rest.starts_with('/') => format!("file:{rest}"),
        _ => return Err(refused(unservable(scheme, uri))),
    };
    if let Some(words) = remark(&found, uri) {
        object.changed(path, words);
    }
    Ok(found)
}

/// What is different about it here.
fn remark(found: &str, uri: &str) -> Option<String> {
    let (scheme, _) = found.split_once(':').unwrap_or_default();
    let keys = match scheme {
        "s3" => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, of another store than Amazon's, AWS_ENDPOINT_URL",
        "gs" => "GOOGLE_APPLICATION_CREDENTIALS",
        "az" => "AZURE_STORAGE_ACCOUNT_KEY",
        "hf" => "HF_TOKEN",
        "file" => return Some("the path starts in the server's container: it needs an image that has the model".to_owned()),
        "http" | "https" => {
            let plain = found.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
            let words = "this looks like a folder, which http cannot list: name the .onnx file in it, or an archive of it";
            return (!FILES.iter().any(|end| plain.ends_with(end))).then(|| words.to_owned());
        }
        _ => return None,
    };
    let spelled = if found == uri.trim_end_matches('/') { String::new() } else { format!("{uri} is {found} here; ") };
    Some(format!(
        "{spelled}where it is not open to all, model.secretRef names a Secret with {keys}, or the pods' ServiceAccount has the right"
    ))
}

/// An object in a bucket; none without a bucket or a key.
fn bucket(scheme: &str, rest: &str) -> Option<String> {
    rest.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())?;
    Some(format!("{scheme}://{rest}"))
}

/// A blob of Azure, which others name by its https address. With a signature in it the address stays what it is.
fn blob(scheme: &str, rest: &str) -> Option<String> {
    let (host, path) = rest.split_once('/').filter(|_| scheme == "https" && !rest.contains('?'))?;
    let (account, (container, blob)) = (host.strip_suffix(AZURE)?, path.split_once('/')?);
    Some(format!("az://{container}@{account}/{blob}"))
}

/// A repository of the Hub; others write the revision after a colon.
fn hub(rest: &str) -> Option<String> {
    let (repository, revision) = rest.split_once(':').unwrap_or((rest, ""));
    let (owner, name) = repository.split_once('/').filter(|(owner, name)| !owner.is_empty() && !name.is_empty())?;
    let at = if revision.is_empty() { "" } else { "@" };
    Some(format!("hf://{owner}/{name}{at}{}", revision.replace('/', "%2F")))
}

/// A path on a claim; others allow all of it.
fn claim(rest: &str) -> Result<String, String> {
    let uri = format!("pvc://{rest}");
    if !rest.contains('/') {
        return Err(format!("expected pvc://CLAIM/PATH, found '{uri}': name the folder or the file of the model on it"));
    }
    Claim::of(&uri).transpose()?;
    Ok(uri)
}

fn unservable(scheme: &str, uri: &str) -> String {
    let instead = match scheme {
        "oci" | "oci+native" | "oci+fetch" | "docker" => {
            "the file system of an image is not read: push the model as an artifact (modelyard push), and name that"
        }
        _ => "models come from http(s), s3, gs, az, hf, oci or a claim: copy it to one of these",
    };
    format!("{uri} has no counterpart: {instead}")
}

#[cfg(test)]
mod tests {
    use modelyard_core::location::Scheme;
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_scheme_has_its_counterpart_or_none() {
        for (uri, found, noted) in [
            ("https://m/a.onnx", Ok("https://m/a.onnx"), false),
            ("https://m/a.tar.gz?x=1", Ok("https://m/a.tar.gz?x=1"), false),
            ("https://m/models/", Ok("https://m/models"), true),
            ("gs://b/k/m.onnx", Ok("gs://b/k/m.onnx"), true),
            ("s3://b/k/", Ok("s3://b/k"), true),
            ("https://acc.blob.core.windows.net/models/k/m.onnx", Ok("az://models@acc/k/m.onnx"), true),
            (
                "https://acc.blob.core.windows.net/models/m.onnx?sig=1",
                Ok("https://acc.blob.core.windows.net/models/m.onnx?sig=1"),
                false,
            ),
            ("s3://", Err("p: expected s3://BUCKET/KEY, found 's3://'"), false),
            ("s3://b", Err("expected s3://BUCKET/KEY"), false),
            ("s3://b/", Err("found 's3://b/'"), false),
            ("gs:///k/m.onnx", Err("expected gs://BUCKET/KEY"), false),
            ("file:///mnt/m.onnx", Ok("file:/mnt/m.onnx"), true),
            ("/mnt/m.onnx", Ok("file:/mnt/m.onnx"), true),
            ("hf://org/repo:v1", Ok("hf://org/repo@v1"), true),
            ("hf://org/repo:refs/pr/1", Ok("hf://org/repo@refs%2Fpr%2F1"), true),
            ("hf://org/repo", Ok("hf://org/repo"), true),
            ("hf://repo", Err("expected hf://OWNER/REPO"), false),
            ("pvc://claim/m.onnx", Ok("pvc://claim/m.onnx"), false),
            ("pvc://claim", Err("name the folder or the file"), false),
            ("pvc://claim/../m", Err("stays in the claim"), false),
            ("oci://r/m:1", Err("modelyard push"), false),
            ("model-registry://a/b", Err("http(s), s3, gs, az"), false),
        ] {
            let mut object = Foreign::new(Value::Null);
            match (address(&mut object, "p", uri), found) {
                (Ok(is), Ok(wanted)) => {
                    assert_eq!(is, wanted);
                    assert!(Scheme::of(&is).is_ok(), "{is}");
                }
                (Err(refusal), Err(words)) => assert!(refusal.to_string().contains(words), "{refusal}"),
                (is, wanted) => panic!("{uri}: {is:?}, not {wanted:?}"),
            }
            assert_eq!(!object.finish(|_| None, |_| false).is_empty(), noted, "{uri}");
        }
    }
}
