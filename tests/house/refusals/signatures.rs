//! Contracts that not everybody signed, or somebody only seems to have signed.

use demo::actors::Person;
use schemas::bundle::{Logged, LoggedDocument};
use schemas::contract::{Contract, ContractRef, ContractState};
use schemas::envelope::PartySignature;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::log::{CheckpointRef, Receipt, Record, body_digest, subject_digest};
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope, R, Signer};
use signing::FileKey;

use super::judges::each_refuses;
use super::scene::{Scene, calm, reference, refuses};

/// A contract that all but the clean-room provider have signed, as the desk knows it.
fn lacking_one(scene: &Scene) -> (Envelope<Contract>, ContractRef) {
    let house = &scene.house;
    let mut contract = house.contract_with(|_| {}).unwrap();
    let signers = house.signers();
    for (at, person) in signers.iter().take(signers.len() - 1).enumerate() {
        let signature = house.signature(&contract, person).unwrap();
        depa::contract::submit(person.desk().unwrap(), &contract, &signature, at == 0).unwrap();
        contract.signatures.push(signature.signature);
    }
    let reference = reference(&contract);
    (contract, reference)
}

/// A key that signs under somebody else's name.
struct Pretender {
    kid: KeyId,
    key: FileKey,
}

impl Signer for Pretender {
    fn kid(&self) -> &KeyId {
        &self.kid
    }
    fn jwk(&self) -> &Jwk {
        self.key.jwk()
    }
    fn sign_bytes(&self, message: &[u8]) -> R<[u8; 64]> {
        self.key.sign_bytes(message)
    }
}

#[test]
fn a_last_signature_that_does_not_count_leaves_the_contract_open() {
    let scene = calm();
    let house = &scene.house;
    let (contract, meant) = lacking_one(&scene);
    let last = &house.ccrp.person;
    let now = last.now();
    let good = house.signature(&contract, last).unwrap().signature;
    let by = |signer: &dyn Signer| signing::countersign(&contract, signer, now).unwrap();
    let flipped = |bit: usize| {
        let mut sig = good.clone();
        sig.sig.0[bit / 8] ^= 1 << (bit % 8);
        sig
    };
    let other = house.contract_with(|form| form.risk_statement = "Other words.".into()).unwrap();
    let pretender = Pretender { kid: last.key.kid().clone(), key: FileKey::generate().unwrap() };
    let another_key = FileKey::from_seed(last.did.as_str(), &[9; 32]);
    let mut renamed = by(&*house.psp.person.key);
    renamed.kid = good.kid.clone();
    let cases: [(&str, Code, PartySignature); 8] = [
        ("a bit of R flipped", Code::SignatureInvalid, flipped(3)),
        ("a bit of S flipped", Code::SignatureInvalid, flipped(300)),
        ("by another key under the party's key id", Code::SignatureInvalid, by(&pretender)),
        ("by another key under the party's name", Code::SignerUnknown, by(&another_key)),
        ("by a stranger", Code::SignerNotParty, by(&*house.psp.person.key)),
        ("by a stranger whose header says so", Code::SignatureForm, renamed),
        ("by one who has signed", Code::SignerTwice, by(&*house.tdc.person.key)),
        (
            "over another contract's bytes",
            Code::SignatureInvalid,
            signing::countersign(&other, &*last.key, now).unwrap(),
        ),
    ];
    for (what, code, signature) in cases {
        println!("{what}: {code}");
        refuses(code, scene.desk().sign_contract(&meant.id, meant.sha256, signature));
        assert_eq!(scene.state(&meant), ContractState::PartiallySigned, "{what}");
    }
    refuses(Code::ContractNotActive, depa::contract::bundle(house.tdc.person.desk().unwrap(), &meant.id));
    assert_eq!(scene.spent(&meant), [0, 0, 0]);
    scene.nobody_pays(&meant);
    // The good one counts, and only now is the contract in force.
    scene.desk().sign_contract(&meant.id, meant.sha256, good).unwrap();
    assert_eq!(scene.state(&meant), ContractState::Active);
}

#[test]
fn a_contract_that_lacks_a_signature_is_refused_even_when_the_registry_entered_it() {
    let scene = calm();
    let deal = scene.deal();
    let (contract, meant) = lacking_one(&scene);
    let mut bundle = scene.forged(&deal, |job| job.contracts = vec![meant.clone()]);
    // Under the receipt of another contract.
    bundle.contracts[0].envelope = contract.clone();
    each_refuses(&scene, &bundle, Code::ReceiptMismatch);
    // Under a receipt that a registry which was taken over has made for it.
    bundle.contracts[0] = entered_all_the_same(&scene, contract);
    each_refuses(&scene, &bundle, Code::SignatureMissing);
    assert_eq!(scene.spent(&meant), [0, 0, 0]);
    scene.nobody_pays(&meant);
    scene.nothing_came_of(&deal);
}

#[test]
fn a_forged_signature_in_a_bundle_is_refused_by_each_judge_alone() {
    let scene = calm();
    let deal = scene.deal();
    for at in 0..scene.house.signers().len() {
        let mut bundle = deal.bundle.clone();
        bundle.contracts[0].envelope.signatures[at].sig.0[17] ^= 0x10;
        each_refuses(&scene, &bundle, Code::SignatureInvalid);
    }
    let mut unsigned = deal.bundle.clone();
    unsigned.job.signatures.clear();
    each_refuses(&scene, &unsigned, Code::SignatureMissing);
    let mut usurped = deal.bundle.clone();
    let person: &Person = &scene.house.ccrp.person;
    usurped.job = signing::sign(&deal.bundle.job.read_unverified().unwrap(), &*person.key, person.now()).unwrap();
    each_refuses(&scene, &usurped, Code::SignerNotParty);
    let mut stranger = deal.bundle.clone();
    stranger.participants.remove(0);
    each_refuses(&scene, &stranger, Code::SignerUnknown);
    scene.nothing_came_of(&deal);
}

/// A receipt that the registry's key gives for whatever it is told to.
pub fn entered_all_the_same(scene: &Scene, envelope: Envelope<Contract>) -> Logged<Contract> {
    let (salt, subject) = ([7; 32], envelope.read_unverified().unwrap().subject());
    let record = Record {
        v: 1,
        kind: "contract_executed".into(),
        subject: subject_digest(&[8; 32], &subject),
        seq: 1,
        at: scene.clock.now(),
        body_sha256: body_digest(&salt, &Contract::body(envelope.clone())).unwrap(),
        prev: Digest([0; 32]),
    };
    let head = CheckpointRef { size: 1, root: record.leaf().unwrap() };
    let note = signing::note::sign_checkpoint(&scene.house.trust.origin, &head, &scene.registry_key()).unwrap();
    let receipt =
        Receipt { index: 0, record, body_salt: Bytes(salt.to_vec()), path: Vec::new(), checkpoint: note.text() };
    Logged { envelope, receipt }
}
