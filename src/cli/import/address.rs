//! Where a model is, in the words of another system, and where a server of ours finds it: a file at an http(s) address.

use super::foreign::{Foreign, Refusal};

/// What artefacts are called. An address that ends otherwise is most likely a folder's.
const FILES: [&str; 5] = [".onnx", ".tar", ".tar.gz", ".tgz", ".zip"];

/// The uri of a `storageUri`, with a note at `path` on what is different about it.
pub(super) fn address(object: &mut Foreign, path: &str, uri: &str) -> Result<String, Refusal> {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
    let rest = rest.trim_end_matches('/');
    let found = match scheme {
        "http" | "https" => format!("{scheme}://{rest}"),
        "gs" => format!("https://storage.googleapis.com/{rest}"),
        "s3" => s3(rest),
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

/// Bucket and key at Amazon's; names with a dot fit no certificate as a host.
fn s3(rest: &str) -> String {
    match rest.split_once('/') {
        Some((bucket, key)) if !bucket.contains('.') => format!("https://{bucket}.s3.amazonaws.com/{key}"),
        _ => format!("https://s3.amazonaws.com/{rest}"),
    }
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
