//! Requests as a room sends them, and refusals as it gets them.

use schemas::problem::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A refusal as it came over the wire.
#[derive(Debug)]
pub struct Refused {
    pub code: Code,
    pub text: String,
}

pub type Answer<T> = Result<T, Refused>;

fn client() -> reqwest::blocking::Client {
    reqwest::blocking::Client::builder().no_proxy().build().unwrap()
}

fn read<T: DeserializeOwned>(response: reqwest::blocking::Response) -> Answer<T> {
    let status = response.status().as_u16();
    let media = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let text = response.text().unwrap();
    if (200..300).contains(&status) {
        assert_eq!(media, "application/json");
        return Ok(serde_json::from_str(&text).unwrap());
    }
    assert_eq!(media, "application/problem+json", "{text}");
    let problem: Problem = serde_json::from_str(&text).unwrap();
    let code = Code::parse(&problem.code).unwrap();
    assert_eq!((problem.status, problem.kind.as_str()), (status, format!("urn:depa:problem:{code}").as_str()));
    assert_eq!(code.status(), status);
    Err(Refused { code, text })
}

pub fn get<T: DeserializeOwned>(url: &str, token: Option<&str>) -> Answer<T> {
    let request = client().get(url);
    read(
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
        .send()
        .unwrap(),
    )
}

pub fn post<T: DeserializeOwned>(url: &str, body: &impl Serialize) -> Answer<T> {
    post_bytes(url, serde_json::to_vec(body).unwrap(), "application/json")
}

pub fn post_bytes<T: DeserializeOwned>(url: &str, body: Vec<u8>, media: &str) -> Answer<T> {
    read(client().post(url).header("content-type", media).body(body).send().unwrap())
}
