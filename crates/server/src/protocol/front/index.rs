//! `GET /`: the server and its models, as JSON and as a page that needs nothing but itself.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{SERVER_NAME, SERVER_VERSION, example};
use crate::protocol::Service;
use crate::registry::{Entry, State};
use crate::signature::TensorSpec;

/// Where to look, and for what.
const PLACES: [(&str, &str); 6] = [
    ("/docs", "every operation, with forms to try it"),
    ("/openapi.json", "OpenAPI 3.1 description, with the shapes of the loaded models"),
    ("/v2", "Open Inference Protocol v2 (KServe, Triton)"),
    ("/v2/health/ready", "whether requests can be sent here"),
    ("/v1/models", "TensorFlow Serving's REST API and KServe v1"),
    ("grpc", "inference.GRPCInferenceService and tensorflow.serving.PredictionService, on this port"),
];

/// The JSON form. `status` is what KServe's servers answer here.
pub(super) fn json(service: &Service, base: &str) -> Value {
    let models: Vec<_> = service.registry.entries().iter().map(|entry| model_json(entry, base)).collect();
    let places: serde_json::Map<_, _> = PLACES.iter().map(|(path, what)| ((*path).to_owned(), json!(what))).collect();
    json!({
        "status": "alive",
        "name": SERVER_NAME,
        "version": SERVER_VERSION,
        "ready": service.is_ready(),
        "models": models,
        "see": places,
    })
}

fn model_json(entry: &Entry, base: &str) -> Value {
    let state = entry.state();
    let mut shown = json!({ "name": entry.config.name, "version": entry.config.version.to_string(), "state": state.as_str() });
    match &*state {
        State::Ready(model) => {
            let specs = |all: &[TensorSpec]| all.iter().map(spec_json).collect::<Vec<_>>();
            shown["inputs"] = json!(specs(&model.signature.inputs));
            shown["outputs"] = json!(specs(&model.signature.outputs));
            shown["try"] = json!(example::curl(base, &model.name, &model.signature));
        }
        State::Failed(failure) => {
            shown["reason"] = json!(failure.reason);
            shown["message"] = json!(failure.message);
        }
        _ => {}
    }
    shown
}

fn spec_json(spec: &TensorSpec) -> Value {
    json!({ "name": spec.name, "datatype": spec.datatype.as_str(), "shape": spec.shape })
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
code,pre{font:14px/1.45 ui-monospace,monospace;background:#f3f4f6;border-radius:4px}code{padding:.1em .3em}pre{padding:.8rem;overflow-x:auto}\
table{border-collapse:collapse;margin:.5rem 0}td,th{text-align:left;padding:.25rem 1.2rem .25rem 0;vertical-align:top}\
.state{font-size:.85rem;padding:.1em .6em;border-radius:1em;background:#e5e7eb}.Ready{background:#d1f5dc}.Failed{background:#fbd5d5}\
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#16181d}code,pre{background:#23262d}.state{color:#1b1f24}a{color:#8ab4f8}}";

/// The page for browsers.
pub(super) fn page(service: &Service, base: &str) -> String {
    let mut models = String::new();
    for entry in service.registry.entries() {
        model_section(&mut models, &entry, base);
    }
    let mut places = String::new();
    for (path, what) in PLACES {
        let place = if path.starts_with('/') {
            format!("<a href=\"{path}\"><code>{path}</code></a>")
        } else {
            format!("<code>{path}</code>")
        };
        places.push_str(&format!("<tr><td>{place}</td><td>{}</td></tr>", escaped(what)));
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{SERVER_NAME}</title><style>{STYLE}</style><h1>{SERVER_NAME} <small>{SERVER_VERSION}</small></h1>\
         <p>An inference server. It answers on one port for the models below, in the protocols below.</p>\
         <table>{places}</table><h2>Models</h2>{models}</html>\n"
    )
}

fn model_section(page: &mut String, entry: &Entry, base: &str) {
    let state = entry.state();
    let (name, version) = (escaped(&entry.config.name), entry.config.version);
    let state_name = state.as_str();
    // Writing to a string cannot fail.
    let _ =
        write!(page, "<h3>{name} <small>version {version}</small> <span class=\"state {state_name}\">{state_name}</span></h3>");
    match &*state {
        State::Ready(model) => {
            let mut rows = String::new();
            for (what, specs) in [("input", &model.signature.inputs), ("output", &model.signature.outputs)] {
                for spec in specs {
                    let _ = write!(
                        rows,
                        "<tr><td>{what}</td><td><code>{}</code></td><td>{}</td><td>{:?}</td></tr>",
                        escaped(&spec.name),
                        spec.datatype,
                        spec.shape
                    );
                }
            }
            let command = escaped(&example::curl(base, &model.name, &model.signature));
            let _ = write!(page, "<table>{rows}</table><pre>{command}</pre>");
        }
        State::Failed(failure) => {
            let _ = write!(page, "<p><b>{}</b>: {}</p>", escaped(failure.reason), escaped(&failure.message));
        }
        State::Standby(_) => page.push_str("<p>On standby: the next request has it loaded.</p>"),
        _ => page.push_str("<p>It does not answer yet, or no more.</p>"),
    }
}

/// Text that HTML shows as it is, in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(one),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn markup_is_shown_not_obeyed() {
        assert_eq!(escaped("<b a=\"x\">'&'"), "&lt;b a=&quot;x&quot;&gt;&#39;&amp;&#39;");
    }
}
