//! What a route is: method, path, who may call it, how it runs, what it takes and gives.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use schemas::party::Kind;
use schemas::{R, Refusal};

use crate::app::App;
use crate::call::{Answer, Call, JSON};
use crate::limits::Class;
use crate::serve::{Opening, Reply, Verb};

/// How a call shows who makes it. Whatever it says, objects of others stay hidden: handlers answer 404 for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Not at all.
    Open,
    /// By the signatures in the document it brings.
    Signed,
    /// By an access token of somebody who is verified now; where it only reads, by a session too.
    Token,
    /// By the session of a person who is signed in.
    Person,
}

/// A function that answers and may block.
pub type Handler = fn(&App, &Call) -> R<Answer>;
/// A function that sees to it that the reply is given later and does not block.
pub type LaterHandler = fn(&Arc<App>, &Call, Reply);
/// A function that grants a stream of events and may block.
pub type FeedHandler = fn(&Arc<App>, &Call) -> R<Opening>;
/// The tag (RFC 9110 8.8.3) of what a path names; none where nothing stands there. It must not ask who reads.
pub type Tag = fn(&App, &Call) -> R<Option<String>>;
/// The answer that a refusal becomes.
pub type OnRefusal = fn(&Call, &Refusal) -> Answer;

/// How a route runs.
#[derive(Clone, Copy)]
pub enum Run {
    /// On a thread where it may block.
    Blocking(Handler),
    /// At once, on the thread that serves HTTP: pure reads of the state.
    Inline(Handler),
    /// At once, with an answer that comes later.
    Later(LaterHandler),
    /// A stream of events.
    Feed(FeedHandler),
}

/// What becomes of `If-Match`.
#[derive(Clone, Copy)]
pub enum Match {
    /// The route knows no tag; sending one is refused as stale.
    Unknown,
    /// It is honoured when sent.
    Honoured(Tag),
    /// It must be sent.
    Required(Tag),
}

pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What an answer carries.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Nothing,
    AnyJson,
    Json(SchemaOf),
    Media(&'static str),
}

/// A route.
#[derive(Clone)]
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// Path, as actix-web matches it.
    pub path: &'static str,
    /// The function that answers.
    pub run: Run,
    /// How the caller is known.
    pub access: Access,
    /// Kinds of participants that may call it; empty for all who are verified. Only where `access` is a token.
    pub only: &'static [Kind],
    /// What becomes of `If-Match`.
    pub matching: Match,
    /// Whether the entry it makes dedupes itself, so that its Idempotency-Key needs no row in the database.
    pub deduped: bool,
    /// Whether its answer holds a secret, which is shown once and kept with no Idempotency-Key.
    pub secret: bool,
    /// What a refusal becomes where browsers call, whose people read no problem documents; a problem document otherwise.
    pub on_refusal: Option<OnRefusal>,
    pub(crate) also: &'static [u16],
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [&'static str],
    pub(crate) takes: Option<SchemaOf>,
    pub(crate) media: &'static [&'static str],
    pub(crate) gives: Vec<(u16, Content)>,
}

const JSON_ONLY: &[&str] = &[JSON];

fn route(verb: Verb, path: &'static str, run: Run, access: Access, summary: &'static str) -> Route {
    let (only, matching, query, media) = (&[][..], Match::Unknown, &[][..], JSON_ONLY);
    Route {
        verb,
        path,
        run,
        access,
        only,
        matching,
        deduped: false,
        secret: false,
        on_refusal: None,
        also: &[],
        summary,
        query,
        takes: None,
        media,
        gives: Vec::new(),
    }
}

/// A route that reads.
pub fn get(path: &'static str, handler: Handler, access: Access, summary: &'static str) -> Route {
    route(Verb::Get, path, Run::Blocking(handler), access, summary)
}

/// A route that acts.
pub fn post(path: &'static str, handler: Handler, access: Access, summary: &'static str) -> Route {
    route(Verb::Post, path, Run::Blocking(handler), access, summary)
}

/// A route that replaces what stands under its path.
pub fn put(path: &'static str, handler: Handler, access: Access, summary: &'static str) -> Route {
    route(Verb::Put, path, Run::Blocking(handler), access, summary)
}

/// A route that removes what stands under its path.
pub fn delete(path: &'static str, handler: Handler, access: Access, summary: &'static str) -> Route {
    route(Verb::Delete, path, Run::Blocking(handler), access, summary)
}

/// A route that acts and answers later, without holding a thread.
pub fn later(path: &'static str, handler: LaterHandler, access: Access, summary: &'static str) -> Route {
    route(Verb::Post, path, Run::Later(handler), access, summary)
}

/// A route that streams Server-Sent Events.
pub fn feed(path: &'static str, handler: FeedHandler, access: Access, summary: &'static str) -> Route {
    let mut route = route(Verb::Get, path, Run::Feed(handler), access, summary);
    route.gives.push((200, Content::Media("text/event-stream")));
    route
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
    pub fn text(self) -> Route {
        self.gives_media(200, "text/plain")
    }

    /// Answers bytes.
    pub fn bytes(self) -> Route {
        self.gives_media(200, "application/octet-stream")
    }

    /// Answers JSON of somebody else's form.
    pub fn json(mut self) -> Route {
        self.gives.push((200, Content::AnyJson));
        self
    }

    /// A further answer with JSON of somebody else's form.
    pub fn also_json(mut self, status: u16) -> Route {
        self.gives.push((status, Content::AnyJson));
        self
    }

    /// An answer of another media type, like `application/cose`.
    pub fn gives_media(mut self, status: u16, media: &'static str) -> Route {
        self.gives.push((status, Content::Media(media)));
        self
    }

    /// The media types of its body, where they are not JSON alone.
    pub fn takes_media(mut self, media: &'static [&'static str]) -> Route {
        self.media = media;
        self
    }

    /// Parameters of its query.
    pub fn query(mut self, names: &'static [&'static str]) -> Route {
        self.query = names;
        self
    }

    /// Only for participants of these kinds (and [`Kind::Sro`] for people of the SRO).
    pub fn only(mut self, kinds: &'static [Kind]) -> Route {
        self.only = kinds;
        self
    }

    /// Runs on the thread that serves HTTP: for pure reads of the state, without any I/O.
    pub fn inline(mut self) -> Route {
        if let Run::Blocking(handler) = self.run {
            self.run = Run::Inline(handler);
        }
        self
    }

    /// Its entry dedupes itself: no row for the Idempotency-Key.
    pub fn deduped(mut self) -> Route {
        self.deduped = true;
        self
    }

    /// Its answer holds a member `secret`, which is shown this once: a repeated request is refused with `SECRET_SHOWN`.
    pub fn shows_secret(mut self) -> Route {
        self.secret = true;
        self
    }

    /// A read answers with this tag; an act honours `If-Match` when it is sent.
    pub fn tagged(mut self, tag: Tag) -> Route {
        self.matching = Match::Honoured(tag);
        self
    }

    /// An act that demands `If-Match`.
    pub fn must_match(mut self, tag: Tag) -> Route {
        self.matching = Match::Required(tag);
        self
    }

    /// Browsers call it: whatever refuses the call, before the handler too, becomes this answer.
    pub fn refused_to_browsers(mut self, answer: OnRefusal) -> Route {
        self.on_refusal = Some(answer);
        self
    }

    /// Further statuses of its refusals.
    pub fn refuses(mut self, statuses: &'static [u16]) -> Route {
        self.also = statuses;
        self
    }

    /// Media types of its refusals: those of the SCITT interfaces have forms of their own.
    pub(crate) fn refusal_media(&self) -> &'static [&'static str] {
        let scitt = [
            "/entries",
            "/operations",
            "/.well-known/scitt",
            "/.well-known/transparency",
            "/did/",
            "/parameters",
            "/signed-statements",
            "/jwks",
            "/version",
            "/time",
            "/configuration",
        ];
        match scitt.iter().any(|start| self.path.starts_with(start)) {
            true => &["application/problem+json", "application/concise-problem-details+cbor", JSON],
            false => &["application/problem+json"],
        }
    }

    /// Whether an `Idempotency-Key` is required.
    pub fn keyed(&self) -> bool {
        // Answers about people hold secrets that are shown once, so none is kept.
        let people = self.path.starts_with("/v1/people");
        self.verb == Verb::Post && self.path.starts_with("/v1/") && !people
    }

    /// Whether it answers a page that may have a next one.
    pub fn paged(&self) -> bool {
        self.verb == Verb::Get && self.query.contains(&"cursor")
    }

    /// Whether it answers about one thing, so that the answer carries a tag.
    pub fn single(&self) -> bool {
        self.verb == Verb::Get && self.path.contains('{') && self.gives_json()
    }

    /// Whether it answers JSON and nothing else.
    pub fn gives_json(&self) -> bool {
        self.gives.iter().all(|(_, content)| !matches!(content, Content::Media(_)))
    }

    /// Its budget of calls.
    pub fn class(&self) -> Class {
        match (self.verb, self.path, self.access) {
            (Verb::Post, "/oauth/token", _) => Class::Tokens,
            (_, path, _) if path.starts_with("/auth/") => Class::Tokens,
            (Verb::Post, "/v1/participants", _) => Class::Applications,
            (Verb::Get, ..) => Class::Reads,
            (_, _, Access::Token) => Class::Writes,
            (..) => Class::AnonymousWrites,
        }
    }

    /// The path as OpenAPI writes it, without patterns.
    pub fn written(&self) -> String {
        self.path.replace(":.*", "")
    }

    /// The statuses of its refusals, by what it is.
    pub fn refusals(&self) -> BTreeSet<u16> {
        let mut all = BTreeSet::from([429, 500, 503]);
        if matches!(self.access, Access::Token | Access::Person) {
            all.extend([401, 403]);
        }
        if self.path.starts_with("/auth/") {
            all.extend([401, 403, 404, 409, 422, 502]);
        }
        if self.path.contains('{') || !self.query.is_empty() {
            all.extend([400, 404, 409, 410, 422]);
        }
        // One form, or the choice of several.
        if self.gives_json() || self.gives.iter().filter(|(status, _)| *status == 200).count() > 1 {
            all.insert(406);
        }
        if self.verb != Verb::Get {
            all.extend([400, 401, 403, 404, 409, 412, 413, 415, 422, 502, 504]);
        }
        all.extend(self.also);
        if let Match::Required(_) = self.matching {
            all.insert(428);
        }
        all
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
