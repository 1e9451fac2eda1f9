//! Trust that a relying party pins, and a job bundle opened under it: every signature and receipt in it checked.
//!
//! A signature counts if its key counted at the log index of the document's receipt ([`PinnedBook::as_of`]): retired keys
//! keep what they signed, a compromised one loses what was entered since. Room, KMS and auditor pin the registry's key and the SRO people, nothing else: every other key in a bundle is
//! vouched for by two SRO people, so the contract service's word alone brings no party into being.

mod keys;
mod open;
pub(crate) mod people;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemas::bundle::{BundledParticipant, Logged, LoggedDocument, LoggedKeyEvent};
use schemas::contract::Contract;
use schemas::envelope::Usage;
use schemas::event::{Body, SroPerson};
use schemas::id::{Did, KeyId, RunId};
use schemas::jwk::Jwk;
use schemas::lineage::LogLineage;
use schemas::party::{Decision, KeyAct, KeyEvent, Kind, Participant, Resolution};
use schemas::{Code, Digest, Entered, KeyBook, R, Refusal, Signed, canonical};
use serde::{Deserialize, Serialize};

use crate::lineage::Lineage;
use crate::{did, document, note};
use keys::PartyKeys;
pub use open::{MAX_BUNDLED, OpenedBundle, open_bundle};

/// What a relying party pins. Handed over out of band; a file of it is what `depa trust` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The registry.
    pub registry: Did,
    /// Its key: checkpoints, admissions, status lists.
    pub registry_jwk: Jwk,
    /// Origin of the log.
    pub origin: String,
    /// SRO people; decisions with effect need two of them.
    pub sro: Vec<SroPerson>,
    /// Witnesses whose cosignatures count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<WitnessKey>,
    /// How many of them must have cosigned a checkpoint before anything is opened on its word; 0 asks for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub quorum: u32,
    /// The log's other keys, as far as they were shown ([`Trust::following`]); no part of what is pinned.
    #[serde(skip)]
    pub lineage: Lineage,
}

/// A witness's key under its name (C2SP tlog-witness).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessKey {
    /// Name on its cosignature lines.
    pub name: String,
    /// Its key.
    pub jwk: Jwk,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl KeyBook for Trust {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        match usage {
            Usage::Party => self.person_key(kid, None),
            Usage::Service if kid.holder == self.registry.as_str() => Some(self.key_in_use().clone()),
            Usage::Service | Usage::Run => None,
        }
    }
}

impl Trust {
    /// Reads a trust file and, where it lies beside it, the lineage of the log's keys: `trust.log-keys.json` beside
    /// `trust.json`. `CONFIG_INVALID` names the file; a lineage that does not follow is refused with its own code.
    pub fn load(file: &Path) -> R<Trust> {
        let fault = |file: &Path, why: &dyn std::fmt::Display| {
            Refusal::new(Code::ConfigInvalid, format!("{}: {why}", file.display()))
        };
        let bytes = std::fs::read(file).map_err(|e| fault(file, &e))?;
        let trust: Trust = canonical::parse(&bytes).map_err(|e| fault(file, &e.sentence))?;
        let beside = Trust::lineage_file(file);
        match std::fs::read(&beside) {
            Ok(bytes) => trust.following(&canonical::parse(&bytes).map_err(|e| fault(&beside, &e.sentence))?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(trust),
            Err(e) => Err(fault(&beside, &e)),
        }
    }

    /// The log's key in use, as far as a lineage was shown; the pinned one else.
    pub fn key_in_use(&self) -> &Jwk {
        self.lineage.last().unwrap_or(&self.registry_jwk)
    }

    /// Where the lineage of the log's keys lies beside a trust file.
    pub fn lineage_file(file: &Path) -> PathBuf {
        file.with_extension("log-keys.json")
    }

    /// Requires that every party of a contract signed it, each once, and nobody else but SRO people who countersigned.
    pub fn fully_signed(&self, contract: &Signed<Contract>) -> R<()> {
        signed_by_parties(contract, &self.sro)
    }

    /// Requires two different SRO people among the signers, and nobody else.
    pub fn two_people<T>(&self, signed: &Signed<T>) -> R<()> {
        let people = signed.signers().iter().filter(|k| self.sro.iter().any(|p| p.did.as_str() == k.holder)).count();
        if people < 2 || people != signed.signers().len() {
            return Err(Refusal::new(Code::TwoPeopleNeeded, "two different SRO people must have signed"));
        }
        Ok(())
    }
}

/// A book of keys that starts from pinned trust and grows by verified participants, key services and a run.
#[derive(Clone, Debug)]
pub struct PinnedBook {
    trust: Trust,
    parties: BTreeMap<String, PartyKeys>,
    services: BTreeMap<String, Vec<Jwk>>,
    run: Option<(RunId, Jwk)>,
}

impl PinnedBook {
    /// A book with the pinned keys only.
    pub fn new(trust: Trust) -> PinnedBook {
        PinnedBook { trust, parties: BTreeMap::new(), services: BTreeMap::new(), run: None }
    }

    /// The trust that it starts from.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Goes on with other keys of the log where they follow ([`Trust::following`]).
    pub fn follow(&mut self, lineage: &LogLineage) -> R<()> {
        self.trust = self.trust.following(lineage)?;
        Ok(())
    }

    /// Adds a party whose application and decision were verified; its key counts from the start of the log.
    pub fn add_party(&mut self, did: &Did, kind: Kind, jwk: Jwk) {
        self.parties.insert(did.to_string(), PartyKeys::new(kind, jwk));
    }

    /// Verifies a participant and adds it: application by its own key, decision by two SRO people, every key event in
    /// the order of the log by an active key of the participant or by two SRO people, each with its receipt.
    pub fn admit(&mut self, participant: BundledParticipant) -> R<()> {
        let trust = self.trust.clone();
        let sha256: Digest = participant.application.digest();
        let application = verify_application(participant.application, &trust.registry)?;
        let at = participant.decision.receipt.index;
        let decision = note::entered(participant.decision, &trust.registry, &self.as_of(at), &trust.origin, &trust)?;
        trust.two_people(&decision)?;
        let about = decision.participant == application.did && decision.participant_sha256 == sha256;
        if !about || decision.decision != Decision::Verified {
            let why = format!("{} is not verified by the SRO", application.did);
            return Err(Refusal::new(Code::ParticipantNotVerified, why));
        }
        self.add_party(&application.did, application.kind, application.jwk.clone());
        self.key_events(&application.did, participant.key_events)
    }

    fn key_events(&mut self, did: &Did, events: Vec<LoggedKeyEvent>) -> R<()> {
        if events.len() > MAX_KEY_EVENTS {
            return Err(Refusal::new(Code::LimitExceeded, "a bundle holds at most 256 key events of a participant"));
        }
        let mut before = None;
        for LoggedKeyEvent { event, resolution, receipt } in events {
            let index = receipt.index;
            if before.is_some_and(|b| index <= b) {
                return Err(Refusal::new(Code::ReceiptMismatch, "key events stand in the order of the log"));
            }
            before = Some(index);
            let body = Body::KeyChanged { event: event.clone(), resolution: resolution.clone() };
            let event = document::verify(event, &self.trust.registry, &self.as_of(index))?;
            if event.participant != *did {
                return Err(Refusal::new(Code::SignerNotParty, "a key event of somebody else"));
            }
            if only_signer(&event, did.as_str()).is_err() {
                self.trust.two_people(&event)?;
            }
            verify_added_key(&event, resolution.as_ref(), &self.trust.registry)?;
            note::verify_receipt(&receipt, &body, &self.trust.origin, &self.trust)?;
            let by = event.signers().first().map(|kid| kid.thumbprint.clone());
            let party = self.parties.get_mut(did.as_str());
            party.ok_or_else(|| Refusal::new(Code::SignerUnknown, "the party is not known"))?.apply(
                index,
                &event.event,
                by,
            )?;
        }
        Ok(())
    }

    /// The book as it stood for an entry of this index.
    pub fn as_of(&self, index: u64) -> AsOf<'_> {
        AsOf { book: self, index }
    }

    /// Verifies a document and its receipt, with the keys that counted where it was entered.
    pub fn entered<T: LoggedDocument>(&self, logged: Logged<T>) -> R<Entered<T>> {
        let (trust, index) = (&self.trust, logged.receipt.index);
        let kids = kids(&logged.envelope);
        note::entered(logged, &trust.registry, &self.as_of(index), &trust.origin, trust)
            .map_err(|refusal| self.explained(refusal, &kids))
    }

    /// `KEY_NOT_ACTIVE` in place of `SIGNER_UNKNOWN` where a party once had the key.
    fn explained(&self, refusal: Refusal, kids: &[KeyId]) -> Refusal {
        let had = |kid: &KeyId| self.parties.get(&kid.holder).is_some_and(|p| p.had(&kid.thumbprint));
        if refusal.code == Code::SignerUnknown && kids.iter().any(had) {
            return Refusal::new(
                Code::KeyNotActive,
                format!("{}; the key was not active where it signed", refusal.sentence),
            );
        }
        refusal
    }

    /// Adds a KMS key that a TDP's verified offer names.
    pub fn add_service(&mut self, provider: &Did, jwk: Jwk) {
        let keys = self.services.entry(provider.to_string()).or_default();
        if !keys.contains(&jwk) {
            keys.push(jwk);
        }
    }

    /// Sets the run whose statements are to be read.
    pub fn set_run(&mut self, run: RunId, jwk: Jwk) {
        self.run = Some((run, jwk));
    }

    /// The kind of a verified party.
    pub fn kind(&self, did: &Did) -> Option<Kind> {
        self.parties.get(did.as_str()).map(|party| party.kind)
    }
}

impl PinnedBook {
    fn find(&self, kid: &KeyId, usage: Usage, index: Option<u64>) -> Option<Jwk> {
        let own = if usage == Usage::Party { self.trust.person_key(kid, index) } else { self.trust.key(kid, usage) };
        if own.is_some() {
            return own;
        }
        match usage {
            Usage::Party => self.parties.get(&kid.holder)?.document_key(&kid.thumbprint, index).cloned(),
            Usage::Service => {
                self.services.get(&kid.holder)?.iter().find(|k| k.thumbprint() == kid.thumbprint).cloned()
            }
            Usage::Run => self.run.as_ref().filter(|(id, _)| id.as_str() == kid.holder).map(|(_, jwk)| jwk.clone()),
        }
    }
}

/// Keys as of now: those of documents without a receipt.
impl KeyBook for PinnedBook {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        self.find(kid, usage, None)
    }
}

/// A book as it stood for one entry of the log.
#[derive(Clone, Copy, Debug)]
pub struct AsOf<'a> {
    book: &'a PinnedBook,
    index: u64,
}

impl KeyBook for AsOf<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        self.book.find(kid, usage, Some(self.index))
    }
}

/// Verifies an application: signed by the key it names, whose DID it is. did:web keys are vouched for by the SRO, who saw
/// the resolved document.
pub fn verify_application(application: schemas::Envelope<Participant>, registry: &Did) -> R<Signed<Participant>> {
    let claimed = application.read_unverified()?;
    if !did::is_web(&claimed.did) && did::own_key(&claimed.did)? != claimed.jwk {
        return Err(Refusal::new(Code::DidUnresolved, "the DID encodes another key than the application").at("jwk"));
    }
    crate::check::sound(&claimed.jwk)?;
    let book = OneKey { holder: claimed.did.to_string(), jwk: claimed.jwk.clone() };
    document::verify_by(application, registry, &book, claimed.did.as_str())
}

/// Verifies the word of a key that is added: signed by itself alone, for this participant; a did:web's document names it.
pub fn verify_added_key(event: &KeyEvent, resolution: Option<&Resolution>, registry: &Did) -> R<()> {
    let KeyAct::Add { proof, .. } = &event.event else {
        return Ok(());
    };
    let claimed = proof.read_unverified()?;
    crate::check::sound(&claimed.jwk)?;
    let book = OneKey { holder: event.participant.to_string(), jwk: claimed.jwk.clone() };
    let proof = document::verify_by(proof.clone(), registry, &book, event.participant.as_str())?;
    if proof.holder != event.participant {
        return Err(Refusal::new(Code::SignerNotParty, "the key proves itself for another holder").at("event.proof"));
    }
    if did::is_web(&event.participant) {
        let document = resolution.map(|r| r.document.0.as_slice()).unwrap_or_default();
        did::document_names_key(document, &event.participant, &claimed.jwk)?;
    }
    Ok(())
}

/// A book with one party key.
#[derive(Clone, Debug)]
pub struct OneKey {
    /// Whose key it is.
    pub holder: String,
    /// The key.
    pub jwk: Jwk,
}

impl KeyBook for OneKey {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        (usage == Usage::Party && kid.holder == self.holder).then(|| self.jwk.clone())
    }
}

/// The most key events of one participant in a bundle.
const MAX_KEY_EVENTS: usize = 256;

/// Requires that exactly the parties of a contract signed it, each once. [`Trust::fully_signed`] also takes
/// countersignatures of the SRO.
pub fn fully_signed(contract: &Signed<Contract>) -> R<()> {
    signed_by_parties(contract, &[])
}

fn signed_by_parties(contract: &Signed<Contract>, people: &[SroPerson]) -> R<()> {
    for party in &contract.parties {
        if !contract.signed_by(&party.did) {
            return Err(Refusal::new(Code::SignatureMissing, format!("{} has not signed the contract", party.did)));
        }
    }
    let party = |holder: &str| contract.parties.iter().any(|p| p.did.as_str() == holder);
    let person = |holder: &str| people.iter().any(|p| p.did.as_str() == holder);
    if contract.signers().iter().any(|k| !party(&k.holder) && !person(&k.holder)) {
        return Err(Refusal::new(Code::SignerNotParty, "somebody who is no party signed the contract"));
    }
    Ok(())
}

fn kids<T>(envelope: &schemas::Envelope<T>) -> Vec<KeyId> {
    envelope.signatures.iter().map(|s| s.kid.clone()).collect()
}

fn only_signer<T>(signed: &Signed<T>, holder: &str) -> R<()> {
    match signed.signers() {
        [one] if one.holder == holder => Ok(()),
        _ => Err(Refusal::new(Code::SignerNotParty, format!("one signature, by {holder}, is expected"))),
    }
}
