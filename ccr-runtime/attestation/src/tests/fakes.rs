//! Evidence under a test root whose parts can be spoilt before they are signed.

use std::sync::OnceLock;

use openssl::pkey::{PKey, Private};
use schemas::Digest;
use serde_json::json;

use super::*;
use crate::snp::{hcl, quote};
use crate::software::{self, SoftwareAttester, SoftwareRoot};
use crate::{appraise, binding, user_data};

/// A demo: one root, one attester, one image set.
pub struct World {
    pub attester: SoftwareAttester,
    pub set: ImageSet,
    pub policy: PlatformPolicy,
}

/// The demo that all tests share; its keys take a second to make.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let root = SoftwareRoot::create_with(2048, now()).unwrap();
        let measurement = Digest::of(b"the code");
        let policy = PlatformPolicy::new(Profile::Demo, Level::named("baseline").unwrap(), vec![root.pin()]);
        World { attester: SoftwareAttester::new(root, measurement).unwrap(), set: software_set(&measurement), policy }
    })
}

pub fn software_set(measurement: &Digest) -> ImageSet {
    let mut set = azure_set();
    set.profile = EvidenceKind::Software;
    set.pcrs = software::image_set_pcrs(measurement);
    set.measurements = vec![software::launch_measurement()];
    set.id_key_digests = vec![software::id_key_digest()];
    set.valid_to = Timestamp::parse("2099-01-01T00:00:00Z").unwrap();
    set
}

pub fn expected() -> Expected {
    Expected::from_transcript(&transcript(), &world().set).unwrap()
}

/// Parts of evidence before anything is signed.
pub struct Fake {
    pub runtime: Value,
    /// Used instead of `runtime` if there.
    pub runtime_text: Option<String>,
    pub report: Vec<u8>,
    pub bind: bool,
    pub nonce: Vec<u8>,
    pub selection: [u8; 3],
    pub pcrs: Vec<Digest>,
    /// Spoils the quote before it is signed.
    pub message: fn(&mut Vec<u8>),
    pub report_key: PKey<Private>,
    pub quote_key: PKey<Private>,
}

impl Fake {
    pub fn honest() -> Fake {
        let attester = &world().attester;
        let nonce = binding(&transcript()).unwrap();
        let runtime = software::var_data(&attester.ak, &user_data(&nonce)).unwrap();
        Fake {
            runtime: serde_json::from_str(&runtime).unwrap(),
            runtime_text: None,
            report: software::report(attester.root.chip_id(), b""),
            bind: true,
            nonce: nonce.to_vec(),
            selection: quote::ALL_PCRS,
            pcrs: software::pcrs(&attester.measurement, crate::job_pcr(&transcript().job_sha256)),
            message: |_| (),
            report_key: attester.root.key().clone(),
            quote_key: attester.ak.clone(),
        }
    }

    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        self.report[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn build(mut self) -> Evidence {
        let runtime = self.runtime_text.unwrap_or_else(|| self.runtime.to_string());
        if self.bind {
            self.report[0x50..0x70].copy_from_slice(&Digest::of(runtime.as_bytes()).0);
        }
        software::sign_report(&mut self.report, &self.report_key).unwrap();
        let pcrs: Vec<&[u8]> = self.pcrs.iter().map(|p| p.0.as_slice()).collect();
        let mut message = quote::write(&self.nonce, self.selection, &Digest::of_parts(&pcrs));
        (self.message)(&mut message);
        let signature = software::sign_quote(&self.quote_key, &message).unwrap();
        Evidence {
            kind: EvidenceKind::Software,
            report: Bytes(hcl::wrap(&self.report, runtime.as_bytes())),
            quote: Some(Quote {
                message: Bytes(message),
                signature: Bytes(signature),
                pcrs: self.pcrs.iter().map(|p| Bytes(p.0.to_vec())).collect(),
            }),
            certificates: world().attester.root.certificates(),
            ak_certificate: None,
        }
    }
}

/// Honest evidence with one thing spoilt, judged by an honest relying party.
pub fn judge(spoil: impl FnOnce(&mut Fake)) -> Appraisal {
    let mut fake = Fake::honest();
    spoil(&mut fake);
    appraise(&fake.build(), &expected(), &world().policy, now())
}

pub fn second_key(runtime: &mut Value) {
    let key = runtime["keys"][0].clone();
    runtime["keys"].as_array_mut().unwrap().push(key);
}

pub fn set_exponent(runtime: &mut Value) {
    runtime["keys"][0]["e"] = json!("Aw");
}
