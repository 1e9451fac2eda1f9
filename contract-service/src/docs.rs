//! The interface for people: one page without scripts, made of the OpenAPI document, readable without a network.

use std::fmt::Write as _;

use schemas::R;
use serde_json::Value;

use crate::app::App;
use crate::call::{Answer, Call};
use crate::openapi;

/// Nothing is loaded but the page's own style sheet; no script runs, nobody frames it.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
code{font:14px ui-monospace,monospace}summary{cursor:pointer;padding:.3rem 0}details{border-top:1px solid #ddd}\
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left;vertical-align:top}\
.verb{display:inline-block;width:3.5rem;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#111}td,th{border-color:#444}details{border-color:#333}a{color:#8cf}}\n";

/// `GET /docs`.
pub fn page(_: &App, _: &Call) -> R<Answer> {
    let page = render(&openapi::document());
    let answer = Answer::of(200, "text/html; charset=utf-8", "no-cache", page.into_bytes());
    Ok(answer.with("content-security-policy", POLICY).with("referrer-policy", "no-referrer"))
}

/// `GET /docs/style.css`.
pub fn style(_: &App, _: &Call) -> R<Answer> {
    Ok(Answer::of(200, "text/css", "no-cache", STYLE.as_bytes().to_vec()))
}

fn render(document: &Value) -> String {
    let mut out = String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
    let title = escape(text(&document["info"], "title"));
    let _ = write!(out, "<meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>");
    let _ = write!(out, "<link rel=\"stylesheet\" href=\"/docs/style.css\"><h1>{title}</h1>");
    let _ = write!(out, "<p>{}</p>", escape(text(&document["info"], "description")));
    out.push_str("<p>For programs: <a href=\"/openapi.json\">openapi.json</a></p>");
    for (path, operations) in members(&document["paths"]) {
        for (verb, operation) in members(operations) {
            operation_of(&mut out, path, verb, operation);
        }
    }
    let _ = write!(out, "<h2>Documents</h2>");
    for (name, schema) in members(&document["components"]["schemas"]) {
        let schema = serde_json::to_string_pretty(schema).unwrap_or_default();
        let name = escape(name);
        let _ = write!(out, "<details id=\"{name}\"><summary><code>{name}</code></summary>");
        let _ = write!(out, "<pre><code>{}</code></pre></details>", escape(&schema));
    }
    out.push_str("</html>\n");
    out
}

fn operation_of(out: &mut String, path: &str, verb: &str, operation: &Value) {
    let (verb, path) = (escape(&verb.to_uppercase()), escape(path));
    let summary = escape(text(operation, "summary"));
    let _ = write!(out, "<details><summary><span class=\"verb\">{verb}</span> <code>{path}</code> {summary}</summary>");
    if operation.get("security").is_some() {
        out.push_str("<p>Needs an access token.</p>");
    }
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        out.push_str("<table><tr><th>Parameter</th><th>In</th><th>Required</th></tr>");
        for parameter in parameters {
            let required = if parameter["required"] == true { "yes" } else { "no" };
            let (name, place) = (escape(text(parameter, "name")), escape(text(parameter, "in")));
            let _ = write!(out, "<tr><td><code>{name}</code></td><td>{place}</td><td>{required}</td></tr>");
        }
        out.push_str("</table>");
    }
    for (media, content) in members(&operation["requestBody"]["content"]) {
        let _ = write!(out, "<p>Takes <code>{}</code> {}</p>", escape(media), link(&content["schema"]));
    }
    out.push_str("<table><tr><th>Status</th><th>Answer</th></tr>");
    for (status, answer) in members(&operation["responses"]) {
        let refused = answer["$ref"].as_str().map(|_| "refused, with a problem document".to_owned());
        let given = members(&answer["content"])
            .map(|(media, content)| format!("<code>{}</code> {}", escape(media), link(&content["schema"])));
        let said = refused.unwrap_or_else(|| given.collect::<Vec<_>>().join(" "));
        let _ = write!(out, "<tr><td>{}</td><td>{said}</td></tr>", escape(status));
    }
    out.push_str("</table></details>");
}

fn link(schema: &Value) -> String {
    let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) else {
        return String::new();
    };
    format!("<a href=\"#{0}\">{0}</a>", escape(name))
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_path_and_loads_nothing_from_elsewhere() {
        let page = render(&openapi::document());
        for route in crate::routes::list() {
            assert!(page.contains(&format!("<code>{}</code>", escape(&route.written()))), "{}", route.path);
        }
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href=\"http"), "outside");
    }

    #[test]
    fn what_stands_in_a_text_is_no_markup() {
        let document = serde_json::json!({"info": {"title": "<img onerror=x>", "description": "\"&'"}});
        let page = render(&document);
        assert!(!page.contains("<img") && page.contains("&lt;img onerror=x&gt;") && page.contains("&quot;&amp;&#39;"));
    }
}
