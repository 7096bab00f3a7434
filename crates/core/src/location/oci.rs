//! What an `oci:` uri names: a registry, a repository in it, and a tag or a digest. What no registry can have is refused before one is asked.
//!
//! Source of the grammar: the distribution specification of the OCI, "Pulling manifests"; of digests its image specification, "Digests".

/// What an `oci:` uri names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The registry, with its port.
    pub host: String,
    /// The repository in it.
    pub repository: String,
    /// A tag or a digest; `latest` where the uri has neither.
    pub reference: String,
}

const NAME: &str =
    "parts with '/' between them, each of lower-case letters and digits, with '.', '_', '__' or dashes between those";
const TAG: &str = "1 to 128 letters, digits, '_', '.' and '-', the first none of the last two";
const DIGEST: &str = "sha256: and 64 hexadecimal digits";
const HOST: &str = "a registry's host, with :PORT where it has one";

impl Reference {
    /// The parts of a uri.
    ///
    /// # Errors
    /// Which part is illegal, and the rule.
    pub fn parse(uri: &str) -> Result<Self, String> {
        let rest = uri.strip_prefix("oci://").and_then(|rest| rest.split_once('/')).filter(|(_, rest)| !rest.is_empty());
        let Some((host, rest)) = rest else {
            return Err(format!("expected oci://HOST/REPOSITORY[:TAG|@DIGEST], found '{uri}'"));
        };
        let (name, digest) = rest.split_once('@').map_or((rest, None), |(name, digest)| (name, Some(digest)));
        let (repository, tag) = name.rsplit_once(':').map_or((name, None), |(name, tag)| (name, Some(tag)));
        for (what, found, legal, rule) in [
            ("host", Some(host), is_host as fn(&str) -> bool, HOST),
            ("repository", Some(repository), is_name, NAME),
            ("tag", tag, is_tag, TAG),
            ("digest", digest, is_digest, DIGEST),
        ] {
            if let Some(found) = found.filter(|found| !legal(found)) {
                return Err(format!("{uri}: the {what} '{found}' is illegal; expected {rule}"));
            }
        }
        // The tag beside a digest is for people.
        let reference = digest.or(tag).unwrap_or("latest");
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), reference: reference.to_owned() })
    }

    /// The parts of a uri to push to, which has no digest: what is pushed makes that.
    ///
    /// # Errors
    /// Which part is illegal, and the rule.
    pub fn to_push(uri: &str) -> Result<Self, String> {
        match Self::parse(uri)? {
            named if is_digest(&named.reference) => {
                Err(format!("expected oci://HOST/REPOSITORY:TAG to push to, found the digest of '{uri}'"))
            }
            named => Ok(named),
        }
    }
}

/// The parts of its name and its port are left to whoever looks it up.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|one| one.is_ascii_alphanumeric() || b".-:[]".contains(&one))
}

fn is_name(name: &str) -> bool {
    name.split('/').all(is_part)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let is_word = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit();
    let between = part.split(|one: char| one.is_ascii_lowercase() || one.is_ascii_digit()).filter(|run| !run.is_empty());
    let (first, last) = (part.bytes().next(), part.bytes().last());
    [first, last].iter().all(|end| end.is_some_and(is_word))
        && between.into_iter().all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|one| one == b'-'))
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let is_word = |one: u8| one.is_ascii_alphanumeric() || one == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|one| is_word(one) || matches!(one, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let digits = digest.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|one| one.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_read() {
        let sum = format!("sha256:{}", "a".repeat(64));
        let long = "t".repeat(128);
        for (uri, host, repository, reference) in [
            ("oci://r.example/a".to_owned(), "r.example", "a", "latest"),
            ("oci://r.example/a/b-c_d:V1.0".to_owned(), "r.example", "a/b-c_d", "V1.0"),
            ("oci://r.example/a__b/c---d/e.f:_x".to_owned(), "r.example", "a__b/c---d/e.f", "_x"),
            (format!("oci://[::1]:5000/a:{long}"), "[::1]:5000", "a", &long),
            (format!("oci://h:5000/a/b:v1@{sum}"), "h:5000", "a/b", &sum),
        ] {
            let expected = Reference { host: host.into(), repository: repository.into(), reference: reference.into() };
            assert_eq!(Reference::parse(&uri), Ok(expected), "{uri}");
        }
    }

    #[test]
    fn what_is_illegal_is_named_with_its_rule() {
        let long = format!("oci://h/a:{}", "t".repeat(129));
        for (uri, words) in [
            ("oci://h", "expected oci://HOST/REPOSITORY"),
            ("oci://h/", "expected oci://HOST/REPOSITORY"),
            ("oci:///a", "the host '' is illegal"),
            ("oci://u@h/a", "the host 'u@h' is illegal; expected a registry's host"),
            (
                "oci://h/Team/digits:1",
                "the repository 'Team/digits' is illegal; expected parts with '/' between them, each of lower-case",
            ),
            ("oci://h/a//b", "the repository 'a//b' is illegal"),
            ("oci://h/../a", "the repository '../a' is illegal"),
            ("oci://h/a..b", "the repository 'a..b' is illegal"),
            ("oci://h/a___b", "the repository 'a___b' is illegal"),
            ("oci://h/a_", "the repository 'a_' is illegal"),
            ("oci://h/a-.b", "the repository 'a-.b' is illegal"),
            ("oci://h/:1", "the repository '' is illegal"),
            ("oci://h/a:", "the tag '' is illegal; expected 1 to 128 letters, digits"),
            ("oci://h/a:.1", "the tag '.1' is illegal"),
            ("oci://h/a:-1", "the tag '-1' is illegal"),
            ("oci://h/a:b/c", "the tag 'b/c' is illegal"),
            (&long, "the tag 'ttt"),
            ("oci://h/a@sha256:12", "the digest 'sha256:12' is illegal; expected sha256: and 64 hexadecimal digits"),
            ("oci://h/a@latest", "the digest 'latest' is illegal"),
        ] {
            let message = Reference::parse(uri).unwrap_err();
            assert!(message.contains(words) && message.contains(uri), "{uri}: {message}");
            assert_eq!(Reference::to_push(uri), Err(message));
        }
        let fixed = format!("oci://h/a@sha256:{}", "0".repeat(64));
        assert!(
            Reference::to_push(&fixed)
                .unwrap_err()
                .starts_with("expected oci://HOST/REPOSITORY:TAG to push to, found the digest")
        );
    }
}
