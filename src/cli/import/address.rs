//! Where a model is, in the words of another system, and where a server of ours finds it: a file at an http(s) address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::foreign::{Foreign, Refusal};

/// All but what a URL never reserves: a store would read `+` as a blank, and `?` and `#` end the path.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What artefacts are called. An address that ends otherwise is most likely a folder's.
const FILES: [&str; 5] = [".onnx", ".tar", ".tar.gz", ".tgz", ".zip"];

/// The uri of a `storageUri`, with a note at `path` on what is different about it.
pub(super) fn address(object: &mut Foreign, path: &str, uri: &str) -> Result<String, Refusal> {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
    let rest = rest.trim_end_matches('/');
    let found = match scheme {
        "http" | "https" => format!("{scheme}://{rest}"),
        "gs" | "s3" => bucket(scheme, rest).ok_or_else(|| Refusal::new(path, no_object(scheme, uri)))?,
        "file" => format!("file:{rest}"),
        "" if rest.starts_with('/') => format!("file:{rest}"),
        _ => return Err(Refusal::new(path, unservable(scheme, uri))),
    };
    let mut words = Vec::new();
    match scheme {
        "gs" | "s3" => words.push(format!(
            "{uri} is read at {found}: it has to be public there, or model.secretRef names a Secret whose HTTP_AUTHORIZATION opens it"
        )),
        "file" | "" => words.push("the path starts in the server's container: it needs an image that has the model".to_owned()),
        _ => {}
    }
    let plain = found.split(['?', '#']).next().unwrap_or_default();
    if !found.starts_with("file:") && !FILES.iter().any(|end| plain.to_ascii_lowercase().ends_with(end)) {
        words.push("this looks like a folder, which http cannot list: name the .onnx file in it, or an archive of it".to_owned());
    }
    if !words.is_empty() {
        object.changed(path, words.join("; "));
    }
    Ok(found)
}

/// The address of an object in a bucket; none without a bucket or a key. The key's characters are its own, not a URL's.
fn bucket(scheme: &str, rest: &str) -> Option<String> {
    let (bucket, key) = rest.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())?;
    let encoded = |text: &str| utf8_percent_encode(text, &RESERVED).to_string();
    let key = key.split('/').map(encoded).collect::<Vec<_>>().join("/");
    // At Amazon's the bucket is a host, where it can be: names with a dot fit no certificate.
    let is_host = bucket.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-');
    Some(match scheme {
        "s3" if is_host => format!("https://{bucket}.s3.amazonaws.com/{key}"),
        "s3" => format!("https://s3.amazonaws.com/{}/{key}", encoded(bucket)),
        _ => format!("https://storage.googleapis.com/{}/{key}", encoded(bucket)),
    })
}

fn no_object(scheme: &str, uri: &str) -> String {
    format!("expected {scheme}://BUCKET/KEY, found '{uri}'")
}

fn unservable(scheme: &str, uri: &str) -> String {
    let instead = match scheme {
        "hf" => {
            let rest = uri.trim_start_matches("hf://");
            let (repository, revision) = rest.split_once(':').unwrap_or((rest, "main"));
            return format!(
                "{uri} is a repository of many files: write the address of one, such as \
                 https://huggingface.co/{repository}/resolve/{revision}/onnx/model.onnx"
            );
        }
        "pvc" => "a claim's content is not mounted: serve it by any web server in the cluster",
        "oci" | "oci+native" | "oci+fetch" | "docker" => "images are no source of models yet: put the file on a web server",
        _ => "models come from http(s): put the file on a web server, or in a bucket that is read by https",
    };
    format!("{uri} has no counterpart: {instead}")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_scheme_has_its_counterpart_or_none() {
        for (uri, found, noted) in [
            ("https://m/a.onnx", Ok("https://m/a.onnx"), false),
            ("https://m/a.tar.gz?x=1", Ok("https://m/a.tar.gz?x=1"), false),
            ("https://m/models/", Ok("https://m/models"), true),
            ("gs://b/k/m.onnx", Ok("https://storage.googleapis.com/b/k/m.onnx"), true),
            ("s3://b/k/m.onnx", Ok("https://b.s3.amazonaws.com/k/m.onnx"), true),
            ("s3://b.c/k/m.onnx", Ok("https://s3.amazonaws.com/b.c/k/m.onnx"), true),
            ("s3://B/k/a+b.onnx", Ok("https://s3.amazonaws.com/B/k/a%2Bb.onnx"), true),
            ("gs://b/a b/#x?y.onnx", Ok("https://storage.googleapis.com/b/a%20b/%23x%3Fy.onnx"), true),
            ("gs://b/50%/\u{e9}~.onnx", Ok("https://storage.googleapis.com/b/50%25/%C3%A9~.onnx"), true),
            ("s3://", Err("p: expected s3://BUCKET/KEY, found 's3://'"), false),
            ("s3://b", Err("expected s3://BUCKET/KEY"), false),
            ("s3://b/", Err("found 's3://b/'"), false),
            ("gs:///k/m.onnx", Err("expected gs://BUCKET/KEY"), false),
            ("file:///mnt/m.onnx", Ok("file:/mnt/m.onnx"), true),
            ("/mnt/m.onnx", Ok("file:/mnt/m.onnx"), true),
            ("hf://org/repo:v1", Err("https://huggingface.co/org/repo/resolve/v1/onnx/model.onnx"), false),
            ("pvc://claim/m.onnx", Err("web server"), false),
            ("oci://r/m:1", Err("web server"), false),
            ("model-registry://a/b", Err("http(s)"), false),
        ] {
            let mut object = Foreign::new(Value::Null);
            match (address(&mut object, "p", uri), found) {
                (Ok(is), Ok(wanted)) => assert_eq!(is, wanted),
                (Err(refusal), Err(words)) => assert!(refusal.to_string().contains(words), "{refusal}"),
                (is, wanted) => panic!("{uri}: {is:?}, not {wanted:?}"),
            }
            assert_eq!(!object.finish(|_| None, |_| false).is_empty(), noted, "{uri}");
        }
    }
}
