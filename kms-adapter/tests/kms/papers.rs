//! What is asked: contracts, signatures, receipts and pipelines that do not allow it.

use schemas::contract::ContractState;
use schemas::job::JobSpec;
use schemas::pipeline::{OutputKind, Stage, Training};
use schemas::release::ReserveRequest;
use schemas::{Code, Signer};

use crate::support::papers::real;
use crate::support::{Changes, People, Room, World, start};

fn refuses(changes: Changes, code: Code) {
    let world = World::with(changes);
    world.refuses(code, || Room::new(&world).reserve());
}

fn contract(change: impl Fn(&mut schemas::contract::Contract) + 'static) -> Changes {
    Changes { contract: Box::new(change), ..Changes::default() }
}

fn job(change: impl Fn(&mut JobSpec) + 'static) -> Changes {
    Changes { job: Box::new(change), ..Changes::default() }
}

fn training(change: impl Fn(&mut Training) + 'static) -> Changes {
    job(move |job| match &mut job.stages[1] {
        Stage::Train(training) => change(training),
        other => panic!("{other:?}"),
    })
}

#[test]
fn contracts_outside_their_period() {
    refuses(contract(|c| c.effective_from = start().plus_seconds(1)), Code::ContractNotYetValid);
    refuses(contract(|c| c.expires_at = start()), Code::ContractExpired);
    refuses(contract(|c| c.purpose = "MARKETING".into()), Code::PurposeNotAllowed);
    refuses(job(|j| j.expires_at = start()), Code::JobExpired);
}

#[test]
fn contracts_not_in_force_by_the_admission() {
    let world = World::new();
    let room = Room::new(&world);
    for (state, code) in [
        (ContractState::Revoked, Code::ContractRevoked),
        (ContractState::Expired, Code::ContractExpired),
        (ContractState::Scheduled, Code::ContractNotYetValid),
        (ContractState::Declined, Code::ContractNotActive),
        (ContractState::Proposed, Code::ContractNotActive),
        (ContractState::PartiallySigned, Code::ContractNotActive),
    ] {
        world.refuses(code, || room.send_reserve(&room.reserve_request(|a| a.contracts[0].state = state)));
    }
    room.reserve().unwrap();
}

fn with_bundle(world: &World, change: impl FnOnce(&mut ReserveRequest)) -> ReserveRequest {
    let mut request = Room::new(world).reserve_request(|_| ());
    change(&mut request);
    request
}

#[test]
fn signatures_missing_or_forged() {
    let world = World::new();
    let room = Room::new(&world);
    // The good bundle was opened and is kept so; a spoiled one is not taken for it.
    let revoked = room.reserve_request(|a| a.contracts[0].state = ContractState::Revoked);
    world.refuses(Code::ContractRevoked, || room.send_reserve(&revoked));
    type Spoil = fn(&mut ReserveRequest);
    let cases: [(Code, Spoil); 9] = [
        (Code::ReceiptMismatch, |r| drop(r.bundle.contracts[0].envelope.signatures.pop())),
        (Code::SignatureInvalid, |r| r.bundle.contracts[0].envelope.signatures[0].sig.0[3] ^= 1),
        (Code::SignatureInvalid, |r| r.bundle.contracts[0].envelope.signatures[3].sig.0[60] ^= 1),
        (Code::SignatureMissing, |r| r.bundle.job.signatures.clear()),
        (Code::SignatureInvalid, |r| r.bundle.job.signatures[0].sig.0[0] ^= 1),
        (Code::SignatureMissing, |r| r.bundle.offers[0].envelope.signatures.clear()),
        (Code::SignerUnknown, |r| drop(r.bundle.participants.remove(0))),
        (Code::ReceiptMismatch, |r| r.bundle.contracts[0].receipt.body_salt.0[0] ^= 1),
        (Code::CheckpointInvalid, |r| {
            r.bundle.contracts[0].receipt.checkpoint =
                r.bundle.contracts[0].receipt.checkpoint.replace("sro.example", "x.example")
        }),
    ];
    for (index, (code, spoil)) in cases.into_iter().enumerate() {
        println!("case {index}");
        world.refuses(code, || room.send_reserve(&with_bundle(&world, spoil)));
    }
    // Entered in the log by the registry, yet not signed by one party.
    let mut request = room.reserve_request(|_| ());
    let people = &world.people;
    let partly = People::sign(&world.terms, &[&people.tdp, &people.other_tdp, &people.tdc]);
    request.bundle.contracts[0] =
        world.log.lock().unwrap().enter(partly, crate::support::people::ORIGIN, &people.registry, start());
    world.refuses(Code::SignatureMissing, || room.send_reserve(&request));
    // A job signed by somebody else.
    let mut request = room.reserve_request(|_| ());
    request.bundle.job = People::sign(&request.bundle.job.read_unverified().unwrap(), &[&people.ccrp]);
    world.refuses(Code::SignerNotParty, || room.send_reserve(&request));
}

#[test]
fn pipelines_that_reveal_too_much() {
    refuses(
        job(|j| match &mut j.stages[2] {
            Stage::Output(output) => output.input = "joined".into(),
            other => panic!("{other:?}"),
        }),
        Code::PipelineRawOutput,
    );
    refuses(
        job(|j| match &mut j.stages[2] {
            Stage::Output(output) => output.kind = OutputKind::Table,
            other => panic!("{other:?}"),
        }),
        Code::PipelineRawOutput,
    );
    refuses(training(|t| t.private = false), Code::PipelineNotPrivate);
    refuses(training(|t| (t.private, t.epsilon, t.delta) = (false, None, None)), Code::PipelineNotPrivate);
    refuses(training(|t| t.epsilon = Some(real("1.01"))), Code::EpsilonExceedsContract);
    refuses(training(|t| t.features[0].column.column = "secret".into()), Code::PipelineColumn);
    refuses(training(|t| t.features[0].upper = real("50")), Code::PipelineBounds);
    refuses(training(|t| t.target.column = "age".into()), Code::PipelineTarget);
    refuses(
        job(|j| match &mut j.stages[0] {
            Stage::Join(join) => join.steps[0].right.column = "age".into(),
            other => panic!("{other:?}"),
        }),
        Code::PipelineJoinKey,
    );
    refuses(
        job(|j| match &mut j.stages[2] {
            Stage::Output(output) => output.recipient = j.ccrp.clone(),
            other => panic!("{other:?}"),
        }),
        Code::PipelineRecipient,
    );
}

#[test]
fn terms_that_are_not_the_offers() {
    refuses(
        contract(|c| c.datasets[0].key.key_id = schemas::id::DataKeyId::new(uuid::Uuid::now_v7())),
        Code::TermsNotOffer,
    );
    refuses(contract(|c| c.datasets[0].privacy.epsilon = real("2.5")), Code::EpsilonOutOfRange);
    refuses(contract(|c| c.compute.image_sets.clear()), Code::ImageSetNotApproved);
}

#[test]
fn keys_that_are_not_kept_here() {
    // The offer names a key that was never imported.
    let other = schemas::id::DataKeyId::new(uuid::Uuid::now_v7());
    refuses(Changes { offer: Box::new(move |o| o.key.key_id = other.clone()), ..Changes::default() }, Code::KeyUnknown);
    // Another sealed object than the imported key is for.
    refuses(
        Changes { offer: Box::new(|o| o.manifest_root = schemas::Digest::of(b"another")), ..Changes::default() },
        Code::KeyUnknown,
    );
    // The offer pins somebody else's signing key.
    refuses(
        Changes {
            offer: Box::new(|o| o.key.kms_jwk = signing::FileKey::generate().unwrap().jwk().clone()),
            ..Changes::default()
        },
        Code::JobMismatch,
    );
    // The job's keys lie elsewhere.
    refuses(
        Changes { offer: Box::new(|o| o.key.kms = "https://elsewhere.example".into()), ..Changes::default() },
        Code::JobMismatch,
    );
}

/// Two SRO people who verify a key of their own under a did:web provider's name can sign offers and contracts in it;
/// the provider's own key service knows the provider's key and opens nothing.
#[test]
fn a_provider_key_that_only_the_sro_vouches_for() {
    let did = schemas::id::Did::parse("did:web:tdp.example").unwrap();
    let fresh = || signing::FileKey::generate_for(&did).unwrap();
    for forged in [false, true] {
        let path = std::env::temp_dir().join(format!("depa-kms-provider-{}", uuid::Uuid::now_v7()));
        let genuine = fresh();
        genuine.save(&path).unwrap();
        let pinned = genuine.jwk().clone();
        let file = path.clone();
        let world = World::with(Changes {
            provider: Box::new(move || signing::FileKey::load(&file).unwrap()),
            impostor: forged.then(fresh),
            config: Box::new(move |c| c.provider_jwk = Some(pinned.clone())),
            ..Changes::default()
        });
        std::fs::remove_file(path).unwrap();
        match forged {
            true => world.refuses(Code::SignerUnknown, || Room::new(&world).reserve()),
            false => drop(Room::new(&world).reserve().unwrap()),
        }
    }
}
