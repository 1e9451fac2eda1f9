//! The OpenAPI 3.1 document, made of the list of routes: the two cannot differ.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use schemas::problem::Problem;
use schemas::{Code, R, Refusal};
use serde_json::{Map, Value, json};

use crate::kbs::wire::ErrorInformation;

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A route: what is served, and what is said of it.
pub(crate) struct Route {
    pub path: &'static str,
    pub serve: fn() -> actix_web::Route,
    verb: &'static str,
    summary: &'static str,
    status: u16,
    takes: Option<SchemaOf>,
    gives: Option<SchemaOf>,
    /// Whether the provider's own assertion is asked for.
    owner: bool,
    /// Whether stock guests ask, whom refusals are told in the KBS protocol's form.
    guest: bool,
}

impl Route {
    /// A route that reads.
    pub fn get(path: &'static str, serve: fn() -> actix_web::Route, summary: &'static str) -> Route {
        Route { path, serve, verb: "get", summary, status: 200, takes: None, gives: None, owner: false, guest: false }
    }

    /// A route that takes a body.
    pub fn post<T: JsonSchema>(path: &'static str, serve: fn() -> actix_web::Route, summary: &'static str) -> Route {
        Route { verb: "post", takes: Some(SchemaGenerator::subschema_for::<T>), ..Route::get(path, serve, summary) }
    }

    /// What it answers.
    pub fn gives<T: JsonSchema>(self, status: u16) -> Route {
        Route { status, gives: Some(SchemaGenerator::subschema_for::<T>), ..self }
    }

    /// Only the provider may ask.
    pub fn owner(self) -> Route {
        Route { owner: true, ..self }
    }

    /// A route of the KBS protocol.
    pub fn guest(self) -> Route {
        Route { guest: true, ..self }
    }

    fn operation(&self, generator: &mut SchemaGenerator) -> Value {
        let body = match self.gives {
            Some(schema) => json!(schema(generator)),
            None => json!({"type": "object"}),
        };
        let done = json!({"description": "Done", "content": {"application/json": {"schema": body}}});
        let mut responses = Map::from_iter([(self.status.to_string(), done)]);
        if self.guest {
            let schema = generator.subschema_for::<ErrorInformation>();
            let said = json!({"description": "Refused; the code stands in `type`", "content": {"application/json": {"schema": schema}}});
            responses.insert("default".into(), said);
        }
        for status in self.refusals() {
            responses.insert(status.to_string(), json!({"$ref": format!("#/components/responses/refused-{status}")}));
        }
        let words: Vec<&str> = self.path.split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty()).collect();
        let mut operation = json!({
            "summary": self.summary, "operationId": format!("{}_{}", self.verb, words.join("_")), "responses": responses,
        });
        let named = self.path.split('{').filter_map(|part| part.split_once('}')).map(|(name, _)| name);
        let parameter = |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
        let parameters: Vec<Value> = named.map(parameter).collect();
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        if let Some(takes) = self.takes {
            operation["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": takes(generator)}}});
        }
        if self.owner {
            operation["security"] = json!([{"assertion": []}]);
        }
        operation
    }

    /// Statuses of the refusals that it may give.
    fn refusals(&self) -> Vec<u16> {
        if self.guest {
            // While the face is switched off.
            return vec![404, 405];
        }
        let mut all = vec![404, 405, 500, 503];
        if self.takes.is_some() {
            all.extend([400, 403, 409, 413, 415, 422, 504]);
        }
        if self.path == "/v1/challenges" {
            all.push(429);
        }
        if self.owner {
            all.push(401);
        }
        if self.path == "/readyz" {
            all.extend([502, 504]);
        }
        all.sort_unstable();
        all
    }
}

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in crate::routes::list() {
        paths.entry(route.path).or_default().insert(route.verb.into(), route.operation(&mut generator));
    }
    let problem = generator.subschema_for::<Problem>().to_value();
    let codes: Vec<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
    let about = "Bodies are strict JSON: no duplicate or unknown member, no float. What a room asks is signed by its run \
                 key; answers are signed by the key service. Every refusal carries a stable code; `x-codes` lists them.";
    json!({
        "openapi": "3.1.0",
        "info": {"title": "DEPA key service", "version": env!("CARGO_PKG_VERSION"), "description": about, "x-codes": codes},
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": responses(&problem),
            "securitySchemes": {
                "assertion": {"type": "http", "scheme": "bearer", "description": "A JWT of the provider for this service (RFC 7523), used once"},
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
    let answers = by_status.into_iter().map(|(status, codes)| {
        let answer = json!({
            "description": format!("Refused (RFC 9457): {}", codes.join(", ")),
            "content": {"application/problem+json": {"schema": problem}},
        });
        (format!("refused-{status}"), answer)
    });
    Value::Object(answers.collect())
}

/// The document as it is served and published.
pub fn text() -> R<String> {
    let text = serde_json::to_string_pretty(&document());
    Ok(format!("{}\n", text.map_err(|e| Refusal::new(Code::Internal, e.to_string()))?))
}
