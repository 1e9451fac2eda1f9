//! Signing in with an identity provider: OpenID Connect, authorization code with PKCE, state bound to the browser, nonce.
//!
//! An account is linked to a person by an enrolment link alone: nobody who merely has an account there gets in.

use std::io::Read as _;
use std::sync::Mutex;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _, http,
};
use registry::{Ceremony, NewMeans, Person};
use schemas::person::{OidcRedirect, OidcStart};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::secret::{Secret, sha256};
use super::session::{Starting, standing};
use super::{OidcSettings, cookie, enrol, refused, trail};
use crate::address::Reach;
use crate::app::App;
use crate::call::{Answer, Call};
use crate::config::Config;
use crate::error::fault;

const CEREMONY: &str = "oidc";
/// A person has this long at the identity provider.
const CEREMONY_SECONDS: i64 = 10 * 60;
/// What the provider says about itself and its keys is believed for this long.
const DISCOVERED_SECONDS: i64 = 60;
/// Largest answer of the provider.
const LIMIT: u64 = 256 * 1024;
const TIME: Duration = Duration::from_secs(5);
/// Clocks may differ by this much.
const SKEW_SECONDS: i64 = 60;

/// Algorithms of id tokens: signatures alone, never `none` and never a shared secret.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The configured identity provider.
pub struct Provider {
    settings: OidcSettings,
    issuer: IssuerUrl,
    secret: ClientSecret,
    redirect: RedirectUrl,
    reach: Reach,
    http: reqwest::blocking::Client,
    discovered: Mutex<Option<(Timestamp, CoreProviderMetadata)>>,
}

/// What a sign-in is checked against when it comes back.
#[derive(Serialize, Deserialize)]
struct Kept {
    nonce: String,
    verifier: String,
}

/// The provider did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

fn invalid(why: String) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why).at("people.oidc")
}

impl Provider {
    /// Reads the settings and the client secret.
    pub fn new(settings: &OidcSettings, config: &Config) -> R<Provider> {
        let reach = Reach { loopback: config.demo() };
        reach.check(&settings.issuer).map_err(|refusal| invalid(format!("issuer: {}", refusal.sentence)))?;
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|e| invalid(format!("issuer: {e}")))?;
        let file = &settings.client_secret_file;
        let secret = std::fs::read_to_string(file).map_err(|e| invalid(format!("{}: {e}", file.display())))?;
        if secret.trim().is_empty() {
            return Err(invalid(format!("{} is empty", file.display())));
        }
        Ok(Provider {
            settings: settings.clone(),
            issuer,
            secret: ClientSecret::new(secret.trim().to_owned()),
            redirect: RedirectUrl::new(format!("{}/auth/oidc/callback", config.url)).map_err(fault)?,
            reach,
            http: reach.client(TIME)?,
            discovered: Mutex::new(None),
        })
    }

    /// One call to the provider: a guarded address, no redirect, a bounded answer.
    fn call(&self, request: HttpRequest) -> Result<HttpResponse, Failed> {
        let failed = |e: &dyn std::fmt::Display| Failed(e.to_string());
        let (parts, body) = request.into_parts();
        let url = self.reach.check(&parts.uri.to_string()).map_err(|e| failed(&e))?;
        let call = self.http.request(parts.method, url).headers(parts.headers).body(body);
        let response = call.send().map_err(|e| failed(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        response.take(LIMIT + 1).read_to_end(&mut body).map_err(|e| failed(&e))?;
        if body.len() as u64 > LIMIT {
            return Err(Failed("an answer of more than 256 KiB".into()));
        }
        let mut answer = http::Response::new(body);
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        Ok(answer)
    }

    fn metadata(&self, now: Timestamp) -> R<CoreProviderMetadata> {
        let mut kept = self.discovered.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((at, metadata)) = kept.as_ref()
            && (0..DISCOVERED_SECONDS * 1_000_000).contains(&(now.micros() - at.micros()))
        {
            return Ok(metadata.clone());
        }
        let found = CoreProviderMetadata::discover(&self.issuer, &|request| self.call(request));
        let metadata = found.map_err(|e| {
            tracing::warn!(issuer = self.issuer.as_str(), cause = ?e, "the identity provider does not answer");
            Refusal::new(Code::PeerUnreachable, "the identity provider does not answer as it should; try again later")
        })?;
        *kept = Some((now, metadata.clone()));
        Ok(metadata)
    }

    /// Where the browser goes, and what is kept until it comes back.
    fn begin(&self, state: &str, now: Timestamp) -> R<(String, Kept)> {
        let metadata = self.metadata(now)?;
        let client = CoreClient::from_provider_metadata(metadata, self.client_id(), Some(self.secret.clone()))
            .set_redirect_uri(self.redirect.clone());
        let kept = Kept { nonce: Secret::draw()?.text().to_owned(), verifier: Secret::draw()?.text().to_owned() };
        let (state, nonce) = (CsrfToken::new(state.to_owned()), Nonce::new(kept.nonce.clone()));
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(kept.verifier.clone()));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client.authorize_url(flow, || state, || nonce).set_pkce_challenge(challenge);
        for scope in &self.settings.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        Ok((request.url().0.to_string(), kept))
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.settings.client_id.clone())
    }

    /// Exchanges the code and judges the id token. The reason of a refusal is for the trail.
    fn end(&self, code: &str, kept: Kept, now: Timestamp) -> Result<String, String> {
        let metadata = self.metadata(now).map_err(|refusal| refusal.sentence)?;
        let client = CoreClient::from_provider_metadata(metadata, self.client_id(), Some(self.secret.clone()))
            .set_redirect_uri(self.redirect.clone());
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned())).map_err(|_| "no token endpoint")?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(kept.verifier));
        let answer = request.request(&|request| self.call(request)).map_err(|_| "the code was not exchanged")?;
        let token = answer.id_token().ok_or("an answer without id token")?;
        let clock = move || chrono::DateTime::from_timestamp_micros(now.micros()).unwrap_or_default();
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(clock);
        let verifier = verifier.set_issue_time_verifier_fn(move |at| issued(at.timestamp(), now));
        let nonce = Nonce::new(kept.nonce);
        let claims = token.claims(&verifier, &nonce).map_err(|e| format!("id token: {e}"))?;
        if let Some(expected) = claims.access_token_hash() {
            let key = token.signing_key(&verifier).map_err(|e| e.to_string())?;
            let algorithm = token.signing_alg().map_err(|e| e.to_string())?;
            let actual = AccessTokenHash::from_token(answer.access_token(), algorithm, key);
            if actual.map_err(|e| e.to_string())? != *expected {
                return Err("the access token is another one's".into());
            }
        }
        self.required(token)?;
        Ok(subject(claims))
    }

    /// Whether every claim that the configuration names holds one of its values. The token has been verified.
    fn required(&self, token: &CoreIdToken) -> Result<(), String> {
        let text = token.to_string();
        let payload = text.split('.').nth(1).and_then(|part| Bytes::parse(part).ok()).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&payload.0).map_err(|_| "unreadable claims")?;
        for (claim, allowed) in &self.settings.require {
            let fits = |value: &Value| match value {
                Value::String(text) => allowed.contains(text),
                Value::Bool(yes) => allowed.contains(&yes.to_string()),
                _ => false,
            };
            let held = match claims.get(claim) {
                Some(Value::Array(values)) => values.iter().any(fits),
                Some(value) => fits(value),
                None => false,
            };
            if !held {
                return Err(format!("claim {claim} does not hold an allowed value"));
            }
        }
        Ok(())
    }
}

fn issued(at: i64, now: Timestamp) -> Result<(), String> {
    let oldest = now.seconds() - CEREMONY_SECONDS;
    if (oldest..=now.seconds() + SKEW_SECONDS).contains(&at) { Ok(()) } else { Err("issued at another time".into()) }
}

fn subject(claims: &CoreIdTokenClaims) -> String {
    claims.subject().as_str().to_owned()
}

/// Begins: the answer says where the browser goes, and its cookie binds the way back to this browser.
pub fn begin(app: &App, call: &Call) -> R<Answer> {
    let OidcStart { token } = call.read()?;
    let provider = app.people.oidc()?;
    let subject = match token {
        Some(token) => Some(enrol::right(app, &token)?.0.token_sha256.to_string()),
        None => None,
    };
    let (secret, now) = (Secret::draw()?, app.now());
    let (url, kept) = provider.begin(secret.text(), now)?;
    let ceremony = Ceremony {
        id: secret.sha256().to_string(),
        kind: CEREMONY.into(),
        subject,
        state: serde_json::to_string(&kept).map_err(fault)?,
        expires_at: now.plus_seconds(CEREMONY_SECONDS),
    };
    app.registry.begin_ceremony(&ceremony, now)?;
    let cookie = app.people.cookies.set(cookie::Kind::Oidc, secret.text(), CEREMONY_SECONDS);
    Ok(Answer::ok(&OidcRedirect { url })?.with("set-cookie", cookie))
}

/// The way back from the provider.
pub fn callback(app: &App, call: &Call) -> R<Answer> {
    let (provider, now) = (app.people.oidc()?, app.now());
    let outcome = came_back(app, call, provider, now);
    let (outcome, reason) = match outcome {
        Ok(Ok(done)) => (Ok(done), String::new()),
        Ok(Err(reason)) => (Err(refused()), reason),
        Err(refusal) => (Err(refusal), String::new()),
    };
    let person = outcome.as_ref().ok().map(|(person, _)| &person.person_id);
    trail::write(trail::Act::SignIn, "oidc", call, person, &outcome, &reason);
    let (_, starting) = outcome?;
    // The browser is on its way from another site, so a Strict cookie would not go along with a redirect.
    let page = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Signed in</title>\
                <meta http-equiv=\"refresh\" content=\"0;url=/\"><p>You are signed in. <a href=\"/\">Go on</a></p></html>\n";
    let answer = Answer::of(200, "text/html; charset=utf-8", "no-store", page.as_bytes().to_vec())
        .with("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
        .with("referrer-policy", "no-referrer")
        .with("set-cookie", app.people.cookies.set(cookie::Kind::Oidc, "", 0));
    Ok(starting.give(app, answer))
}

type CameBack = R<Result<(Person, Starting), String>>;

fn came_back(app: &App, call: &Call, provider: &Provider, now: Timestamp) -> CameBack {
    let query = |name: &str| call.query.get(name).map(String::as_str);
    let state = query("state").unwrap_or_default();
    // Another browser's sign-in is not finished here.
    if app.people.cookies.read(call, cookie::Kind::Oidc) != Some(state) {
        return Ok(Err("the state is not this browser's".into()));
    }
    let ceremony = app.registry.take_ceremony(&sha256(state).to_string(), CEREMONY, now)?;
    if query("iss").is_some_and(|iss| iss != provider.settings.issuer) {
        return Ok(Err("the answer is another issuer's (RFC 9207)".into()));
    }
    let Some(code) = query("code") else {
        return Ok(Err("the provider gave no code".into()));
    };
    let kept: Kept = serde_json::from_str(&ceremony.state).map_err(fault)?;
    let subject = match provider.end(code, kept, now) {
        Ok(subject) => subject,
        Err(reason) => return Ok(Err(reason)),
    };
    match ceremony.subject {
        Some(right) => enrolled(app, call, provider, &Digest::parse(&right)?, subject, now),
        None => signed_in(app, call, provider, &subject, now),
    }
}

fn signed_in(app: &App, call: &Call, provider: &Provider, subject: &str, now: Timestamp) -> CameBack {
    let Some(person) = app.registry.oidc_person(&provider.settings.issuer, subject)? else {
        return Ok(Err("nobody was enrolled with this account".into()));
    };
    let standing = standing(&app.registry.state(), &person.member).filter(|_| person.suspended_at.is_none());
    let Some(standing) = standing else {
        return Ok(Err("the person or its member is suspended".into()));
    };
    let starting = Starting::draw(app, call, standing, "oidc", false)?;
    app.registry.start_session(&person.person_id, starting.new_session(), now)?;
    Ok(Ok((person, starting)))
}

fn enrolled(app: &App, call: &Call, provider: &Provider, right: &Digest, subject: String, now: Timestamp) -> CameBack {
    let Some(found) = app.registry.enrolment(right, now)? else {
        return Ok(Err("the link was used or has expired meanwhile".into()));
    };
    let Some(standing) = standing(&app.registry.state(), &found.member) else {
        return Ok(Err("the member is suspended".into()));
    };
    let starting = Starting::draw(app, call, standing, "oidc", false)?;
    let means = NewMeans::Oidc { issuer: provider.settings.issuer.clone(), subject };
    match app.registry.enrol(right, means, Vec::new(), starting.new_session(), now)? {
        Some(person) => Ok(Ok((person, starting))),
        None => Ok(Err("the link was used or has expired meanwhile".into())),
    }
}
