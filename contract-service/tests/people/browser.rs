//! A browser: keeps cookies as it is told, sends the CSRF token, and drives the authenticator.

use std::collections::BTreeMap;

use schemas::Code;
use schemas::desk::TokenRequest;
use schemas::problem::Problem;
use serde_json::{Value, json};
use signing::{FileKey, token};

use crate::authenticator::Authenticator;
use crate::house::House;

/// What came back: the body, or the code of a refusal.
pub type Got = Result<Value, Code>;

pub struct Browser {
    http: reqwest::blocking::Client,
    url: String,
    pub cookies: BTreeMap<String, String>,
    /// The last `Set-Cookie` headers.
    pub set: Vec<String>,
    pub csrf: Option<String>,
    pub keys: Authenticator,
}

/// A client without cookies that does not follow redirects.
pub fn http() -> reqwest::blocking::Client {
    let builder = reqwest::blocking::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.build().unwrap()
}

/// An access token for a key of the house.
pub fn bearer(house: &House, key: &FileKey) -> String {
    let jti = uuid::Uuid::now_v7().to_string();
    let request = TokenRequest {
        grant_type: "client_credentials".into(),
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),
        client_assertion: token::assertion(key, house.url(), jti, house.now()).unwrap(),
    };
    let answer = http().post(format!("{}/oauth/token", house.url())).json(&request).send().unwrap();
    answer.json::<schemas::desk::TokenAnswer>().unwrap().access_token
}

/// A call with a token.
pub fn with_token(house: &House, key: &FileKey, path: &str, body: Option<Value>) -> Got {
    let url = format!("{}{path}", house.url());
    let call = match body {
        Some(body) => http().post(url).json(&body),
        None => http().get(url),
    };
    got(call.bearer_auth(bearer(house, key)).send().unwrap()).0
}

/// The secret of a fresh enrolment link.
pub fn link(house: &House, key: &FileKey, name: &str, roles: &[&str]) -> String {
    let body = json!({"display_name": name, "roles": roles});
    secret(&with_token(house, key, "/v1/people/enrolments", Some(body)).unwrap())
}

pub fn secret(link: &Value) -> String {
    link["url"].as_str().unwrap().split_once('#').unwrap().1.to_owned()
}

fn got(response: reqwest::blocking::Response) -> (Got, Vec<String>) {
    let headers = response.headers().get_all("set-cookie").iter();
    let set = headers.map(|value| value.to_str().unwrap().to_owned()).collect();
    let place = response.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
    let (status, body) = (response.status().as_u16(), response.text().unwrap());
    let outcome = match status {
        // The way back from an identity provider ends at the sign-in page, which is told the code alone.
        303 => {
            let place = place.unwrap();
            let code = place.strip_prefix("/portal/?refused=").unwrap_or_else(|| panic!("{place}"));
            assert_eq!(body, "");
            Err(Code::parse(code).unwrap())
        }
        200..300 if body.is_empty() => Ok(Value::Null),
        200..300 => Ok(serde_json::from_str(&body).unwrap_or(Value::String(body))),
        _ => {
            let problem: Problem = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{status} {e}: {body}"));
            assert_eq!(problem.status, status, "{body}");
            Err(Code::parse(&problem.code).unwrap())
        }
    };
    (outcome, set)
}

impl Browser {
    pub fn new(house: &House) -> Browser {
        let (url, keys) = (house.url().to_owned(), Authenticator::new(house.url()));
        Browser { http: http(), url, cookies: BTreeMap::new(), set: Vec::new(), csrf: None, keys }
    }

    fn send(&mut self, mut call: reqwest::blocking::RequestBuilder) -> Got {
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            call = call.header("cookie", pairs.join("; "));
        }
        let (outcome, set) = got(call.send().unwrap());
        for cookie in &set {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        self.set = set;
        let session = outcome.as_ref().ok().map(|body| body.get("session").unwrap_or(body));
        if let Some(csrf) = session.and_then(|session| session["csrf_token"].as_str()) {
            self.csrf = Some(csrf.to_owned());
        }
        outcome
    }

    pub fn get(&mut self, path: &str) -> Got {
        let call = self.http.get(format!("{}{path}", self.url));
        self.send(call)
    }

    /// What a page reads anew by itself.
    pub fn get_quietly(&mut self, path: &str) -> Got {
        let call = self.http.get(format!("{}{path}", self.url)).header("prefer", "quiet");
        self.send(call)
    }

    pub fn post(&mut self, path: &str, body: Value) -> Got {
        let mut call = self.http.post(format!("{}{path}", self.url)).json(&body);
        if let Some(csrf) = &self.csrf {
            call = call.header("x-csrf-token", csrf);
        }
        self.send(call)
    }

    /// A post with a header of the test's choice and no CSRF token but that.
    pub fn post_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Got {
        let mut call = self.http.post(format!("{}{path}", self.url)).json(&json!({}));
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        self.send(call)
    }

    /// Enrols by a link with a new passkey; the answer holds the recovery codes.
    pub fn enrol(&mut self, token: &str) -> Got {
        let begun = self.post("/auth/enrol/options", json!({"token": token}))?;
        let credential = self.keys.create(&begun["options"]);
        let body =
            json!({"token": token, "challenge_id": begun["challenge_id"], "credential": credential, "label": "laptop"});
        self.post("/auth/enrol", body)
    }

    /// Signs in with the newest passkey.
    pub fn sign_in(&mut self) -> Got {
        self.assert_at("/auth/passkey")
    }

    /// Asks for a challenge at a path, and answers it there.
    pub fn assert_at(&mut self, path: &str) -> Got {
        let begun = self.post(&format!("{path}/options"), json!({}))?;
        let credential = self.keys.get(&begun["options"]);
        self.post(path, json!({"challenge_id": begun["challenge_id"], "credential": credential}))
    }

    /// Adds a passkey to who is signed in.
    pub fn add_passkey(&mut self, label: &str) -> Got {
        let begun = self.post("/v1/people/me/passkeys/options", json!({}))?;
        let credential = self.keys.create(&begun["options"]);
        let body = json!({"challenge_id": begun["challenge_id"], "credential": credential, "label": label});
        self.post("/v1/people/me/passkeys", body)
    }

    pub fn me(&mut self) -> Got {
        self.get("/v1/people/me")
    }
}

/// A person of a key's holder, enrolled and signed in.
pub fn enrolled(house: &House, key: &FileKey, roles: &[&str]) -> Browser {
    let mut browser = Browser::new(house);
    browser.enrol(&link(house, key, "Asha Rao", roles)).unwrap();
    browser
}
