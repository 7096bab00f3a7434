//! `pvc://CLAIM/PATH`: a model on a PersistentVolumeClaim of the object's namespace. The operator mounts the claim, and the server reads a file.

/// Where claims are mounted in the server's container, each in a folder of its name.
pub const MOUNTED: &str = "/mnt/claims";

/// What a uri names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The claim.
    pub name: String,
    /// Of a file or a folder, within it.
    pub path: String,
}

impl Claim {
    /// Reads `pvc://CLAIM/PATH`; none where the uri is another store's.
    ///
    /// # Errors
    /// What was expected, and the uri.
    pub fn of(uri: &str) -> Option<Result<Self, String>> {
        let rest = uri.strip_prefix("pvc://")?;
        let named = rest.split_once('/').filter(|(name, path)| is_name(name) && !path.is_empty());
        let Some((name, path)) = named else { return Some(Err(format!("expected pvc://CLAIM/PATH, found '{uri}'"))) };
        if path.split('/').any(|part| part == "..") {
            return Some(Err(format!("expected a path that stays in the claim, found '..' in '{uri}'")));
        }
        Some(Ok(Self { name: name.to_owned(), path: path.to_owned() }))
    }

    /// The uri that the server reads. The server undoes percent-encoding; the path is meant as it is written.
    #[must_use]
    pub fn file(&self) -> String {
        format!("file:{MOUNTED}/{}/{}", self.name, self.path.replace('%', "%25"))
    }

    /// What a server reads from a claim that is mounted, if it does: the inverse of [`Self::file`].
    #[must_use]
    pub fn of_file(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("file:")?.strip_prefix(MOUNTED)?.strip_prefix('/')?;
        let (name, path) = rest.split_once('/')?;
        Some(Self { name: name.to_owned(), path: path.replace("%25", "%") })
    }

    /// The uri of a spec.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("pvc://{}/{}", self.name, self.path)
    }
}

/// A DNS subdomain, as far as its characters tell: the API server knows no claim of another name.
fn is_name(name: &str) -> bool {
    let is_end = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit();
    name.starts_with(is_end) && name.ends_with(is_end) && name.chars().all(|one| is_end(one) || one == '-' || one == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_a_file_in_the_container_and_back() {
        for (uri, file) in [
            ("pvc://models/m.onnx", "file:/mnt/claims/models/m.onnx"),
            ("pvc://team.a-1/digits/", "file:/mnt/claims/team.a-1/digits/"),
            ("pvc://m/50%/a..b.onnx", "file:/mnt/claims/m/50%25/a..b.onnx"),
            ("pvc://m/%2e%2e/x", "file:/mnt/claims/m/%252e%252e/x"),
        ] {
            let claim = Claim::of(uri).unwrap().unwrap();
            assert_eq!((claim.file().as_str(), claim.uri().as_str()), (file, uri));
            assert_eq!(Claim::of_file(file), Some(claim));
        }
        assert_eq!((Claim::of("file:m"), Claim::of_file("file:/models/m")), (None, None));
        for uri in ["pvc://", "pvc://m", "pvc://m/", "pvc:///m", "pvc://M/m", "pvc://-m/m", "pvc://m/../n", "pvc://m/a/.."] {
            assert!(Claim::of(uri).unwrap().unwrap_err().contains(uri), "{uri}");
        }
    }
}
