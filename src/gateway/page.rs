//! The front page for browsers: every model of every deployment, how it is, and a command to try it. It needs nothing but itself.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;

use super::front::state;
use super::table::{Route, Table};

/// Where to look, and for what.
const PLACES: [(&str, &str); 6] = [
    ("/docs", "every operation, with forms to try it"),
    ("/openapi.json", "OpenAPI 3.1 description, with the shapes of the models that answer"),
    ("/v2", "Open Inference Protocol v2 (KServe, Triton)"),
    ("/v2/health/ready", "whether every model answers"),
    ("/v1/models", "TensorFlow Serving's REST API and KServe v1"),
    ("grpc", "inference.GRPCInferenceService and tensorflow.serving.PredictionService, on this port"),
];

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
code,pre{font:14px/1.45 ui-monospace,monospace;background:#f3f4f6;border-radius:4px}code{padding:.1em .3em}pre{padding:.8rem;overflow-x:auto}\
table{border-collapse:collapse;margin:.5rem 0}td{text-align:left;padding:.25rem 1.2rem .25rem 0;vertical-align:top}\
.state{font-size:.85rem;padding:.1em .6em;border-radius:1em;background:#e5e7eb}.READY{background:#d1f5dc}.UNAVAILABLE{background:#fbd5d5}\
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#16181d}code,pre{background:#23262d}.state{color:#1b1f24}a{color:#8ab4f8}}";

/// The page. `told` is what replicas say of their models, by name.
pub(super) fn page(table: &Table, told: &HashMap<String, Value>, base: &str) -> String {
    let mut places = String::new();
    for (path, what) in PLACES {
        let place = format!("<code>{path}</code>");
        let place = if path.starts_with('/') { format!("<a href=\"{path}\">{place}</a>") } else { place };
        // Writing to a string cannot fail.
        let _ = write!(places, "<tr><td>{place}</td><td>{what}</td></tr>");
    }
    let mut models = String::new();
    for (name, route) in &table.models {
        section(&mut models, (name, route), told.get(name).unwrap_or(&Value::Null), base);
    }
    if models.is_empty() {
        models.push_str("<p>There is none.</p>");
    }
    let draining = if table.draining { "<p><b>It is draining: it takes no new connections.</b></p>" } else { "" };
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>modelyard</title><style>{STYLE}</style><h1>modelyard <small>{}</small></h1>{draining}\
         <p>Several models on one port, in the protocols below.</p>\
         <table>{places}</table><h2>Models</h2>{models}</html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn section(page: &mut String, (name, route): (&str, &Route), told: &Value, base: &str) {
    let (state, reason) = state(route);
    let version = route.version.map(|version| format!("version {version}, ")).unwrap_or_default();
    let replicas = match route.backends.len() {
        1 => "1 replica".to_owned(),
        count => format!("{count} replicas"),
    };
    let (shown, deployment) = (escaped(name), escaped(&route.deployment));
    let _ = write!(
        page,
        "<h3>{shown} <small>{version}deployment {deployment}, {replicas}</small> <span class=\"state {state}\">{state}</span></h3>"
    );
    if !reason.is_empty() {
        let _ = write!(page, "<p>{}</p>", escaped(&reason));
    }
    let mut rows = String::new();
    for (what, specs) in [("input", &told["inputs"]), ("output", &told["outputs"])] {
        for spec in specs.as_array().into_iter().flatten() {
            let (name, datatype) = (spec["name"].as_str().unwrap_or_default(), spec["datatype"].as_str().unwrap_or_default());
            let (name, datatype, shape) = (escaped(name), escaped(datatype), escaped(&spec["shape"].to_string()));
            let _ = write!(rows, "<tr><td>{what}</td><td><code>{name}</code></td><td>{datatype}</td><td>{shape}</td></tr>");
        }
    }
    if !rows.is_empty() {
        let _ = write!(page, "<table>{rows}</table>");
    }
    let path = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let command = told["try"].as_str().map_or_else(|| format!("curl {base}/v2/models/{path}"), ToOwned::to_owned);
    let _ = write!(page, "<pre>{}</pre>", escaped(&command));
}

/// Text that HTML shows as it is, in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_not_obeyed() {
        assert_eq!(escaped("<b a=\"x\">'&'"), "&lt;b a=&quot;x&quot;&gt;&#39;&amp;&#39;");
    }
}
