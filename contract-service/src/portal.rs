//! The portal: the page for people, made of `portal/` and embedded when the service is built. Where it was not built,
//! a plain page says how to.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemas::{Code, R, Refusal};

use crate::app::App;
use crate::call::{Answer, Call};
use crate::route::Access::Open;
use crate::route::{Route, get};

include!(concat!(env!("OUT_DIR"), "/portal.rs"));

/// Scripts, styles, pictures and connections of the page's own; nothing inline, no frame, no form to elsewhere.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                          connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What stands where the portal was not built.
const PLACEHOLDER: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>DEPA clean room</title>\
<link rel=\"stylesheet\" href=\"/docs/style.css\"><h1>DEPA clean room</h1>\
<p>This service was built without its portal. To build it: <code>sh infra/portal.sh</code>, then build the service again.</p>\
<p>Everything is here for programs: <a href=\"/docs\">the interface</a>; for people at a terminal: \
<code>depa --help</code>.</p></html>\n";

/// The portal's routes.
pub fn paths() -> Vec<Route> {
    vec![
        // Who follows the redirection gets the page.
        get("/", root, Open, "To the portal").gives_media(200, "text/html").nothing(303).inline(),
        get("/auth/enrol", enrol, Open, "An enrolment link, opened in a browser")
            .gives_media(200, "text/html")
            .nothing(303)
            .inline(),
        get("/portal", root, Open, "To the portal").gives_media(200, "text/html").nothing(303).inline(),
        get("/portal/{tail:.*}", page, Open, "The portal: the page for people").gives_media(200, "text/html").inline(),
    ]
}

/// Whether the portal was built into this service.
pub fn is_built() -> bool {
    files().contains_key("index.html")
}

fn files() -> &'static BTreeMap<&'static str, &'static [u8]> {
    static FOUND: OnceLock<BTreeMap<&'static str, &'static [u8]>> = OnceLock::new();
    FOUND.get_or_init(|| FILES.iter().copied().collect())
}

fn root(_: &App, _: &Call) -> R<Answer> {
    Ok(to("/portal/"))
}

/// The secret stands behind `#`, which the browser keeps over the redirection and never sends.
fn enrol(_: &App, _: &Call) -> R<Answer> {
    Ok(to("/portal/enrol"))
}

/// To the sign-in page, which says in its own words why nobody was let in. The address holds the code and nothing of the
/// call.
pub fn not_let_in(code: Code) -> Answer {
    to(&format!("/portal/?refused={}", code.as_str()))
}

fn to(place: &str) -> Answer {
    let answer = Answer::of(303, "text/html; charset=utf-8", "no-store", Vec::new());
    guarded(answer.with("location", place))
}

fn guarded(answer: Answer) -> Answer {
    answer
        .with("content-security-policy", POLICY)
        .with("referrer-policy", "no-referrer")
        .with("cross-origin-opener-policy", "same-origin")
        .with("cross-origin-resource-policy", "same-origin")
        .with("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
}

/// A file of the portal; every other path is one of its own pages, which the script draws.
fn page(_: &App, call: &Call) -> R<Answer> {
    let name = call.params.get("tail").map(String::as_str).unwrap_or_default();
    // Only what carries its digest in its name stays what it is over an upgrade.
    if name.starts_with("assets/") {
        return file(call, name, "public, max-age=31536000, immutable");
    }
    if name.rsplit('/').next().is_some_and(|last| last.contains('.')) {
        return file(call, name, "no-cache");
    }
    match files().contains_key("index.html") {
        true => file(call, "index.html", "no-cache"),
        false => {
            let answer = Answer::of(200, "text/html; charset=utf-8", "no-cache", PLACEHOLDER.as_bytes().to_vec());
            Ok(guarded(answer))
        }
    }
}

fn file(call: &Call, name: &str, cache: &'static str) -> R<Answer> {
    let missing = || Refusal::new(Code::NotFound, "the portal has no such file");
    let plain = files().get(name).ok_or_else(missing)?;
    let packed = files().get(format!("{name}.gz").as_str());
    let takes = call.header("accept-encoding").is_some_and(crate::routes::log::takes_gzip);
    let answer =
        |body: &[u8]| guarded(Answer::of(200, media(name), cache, body.to_vec())).with("vary", "accept-encoding");
    Ok(match packed.filter(|_| takes) {
        Some(packed) => answer(packed).with("content-encoding", "gzip"),
        None => answer(plain),
    })
}

fn media(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "json" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_lets_nothing_run_that_stands_in_a_page_and_loads_nothing_from_elsewhere() {
        assert!(!POLICY.contains("unsafe") && !POLICY.contains('*') && !POLICY.contains("http"), "{POLICY}");
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(POLICY.contains(rule), "{rule}");
        }
    }

    #[test]
    fn the_page_without_a_portal_says_how_to_build_it_and_loads_nothing_from_elsewhere() {
        assert!(PLACEHOLDER.contains("sh infra/portal.sh"));
        assert!(!PLACEHOLDER.contains("<script") && !PLACEHOLDER.contains("//"));
    }

    #[test]
    fn what_is_embedded_has_a_media_type_that_browsers_take_without_sniffing() {
        for name in files().keys().filter(|name| !name.ends_with(".gz")) {
            assert_ne!(media(name), "application/octet-stream", "{name}");
        }
    }
}
