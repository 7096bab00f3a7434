//! The protocol's paths, each with and without a version, and the method that each answers to.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Live,
    Ready,
    Server,
    /// KServe's list of models.
    Models,
    ModelReady(Target<'a>),
    ModelMetadata(Target<'a>),
    ModelConfig(Target<'a>),
    /// Of one model, or of all.
    Statistics(Option<Target<'a>>),
    Infer(Target<'a>),
    Index,
    Load(Cow<'a, str>),
    Unload(Cow<'a, str>),
}

/// A model, and the version of it if one is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) version: Option<Cow<'a, str>>,
}

/// Segments of the longest path.
const LONGEST: usize = 5;

impl<'a> Route<'a> {
    /// Reads a path that begins with `/v2`; `None` for a path that this protocol does not know.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/v2")?;
        let mut all = [""; LONGEST];
        let mut count = 0;
        for segment in rest.strip_prefix('/').unwrap_or(rest).split('/') {
            *all.get_mut(count)? = segment;
            count += 1;
        }
        Some(match &all[..count] {
            [""] => Self::Server,
            ["health", "live"] => Self::Live,
            ["health", "ready"] => Self::Ready,
            ["models"] => Self::Models,
            ["models", "stats"] => Self::Statistics(None),
            ["models", name] => Self::ModelMetadata(target(name, None)?),
            ["models", name, "versions", version] => Self::ModelMetadata(target(name, Some(version))?),
            ["models", name, what] => Self::of_model(target(name, None)?, what)?,
            ["models", name, "versions", version, what] => Self::of_model(target(name, Some(version))?, what)?,
            ["repository", "index"] => Self::Index,
            ["repository", "models", name, "load"] => Self::Load(segment(name)?),
            ["repository", "models", name, "unload"] => Self::Unload(segment(name)?),
            _ => return None,
        })
    }

    fn of_model(target: Target<'a>, what: &str) -> Option<Self> {
        Some(match what {
            "ready" => Self::ModelReady(target),
            "infer" => Self::Infer(target),
            "config" => Self::ModelConfig(target),
            "stats" => Self::Statistics(Some(target)),
            _ => return None,
        })
    }

    /// The methods of this path, as `Allow` lists them.
    pub(super) const fn allow(&self) -> &'static str {
        match self {
            Self::Infer(_) | Self::Index | Self::Load(_) | Self::Unload(_) => "POST",
            _ => "GET, HEAD",
        }
    }

    pub(super) fn allows(&self, method: &Method) -> bool {
        self.allow().split(", ").any(|one| one == method.as_str())
    }
}

fn target<'a>(name: &'a str, version: Option<&&'a str>) -> Option<Target<'a>> {
    let version = match version {
        Some(text) => Some(segment(text)?),
        None => None,
    };
    Some(Target { name: segment(name)?, version })
}

/// One segment, percent-decoded; `None` where it is empty or not UTF-8.
fn segment(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok().filter(|decoded| !decoded.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, version: Option<&'static str>) -> Target<'static> {
        Target { name: name.into(), version: version.map(Into::into) }
    }

    #[test]
    fn paths() {
        for (path, route) in [
            ("/v2", Some(Route::Server)),
            ("/v2/", Some(Route::Server)),
            ("/v2/health/live", Some(Route::Live)),
            ("/v2/health/ready", Some(Route::Ready)),
            ("/v2/models", Some(Route::Models)),
            ("/v2/models/stats", Some(Route::Statistics(None))),
            ("/v2/models/m", Some(Route::ModelMetadata(of("m", None)))),
            ("/v2/models/m%2Fn", Some(Route::ModelMetadata(of("m/n", None)))),
            ("/v2/models/m/versions/3", Some(Route::ModelMetadata(of("m", Some("3"))))),
            ("/v2/models/m/ready", Some(Route::ModelReady(of("m", None)))),
            ("/v2/models/m/versions/3/ready", Some(Route::ModelReady(of("m", Some("3"))))),
            ("/v2/models/m/infer", Some(Route::Infer(of("m", None)))),
            ("/v2/models/m/versions/abc/infer", Some(Route::Infer(of("m", Some("abc"))))),
            ("/v2/models/m/config", Some(Route::ModelConfig(of("m", None)))),
            ("/v2/models/m/versions/3/stats", Some(Route::Statistics(Some(of("m", Some("3")))))),
            ("/v2/repository/index", Some(Route::Index)),
            ("/v2/repository/models/m/load", Some(Route::Load("m".into()))),
            ("/v2/repository/models/m/unload", Some(Route::Unload("m".into()))),
            ("/v2/models/", None),
            ("/v2/models//infer", None),
            ("/v2/models/%ff/infer", None),
            ("/v2/models/m/generate", None),
            ("/v2/models/m/versions/3/infer/", None),
            ("/v2x", None),
            ("/v2/logging", None),
        ] {
            assert_eq!(Route::parse(path), route, "{path}");
        }
    }
}
