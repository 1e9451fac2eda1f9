//! Plain HTTP, for what no typed client would send.

use std::sync::OnceLock;

use reqwest::blocking::{Client, Response};
use schemas::problem::Problem;
use schemas::{Code, R, Refusal};
use serde::de::DeserializeOwned;

/// The one client, which goes straight to loopback; making one takes longer than most calls.
pub fn http() -> &'static Client {
    static ONE: OnceLock<Client> = OnceLock::new();
    ONE.get_or_init(|| Client::builder().no_proxy().build().unwrap())
}

/// Reads an answer; a refusal must be a problem document whose status is that of its code.
pub fn read<T: DeserializeOwned>(response: Response) -> R<T> {
    let status = response.status().as_u16();
    let media = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let text = response.text().unwrap();
    if (200..300).contains(&status) {
        return Ok(serde_json::from_str(&text).unwrap());
    }
    assert_eq!(media, "application/problem+json", "{text}");
    let problem: Problem = serde_json::from_str(&text).unwrap();
    let code = Code::parse(&problem.code).unwrap();
    assert_eq!((problem.status, problem.kind.as_str()), (status, format!("urn:depa:problem:{code}").as_str()));
    assert_eq!(code.status(), status, "{text}");
    Err(Refusal { code, sentence: problem.detail, field: problem.field, retry_after: None })
}

/// A GET, with a bearer token where one is given.
pub fn get<T: DeserializeOwned>(url: &str, token: Option<&str>) -> R<T> {
    let request = http().get(url);
    read(
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
        .send()
        .unwrap(),
    )
}

/// A POST of these very bytes.
pub fn post<T: DeserializeOwned>(url: &str, body: Vec<u8>, media: &str) -> R<T> {
    let key = uuid::Uuid::new_v4().to_string();
    let request = http().post(url).header("content-type", media).header("idempotency-key", key);
    read(request.body(body).send().unwrap())
}
