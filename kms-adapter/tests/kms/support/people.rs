//! Everyone outside the key service: registry, SRO people, providers, consumer, clean-room provider; and the software
//! platform of the clean room.

use std::sync::OnceLock;

use attestation::software::{SoftwareAttester, SoftwareRoot, id_key_digest, image_set_pcrs, launch_measurement};
use schemas::bundle::{BundledParticipant, Logged};
use schemas::event::SroPerson;
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::id::{Did, ImageSetId};
use schemas::party::{Decision, Kind, Participant, ParticipantDecision};
use schemas::{Digest, Document, Envelope, Signer, Timestamp};
use signing::{FileKey, Trust};

use super::log::Log;

pub const ORIGIN: &str = "sro.example/log";

pub fn start() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

pub fn uuid() -> uuid::Uuid {
    uuid::Uuid::now_v7()
}

/// What the clean room runs.
pub fn code() -> Digest {
    Digest::of(b"ccr and ccr-trainer as approved")
}

/// One software root for all tests: making its keys takes a second.
pub fn software_root() -> &'static SoftwareRoot {
    static ROOT: OnceLock<SoftwareRoot> = OnceLock::new();
    ROOT.get_or_init(|| SoftwareRoot::create_with(2048, start()).unwrap())
}

/// The attester of the approved code.
pub fn attester() -> &'static SoftwareAttester {
    static ATTESTER: OnceLock<SoftwareAttester> = OnceLock::new();
    ATTESTER.get_or_init(|| SoftwareAttester::new(software_root().clone(), code()).unwrap())
}

/// The attester of other code.
pub fn changed_attester() -> &'static SoftwareAttester {
    static ATTESTER: OnceLock<SoftwareAttester> = OnceLock::new();
    ATTESTER.get_or_init(|| SoftwareAttester::new(software_root().clone(), Digest::of(b"changed")).unwrap())
}

pub struct People {
    pub registry: FileKey,
    pub sro: [FileKey; 2],
    pub tdp: FileKey,
    pub other_tdp: FileKey,
    pub tdc: FileKey,
    pub ccrp: FileKey,
    /// Signs for the other provider's key service.
    pub other_kms: FileKey,
}

impl People {
    pub fn new() -> People {
        People::with_provider(FileKey::generate().unwrap())
    }

    /// People among whom our provider has this key.
    pub fn with_provider(tdp: FileKey) -> People {
        let fresh = || FileKey::generate().unwrap();
        let other_tdp = fresh();
        People {
            registry: FileKey::generate_for(&Did::parse("did:web:sro.example").unwrap()).unwrap(),
            sro: [fresh(), fresh()],
            tdp,
            other_kms: FileKey::generate_for(&other_tdp.did().unwrap()).unwrap(),
            other_tdp,
            tdc: fresh(),
            ccrp: fresh(),
        }
    }

    pub fn registry_did(&self) -> Did {
        self.registry.did().unwrap()
    }

    pub fn trust(&self) -> Trust {
        let person =
            |key: &FileKey| SroPerson { did: key.did().unwrap(), jwk: key.jwk().clone(), name: "Person".into() };
        Trust {
            registry: self.registry_did(),
            registry_jwk: self.registry.jwk().clone(),
            origin: ORIGIN.into(),
            sro: self.sro.iter().map(person).collect(),
            witnesses: vec![],
            quorum: 0,
            lineage: Default::default(),
        }
    }

    pub fn sign<T: Document>(document: &T, keys: &[&FileKey]) -> Envelope<T> {
        let mut envelope = Envelope::draft(document).unwrap();
        for key in keys {
            let signature = signing::countersign(&envelope, *key, start()).unwrap();
            envelope.signatures.push(signature);
        }
        envelope
    }

    pub fn participant(&self, log: &mut Log, key: &FileKey, kind: Kind) -> BundledParticipant {
        let application = Participant {
            schema: "participant.v1".into(),
            registry: self.registry_did(),
            did: key.did().unwrap(),
            kind,
            legal_name: "A party".into(),
            jurisdiction: "IN".into(),
            jwk: key.jwk().clone(),
            applied_at: start(),
        };
        let application = People::sign(&application, &[key]);
        let decision = ParticipantDecision {
            schema: "participant-decision.v1".into(),
            registry: self.registry_did(),
            participant: key.did().unwrap(),
            participant_sha256: application.digest(),
            decision: Decision::Verified,
            reason: "identity seen".into(),
            decided_at: start(),
        };
        let decision = People::sign(&decision, &[&self.sro[0], &self.sro[1]]);
        BundledParticipant {
            application,
            decision: log.enter(decision, ORIGIN, &self.registry, start()),
            key_events: vec![],
        }
    }

    pub fn image_set(&self, log: &mut Log, change: &dyn Fn(&mut ImageSet)) -> Logged<ImageSet> {
        let mut set = ImageSet {
            schema: "image-set.v1".into(),
            registry: self.registry_did(),
            image_set_id: ImageSetId::new(uuid()),
            name: "ccr 0.1.0 (software)".into(),
            profile: EvidenceKind::Software,
            pcrs: image_set_pcrs(&code()),
            measurements: vec![launch_measurement()],
            id_key_digests: vec![id_key_digest()],
            host_data: None,
            valid_from: start().plus_seconds(-86_400),
            valid_to: start().plus_seconds(365 * 86_400),
        };
        change(&mut set);
        let envelope = People::sign(&set, &[&self.sro[0], &self.sro[1]]);
        log.enter(envelope, ORIGIN, &self.registry, start())
    }
}
