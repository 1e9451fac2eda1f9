//! A log of bodies without cryptography: the fold with its people, keys and documents, each signed in name.

use policies::lifecycle::State;
use policies::{Code, R};
use schemas::contract::ContractRef;
use schemas::envelope::{Document, Envelope, PartySignature, Verified};
use schemas::event::{Body, SroPerson};
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::party::{Decision, Kind, Participant, ParticipantDecision, Resolution};
use schemas::text::Bytes;
use schemas::time::Timestamp;
use serde_json::json;

use crate::fixtures::{CCRP, House, REGISTRY, TDC, did, digest, envelope, expect, jwk, now, provider, read};

pub const SRO: [&str; 3] = ["did:key:z6MkSroOne", "did:key:z6MkSroTwo", "did:key:z6MkSroThree"];

/// The fold of a log, and what time it is.
pub struct Log {
    pub state: State,
    pub now: Timestamp,
}

/// The first key of a holder.
pub fn key_of(holder: &str) -> Jwk {
    let n = holder.bytes().fold(0u8, |n, byte| n.wrapping_mul(31).wrapping_add(byte));
    jwk(n)
}

pub fn kid(holder: &str) -> KeyId {
    KeyId::new(holder, key_of(holder).thumbprint())
}

/// A document signed in name by the first key of each holder.
pub fn by<T: Document>(value: &T, holders: &[&str]) -> Envelope<T> {
    let kids: Vec<KeyId> = holders.iter().map(|h| kid(h)).collect();
    with_keys(value, &kids)
}

pub fn with_keys<T: Document>(value: &T, kids: &[KeyId]) -> Envelope<T> {
    let signatures: Vec<PartySignature> = kids.iter().flat_map(|kid| envelope(value, kid.clone()).signatures).collect();
    Envelope::new(Envelope::draft(value).unwrap().payload.0, signatures)
}

pub fn participant(holder: &str, kind: Kind) -> Participant {
    read(json!({"schema": "participant.v1", "registry": REGISTRY, "did": holder, "kind": kind,
        "legal_name": format!("House of {holder}"), "jurisdiction": "IN", "jwk": key_of(holder),
        "applied_at": "2026-11-01T00:00:00Z"}))
}

impl Log {
    /// A log of the genesis entry, with three SRO people.
    pub fn new() -> Log {
        let mut log = Log { state: State::new(), now: now() };
        let sro = SRO.map(|did| SroPerson { did: did.parse().unwrap(), jwk: key_of(did), name: "Person".into() });
        log.enter(Body::Genesis {
            registry: did(REGISTRY),
            registry_jwk: jwk(201),
            origin: "sro.example/log".into(),
            sro: sro.into(),
            succeeds: None,
        })
        .unwrap();
        log
    }

    /// Everybody of [`House`] verified, its image set approved, its offers registered.
    pub fn furnished() -> Log {
        let (mut log, house) = (Log::new(), House::new());
        for n in 0..3 {
            log.admit(&provider(n), Kind::Tdp);
        }
        log.admit(TDC, Kind::Tdc);
        log.admit(CCRP, Kind::Ccrp);
        log.enter(Body::ImageSetApproved { image_set: by(&house.image_set, &SRO[..2]) }).unwrap();
        for offer in &house.offers {
            log.enter(Body::DatasetRegistered { offer: by(offer, &[offer.provider.as_str()]) }).unwrap();
        }
        log
    }

    pub fn enter(&mut self, body: Body) -> R<()> {
        self.now = self.now.plus_seconds(1);
        let body = Verified::vouched_by_signing(body);
        self.state.check(&body, self.now)?;
        self.state.apply(self.state.size(), self.now, &body)
    }

    /// Reads an entry of a stored log.
    pub fn read_back(&mut self, body: Body) -> R<()> {
        self.now = self.now.plus_seconds(1);
        self.state.apply(self.state.size(), self.now, &Verified::vouched_by_signing(body))
    }

    /// The body is refused with this code, and nothing changes.
    pub fn refused(&mut self, body: Body, code: Code, what: &str) {
        let before = self.state.clone();
        expect(self.enter(body), code, what);
        assert_eq!(self.state, before, "{what}");
    }

    pub fn apply(&mut self, application: &Participant) -> R<()> {
        let resolution = self.resolved(&application.did);
        let application = by(application, &[application.did.as_str()]);
        self.enter(Body::ParticipantApplied { application, resolution })
    }

    /// The document of a did:web, fetched now; nothing for another DID.
    pub fn resolved(&self, did: &Did) -> Option<Resolution> {
        let fetched_at = self.now;
        did.as_str().starts_with("did:web:").then(|| Resolution {
            url: "https://tdp.example/.well-known/did.json".into(),
            document: Bytes(b"{}".to_vec()),
            fetched_at,
            certificate_sha256: None,
        })
    }

    pub fn decide(&mut self, holder: &str, decision: Decision) -> R<()> {
        let body = self.decision(holder, decision);
        self.enter(body)
    }

    pub fn decision(&self, holder: &str, decision: Decision) -> Body {
        let row = self.state.participant(&did(holder)).unwrap();
        let document = ParticipantDecision {
            schema: "participant-decision.v1".into(),
            registry: did(REGISTRY),
            participant: did(holder),
            participant_sha256: row.application.digest(),
            decision,
            reason: "Papers seen".into(),
            decided_at: self.now,
        };
        Body::ParticipantDecided { decision: by(&document, &SRO[..2]) }
    }

    pub fn admit(&mut self, holder: &str, kind: Kind) {
        self.apply(&participant(holder, kind)).unwrap();
        self.decide(holder, Decision::Verified).unwrap();
    }

    /// The contract of [`House`], proposed by the consumer and signed by everybody: in force.
    pub fn contract(&mut self) -> ContractRef {
        let contract = House::new().contracts.remove(0);
        self.enter(Body::ContractProposed { contract: by(&contract, &[TDC]) }).unwrap();
        let reference = ContractRef { id: contract.contract_id.clone(), sha256: digest(&contract) };
        for party in contract.parties.iter().filter(|p| p.did.as_str() != TDC) {
            self.sign(&reference, party.did.as_str()).unwrap();
        }
        reference
    }

    /// One more signature, with what follows from it.
    pub fn sign(&mut self, contract: &ContractRef, holder: &str) -> R<()> {
        let document = House::new().contracts.remove(0);
        let signature = envelope(&document, kid(holder)).signatures.remove(0);
        let body = Body::ContractSigned { contract: contract.clone(), signature };
        let follow_up = self.state.follow_up(&body)?;
        self.enter(body)?;
        follow_up.map_or(Ok(()), |body| self.enter(body))
    }

    pub fn job_ordered(&mut self) {
        let house = House::new();
        self.enter(Body::RunOrdered { job: by(&house.job, &[TDC]) }).unwrap();
    }
}

/// A DID that nobody has.
pub fn stranger() -> Did {
    did("did:web:stranger.example")
}
