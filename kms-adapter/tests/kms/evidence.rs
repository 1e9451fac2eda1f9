//! Who asks: challenges, transcripts, evidence and Admissions that do not show this room for this run now.

use schemas::contract::{Assurance, ContractState};
use schemas::evidence::{EvidenceKind, Transcript};
use schemas::id::{ChallengeId, ImageSetId, RunId};
use schemas::release::{Admission, Attested};
use schemas::{Code, Digest, Envelope};
use signing::jose::EncKey;

use crate::support::people::{changed_attester, uuid};
use crate::support::{Changes, People, Room, World};

#[test]
fn challenges_are_known_unused_and_timely() {
    let world = World::new();
    let room = Room::new(&world);
    let request = room.reserve_request(|_| ());
    world.pass(120);
    world.refuses(Code::ChallengeExpired, || room.send_reserve(&request));
    let mut request = room.reserve_request(|_| ());
    request.attested.transcript.challenge_id = ChallengeId::new(uuid());
    world.refuses(Code::ChallengeUnknown, || room.send_reserve(&request));
}

#[test]
fn challenges_are_signed_for_this_service() {
    let world = World::new();
    let envelope = Room::new(&world).ask_challenge().unwrap();
    let mut book = signing::book::PinnedBook::new(world.people.trust());
    book.add_service(&world.people.tdp.did().unwrap(), world.info.sign_jwk.clone());
    let challenge = signing::verify(envelope, &world.people.registry_did(), &book).unwrap();
    assert_eq!((challenge.aud.as_str(), challenge.nonce.0.len()), (world.url(), 32));
    assert_eq!(challenge.expires_at, world.now().plus_seconds(120));
}

#[test]
fn open_challenges_are_bounded_per_contract() {
    let changes = Changes { config: Box::new(|c| c.open_challenges_per_contract = 3), ..Changes::default() };
    let world = World::with(changes);
    let room = Room::new(&world);
    for _ in 0..3 {
        room.ask_challenge().unwrap();
    }
    assert_eq!(room.ask_challenge().unwrap_err().code, Code::RateLimited);
    world.pass(120);
    room.ask_challenge().unwrap();
}

#[test]
fn every_member_of_the_transcript_is_bound() {
    let world = World::new();
    let room = Room::new(&world);
    type Spoil = fn(&mut Transcript);
    let spoil: [(Code, Spoil); 9] = [
        (Code::TranscriptMismatch, |t| t.v = 2),
        (Code::TranscriptMismatch, |t| t.aud = "https://kms.other.example".into()),
        (Code::TranscriptMismatch, |t| t.nonce.0[0] ^= 1),
        (Code::TranscriptMismatch, |t| t.run_id = RunId::new(uuid())),
        (Code::TranscriptMismatch, |t| t.job_sha256 = Digest::of(b"another job")),
        (Code::TranscriptMismatch, |t| t.contracts[0].sha256 = Digest::of(b"another contract")),
        (Code::TranscriptMismatch, |t| t.image_set_id = ImageSetId::new(uuid())),
        (Code::TranscriptMismatch, |t| t.admission_sha256 = Some(Digest::of(b"another admission"))),
        (Code::TranscriptMismatch, |t| t.checkpoint.size += 1),
    ];
    // Said by a genuine room over a transcript that does not fit.
    for (index, (code, change)) in spoil.into_iter().enumerate() {
        let mut request = room.reserve_request(|_| ());
        let mut transcript = request.attested.transcript.clone();
        change(&mut transcript);
        request.attested = room.attest(transcript);
        println!("member {index}");
        world.refuses(code, || room.send_reserve(&request));
    }
}

#[test]
fn a_key_swapped_in_transit_breaks_the_evidence() {
    let world = World::new();
    let room = Room::new(&world);
    let thief = EncKey::generate().unwrap();
    let mut request = room.reserve_request(|_| ());
    request.attested.transcript.enc_jwk = thief.jwk().clone();
    world.refuses(Code::RunKeyMismatch, || room.send_reserve(&request));
    // Even with an Admission for the thief's key: the evidence is over the room's.
    let swap = |attested: &mut Attested, admission: &Envelope<Admission>| {
        attested.transcript.enc_jwk = thief.jwk().clone();
        attested.transcript.admission_sha256 = Some(admission.digest());
    };
    let mut request = room.reserve_request(|_| ());
    request.admission = room.admission_with(|a| a.enc_jwk = thief.jwk().clone());
    swap(&mut request.attested, &request.admission);
    world.refuses(Code::EvidenceRefused, || room.send_reserve(&request));

    let reserved = room.reserve().unwrap();
    let mut request = room.release_request(&reserved);
    request.attested.transcript.enc_jwk = thief.jwk().clone();
    world.refuses(Code::RunKeyMismatch, || room.send_release(&reserved, &request));
    let mut request = room.release_request(&reserved);
    request.admission = room.admission_with(|a| a.enc_jwk = thief.jwk().clone());
    swap(&mut request.attested, &request.admission);
    world.refuses(Code::EvidenceRefused, || room.send_release(&reserved, &request));
    assert_eq!(world.charges(), ["reserved"]);
}

#[test]
fn evidence_of_another_challenge_is_refused() {
    let world = World::new();
    let room = Room::new(&world);
    let old = room.reserve_request(|_| ());
    let mut request = room.reserve_request(|_| ());
    request.attested.evidence = old.attested.evidence.clone();
    world.refuses(Code::EvidenceRefused, || room.send_reserve(&request));
    // The old transcript with the new challenge's id.
    let fresh = room.challenge();
    let transcript = Transcript { challenge_id: fresh.challenge_id.clone(), ..old.attested.transcript.clone() };
    let mut request = room.reserve_request(|_| ());
    request.attested = Attested { transcript, evidence: old.attested.evidence };
    world.refuses(Code::TranscriptMismatch, || room.send_reserve(&request));
}

#[test]
fn changed_code_gets_nothing() {
    let world = World::new();
    let mut room = Room::new(&world);
    room.attester = changed_attester();
    world.refuses(Code::EvidenceRefused, || room.reserve());
    room.attester = crate::support::people::attester();
    let reserved = room.reserve().unwrap();
    room.attester = changed_attester();
    world.refuses(Code::EvidenceRefused, || room.release(&reserved));
    assert_eq!(world.charges(), ["reserved"]);
}

#[test]
fn evidence_must_be_of_an_allowed_kind_and_strength() {
    let no_software = |c: &mut schemas::contract::Contract| c.compute.evidence = vec![EvidenceKind::AzureSnp];
    let world = World::with(Changes { contract: Box::new(no_software), ..Changes::default() });
    world.refuses(Code::EvidenceNotAllowed, || Room::new(&world).reserve());

    // The key itself was imported for hardware, whatever offer and contract say.
    let world = World::with(Changes { min_assurance: Assurance::Hardware, ..Changes::default() });
    world.refuses(Code::AssuranceTooLow, || Room::new(&world).reserve());

    let world =
        World::with(Changes { offer: Box::new(|o| o.key.min_assurance = Assurance::Hardware), ..Changes::default() });
    world.refuses(Code::AssuranceTooLow, || Room::new(&world).reserve());

    // No root pinned: nobody vouches for the platform.
    let world = World::with(Changes { config: Box::new(|c| c.software_roots.clear()), ..Changes::default() });
    world.refuses(Code::EvidenceRefused, || Room::new(&world).reserve());
}

#[test]
fn image_sets_must_be_current() {
    let world = World::with(Changes {
        image_set: Box::new(|s| s.valid_to = crate::support::start().plus_seconds(1000)),
        ..Changes::default()
    });
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    world.pass(25);
    room.renew(room.status_list(vec![])).unwrap();
    world.pass(1000);
    world.refuses(Code::ImageSetNotApproved, || Room::new(&world).reserve());
    world.refuses(Code::ImageSetNotApproved, || room.renew(room.status_list(vec![])));
}

/// Also in the minute in which an Admission of before the revocation is still fresh, and for good.
#[test]
fn a_withdrawn_image_set_gets_no_lease_no_key_and_no_reservation() {
    // Two runs fit.
    let small = |job: &mut schemas::job::JobSpec| {
        job.stages.iter_mut().for_each(|stage| {
            if let schemas::pipeline::Stage::Train(training) = stage {
                training.epsilon = Some(schemas::text::Real::parse("0.3").unwrap());
            }
        });
    };
    let world = World::with(Changes { job: Box::new(small), ..Changes::default() });
    let id = world.image_set.envelope.read_unverified().unwrap().image_set_id;
    let (holder, waiting) = (Room::new(&world), Room::new(&world));
    holder.release(&holder.reserve().unwrap()).unwrap();
    let reserved = waiting.reserve().unwrap();
    let other = schemas::id::ImageSetId::new(uuid());
    holder.renew(holder.status_list_with(vec![], vec![other])).unwrap();
    // A list that nobody vouches for is not heard.
    let mut forged = holder.status_list_with(vec![], vec![id.clone()]);
    forged.signatures[0].sig.0[5] ^= 1;
    world.refuses(Code::SignatureInvalid, || holder.renew(forged.clone()));
    holder.renew(holder.status_list(vec![])).unwrap();

    world.refuses(Code::ImageSetRevoked, || holder.renew(holder.status_list_with(vec![], vec![id.clone()])));
    world.refuses(Code::ImageSetRevoked, || waiting.release(&reserved));
    world.refuses(Code::ImageSetRevoked, || Room::new(&world).reserve());
    // Whoever leaves the list of before in the place of the new one gains nothing at other runs.
    world.refuses(Code::ImageSetRevoked, || waiting.release(&reserved));
    assert_eq!(world.charges(), ["charged", "reserved"]);
}

#[test]
fn admissions_are_fresh_and_of_this_run() {
    let world = World::new();
    let room = Room::new(&world);
    let now = world.now();
    world.refuses(Code::AdmissionStale, || {
        room.send_reserve(&room.reserve_request(|a| a.issued_at = now.plus_seconds(-61)))
    });
    world.refuses(Code::AdmissionStale, || {
        room.send_reserve(&room.reserve_request(|a| a.issued_at = now.plus_seconds(61)))
    });
    world.refuses(Code::AdmissionInvalid, || {
        room.send_reserve(&room.reserve_request(|a| a.run_id = RunId::new(uuid())))
    });
    world.refuses(Code::AdmissionInvalid, || {
        room.send_reserve(&room.reserve_request(|a| a.job_sha256 = Digest::of(b"another job")))
    });
    world.refuses(Code::AdmissionInvalid, || room.send_reserve(&room.reserve_request(|a| a.contracts.clear())));
    world.refuses(Code::AdmissionInvalid, || room.send_reserve(&room.reserve_request(|a| drop(a.kms_heads.pop()))));
    let keys = EncKey::generate().unwrap();
    world
        .refuses(Code::RunKeyMismatch, || room.send_reserve(&room.reserve_request(|a| a.enc_jwk = keys.jwk().clone())));
    let mut request = room.reserve_request(|_| ());
    request.admission.signatures =
        People::sign(&request.admission.read_unverified().unwrap(), &[&world.people.tdc]).signatures;
    world.refuses(Code::SignerNotParty, || room.send_reserve(&request));
    let mut request = room.reserve_request(|_| ());
    request.admission.signatures[0].sig.0[5] ^= 1;
    world.refuses(Code::SignatureInvalid, || room.send_reserve(&request));
    // At release it is asked again.
    let reserved = room.reserve().unwrap();
    let stale = room.release_request_with(&reserved, |a| a.issued_at = now.plus_seconds(-61));
    world.refuses(Code::AdmissionStale, || room.send_release(&reserved, &stale));
    let revoked = room.release_request_with(&reserved, |a| a.contracts[0].state = ContractState::Revoked);
    world.refuses(Code::ContractRevoked, || room.send_release(&reserved, &revoked));
    assert_eq!(world.charges(), ["reserved"]);
}
