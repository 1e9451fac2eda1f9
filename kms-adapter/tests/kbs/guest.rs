//! A stock guest: its key, its session, its evidence, and how it opens what it gets. Written after the protocol's text.

use attestation::guest::{GuestTranscript, init_data_pcr, write};
use attestation::software::SoftwareAttester;
use kms_adapter::kbs::wire::{ErrorInformation, Papers};
use openssl::aes::{AesKey, unwrap_key};
use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::symm::{Cipher, decrypt_aead};
use reqwest::blocking::{Client, RequestBuilder, Response};
use schemas::contract::KbsRelease;
use schemas::release::{ContractStatus, StatusList};
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope};
use serde_json::{Map, Value, json};

use crate::support::people::{attester, uuid};
use crate::support::{Changes, Room, World};

pub const VERSION: &str = "0.4.0";

/// A refusal as it came over the wire.
#[derive(Debug, PartialEq)]
pub struct Refused {
    pub code: Code,
    pub detail: String,
}

pub fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// What a guest reads: an answer, or the protocol's form of a refusal.
pub fn read(response: Response) -> Result<Value, Refused> {
    let status = response.status().as_u16();
    let text = response.text().unwrap();
    if status == 200 {
        return Ok(serde_json::from_str(&text).unwrap());
    }
    let said: ErrorInformation = serde_json::from_str(&text).unwrap();
    let members: Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(members.keys().collect::<Vec<_>>(), ["type", "detail"]);
    let code = Code::parse(said.kind.strip_prefix("urn:depa:problem:").unwrap()).unwrap();
    assert_eq!(code.status(), status, "{code}");
    Err(Refused { code, detail: said.detail })
}

/// A world whose contract lets guests fetch the first dataset's key, with these init-data.
pub fn world(init_data: Vec<Digest>) -> World {
    world_with(init_data, Changes::default())
}

pub fn world_with(init_data: Vec<Digest>, changes: Changes) -> World {
    let (contract, config) = (changes.contract, changes.config);
    World::with(Changes {
        contract: Box::new(move |c| {
            c.datasets[0].kbs = Some(KbsRelease { init_data: init_data.clone() });
            contract(c);
        }),
        config: Box::new(move |c| {
            c.kbs.enabled = true;
            config(c);
        }),
        ..changes
    })
}

fn token(world: &World) -> String {
    signing::token::assertion(&world.people.tdp, world.url(), uuid().simple().to_string(), world.now()).unwrap()
}

/// The provider brings papers with this status list.
pub fn bring_list(world: &World, status_list: Envelope<StatusList>) -> Result<Value, Code> {
    bring(world, &Papers { bundle: world.bundle.clone(), status_list }, &token(world))
}

pub fn bring(world: &World, papers: &Papers, token: &str) -> Result<Value, Code> {
    let response = client().post(world.at("/v1/kbs/papers")).bearer_auth(token).json(papers).send().unwrap();
    let status = response.status().as_u16();
    let said: Value = response.json().unwrap();
    if status == 200 { Ok(said) } else { Err(Code::parse(said["code"].as_str().unwrap()).unwrap()) }
}

/// The provider brings papers under which the contract is in force.
pub fn bring_papers(world: &World) {
    bring_list(world, status_list(world, vec![])).unwrap();
}

pub fn status_list(world: &World, not_in_force: Vec<ContractStatus>) -> Envelope<StatusList> {
    Room::new(world).status_list(not_in_force)
}

pub struct Guest<'w> {
    pub world: &'w World,
    pub attester: &'static SoftwareAttester,
    pub key: EcKey<Private>,
    pub init_data: Option<String>,
    pub cookie: Option<String>,
    pub token: Option<String>,
}

fn number(n: &BigNum) -> String {
    Bytes(n.to_vec_padded(32).unwrap()).text()
}

impl<'w> Guest<'w> {
    pub fn new(world: &'w World) -> Guest<'w> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        Guest { world, attester: attester(), key, init_data: None, cookie: None, token: None }
    }

    /// A guest that has attested.
    pub fn attested(world: &'w World) -> Guest<'w> {
        let mut guest = Guest::new(world);
        guest.handshake().unwrap();
        guest
    }

    /// As guests write their key.
    pub fn tee_pubkey(&self) -> Value {
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        self.key.public_key().affine_coordinates(self.key.group(), &mut x, &mut y, &mut context).unwrap();
        json!({"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": number(&x), "y": number(&y)})
    }

    fn with_session(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.cookie {
            Some(cookie) => request.header("Cookie", format!("other=1; kbs-session-id={cookie}")),
            None => request,
        }
    }

    pub fn auth(&mut self) -> Result<Value, Refused> {
        let hashes = json!({"supported-hash-algorithms": ["sha256", "sha384", "sha512"]});
        self.auth_with(json!({"version": VERSION, "tee": "depa-sample", "extra-params": hashes}))
    }

    pub fn auth_with(&mut self, body: Value) -> Result<Value, Refused> {
        let response = client().post(self.world.at("/kbs/v0/auth")).json(&body).send().unwrap();
        if let Some(set) = response.headers().get("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, rest) = set.split_once('=').unwrap();
            assert_eq!(name, "kbs-session-id");
            assert!(set.contains("HttpOnly") && set.contains("Path=/kbs/v0"), "{set}");
            self.cookie = Some(rest.split(';').next().unwrap().to_owned());
        }
        read(response)
    }

    /// A challenge's nonce.
    pub fn nonce(&mut self) -> String {
        let challenge = self.auth().unwrap();
        assert_eq!(challenge["extra-params"], json!({"selected-hash-algorithm": "sha384"}));
        let nonce = challenge["nonce"].as_str().unwrap().to_owned();
        assert_eq!(openssl::base64::decode_block(&nonce).unwrap().len(), 32);
        nonce
    }

    /// The body of an attestation as this guest makes it.
    pub fn shown(&self, nonce: &str) -> Value {
        let said = GuestTranscript {
            tee_pubkey: self.tee_pubkey(),
            nonce: nonce.to_owned(),
            additional_evidence: String::new(),
        };
        let digest = self.init_data.as_ref().map(|body| Digest::of(body.as_bytes()));
        let evidence = self.attester.show(&said.binding().unwrap(), init_data_pcr(digest.as_ref())).unwrap();
        json!({
            "init-data": self.init_data.as_ref().map(|body| json!({"format": "toml", "body": body})),
            "runtime-data": {"nonce": nonce, "tee-pubkey": said.tee_pubkey},
            "tee-evidence": {"primary_evidence": write(&evidence), "additional_evidence": ""},
        })
    }

    pub fn attest_with(&mut self, body: &Value) -> Result<Value, Refused> {
        let request = self.with_session(client().post(self.world.at("/kbs/v0/attest"))).json(body);
        let answer = read(request.send().unwrap())?;
        self.token = Some(answer["token"].as_str().unwrap().to_owned());
        Ok(answer)
    }

    pub fn handshake(&mut self) -> Result<Value, Refused> {
        let nonce = self.nonce();
        let shown = self.shown(&nonce);
        self.attest_with(&shown)
    }

    /// Where the first dataset's key is.
    pub fn place(&self) -> String {
        format!("{}/{}/1", self.world.contract.id, self.world.tables[0].dataset_id)
    }

    pub fn fetch(&self) -> Result<Value, Refused> {
        self.fetch_at(&self.place())
    }

    pub fn fetch_at(&self, place: &str) -> Result<Value, Refused> {
        let request = client().get(self.world.at(&format!("/kbs/v0/resource/{place}")));
        read(self.with_session(request).send().unwrap())
    }

    /// The same without cookie, by a token.
    pub fn fetch_by(&self, token: &str) -> Result<Value, Refused> {
        let request = client().get(self.world.at(&format!("/kbs/v0/resource/{}", self.place())));
        read(request.bearer_auth(token).send().unwrap())
    }

    /// Opens an answer as stock guests do: the additional data is the header as they write it again, `alg` and `enc`
    /// first and the rest sorted.
    pub fn open(&self, answer: &Value) -> Option<Vec<u8>> {
        assert_eq!(
            answer.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["protected", "encrypted_key", "iv", "ciphertext", "tag"]
        );
        let part = |name: &str| Bytes::parse(answer[name].as_str().unwrap()).unwrap().0;
        let header: Value = serde_json::from_slice(&part("protected")).unwrap();
        let mut rest = header.as_object().unwrap().clone();
        let (alg, enc) = (rest.remove("alg").unwrap(), rest.remove("enc").unwrap());
        let rest = String::from_utf8(schemas::canonical::to_bytes(&rest).unwrap()).unwrap();
        let aad = Bytes(format!(r#"{{"alg":{alg},"enc":{enc},{}"#, &rest[1..]).into_bytes()).text();

        let coordinate =
            |name: &str| BigNum::from_slice(&Bytes::parse(header["epk"][name].as_str().unwrap()).unwrap().0).unwrap();
        let epk = EcKey::from_public_key_affine_coordinates(self.key.group(), &coordinate("x"), &coordinate("y"));
        let (own, theirs) = (PKey::from_ec_key(self.key.clone()).unwrap(), PKey::from_ec_key(epk.unwrap()).unwrap());
        let mut deriver = Deriver::new(&own).unwrap();
        deriver.set_peer(&theirs).unwrap();
        let shared = deriver.derive_to_vec().unwrap();
        let alg = alg.as_str().unwrap();
        let length = (alg.len() as u32).to_be_bytes();
        let (none, bits) = (0u32.to_be_bytes(), 256u32.to_be_bytes());
        let kek = Digest::of_parts(&[&1u32.to_be_bytes(), &shared, &length, alg.as_bytes(), &none, &none, &bits]).0;
        let mut key = [0; 32];
        unwrap_key(&AesKey::new_decrypt(&kek).unwrap(), None, &mut key, &part("encrypted_key")).ok()?;
        let (iv, text, tag) = (part("iv"), part("ciphertext"), part("tag"));
        decrypt_aead(Cipher::aes_256_gcm(), &key, Some(&iv), aad.as_bytes(), &text, &tag).ok()
    }
}

/// Asserts a refusal with this code that changed no charge and told nothing else.
pub fn refuses(world: &World, code: Code, act: impl FnOnce() -> Result<Value, Refused>) {
    let before = world.charges();
    let refused = act().expect_err("a refusal is expected");
    assert_eq!(refused.code, code, "{}", refused.detail);
    assert!(refused.detail.len() < 60 && !refused.detail.contains('_'), "{}", refused.detail);
    assert_eq!(world.charges(), before, "a refusal changed the ledger");
}
