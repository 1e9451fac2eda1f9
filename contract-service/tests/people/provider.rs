//! An identity provider of the test's own: discovery, authorization code with PKCE, id tokens that lie as asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use schemas::text::Bytes;
use schemas::{Digest, Timestamp};
use serde_json::{Value, json};

pub const CLIENT: &str = "depa-desk";
pub const SECRET: &str = "s3cret-of-the-desk";

/// How an id token is made.
#[derive(Clone)]
pub struct Manner {
    pub subject: String,
    pub algorithm: &'static str,
    /// Changes claims before they are signed.
    pub claims: Arc<dyn Fn(&mut Value) + Send + Sync>,
    /// Whether the signature is of another key.
    pub foreign_key: bool,
    /// Whether the provider forgets that a code was used.
    pub forgetful: bool,
}

struct Keys {
    ec: EcKey<Private>,
    other: EcKey<Private>,
    rsa: PKey<Private>,
}

struct Asked {
    nonce: String,
    challenge: String,
    used: bool,
}

/// The provider, until the test process ends.
pub struct Provider {
    pub url: String,
    pub manner: Arc<Mutex<Manner>>,
    codes: Arc<Mutex<BTreeMap<String, Asked>>>,
}

fn ec() -> EcKey<Private> {
    EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap()
}

impl Provider {
    pub fn start(clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Provider {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}", server.server_addr().to_ip().unwrap().port());
        let manner = Manner {
            subject: "asha@idp".into(),
            algorithm: "ES256",
            claims: Arc::new(|_| {}),
            foreign_key: false,
            forgetful: false,
        };
        let provider =
            Provider { url: url.clone(), manner: Arc::new(Mutex::new(manner)), codes: Arc::new(Mutex::default()) };
        let (manner, codes) = (provider.manner.clone(), provider.codes.clone());
        let keys = Keys { ec: ec(), other: ec(), rsa: PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap() };
        std::thread::spawn(move || {
            for mut call in server.incoming_requests() {
                let mut body = String::new();
                call.as_reader().read_to_string(&mut body).unwrap();
                let basic = call.headers().iter().find(|h| h.field.equiv("authorization")).map(|h| h.value.to_string());
                let (status, answer) = match call.url() {
                    "/.well-known/openid-configuration" => (200, discovery(&url)),
                    "/jwks" => (200, keys.public()),
                    "/token" => token(&url, &manner.lock().unwrap(), &codes, &keys, &body, basic, clock()),
                    _ => (404, json!({})),
                };
                let json = tiny_http::Header::from_bytes("content-type", "application/json").unwrap();
                let answer = tiny_http::Response::from_string(answer.to_string()).with_header(json);
                drop(call.respond(answer.with_status_code(status)));
            }
        });
        provider
    }

    /// The person agrees: query parameters of the way back for this authorization URL.
    pub fn agree(&self, url: &str) -> BTreeMap<String, String> {
        let url = reqwest::Url::parse(url).unwrap();
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(url.path(), "/authorize");
        assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
        assert_eq!(query["client_id"], CLIENT);
        assert!(
            query["scope"].split(' ').any(|scope| scope == "openid")
                && query["redirect_uri"].ends_with("/auth/oidc/callback")
        );
        let code = uuid::Uuid::now_v7().to_string();
        let asked = Asked { nonce: query["nonce"].clone(), challenge: query["code_challenge"].clone(), used: false };
        self.codes.lock().unwrap().insert(code.clone(), asked);
        [("code".to_owned(), code), ("state".to_owned(), query["state"].clone())].into()
    }

    pub fn set(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.manner.lock().unwrap());
    }
}

fn discovery(url: &str) -> Value {
    json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        // What a provider says of itself does not widen what is accepted.
        "id_token_signing_alg_values_supported": ["ES256", "RS256", "HS256", "none"],
    })
}

impl Keys {
    fn public(&self) -> Value {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        self.ec.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let rsa = self.rsa.rsa().unwrap();
        let text = |number: Vec<u8>| Bytes(number).text();
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "e", "use": "sig", "alg": "ES256",
             "x": text(x.to_vec_padded(32).unwrap()), "y": text(y.to_vec_padded(32).unwrap())},
            {"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": text(rsa.n().to_vec()), "e": text(rsa.e().to_vec())},
        ]})
    }

    fn sign(&self, manner: &Manner, input: &str) -> Vec<u8> {
        let with = |key: &PKey<Private>| {
            let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
            signer.sign_oneshot_to_vec(input.as_bytes()).unwrap()
        };
        match manner.algorithm {
            "RS256" => with(&self.rsa),
            "HS256" => with(&PKey::hmac(SECRET.as_bytes()).unwrap()),
            "none" => Vec::new(),
            _ => {
                let key = if manner.foreign_key { &self.other } else { &self.ec };
                let der = with(&PKey::from_ec_key(key.clone()).unwrap());
                let signature = EcdsaSig::from_der(&der).unwrap();
                let half = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).unwrap();
                [half(signature.r()), half(signature.s())].concat()
            }
        }
    }
}

fn token(
    url: &str,
    manner: &Manner,
    codes: &Mutex<BTreeMap<String, Asked>>,
    keys: &Keys,
    body: &str,
    basic: Option<String>,
    now: Timestamp,
) -> (u16, Value) {
    let form: BTreeMap<String, String> =
        reqwest::Url::parse(&format!("http://x/?{body}")).unwrap().query_pairs().into_owned().collect();
    let expected = openssl::base64::encode_block(format!("{CLIENT}:{SECRET}").as_bytes());
    if basic != Some(format!("Basic {expected}")) {
        return (401, json!({"error": "invalid_client"}));
    }
    let mut codes = codes.lock().unwrap();
    let asked = form.get("code").and_then(|code| codes.get_mut(code));
    let verified =
        |asked: &Asked| Bytes(Digest::of(form["code_verifier"].as_bytes()).0.to_vec()).text() == asked.challenge;
    let Some(asked) = asked.filter(|asked| (!asked.used || manner.forgetful) && verified(asked)) else {
        return (400, json!({"error": "invalid_grant"}));
    };
    asked.used = true;
    let mut claims = json!({
        "iss": url, "aud": CLIENT, "sub": manner.subject, "nonce": asked.nonce, "iat": now.seconds(),
        "exp": now.seconds() + 300, "groups": ["desk", "all"],
    });
    (manner.claims)(&mut claims);
    let kid = if manner.algorithm == "RS256" { "r" } else { "e" };
    let header = match manner.algorithm {
        "none" => json!({"alg": "none"}),
        algorithm => json!({"alg": algorithm, "kid": kid}),
    };
    let part = |value: &Value| Bytes(value.to_string().into_bytes()).text();
    let input = format!("{}.{}", part(&header), part(&claims));
    let id_token = format!("{input}.{}", Bytes(keys.sign(manner, &input)).text());
    (200, json!({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": id_token}))
}
