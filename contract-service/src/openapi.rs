//! The OpenAPI 3.1 document, made of the list of routes: the two cannot differ.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use schemas::party::Kind;
use schemas::problem::Problem;
use schemas::{Code, R};
use serde_json::{Map, Value, json};

use crate::error::fault;
use crate::route::Content;
pub use crate::route::{Access, Match, Route, Run, delete, feed, get, later, post, put};
use crate::serve::Verb;

impl Route {
    fn operation(&self, generator: &mut SchemaGenerator) -> Value {
        let mut answers = Map::new();
        for (status, content) in &self.gives {
            let mut answer = content.answer(generator);
            answer["headers"] = self.headers();
            let media = answer.get("content").cloned();
            let listed = answers.entry(status.to_string()).or_insert(answer);
            if let Some(media) = media {
                merge(listed, &media);
            }
        }
        if self.single() || matches!(self.matching, Match::Honoured(_)) && self.verb == Verb::Get {
            answers.insert("304".into(), json!({"description": "The caller has it already (If-None-Match)"}));
        }
        for status in self.refusals() {
            let form = if self.refusal_media().len() > 1 { "refused-scitt" } else { "refused" };
            match answers.get_mut(&status.to_string()) {
                // The route has an answer of its own with this status; the refusal stands beside it.
                Some(answer) => {
                    let problem = generator.subschema_for::<Problem>();
                    merge(answer, &json!({"application/problem+json": {"schema": problem}}));
                }
                None => {
                    let named = json!({"$ref": format!("#/components/responses/{form}-{status}")});
                    answers.insert(status.to_string(), named);
                }
            }
        }
        let mut operation = json!({
            "summary": self.summary,
            "operationId": self.operation_id(),
            "parameters": self.parameters(),
            "responses": answers,
        });
        if let Some(takes) = self.takes {
            let schema = takes(generator);
            let content = self.media.iter().map(|media| ((*media).to_owned(), json!({"schema": schema})));
            operation["requestBody"] = json!({"required": true, "content": content.collect::<Map<_, _>>()});
        } else if self.verb == Verb::Post && !self.media.contains(&crate::call::JSON) {
            let content = self.media.iter().map(|media| ((*media).to_owned(), json!({})));
            operation["requestBody"] = json!({"required": true, "content": content.collect::<Map<_, _>>()});
        }
        let reads = self.verb == Verb::Get;
        match self.access {
            Access::Token if reads => operation["security"] = json!([{"bearer": []}, {"dpop": []}, {"session": []}]),
            Access::Token => operation["security"] = json!([{"bearer": []}, {"dpop": []}]),
            Access::Person if reads => operation["security"] = json!([{"session": []}]),
            Access::Person => operation["security"] = json!([{"session": [], "csrf": []}]),
            Access::Open | Access::Signed => {}
        }
        if !self.only.is_empty() {
            let kinds: Vec<Value> = self.only.iter().map(|kind: &Kind| json!(kind)).collect();
            operation["x-only"] = json!(kinds);
        }
        operation
    }

    fn operation_id(&self) -> String {
        let verb = self.verb.name().to_ascii_lowercase();
        let words = self.written().replace(['{', '}'], "");
        let words: Vec<&str> = words.split(['/', '.', '-', '_']).filter(|word| !word.is_empty()).collect();
        format!("{verb}_{}", words.join("_"))
    }

    fn headers(&self) -> Value {
        let named = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
        let mut headers = Map::new();
        for name in ["X-Request-Id", "RateLimit", "RateLimit-Policy"] {
            headers.insert(name.into(), named(name));
        }
        if self.single() || matches!(self.matching, Match::Honoured(_)) && self.verb == Verb::Get {
            headers.insert("ETag".into(), named("ETag"));
        }
        if self.paged() {
            headers.insert("Link".into(), named("Link"));
        }
        Value::Object(headers)
    }

    fn parameters(&self) -> Vec<Value> {
        let text = json!({"type": "string"});
        let path = self.path.split('{').skip(1).filter_map(|part| part.split(['}', ':']).next());
        let path = path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": text}));
        let query = self
            .query
            .iter()
            .map(|name| json!({"name": name, "in": "query", "required": false, "schema": query_schema(name)}));
        let header = |name: &str, required: bool, schema: &Value| json!({"name": name, "in": "header", "required": required, "schema": schema});
        let key = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"});
        let key = self.keyed().then(|| header("Idempotency-Key", true, &key));
        let none_match = self.single().then(|| header("If-None-Match", false, &text));
        let matching = match self.matching {
            Match::Unknown => None,
            Match::Honoured(_) if self.verb == Verb::Get => None,
            Match::Honoured(_) => Some(header("If-Match", false, &text)),
            Match::Required(_) => Some(header("If-Match", true, &text)),
        };
        path.chain(query).chain(key).chain(none_match).chain(matching).collect()
    }
}

/// Adds the forms that an answer does not have yet.
fn merge(answer: &mut Value, media: &Value) {
    let Some(answer) = answer.as_object_mut() else {
        return;
    };
    let content = answer.entry("content").or_insert_with(|| json!({}));
    if let (Value::Object(content), Value::Object(media)) = (content, media) {
        for (name, value) in media {
            content.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// Numbers are numbers; the rest is text.
fn query_schema(name: &str) -> Value {
    match name {
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 200}),
        "from" | "old" | "new" | "steps" => json!({"type": "integer", "minimum": 0}),
        _ => json!({"type": "string"}),
    }
}

impl Content {
    fn answer(&self, generator: &mut SchemaGenerator) -> Value {
        let content = match self {
            Content::Nothing => return json!({"description": "Nothing"}),
            Content::Media(media) if media.starts_with("text/") => json!({*media: {"schema": {"type": "string"}}}),
            Content::Media(media) => json!({*media: {}}),
            Content::AnyJson => json!({"application/json": {"schema": {"type": "object"}}}),
            Content::Json(schema) => json!({"application/json": {"schema": schema(generator)}}),
        };
        json!({"description": "Done", "content": content})
    }
}

/// The OpenAPI 3.1 document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in crate::routes::list() {
        let verb = route.verb.name().to_ascii_lowercase();
        paths.entry(route.written()).or_default().insert(verb, route.operation(&mut generator));
    }
    let problem = generator.subschema_for::<Problem>();
    let codes: Vec<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
    let about = "Bodies are strict JSON: no duplicate or unknown member, no float. Signed documents authenticate themselves. \
                 Every refusal carries a stable code; `x-codes` lists them. Where GET is answered, HEAD is: the same, without a body.";
    json!({
        "openapi": "3.1.0",
        "info": {"title": "DEPA contract service", "version": env!("CARGO_PKG_VERSION"), "description": about, "x-codes": codes},
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": responses(&problem.to_value()),
            "headers": headers(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of /oauth/token"},
                "dpop": {"type": "http", "scheme": "DPoP", "description": "A token bound to a key (RFC 9449), with a proof in the header DPoP"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-depa", "description": "The cookie of a person who is signed in; it only reads, except for the person's own means (plain http: depa)"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "csrf_token of /v1/people/me"},
            },
        },
    })
}

/// One answer for each status that codes have, with the codes that it may carry.
fn responses(problem: &Value) -> Value {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in Code::ALL {
        by_status.entry(code.status()).or_default().push(code.as_str());
    }
    let answers = by_status.into_iter().flat_map(|(status, codes)| {
        let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}});
        if matches!(status, 429 | 503) {
            headers["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
        }
        if status == 401 {
            headers["WWW-Authenticate"] = json!({"schema": {"type": "string"}});
        }
        let answer = json!({
            "description": format!("Refused (RFC 9457): {}", codes.join(", ")),
            "headers": headers,
            "content": {"application/problem+json": {"schema": problem}},
        });
        let mut scitt = answer.clone();
        scitt["content"]["application/concise-problem-details+cbor"] = json!({});
        scitt["content"]["application/json"] = json!({});
        [(format!("refused-{status}"), answer), (format!("refused-scitt-{status}"), scitt)]
    });
    Value::Object(answers.collect())
}

fn headers() -> Value {
    let text = |about: &str| json!({"description": about, "schema": {"type": "string"}});
    json!({
        "ETag": text("Strong tag of the answer (RFC 9110)"),
        "Link": text("The next page, rel=next (RFC 8288); absent on the last"),
        "RateLimit": text("What is left of the caller's budget"),
        "RateLimit-Policy": text("The caller's budget: calls q in w seconds"),
        "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}},
        "X-Request-Id": text("Number of the call in the service's log"),
    })
}

/// The document as it is served and published.
pub fn text() -> R<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(&document()).map_err(fault)?))
}
