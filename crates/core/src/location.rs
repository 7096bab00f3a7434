//! What `model.uri` may name: the kinds of stores, how their addresses are spelled, and which keys of a Secret each one reads.

pub mod oci;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `file:`, on the server's own disk.
    File,
    /// `http:` and `https:`.
    Http,
    /// `s3:`, Amazon S3 and what speaks its API.
    S3,
    /// `gs:`, Google Cloud Storage.
    Gs,
    /// `az:`, Azure Blob Storage.
    Az,
    /// `hf:`, the Hugging Face Hub.
    Hf,
    /// `oci:`, a registry of container images.
    Oci,
    /// `pvc:`, a claim of the cluster, which the operator mounts.
    Pvc,
}

/// A key of a Secret that a store reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name in the Secret, which is also that of the variable by which the store's own tools know it.
    pub name: &'static str,
    /// Whether a Secret for such a store must have it.
    pub required: bool,
}

const fn required(name: &'static str) -> Key {
    Key { name, required: true }
}

const fn optional(name: &'static str) -> Key {
    Key { name, required: false }
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 8] = [Self::File, Self::Http, Self::S3, Self::Gs, Self::Az, Self::Hf, Self::Oci, Self::Pvc];

    /// The store that a uri names.
    ///
    /// # Errors
    /// What was expected, and the uri.
    pub fn of(uri: &str) -> Result<Self, String> {
        let named = |scheme: &&Self| scheme.beginnings().iter().any(|begin| uri.starts_with(begin));
        let found = Self::ALL.iter().find(named).copied();
        found.ok_or_else(|| format!("expected {}, found '{uri}'", Self::forms()))
    }

    /// How its addresses begin.
    const fn beginnings(self) -> &'static [&'static str] {
        match self {
            Self::File => &["file:"],
            Self::Http => &["http://", "https://"],
            Self::S3 => &["s3://"],
            Self::Gs => &["gs://"],
            Self::Az => &["az://"],
            Self::Hf => &["hf://"],
            Self::Oci => &["oci://"],
            Self::Pvc => &["pvc://"],
        }
    }

    /// Its name, as addresses begin with it.
    pub(crate) fn name(self) -> &'static str {
        let begin = self.beginnings().first().copied().unwrap_or_default();
        begin.split_once(':').map_or(begin, |(name, _)| name)
    }

    /// How its addresses are spelled.
    const fn form(self) -> &'static str {
        match self {
            Self::File => "file:PATH",
            Self::Http => "http://HOST/PATH, https://HOST/PATH",
            Self::S3 => "s3://BUCKET/KEY",
            Self::Gs => "gs://BUCKET/KEY",
            Self::Az => "az://CONTAINER[@ACCOUNT]/BLOB",
            Self::Hf => "hf://OWNER/REPO[@REVISION][/PATH]",
            Self::Oci => "oci://HOST/REPOSITORY[:TAG|@DIGEST]",
            Self::Pvc => "pvc://CLAIM/PATH",
        }
    }

    /// Every spelling, for messages.
    #[must_use]
    pub fn forms() -> String {
        let forms: Vec<_> = Self::ALL.iter().map(|scheme| scheme.form()).collect();
        let (last, others) = (forms.last().copied().unwrap_or_default(), forms.len().saturating_sub(1));
        format!("{} or {last}", forms[..others].join(", "))
    }

    /// The keys of a Secret that it reads. An `http:` store reads HTTP_AUTHORIZATION, as a whole header.
    #[must_use]
    pub const fn keys(self) -> &'static [Key] {
        match self {
            Self::File | Self::Http | Self::Pvc => &[],
            Self::S3 => &S3,
            Self::Gs => &GS,
            Self::Az => &AZ,
            Self::Hf => &HF,
            Self::Oci => &OCI,
        }
    }
}

const S3: [Key; 6] = [
    required("AWS_ACCESS_KEY_ID"),
    required("AWS_SECRET_ACCESS_KEY"),
    optional("AWS_SESSION_TOKEN"),
    optional("AWS_REGION"),
    optional("AWS_DEFAULT_REGION"),
    optional("AWS_ENDPOINT_URL"),
];

const GS: [Key; 1] = [required("GOOGLE_APPLICATION_CREDENTIALS")];

const AZ: [Key; 5] = [
    optional("AZURE_STORAGE_ACCOUNT_NAME"),
    optional("AZURE_STORAGE_ACCOUNT_KEY"),
    optional("AZURE_STORAGE_SAS_TOKEN"),
    optional("AZURE_STORAGE_CONNECTION_STRING"),
    optional("AZURE_STORAGE_ENDPOINT"),
];

const HF: [Key; 2] = [required("HF_TOKEN"), optional("HF_ENDPOINT")];

/// The one key of a Secret of the type `kubernetes.io/dockerconfigjson`.
const OCI: [Key; 1] = [required(".dockerconfigjson")];

impl Key {
    /// The variable of the server's environment that holds it, after the prefix of the model.
    #[must_use]
    pub fn variable(self, prefix: &str) -> String {
        format!("{prefix}{}", self.name.trim_start_matches('.').to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_store_is_told_by_its_beginning() {
        for (uri, scheme) in [("file:m.onnx", Scheme::File), ("https://h/m", Scheme::Http), ("s3://b/k", Scheme::S3)] {
            assert_eq!(Scheme::of(uri), Ok(scheme), "{uri}");
        }
        for uri in ["", "s3:b/k", "ftp://h/m", "http:h", "m.onnx", "fil\u{e9}:", "S3://b/k"] {
            let message = Scheme::of(uri).unwrap_err();
            assert!(
                message.starts_with("expected file:PATH, http://HOST/PATH, https://HOST/PATH")
                    && message.ends_with(&format!("found '{uri}'")),
                "{message}"
            );
        }
    }
}
