//! What a route is, and the OpenAPI 3.1 document made of the list of routes: the two cannot differ.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use schemas::problem::Problem;
use schemas::{Code, R};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::call::{Answer, Call};
use crate::error::fault;
use crate::serve::Verb;

/// How a call shows who makes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Not at all.
    Open,
    /// By the signatures in the document it brings.
    Signed,
    /// By a bearer token.
    Token,
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What an answer carries.
#[derive(Clone, Copy)]
enum Content {
    Nothing,
    Text,
    Bytes,
    AnyJson,
    Json(SchemaOf),
}

/// A route: method, path, its function, and what it takes and gives.
#[derive(Clone)]
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// Path, as actix-web matches it.
    pub path: &'static str,
    /// The function that answers.
    pub handler: fn(&App, &Call) -> R<Answer>,
    /// How the caller is known.
    pub access: Access,
    summary: &'static str,
    query: &'static [&'static str],
    takes: Option<SchemaOf>,
    gives: Vec<(u16, Content)>,
}

/// A route that reads.
pub fn get(path: &'static str, handler: fn(&App, &Call) -> R<Answer>, access: Access, summary: &'static str) -> Route {
    Route { verb: Verb::Get, path, handler, access, summary, query: &[], takes: None, gives: Vec::new() }
}

/// A route that acts.
pub fn post(path: &'static str, handler: fn(&App, &Call) -> R<Answer>, access: Access, summary: &'static str) -> Route {
    Route { verb: Verb::Post, ..get(path, handler, access, summary) }
}

impl Route {
    /// The body it takes.
    pub fn takes<T: JsonSchema>(mut self) -> Route {
        self.takes = Some(schema_of::<T>);
        self
    }

    /// An answer with this status.
    pub fn gives<T: JsonSchema>(mut self, status: u16) -> Route {
        self.gives.push((status, Content::Json(schema_of::<T>)));
        self
    }

    /// An answer without a body.
    pub fn nothing(mut self, status: u16) -> Route {
        self.gives.push((status, Content::Nothing));
        self
    }

    /// Answers text.
    pub fn text(mut self) -> Route {
        self.gives.push((200, Content::Text));
        self
    }

    /// Answers bytes.
    pub fn bytes(mut self) -> Route {
        self.gives.push((200, Content::Bytes));
        self
    }

    /// Answers JSON of somebody else's form.
    pub fn json(mut self) -> Route {
        self.gives.push((200, Content::AnyJson));
        self
    }

    /// Parameters of its query.
    pub fn query(mut self, names: &'static [&'static str]) -> Route {
        self.query = names;
        self
    }

    /// Whether an `Idempotency-Key` is required.
    pub fn keyed(&self) -> bool {
        self.verb == Verb::Post && self.path.starts_with("/v1/")
    }

    /// The path as OpenAPI writes it, without patterns.
    pub fn written(&self) -> String {
        self.path.replace(":.*", "")
    }

    fn operation(&self, generator: &mut SchemaGenerator) -> Value {
        let mut answers = Map::new();
        for (status, content) in &self.gives {
            answers.insert(status.to_string(), content.answer(generator));
        }
        let problem = generator.subschema_for::<Problem>();
        let refusal = json!({"application/problem+json": {"schema": problem}});
        answers
            .insert("default".into(), json!({"description": "A refusal with its code (RFC 9457)", "content": refusal}));
        let mut operation = json!({"summary": self.summary, "parameters": self.parameters(), "responses": answers});
        if let Some(takes) = self.takes {
            operation["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": takes(generator)}}});
        }
        if self.access == Access::Token {
            operation["security"] = json!([{"bearer": []}]);
        }
        operation
    }

    fn parameters(&self) -> Vec<Value> {
        let text = json!({"type": "string"});
        let path = self.path.split('{').skip(1).filter_map(|part| part.split(['}', ':']).next());
        let path = path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": text}));
        let query =
            self.query.iter().map(|name| json!({"name": name, "in": "query", "required": false, "schema": text}));
        let key = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"});
        let key =
            self.keyed().then(|| json!({"name": "Idempotency-Key", "in": "header", "required": true, "schema": key}));
        path.chain(query).chain(key).collect()
    }
}

impl Content {
    fn answer(&self, generator: &mut SchemaGenerator) -> Value {
        let content = match self {
            Content::Nothing => return json!({"description": "Nothing"}),
            Content::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
            Content::Bytes => json!({"application/octet-stream": {}}),
            Content::AnyJson => json!({"application/json": {"schema": {"type": "object"}}}),
            Content::Json(schema) => json!({"application/json": {"schema": schema(generator)}}),
        };
        json!({"description": "Done", "content": content})
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The OpenAPI 3.1 document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in crate::routes::list() {
        let verb = if route.verb == Verb::Get { "get" } else { "post" };
        paths.entry(route.written()).or_default().insert(verb.into(), route.operation(&mut generator));
    }
    let codes: Vec<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
    let about = "Bodies are strict JSON: no duplicate or unknown member, no float. Signed documents authenticate themselves. \
                 Every refusal carries a stable code; `x-codes` lists them.";
    json!({
        "openapi": "3.1.0",
        "info": {"title": "DEPA contract service", "version": env!("CARGO_PKG_VERSION"), "description": about, "x-codes": codes},
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "A token of /oauth/token"}},
        },
    })
}

/// The document as it is served and published.
pub fn text() -> R<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(&document()).map_err(fault)?))
}
