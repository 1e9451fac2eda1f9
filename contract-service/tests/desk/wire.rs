//! Bare HTTP for paths that the typed client does not know, and COSE statements to send over it.

use std::sync::Arc;

use ciborium::Value;
use schemas::desk::{TokenAnswer, TokenRequest};
use schemas::{Signer, text::Bytes};
use signing::{FileKey, cbor};

use crate::house::House;

/// An answer as it came.
pub struct Heard {
    pub status: u16,
    pub media: String,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn cbor(&self) -> Value {
        ciborium::from_reader(self.body.as_slice()).unwrap()
    }

    /// A text member of a CBOR map.
    pub fn word(&self, name: impl Into<Value>) -> String {
        let (map, name) = (self.cbor(), name.into());
        let found = map.as_map().unwrap().iter().find(|(k, _)| *k == name).unwrap_or_else(|| panic!("{map:?}"));
        found.1.as_text().unwrap().to_owned()
    }
}

pub fn hear(request: reqwest::blocking::RequestBuilder) -> Heard {
    let response = request.send().unwrap();
    let media = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Heard { status, media, headers, body: response.bytes().unwrap().to_vec() }
}

pub fn http() -> reqwest::blocking::Client {
    let none = reqwest::redirect::Policy::none();
    reqwest::blocking::Client::builder().no_proxy().redirect(none).build().unwrap()
}

pub fn get(house: &House, path: &str, accept: &str) -> Heard {
    hear(http().get(format!("{}{path}", house.url())).header("accept", accept))
}

/// Posts COSE to `/entries`.
pub fn register(house: &House, message: &[u8], accept: &str) -> Heard {
    let post = http().post(format!("{}/entries", house.url())).header("content-type", "application/cose");
    hear(post.header("accept", accept).body(message.to_vec()))
}

/// A bearer token of somebody.
pub fn token(house: &House, who: &Arc<FileKey>) -> String {
    let jti = uuid::Uuid::now_v7().to_string();
    let request = TokenRequest {
        grant_type: "client_credentials".into(),
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),
        client_assertion: signing::token::assertion(&**who, house.url(), jti, house.now()).unwrap(),
    };
    let response = http().post(format!("{}/oauth/token", house.url())).json(&request).send().unwrap();
    response.json::<TokenAnswer>().unwrap().access_token
}

/// A COSE_Sign1 statement of somebody about something.
pub fn statement(who: &FileKey, subject: &str, payload: &[u8]) -> Vec<u8> {
    let text = |text: &str| Value::Text(text.into());
    let claims = vec![(Value::from(1), text(&who.kid().holder)), (Value::from(2), text(subject))];
    let protected = cbor::write(&Value::Map(vec![
        (Value::from(1), Value::from(-8)),
        (Value::from(3), text("application/json")),
        (Value::from(4), Value::Bytes(who.kid().to_string().into_bytes())),
        (Value::from(15), Value::Map(claims)),
    ]))
    .unwrap();
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let signed = Value::Array(vec![text("Signature1"), bytes(&protected), bytes(&[]), bytes(payload)]);
    let signature = who.sign_bytes(&cbor::write(&signed).unwrap()).unwrap();
    let parts = vec![bytes(&protected), Value::Map(Vec::new()), bytes(payload), bytes(&signature)];
    cbor::write(&Value::Tag(18, Box::new(Value::Array(parts)))).unwrap()
}

/// The public record of an entry, from the tile of records.
pub fn record(house: &House, index: u64) -> Vec<u8> {
    let tile = get(house, &format!("/log/tile/entries/000.p/{}", index + 1), "*/*");
    assert_eq!(tile.status, 200, "{}", String::from_utf8_lossy(&tile.body));
    let mut rest = tile.body.as_slice();
    let mut last = &[][..];
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        (last, rest) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
    }
    last.to_vec()
}

/// The EC key that receipts of the CCF shape verify with.
pub fn es256(house: &House) -> schemas::jwk::Jwk {
    let key = get(house, "/jwks", "*/*").json()["keys"][0].clone();
    let member = |name: &str| Bytes::parse(key[name].as_str().unwrap()).unwrap();
    schemas::jwk::Jwk::Ec { crv: schemas::jwk::EcCurve::P256, x: member("x"), y: member("y") }
}
