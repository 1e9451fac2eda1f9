//! What stands before and after every handler: the caller's budget, who may call, `Idempotency-Key`, `If-Match`; tags,
//! links and counts. Denied by default: a route that does not say otherwise is for verified callers, and handlers
//! only decide about the object.

use std::sync::Arc;

use schemas::party::Kind;
use schemas::{Code, Digest, R, Refusal};

use crate::app::App;
use crate::auth::roles::{self, Caller};
use crate::call::{Answer, Call, JSON};
use crate::idempotency;
use crate::limits::Key;
use crate::people::session::Session;
use crate::route::{Access, Match, Route, Run};
use crate::serve::{Begun, Verb, Work};

/// Begins a call. Does not block.
pub fn begin(app: Arc<App>, route: Arc<Route>, mut call: Call) -> Begun {
    let known = roles::remembered(&app, &call);
    let key = known.map_or_else(|| Key::address(app.config.rates.origin_of(&call)), Key::Client);
    let (headers, budget) = app.limits.take(route.class(), key);
    let admitted = budget.and_then(|()| admit(&app, &route, &mut call));
    let call = Arc::new(call);
    let work = match admitted {
        Ok(caller) => work(app, route, &call, caller.as_ref()),
        Err(refusal) => Work::Done(Err(refusal)),
    };
    Begun { call, headers, work }
}

/// Whether the caller may call this route at all; which objects it may see is the handler's to say.
fn admit(app: &App, route: &Route, call: &mut Call) -> R<Option<Caller>> {
    acceptable(route, call)?;
    let caller = match (route.access, &call.bearer) {
        (Access::Token, None) if route.verb == Verb::Get && Session::offered(app, call) => {
            // Looked up by whoever may block.
            call.session_reads = true;
            return Ok(None);
        }
        (Access::Token, _) => Some(roles::prove(app, call, route.verb)?),
        // Documents speak for themselves; a token that proves nothing counts as none.
        (Access::Open | Access::Signed | Access::Person, Some(_)) => roles::prove(app, call, route.verb).ok(),
        (Access::Open | Access::Signed | Access::Person, None) => None,
    };
    if caller.is_none() {
        call.bearer = None;
    }
    if let Some(caller) = caller.as_ref().filter(|_| route.access == Access::Token) {
        meant(route, caller)?;
    }
    Ok(caller)
}

/// Whether the route is for participants of the caller's kind.
fn meant(route: &Route, caller: &Caller) -> R<()> {
    if route.only.is_empty() || route.only.contains(&caller.kind()) {
        return Ok(());
    }
    Err(Refusal::new(Code::Forbidden, format!("this is for {}", words(route.only))))
}

fn words(kinds: &[Kind]) -> String {
    let word = |kind: &Kind| match kind {
        Kind::Tdp => "data providers",
        Kind::Tdc => "data consumers",
        Kind::Ccrp => "clean-room providers",
        Kind::Psp => "payment providers",
        Kind::Auditor => "auditors",
        Kind::Sro => "people of the SRO",
    };
    kinds.iter().map(word).collect::<Vec<_>>().join(" and ")
}

/// Refuses where the caller takes nothing of what the route gives. Refusals come as problems all the same.
fn acceptable(route: &Route, call: &Call) -> R<()> {
    let takes = |range: &str| {
        let (range, quality) = range.split_once(';').unwrap_or((range, ""));
        let wanted = !quality.replace(' ', "").starts_with("q=0") || quality.contains("0.");
        wanted && matches!(range.trim(), "*/*" | "application/*" | JSON)
    };
    match call.header("accept") {
        Some(accept) if route.gives_json() && !accept.split(',').any(takes) => {
            Err(Refusal::new(Code::NotAcceptable, format!("this route answers {JSON}")))
        }
        _ => Ok(()),
    }
}

fn work(app: Arc<App>, route: Arc<Route>, call: &Arc<Call>, caller: Option<&Caller>) -> Work {
    match route.run {
        Run::Feed(open) => {
            let call = call.clone();
            Work::Open(Box::new(move || for_session(&app, &route, &call).and_then(|()| open(&app, &call))))
        }
        // What overseers read is entered in the log first, and that blocks.
        Run::Inline(handler)
            if route.verb == Verb::Get && !call.session_reads && !caller.is_some_and(Caller::oversees) =>
        {
            Work::Done(handler(&app, call))
        }
        Run::Inline(handler) | Run::Blocking(handler) => {
            let call = call.clone();
            Work::Block(Box::new(move || act(&app, &route, &call, handler)))
        }
        Run::Later(handler) => idempotency::later(&app, &route, call, handler),
    }
}

/// Whether the person who reads by a session may call this route at all.
fn for_session(app: &App, route: &Route, call: &Call) -> R<()> {
    match call.session_reads {
        true => meant(route, &roles::caller(app, call, &app.registry.state())?),
        false => Ok(()),
    }
}

fn act(app: &App, route: &Route, call: &Call, handler: crate::route::Handler) -> R<Answer> {
    for_session(app, route, call)?;
    if !route.keyed() {
        matched(app, route, call)?;
        return handler(app, call);
    }
    idempotency::once(app, route, call, &|| {
        matched(app, route, call)?;
        handler(app, call)
    })
}

/// Judges `If-Match` against what stands there now.
pub fn matched(app: &App, route: &Route, call: &Call) -> R<()> {
    if route.verb == crate::serve::Verb::Get {
        return Ok(());
    }
    let stale = |why: &str| Err(Refusal::new(Code::PreconditionFailed, why.to_owned()).at("if-match"));
    match (route.matching, call.header("if-match")) {
        (Match::Unknown | Match::Honoured(_), None) => Ok(()),
        (Match::Required(_), None) => {
            let sentence = "this change needs If-Match with the tag of what it changes; read it first";
            Err(Refusal::new(Code::PreconditionRequired, sentence).at("if-match"))
        }
        (Match::Unknown, Some(_)) => stale("this route knows no tag"),
        (Match::Honoured(tag) | Match::Required(tag), Some(sent)) => match tag(app, call)? {
            Some(now) if names(sent, &now, false) => Ok(()),
            // What does not exist is refused by the handler, which knows who may learn that.
            None => Ok(()),
            Some(_) => stale("it has changed since you read it; read it again"),
        },
    }
}

/// Whether a list of tags names this one. A weak tag never matches strongly (RFC 9110 8.8.3.2).
fn names(list: &str, tag: &str, weak: bool) -> bool {
    list.split(',').map(str::trim).any(|one| {
        let one = if weak { one.strip_prefix("W/").unwrap_or(one) } else { one };
        one == "*" || one == tag
    })
}

/// Completes an answer: its tag, 304 where the caller has it, the link to the next page; counts it. Where browsers call, a
/// refusal becomes what the route says.
pub fn finish(app: &App, route: &Route, call: &Call, answer: R<Answer>) -> R<Answer> {
    let answer = answer.and_then(|answer| complete(app, route, call, answer));
    app.metrics.answered(route, call, &answer);
    trace(app, route, call, &answer);
    match (answer, route.on_refusal) {
        (Err(refusal), Some(answer)) => Ok(answer(call, &refusal)),
        (answer, _) => answer,
    }
}

/// A span for each call, where spans are exported, and a line at the level `debug`; W3C `traceparent` is handed on into both.
fn trace(app: &App, route: &Route, call: &Call, answer: &R<Answer>) {
    let status = answer.as_ref().map_or_else(|refusal| refusal.code.status(), |answer| answer.status);
    if let Some(began) = call.began {
        // Strangers choose no trace: those of the smallest ids are always exported.
        let caller = call.bearer.as_ref().and_then(|_| call.header("traceparent"));
        let span = app.tracer.call(route.verb.name(), route.path, caller, began);
        span.answered(status, answer.as_ref().err().map(|refusal| refusal.code));
    }
    let micros = call.began.map_or(0, |began| began.elapsed().as_micros());
    tracing::debug!(
        request = call.request_id,
        traceparent = traceparent(call).unwrap_or_default(),
        method = route.verb.name(),
        route = route.path,
        status,
        micros,
        "call"
    );
}

/// The trace that the call belongs to, where it is well-formed (W3C Trace Context, version 00).
fn traceparent(call: &Call) -> Option<&str> {
    let text = call.header("traceparent")?;
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match parts.as_slice() {
        ["00", trace, span, flags] if hex(trace, 32) && hex(span, 16) && hex(flags, 2) => Some(text),
        _ => None,
    }
}

fn complete(app: &App, route: &Route, call: &Call, mut answer: Answer) -> R<Answer> {
    if answer.status != 200 || route.verb != crate::serve::Verb::Get {
        return Ok(answer);
    }
    let tag = match route.matching {
        Match::Honoured(tag) | Match::Required(tag) => tag(app, call)?,
        Match::Unknown if route.single() => Some(tag_of(&answer.body)),
        Match::Unknown => None,
    };
    if let Some(tag) = tag {
        if call.header("if-none-match").is_some_and(|list| names(list, &tag, true)) {
            answer = Answer::of(304, answer.media, answer.cache, Vec::new());
        }
        answer = answer.with("etag", tag);
    }
    match next_of(route, &answer) {
        Some(next) => Ok(answer.with("link", link(call, &next))),
        None => Ok(answer),
    }
}

/// A strong tag of these bytes.
pub fn tag_of(bytes: &[u8]) -> String {
    let digest = Digest::of(bytes).to_string();
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

fn next_of(route: &Route, answer: &Answer) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Page {
        #[serde(default)]
        next: Option<String>,
    }
    route.paged().then(|| serde_json::from_slice::<Page>(&answer.body).ok()?.next)?
}

fn link(call: &Call, next: &str) -> String {
    let mut query: Vec<String> = Vec::new();
    for (name, value) in call.query.iter().filter(|(name, _)| *name != "cursor") {
        query.push(format!("{}={}", escape(name), escape(value)));
    }
    query.push(format!("cursor={}", escape(next)));
    format!("<{}?{}>; rel=\"next\"", call.path, query.join("&"))
}

fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match_strongly_or_weakly() {
        assert!(names("\"a\", \"b\"", "\"b\"", false) && names("*", "\"b\"", false));
        assert!(!names("W/\"b\"", "\"b\"", false) && names("W/\"b\"", "\"b\"", true));
        assert!(!names("\"a\"", "\"b\"", true) && !names("", "\"b\"", true));
    }

    #[test]
    fn a_trace_is_taken_over_only_in_its_form() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let call = |text: &str| Call { headers: [("traceparent", text.to_owned())].into(), ..Call::default() };
        assert_eq!(traceparent(&call(good)), Some(good));
        for bad in ["", "00-x-y-01", &good.to_uppercase(), &good.replace("00-4", "ff-4"), &format!("{good}-more")] {
            assert_eq!(traceparent(&call(bad)), None, "{bad}");
        }
    }

    #[test]
    fn a_link_keeps_the_query_and_escapes() {
        let query = [("limit".to_owned(), "2".to_owned()), ("cursor".to_owned(), "old".to_owned())];
        let call = Call { path: "/v1/datasets".into(), query: query.into(), ..Call::default() };
        assert_eq!(link(&call, "a b&c"), "</v1/datasets?limit=2&cursor=a%20b%26c>; rel=\"next\"");
    }
}
