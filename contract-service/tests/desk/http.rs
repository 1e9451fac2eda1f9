//! Bare HTTP for tests: every header visible.

use reqwest::blocking::{Client, RequestBuilder, Response};
use schemas::Code;
use schemas::desk::{TokenAnswer, TokenRequest};
use schemas::problem::Problem;
use signing::{FileKey, token};

use crate::house::House;

pub fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// A fresh assertion of somebody, as a request for a token.
pub fn token_request(house: &House, who: &FileKey) -> TokenRequest {
    let jti = uuid::Uuid::now_v7().to_string();
    TokenRequest {
        grant_type: "client_credentials".into(),
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),
        client_assertion: token::assertion(who, house.url(), jti, house.now()).unwrap(),
    }
}

/// An unbound token of somebody.
pub fn bearer(house: &House, who: &FileKey) -> String {
    let request = client().post(format!("{}/oauth/token", house.url())).json(&token_request(house, who));
    request.send().unwrap().json::<TokenAnswer>().unwrap().access_token
}

pub fn get(house: &House, path: &str) -> RequestBuilder {
    client().get(format!("{}{path}", house.url()))
}

/// A post with a key of its own.
pub fn post(house: &House, path: &str, body: &[u8]) -> RequestBuilder {
    let request = client().post(format!("{}{path}", house.url())).body(body.to_vec());
    request.header("content-type", "application/json").header("idempotency-key", uuid::Uuid::now_v7().to_string())
}

pub fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

pub fn code(response: Response) -> Code {
    let status = response.status().as_u16();
    let problem: Problem = response.json().unwrap();
    assert_eq!(problem.status, status);
    Code::parse(&problem.code).unwrap()
}
