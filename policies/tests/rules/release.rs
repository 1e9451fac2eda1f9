//! May a key go to this run?

use policies::{Code, R, RunView, release};
use schemas::contract::{Assurance, ContractState, Running};
use schemas::digest::Digest;
use schemas::envelope::Signed;
use schemas::evidence::{Appraisal, EvidenceKind, Transcript};
use schemas::jwk::Jwk;
use schemas::log::CheckpointRef;
use schemas::release::{Admission, Challenge, KmsReceipt, KmsStatement, StatusList};
use schemas::text::Bytes;
use schemas::time::Timestamp;
use serde_json::json;

use crate::completion::{receipt, view};
use crate::fixtures::{
    House, REGISTRY, Row, again, at, did, digest, expect, id, jwk, now, plan, provider, read, signed,
};

/// A transcript with the challenge that it answers and the Admission that it names.
struct Room {
    house: House,
    transcript: Transcript,
    challenge: Challenge,
    admission: Admission,
}

impl Room {
    fn new() -> Room {
        let house = House::new();
        let job = digest(&house.job);
        let checkpoint = CheckpointRef { size: 7, root: Digest([7; 32]) };
        let challenge: Challenge =
            read(json!({"schema": "kms-challenge.v1", "registry": REGISTRY, "challenge_id": id("chl", 1),
            "nonce": Bytes(vec![3; 32]), "aud": "https://kms0.example", "run_id": id("run", 1), "job_sha256": job,
            "expires_at": "2026-12-01T10:02:00Z", "checkpoint": null}));
        let admission: Admission = read(json!({"schema": "admission.v1", "registry": REGISTRY, "run_id": id("run", 1),
            "job_sha256": job, "issued_at": "2026-12-01T10:00:00Z", "contracts": house.statuses(),
            "image_set_id": id("img", 1), "evidence_sha256": Digest([0; 32]), "assurance": "hardware", "run_jwk": jwk(5),
            "enc_jwk": Jwk::x25519([6; 32]), "checkpoint": checkpoint, "kms_heads": []}));
        let transcript: Transcript = read(json!({"v": 1, "aud": "https://kms0.example", "nonce": Bytes(vec![3; 32]),
            "challenge_id": id("chl", 1), "run_id": id("run", 1), "job_sha256": job, "contracts": house.job.contracts,
            "image_set_id": id("img", 1), "enc_jwk": Jwk::x25519([6; 32]), "run_jwk": jwk(5),
            "admission_sha256": digest(&admission), "checkpoint": checkpoint}));
        Room { house, transcript, challenge, admission }
    }

    fn transcript(&self) -> R<()> {
        self.house.judge(|facts| release::transcript(&self.transcript, &self.challenge, facts, now()))
    }

    fn admission(&self, now: Timestamp) -> R<()> {
        release::admission(&signed(&self.admission, &[REGISTRY]), &self.transcript, now)
    }
}

#[test]
fn a_transcript_answers_its_challenge_for_this_job() {
    assert_eq!(Room::new().transcript(), Ok(()));
    let rows: [fn(&mut Room); 19] = [
        |r| r.transcript.v = 2,
        |r| r.challenge.registry = did("did:web:other.example"),
        |r| r.transcript.aud = "https://kms1.example".into(),
        |r| r.transcript.nonce = Bytes(vec![4; 32]),
        |r| (r.transcript.nonce, r.challenge.nonce) = (Bytes(vec![3; 31]), Bytes(vec![3; 31])),
        |r| r.transcript.challenge_id = read(id("chl", 2).into()),
        |r| r.transcript.run_id = read(id("run", 2).into()),
        |r| r.transcript.job_sha256 = Digest([0; 32]),
        |r| (r.transcript.job_sha256, r.challenge.job_sha256) = (Digest([0; 32]), Digest([0; 32])),
        |r| r.transcript.contracts.clear(),
        |r| r.transcript.contracts[0].sha256 = Digest([0; 32]),
        |r| r.transcript.image_set_id = read(id("img", 2).into()),
        |r| r.transcript.enc_jwk = jwk(5),
        |r| r.transcript.run_jwk = Jwk::x25519([6; 32]),
        |r| r.transcript.run_jwk = Jwk::Okp { crv: schemas::jwk::Curve::Ed25519, x: Bytes(vec![5; 31]) },
        |r| r.transcript.admission_sha256 = None,
        |r| r.challenge.checkpoint = Some(r.transcript.checkpoint.clone()),
        |r| {
            r.transcript.admission_sha256 = None;
            r.challenge.checkpoint = Some(CheckpointRef { size: 8, root: Digest([7; 32]) });
        },
        |r| r.house.job.purpose = "OTHER".into(),
    ];
    for (at, spoil) in rows.into_iter().enumerate() {
        let mut room = Room::new();
        spoil(&mut room);
        expect(room.transcript(), Code::TranscriptMismatch, &format!("row {at}"));
    }
    let mut room = Room::new();
    room.challenge.expires_at = now();
    expect(room.transcript(), Code::ChallengeExpired, "expired");
}

#[test]
fn towards_the_contract_service_there_is_a_checkpoint_and_no_admission() {
    let mut room = Room::new();
    room.transcript.admission_sha256 = None;
    room.challenge.checkpoint = Some(room.transcript.checkpoint.clone());
    assert_eq!(room.transcript(), Ok(()));
}

#[test]
fn an_admission_lives_for_a_minute() {
    let room = Room::new();
    // Five seconds of the minute are kept for a clock that is ahead: what says that it is of 09:59:60 was made at
    // 09:59:55 at the earliest, and ends a minute later.
    for good in ["2026-12-01T09:59:55Z", "2026-12-01T10:00:00Z", "2026-12-01T10:00:55Z"] {
        assert_eq!(room.admission(at(good)), Ok(()), "{good}");
    }
    for stale in ["2026-12-01T10:00:55.000001Z", "2026-12-01T10:01:00Z", "2026-12-01T09:59:54.999999Z"] {
        expect(room.admission(at(stale)), Code::AdmissionStale, stale);
    }
}

#[test]
fn an_admission_is_for_one_run_one_room_and_active_contracts() {
    let rows: [Row<Room>; 12] = [
        (Code::TranscriptMismatch, |r| r.transcript.admission_sha256 = Some(Digest([0; 32]))),
        (Code::TranscriptMismatch, |r| r.transcript.checkpoint.size = 8),
        (Code::RunKeyMismatch, |r| r.admission.run_jwk = jwk(6)),
        (Code::RunKeyMismatch, |r| r.admission.enc_jwk = Jwk::x25519([7; 32])),
        (Code::AdmissionInvalid, |r| r.admission.run_id = read(id("run", 2).into())),
        (Code::AdmissionInvalid, |r| r.admission.job_sha256 = Digest([0; 32])),
        (Code::AdmissionInvalid, |r| r.admission.image_set_id = read(id("img", 2).into())),
        (Code::AdmissionInvalid, |r| r.admission.contracts.clear()),
        (Code::AdmissionInvalid, |r| r.admission.contracts[0].sha256 = Digest([0; 32])),
        (Code::ContractRevoked, |r| r.admission.contracts[0].state = ContractState::Revoked),
        (Code::ContractExpired, |r| r.admission.contracts[0].state = ContractState::Expired),
        (Code::ContractNotYetValid, |r| r.admission.contracts[0].state = ContractState::Scheduled),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        let mut room = Room::new();
        spoil(&mut room);
        if code != Code::TranscriptMismatch {
            room.transcript.admission_sha256 = Some(digest(&room.admission));
        }
        expect(room.admission(now()), code, &format!("row {at}"));
    }
    let room = Room::new();
    let by = |holders: &[&str]| release::admission(&signed(&room.admission, holders), &room.transcript, now());
    expect(by(&[&provider(0)]), Code::AdmissionInvalid, "signed by a key service");
    expect(by(&[REGISTRY, &provider(0)]), Code::AdmissionInvalid, "signed by two");
}

/// However old the word, and whichever clock is ahead: a minute after it was issued no lease on it is left.
#[test]
fn a_lease_ends_before_the_word_it_stands_on_is_a_minute_old() {
    let issued = at("2026-12-01T10:00:00Z");
    let lease = |asked, micros: i64| {
        let now = Timestamp::from_micros(issued.micros() + micros);
        release::lease(asked, issued, now, Code::StatusListStale)
    };
    const S: i64 = 1_000_000;
    for (asked, age, seconds) in [
        (30, 0, 30),
        (30, 25 * S, 30),
        (30, 25 * S + 1, 29),
        (30, 40 * S, 15),
        (3600, 0, 55),
        // The registry's clock is five seconds ahead: it was issued just now.
        (3600, -5 * S, 60),
        (3600, -5 * S + 1, 59),
        // A shorter lease may be asked for than one that is cut to.
        (5, 50 * S, 5),
        (5, 49 * S, 5),
    ] {
        assert_eq!(lease(asked, age), Ok(seconds), "{asked} s at the age of {age} µs");
        assert!(age + i64::from(seconds) * S <= 55 * S);
    }
    for (asked, age) in
        [(30, 40 * S + 1), (30, 55 * S), (30, 60 * S), (5, 50 * S + 1), (15, 40 * S + 1), (1, 54 * S + 1)]
    {
        expect(lease(asked, age), Code::StatusListStale, &format!("{asked} s at the age of {age} µs"));
    }
    let late = Timestamp::from_micros(issued.micros() + 41 * S);
    expect(release::lease(30, issued, late, Code::AdmissionStale), Code::AdmissionStale, "the caller's code");
}

fn appraisal(kind: EvidenceKind) -> Appraisal {
    Appraisal {
        kind,
        assurance: kind.assurance(),
        accepted: true,
        checks: vec![],
        measurement: Bytes(vec![0; 48]),
        pcr_sha256: Digest([0; 32]),
        evidence_sha256: Digest([0; 32]),
        record: Default::default(),
    }
}

#[test]
fn evidence_is_of_a_kind_that_the_contracts_accept() {
    let judge = |house: &House, appraisal: &Appraisal| house.judge(|facts| release::evidence_allowed(facts, appraisal));
    let house = House::new();
    let good = appraisal(EvidenceKind::AzureSnp);
    assert_eq!(judge(&house, &good), Ok(()));
    expect(judge(&house, &Appraisal { accepted: false, ..good.clone() }), Code::EvidenceRefused, "not accepted");
    expect(judge(&house, &appraisal(EvidenceKind::Software)), Code::EvidenceNotAllowed, "not the image set's");
    expect(judge(&house, &appraisal(EvidenceKind::Snp)), Code::EvidenceNotAllowed, "not the image set's");
    let mut software = House::new();
    software.image_set.profile = EvidenceKind::Software;
    expect(judge(&software, &appraisal(EvidenceKind::Software)), Code::EvidenceNotAllowed, "not the contract's");
    software.contracts[0].compute.evidence.push(EvidenceKind::Software);
    expect(judge(&software, &appraisal(EvidenceKind::Software)), Code::AssuranceTooLow, "simulated evidence");
    let boast = Appraisal { assurance: Assurance::Hardware, ..appraisal(EvidenceKind::Software) };
    expect(judge(&software, &boast), Code::AssuranceTooLow, "simulated evidence that calls itself hardware");
    let modest = Appraisal { assurance: Assurance::Software, ..good.clone() };
    expect(judge(&house, &modest), Code::AssuranceTooLow, "hardware of which little was shown");
    for (terms, offer) in software.contracts[0].datasets.iter_mut().zip(&mut software.offers) {
        (terms.key.min_assurance, offer.key.min_assurance) = (Assurance::Software, Assurance::Software);
    }
    software.link();
    assert_eq!(judge(&software, &appraisal(EvidenceKind::Software)), Ok(()), "a demonstration");
    software.offers[1].key.min_assurance = Assurance::Hardware;
    software.link();
    expect(judge(&software, &appraisal(EvidenceKind::Software)), Code::AssuranceTooLow, "one dataset of three");
}

#[test]
fn a_status_list_ends_renewals() {
    let house = House::new();
    let list = |state: Option<ContractState>| -> StatusList {
        let listed: Vec<_> = state
            .into_iter()
            .map(|state| {
                let mut s = house.statuses().remove(0);
                s.state = state;
                s
            })
            .collect();
        read(json!({"schema": "status-list.v1", "registry": REGISTRY, "issued_at": "2026-12-01T10:00:00Z",
            "checkpoint": {"size": 1, "root": Digest([0; 32])}, "not_in_force": listed}))
    };
    let judge = |state, now| release::status_list(&signed(&list(state), &[REGISTRY]), &house.job.contracts, now);
    assert_eq!(judge(None, now()), Ok(()));
    expect(judge(Some(ContractState::Revoked), now()), Code::ContractRevoked, "revoked");
    expect(judge(Some(ContractState::Expired), now()), Code::ContractExpired, "expired");
    expect(judge(None, now().plus_seconds(61)), Code::StatusListStale, "old");
    let by = signed(&list(None), &[&provider(0)]);
    expect(release::status_list(&by, &house.job.contracts, now()), Code::SignerNotParty, "signed by a key service");
    let mut foreign = list(Some(ContractState::Revoked));
    foreign.not_in_force[0].id = read(id("ctr", 9).into());
    assert_eq!(release::status_list(&signed(&foreign, &[REGISTRY]), &house.job.contracts, now()), Ok(()));
}

#[test]
fn a_withdrawn_image_set_lets_no_run_go_on() {
    let list = |ids: Vec<String>| -> StatusList {
        read(json!({"schema": "status-list.v1", "registry": REGISTRY, "issued_at": now(),
            "checkpoint": {"size": 1, "root": Digest([0; 32])}, "not_in_force": [], "image_sets_revoked": ids}))
    };
    let judge = |running: Running, ids: Vec<String>| {
        let mut house = House::new();
        house.contracts[0].revocation.running = running;
        house.link();
        let list = signed(&list(ids), &[REGISTRY]);
        house.judge(|facts| release::renewal(&list, facts.contracts, &facts.job.image_set_id, "TRAINING", now()))
    };
    let own = House::new().image_set.image_set_id.to_string();
    let other = |at: usize| format!("img_0190a0b0-0000-7000-8000-{at:012x}");
    for running in [Running::Abort, Running::LetFinish] {
        assert_eq!(judge(running, vec![]), Ok(()));
        assert_eq!(judge(running, vec![other(0xfffff)]), Ok(()), "another one");
        expect(judge(running, vec![own.clone()]), Code::ImageSetRevoked, "its own");
        expect(judge(running, vec![other(0xfffff), own.clone()]), Code::ImageSetRevoked, "among others");
    }
    let many: Vec<String> = (0..schemas::release::MOST_IMAGE_SETS).map(|at| other(0x10000 + at)).collect();
    assert_eq!(judge(Running::Abort, many.clone()), Ok(()));
    expect(judge(Running::Abort, [many, vec![other(0)]].concat()), Code::LimitExceeded, "one too many");
}

#[test]
fn a_run_goes_on_after_an_end_that_lets_it_finish() {
    let judge = |running: Running, state: Option<ContractState>, now| {
        let mut house = House::new();
        house.contracts[0].revocation.running = running;
        house.link();
        let listed: Vec<_> = state
            .map(|state| {
                house
                    .statuses()
                    .into_iter()
                    .map(|mut s| {
                        s.state = state;
                        s
                    })
                    .collect()
            })
            .unwrap_or_default();
        let listed: Vec<schemas::release::ContractStatus> = listed;
        let list: StatusList = read(json!({"schema": "status-list.v1", "registry": REGISTRY, "issued_at": now,
            "checkpoint": {"size": 1, "root": Digest([0; 32])}, "not_in_force": listed}));
        house.judge(|facts| {
            release::renewal(&signed(&list, &[REGISTRY]), facts.contracts, &facts.job.image_set_id, "TRAINING", now)
        })
    };
    let over = now().plus_seconds(366 * 86_400);
    for running in [Running::Abort, Running::LetFinish] {
        assert_eq!(judge(running, None, now()), Ok(()));
        expect(judge(running, Some(ContractState::Suspended), now()), Code::ContractSuspended, "suspended");
        expect(judge(running, Some(ContractState::Completed), now()), Code::ContractNotActive, "completed");
    }
    for (state, at, code) in [
        (Some(ContractState::Revoked), now(), Code::ContractRevoked),
        (Some(ContractState::Superseded), now(), Code::ContractNotActive),
        (Some(ContractState::Expired), over, Code::ContractExpired),
        (None, over, Code::ContractExpired),
    ] {
        expect(judge(Running::Abort, state, at), code, "abort");
        assert_eq!(judge(Running::LetFinish, state, at), Ok(()), "{state:?}");
    }
}

#[test]
fn keys_leave_only_when_every_key_service_has_reserved() {
    let reserved =
        || KmsStatement::Reserved { reservation_id: read(id("rsv", 1).into()), expires_at: now().plus_seconds(600) };
    let judge = |spoil: fn(&mut Vec<KmsReceipt>), signer: fn(usize) -> String| {
        let house = House::new();
        let mut receipts: Vec<KmsReceipt> = (0..3).map(|n| receipt(&house, n, 1, reserved())).collect();
        spoil(&mut receipts);
        let signed: Vec<Signed<KmsReceipt>> =
            receipts.iter().enumerate().map(|(n, receipt)| signed(receipt, &[&signer(n)])).collect();
        let view: RunView = view(&house);
        house.judge(|facts| release::reservations(facts, &view, &plan(), &signed, now()))
    };
    assert_eq!(judge(|_| {}, provider), Ok(()));
    let rows: [fn(&mut Vec<KmsReceipt>); 10] = [
        |r| r.clear(),
        |r| drop(r.pop()),
        |r| again(r),
        |r| r[1].statement = KmsStatement::Committed { output_sha256: Digest([0; 32]) },
        |r| r[1].run_id = read(id("run", 2).into()),
        |r| r[1].run_jwk_thumbprint = jwk(8).thumbprint(),
        |r| r[1].datasets[0].manifest_root = Digest([9; 32]),
        |r| r[1].kms = "https://kms9.example".into(),
        |r| r[1].charges[0].epsilon_micro = 1,
        |r| r[1].charges.clear(),
    ];
    for (at, spoil) in rows.into_iter().enumerate() {
        expect(judge(spoil, provider), Code::ReservationsIncomplete, &format!("row {at}"));
    }
    let late: fn(&mut Vec<KmsReceipt>) =
        |r| r[2].statement = KmsStatement::Reserved { reservation_id: read(id("rsv", 1).into()), expires_at: now() };
    expect(judge(late, provider), Code::ReservationExpired, "expired");
    expect(judge(|_| {}, |_| provider(0)), Code::ReservationsIncomplete, "signed by another key service");
    expect(judge(|_| {}, |_| REGISTRY.into()), Code::ReservationsIncomplete, "signed by the registry");
}
