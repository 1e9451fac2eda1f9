//! A software authenticator with ES256 keys, which lies where a test asks it to.

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use schemas::Digest;
use schemas::text::Bytes;
use serde_json::{Value, json};

/// A key in the authenticator.
pub struct Key {
    pub id: Vec<u8>,
    key: EcKey<Private>,
    pub user: Vec<u8>,
    pub counter: u32,
}

/// An authenticator with the browser before it.
pub struct Authenticator {
    pub keys: Vec<Key>,
    /// The page's origin.
    pub origin: String,
    /// The relying party that the authenticator was told.
    pub rp: String,
    /// Whether the person was verified (PIN, finger).
    pub verifies: bool,
    /// Whether the page was framed by another site.
    pub framed: bool,
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

impl Authenticator {
    pub fn new(origin: &str) -> Authenticator {
        Authenticator { keys: Vec::new(), origin: origin.into(), rp: "localhost".into(), verifies: true, framed: false }
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = options["publicKey"]["challenge"].as_str().unwrap();
        let data = json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.framed});
        data.to_string().into_bytes()
    }

    fn head(&self, flags: u8, counter: u32) -> Vec<u8> {
        let flags = flags | PRESENT | if self.verifies { VERIFIED } else { 0 };
        [&Digest::of(self.rp.as_bytes()).0[..], &[flags], &counter.to_be_bytes()].concat()
    }

    /// Makes a key (`navigator.credentials.create`).
    pub fn create(&mut self, options: &Value) -> Value {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let id = Digest::of(&key.private_key_to_der().unwrap()).0.to_vec();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let (x, y) = (x.to_vec_padded(32).unwrap(), y.to_vec_padded(32).unwrap());
        // COSE_Key: EC2, ES256, P-256.
        let cose = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32][..], &x, &[0x22, 0x58, 32], &y].concat();
        let length = u16::try_from(id.len()).unwrap().to_be_bytes();
        let auth = [&self.head(ATTESTED, 1)[..], &[0; 16], &length, &id, &cose].concat();
        let size = u8::try_from(auth.len()).unwrap();
        let object = [&b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"[..], &[size], &auth].concat();
        let user = Bytes::parse(options["publicKey"]["user"]["id"].as_str().unwrap()).unwrap().0;
        let answer = json!({
            "id": Bytes(id.clone()).text(), "rawId": Bytes(id.clone()).text(), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "attestationObject": Bytes(object).text(),
                "clientDataJSON": Bytes(self.client_data("webauthn.create", options)).text(),
                "transports": ["internal"],
            },
        });
        self.keys.push(Key { id, key, user, counter: 1 });
        answer
    }

    /// Signs with the newest key (`navigator.credentials.get`); its counter moves on by one.
    pub fn get(&mut self, options: &Value) -> Value {
        let last = self.keys.len() - 1;
        self.get_with(last, options)
    }

    pub fn get_with(&mut self, n: usize, options: &Value) -> Value {
        self.keys[n].counter = self.keys[n].counter.wrapping_add(1);
        let data = self.client_data("webauthn.get", options);
        let auth = self.head(0, self.keys[n].counter);
        let key = &self.keys[n];
        let private = PKey::from_ec_key(key.key.clone()).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &private).unwrap();
        let signature = signer.sign_oneshot_to_vec(&[&auth[..], &Digest::of(&data).0].concat()).unwrap();
        json!({
            "id": Bytes(key.id.clone()).text(), "rawId": Bytes(key.id.clone()).text(), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "authenticatorData": Bytes(auth).text(), "clientDataJSON": Bytes(data).text(),
                "signature": Bytes(signature).text(), "userHandle": Bytes(key.user.clone()).text(),
            },
        })
    }
}
