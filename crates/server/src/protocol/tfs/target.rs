//! The grammar of TensorFlow Serving's URLs, which KServe v1 shares. The fixed words and the verbs are read without regard to
//! case; names and labels are percent-decoded. Source: tensorflow/serving, `model_servers/http_rest_api_util.cc`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What a path under `/v1` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/v1/models`
    Models,
    /// `/v1/models/{name}...`
    Model {
        /// The model's name.
        name: Cow<'a, str>,
        /// Which of its versions.
        which: Which<'a>,
        /// What of it.
        action: Action,
    },
}

/// Which version of a model.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Which<'a> {
    /// Any: the latest.
    Latest,
    /// `/versions/{digits}`
    Version(&'a str),
    /// `/labels/{label}`
    Label(Cow<'a, str>),
}

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing more: how it is.
    Status,
    /// `/metadata`
    Metadata,
    /// `:predict`
    Predict,
    /// `:classify`
    Classify,
    /// `:regress`
    Regress,
    /// `:explain`, KServe's alone.
    Explain,
}

const VERBS: [(&str, Action); 4] =
    [("predict", Action::Predict), ("classify", Action::Classify), ("regress", Action::Regress), ("explain", Action::Explain)];

impl<'a> Target<'a> {
    /// Reads a path; `None` where the grammar has no such path.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        const MODELS: &str = "/v1/models";
        let (head, rest) = path.split_at_checked(MODELS.len())?;
        if !head.eq_ignore_ascii_case(MODELS) {
            return None;
        }
        if rest.is_empty() {
            return Some(Self::Models);
        }
        let (address, verb) = match rest.strip_prefix('/')?.split_once(':') {
            Some((address, verb)) => (address, Some(verb)),
            None => (rest.strip_prefix('/')?, None),
        };
        let mut segments = address.split('/');
        let name = decoded(segments.next()?)?;
        let mut word = segments.next();
        let which = match word {
            Some(fixed) if fixed.eq_ignore_ascii_case("versions") => {
                let digits = segments.next()?;
                word = segments.next();
                Which::Version(Some(digits).filter(|text| !text.is_empty() && text.bytes().all(|one| one.is_ascii_digit()))?)
            }
            Some(fixed) if fixed.eq_ignore_ascii_case("labels") => {
                let label = decoded(segments.next()?)?;
                word = segments.next();
                Which::Label(label)
            }
            _ => Which::Latest,
        };
        let action = match (word, verb) {
            (None, None) => Action::Status,
            (None, Some(verb)) => VERBS.iter().find(|(name, _)| name.eq_ignore_ascii_case(verb))?.1,
            (Some(word), None) if word.eq_ignore_ascii_case("metadata") => Action::Metadata,
            _ => return None,
        };
        segments.next().is_none().then_some(Self::Model { name, which, action })
    }
}

/// A percent-decoded segment; none where it is empty or not UTF-8.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    Some(percent_decode_str(segment).decode_utf8().ok()?).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model<'a>(name: &'a str, which: Which<'a>, action: Action) -> Option<Target<'a>> {
        Some(Target::Model { name: name.into(), which, action })
    }

    #[test]
    fn paths_of_the_grammar() {
        for (path, want) in [
            ("/v1/models", Some(Target::Models)),
            ("/V1/MODELS", Some(Target::Models)),
            ("/v1/models/m", model("m", Which::Latest, Action::Status)),
            ("/V1/Models/M", model("M", Which::Latest, Action::Status)),
            ("/v1/models/m/metadata", model("m", Which::Latest, Action::Metadata)),
            ("/v1/models/m/MetaData", model("m", Which::Latest, Action::Metadata)),
            ("/v1/models/m:predict", model("m", Which::Latest, Action::Predict)),
            ("/v1/models/m:PREDICT", model("m", Which::Latest, Action::Predict)),
            ("/v1/models/m:classify", model("m", Which::Latest, Action::Classify)),
            ("/v1/models/m:regress", model("m", Which::Latest, Action::Regress)),
            ("/v1/models/m:explain", model("m", Which::Latest, Action::Explain)),
            ("/v1/models/m/versions/7", model("m", Which::Version("7"), Action::Status)),
            ("/v1/models/m/Versions/007:predict", model("m", Which::Version("007"), Action::Predict)),
            ("/v1/models/m/versions/7/metadata", model("m", Which::Version("7"), Action::Metadata)),
            ("/v1/models/m/labels/canary:predict", model("m", Which::Label("canary".into()), Action::Predict)),
            ("/v1/models/m/labels/a%20b/metadata", model("m", Which::Label("a b".into()), Action::Metadata)),
            ("/v1/models/a%2Fb%3Ac:predict", model("a/b:c", Which::Latest, Action::Predict)),
            ("/v1/models/%C3%A9", model("\u{e9}", Which::Latest, Action::Status)),
            ("/v1/models/versions", model("versions", Which::Latest, Action::Status)),
            ("/v1/models/100%", model("100%", Which::Latest, Action::Status)),
        ] {
            assert_eq!(Target::parse(path), want, "{path}");
        }
    }

    #[test]
    fn paths_outside_of_it() {
        for path in [
            "/v1",
            "/v1/",
            "/v1/model",
            "/v1/modelsx",
            "/v1/models/",
            "/v1/models/:predict",
            "/v1/models/m/",
            "/v1/models/m:",
            "/v1/models/m:train",
            "/v1/models/m:predict/",
            "/v1/models/m:predict:predict",
            "/v1/models/m/metadata/",
            "/v1/models/m/metadata:predict",
            "/v1/models/m/versions",
            "/v1/models/m/versions/",
            "/v1/models/m/versions/x",
            "/v1/models/m/versions/-1:predict",
            "/v1/models/m/versions/1/labels/x",
            "/v1/models/m/labels",
            "/v1/models/m/labels/:predict",
            "/v1/models//metadata",
            "/v1/models/m/n",
            "/v1/models/%FF",
            "/v1/mod\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }
}
