//! Two rooms meet over a real connection; then one thing is spoilt at a time, and each has its own code.

#[path = "tests/broken.rs"]
mod broken;

use std::net::TcpListener;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use attestation::software::{SoftwareAttester, SoftwareRoot, id_key_digest, image_set_pcrs, launch_measurement};
use attestation::{Attester, Level, PlatformPolicy, Profile};
use schemas::contract::ContractRef;
use schemas::evidence::{Appraisal, Evidence, EvidenceKind, ImageSet, Transcript};
use schemas::{Digest, Timestamp};
use serde_json::json;

use super::*;

const CODE: Digest = Digest([7; 32]);
/// Short where a test shows what does not come, and long enough for what does.
const SHORT: Patience = Patience { word: Duration::from_secs(2), meeting: Duration::from_secs(20) };

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T12:00:00Z").unwrap()
}

/// One SIMULATED root for all tests: its keys take long to draw.
static ROOT: LazyLock<SoftwareRoot> = LazyLock::new(|| SoftwareRoot::create_with(2048, now()).unwrap());
/// The attester of the approved code, drawn once.
static APPROVED: LazyLock<SoftwareAttester> = LazyLock::new(|| SoftwareAttester::new(ROOT.clone(), CODE).unwrap());

fn id(kind: &str, n: u32) -> String {
    format!("{kind}_01900000-0000-7000-8000-{n:012}")
}

fn image_set() -> ImageSet {
    serde_json::from_value(json!({
        "schema": "image-set.v1", "registry": "did:web:sro.example", "image_set_id": id("img", 1), "name": "test",
        "profile": "software", "pcrs": image_set_pcrs(&CODE), "measurements": [launch_measurement()],
        "id_key_digests": [id_key_digest()], "host_data": null,
        "valid_from": "2026-01-01T00:00:00Z", "valid_to": "2099-01-01T00:00:00Z"
    }))
    .unwrap()
}

fn occasion() -> Occasion {
    let contract: ContractRef = serde_json::from_value(json!({"id": id("ctr", 1), "sha256": "ab".repeat(32)})).unwrap();
    Occasion {
        run_id: schemas::id::RunId::parse(&id("run", 1)).unwrap(),
        job_sha256: Digest([5; 32]),
        contracts: vec![contract],
        image_set_id: image_set().image_set_id,
    }
}

#[derive(Clone)]
struct Job {
    occasion: Occasion,
    set: ImageSet,
    profile: Profile,
}

impl Default for Job {
    fn default() -> Job {
        Job { occasion: occasion(), set: image_set(), profile: Profile::Demo }
    }
}

impl Terms for Job {
    fn occasion(&self) -> &Occasion {
        &self.occasion
    }
    fn image_set(&self) -> &ImageSet {
        &self.set
    }
    fn policies(&self) -> R<Vec<PlatformPolicy>> {
        Ok(vec![PlatformPolicy::new(self.profile, Level::named("baseline")?, vec![ROOT.pin()])])
    }
    fn allow(&self, _: &Appraisal) -> R<()> {
        Ok(())
    }
}

/// An attester that spoils what it is asked to show, or shows something else.
struct Spoilt<'a> {
    by: &'a SoftwareAttester,
    show: Box<dyn Fn(&Transcript) -> Transcript + Send + Sync>,
}

impl Attester for Spoilt<'_> {
    fn kind(&self) -> EvidenceKind {
        self.by.kind()
    }
    fn attest(&self, transcript: &Transcript) -> R<Evidence> {
        self.by.attest(&(self.show)(transcript))
    }
}

fn clock(at: Timestamp) -> Clock {
    Arc::new(move || at)
}

fn run_jwk() -> Jwk {
    Jwk::ed25519([9; 32])
}

fn word() -> Word {
    let log = schemas::log::CheckpointRef { size: 3, root: Digest([1; 32]) };
    Word { text: "papers".into(), admission: (Digest([2; 32]), log) }
}

fn place() -> Place {
    Place { index: 1, rooms: 2 }
}

/// Two rooms meet: what each came to.
fn meet(leads: &dyn Attester, joins: &(dyn Attester + Sync), leader: &Job, member: &Job) -> (R<Link>, R<Link>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        let answered = scope.spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let (clock, run_jwk) = (clock(now()), Jwk::ed25519([8; 32]));
            let own = Own { attester: joins, clock: &clock, run_jwk: &run_jwk, patience: SHORT };
            let read = |_: &Occasion, attested: &Attested, word: &str| {
                assert_eq!((word, attested.transcript.admission_sha256), ("papers", Some(Digest([2; 32]))));
                Ok(member.clone())
            };
            answer(stream, &own, read).map(|(link, _)| link)
        });
        let (clock, run_jwk) = (clock(now()), run_jwk());
        let own = Own { attester: leads, clock: &clock, run_jwk: &run_jwk, patience: SHORT };
        let stream = TcpStream::connect(address).unwrap();
        let called = call(stream, place(), &own, &word(), &mut Challenges::default(), leader);
        (called, answered.join().unwrap())
    })
}

#[track_caller]
fn both_end(met: (R<Link>, R<Link>), code: Code) {
    let of = |link: R<Link>| link.map(|_| ()).unwrap_err().code;
    assert_eq!((of(met.0), of(met.1)), (code, code), "the one refuses, the other is told so");
}

#[test]
fn two_genuine_rooms_share_a_connection_nobody_else_reads() {
    let job = Job::default();
    let (leader, member) = meet(&*APPROVED, &*APPROVED, &job, &job);
    let (mut leader, mut member) = (leader.unwrap(), member.unwrap());
    assert_eq!((leader.place, member.place), (place(), place()));
    assert_ne!(leader.evidence, member.evidence);
    leader.outgoing.message(b"rows").unwrap();
    assert_eq!(member.incoming.message().unwrap().as_slice(), b"rows");
    member.outgoing.say(&Say::Ready {}).unwrap();
    assert!(matches!(leader.hear().unwrap(), Say::Ready {}));
    drop(leader);
    assert_eq!(member.hear().unwrap_err().code, Code::GroupMemberLost);
}

#[test]
fn a_room_of_other_code_is_refused_on_either_side() {
    let (job, other) = (Job::default(), SoftwareAttester::new(ROOT.clone(), Digest([8; 32])).unwrap());
    both_end(meet(&*APPROVED, &other, &job, &job), Code::MeasurementNotAllowed);
    both_end(meet(&other, &*APPROVED, &job, &job), Code::MeasurementNotAllowed);
}

#[test]
fn a_software_room_is_refused_in_production_on_either_side() {
    let (demo, production) = (Job::default(), Job { profile: Profile::Production, ..Job::default() });
    both_end(meet(&*APPROVED, &*APPROVED, &production, &demo), Code::EvidenceNotAllowed);
    both_end(meet(&*APPROVED, &*APPROVED, &demo, &production), Code::EvidenceNotAllowed);
}

#[test]
fn a_room_under_another_root_is_refused() {
    let other = SoftwareAttester::new(SoftwareRoot::create_with(2048, now()).unwrap(), CODE).unwrap();
    both_end(meet(&*APPROVED, &other, &Job::default(), &Job::default()), Code::EvidenceRefused);
}

/// Evidence over another transcript than the one that is sent: each member of it is bound.
#[test]
fn evidence_about_something_else_is_refused() {
    type Spoil = fn(&mut Transcript);
    let spoils: [Spoil; 6] = [
        |t| t.nonce = Bytes(vec![1; 32]),
        |t| t.aud = Place { index: 2, rooms: 3 }.audience(Side::Member),
        |t| t.run_id = schemas::id::RunId::parse(&id("run", 2)).unwrap(),
        |t| t.enc_jwk = Jwk::x25519([1; 32]),
        |t| t.run_jwk = Jwk::ed25519([1; 32]),
        |t| t.admission_sha256 = Some(Digest([4; 32])),
    ];
    for spoil in spoils {
        let show = Box::new(move |t: &Transcript| {
            let mut other = t.clone();
            spoil(&mut other);
            other
        });
        let spoilt = Spoilt { by: &APPROVED, show };
        both_end(meet(&*APPROVED, &spoilt, &Job::default(), &Job::default()), Code::EvidenceRefused);
        both_end(meet(&spoilt, &*APPROVED, &Job::default(), &Job::default()), Code::EvidenceRefused);
    }
}

#[test]
fn a_leader_that_shows_papers_of_another_job_is_refused() {
    let other = Job { occasion: Occasion { job_sha256: Digest([6; 32]), ..occasion() }, ..Job::default() };
    both_end(meet(&*APPROVED, &*APPROVED, &Job::default(), &other), Code::TranscriptMismatch);
    let run_id = schemas::id::RunId::parse(&id("run", 2)).unwrap();
    let other = Job { occasion: Occasion { run_id, ..occasion() }, ..Job::default() };
    both_end(meet(&*APPROVED, &*APPROVED, &Job::default(), &other), Code::GroupRunMismatch);
}

/// What the leader has asked of the member at place 1, and what that shows.
struct Case {
    challenges: Challenges,
    asked: Place,
    key: Jwk,
    shown: Attested,
}

impl Case {
    fn new(change: impl FnOnce(&mut Transcript)) -> Case {
        let (mut challenges, key) = (Challenges::default(), Ephemeral::draw().unwrap().jwk);
        let challenge = challenges.give(ChallengeId::parse(&id("chl", 1)).unwrap(), [3; 32], now());
        let aud = place().audience(Side::Member);
        let mut transcript = transcript(&occasion(), aud, &challenge, &key, &run_jwk(), None);
        change(&mut transcript);
        let shown = Attested { evidence: APPROVED.attest(&transcript).unwrap(), transcript };
        Case { challenges, asked: place(), key, shown }
    }

    fn judge(&mut self, after: i64) -> R<Appraisal> {
        let asked = Asked { side: Side::Member, place: self.asked, enc_jwk: &self.key };
        judge(&self.shown, &asked, &mut self.challenges, &Job::default(), now().plus_seconds(after))
    }
}

/// A room that shows honestly what it is, but at another place, for another run, or with another's connection.
#[test]
fn each_member_of_the_transcript_is_compared() {
    Case::new(|_| {}).judge(0).unwrap();
    type Change = fn(&mut Transcript);
    let changes: [(Code, Change); 9] = [
        (Code::GroupPlaceMismatch, |t| t.aud = Place { index: 2, rooms: 3 }.audience(Side::Member)),
        (Code::GroupPlaceMismatch, |t| t.aud = place().audience(Side::Leader)),
        (Code::GroupPlaceMismatch, |t| t.aud = "https://kms.example".into()),
        (Code::GroupRunMismatch, |t| t.run_id = schemas::id::RunId::parse(&id("run", 2)).unwrap()),
        (Code::RunKeyMismatch, |t| t.enc_jwk = Jwk::x25519([1; 32])),
        (Code::TranscriptMismatch, |t| t.job_sha256 = Digest([6; 32])),
        (Code::TranscriptMismatch, |t| t.contracts.clear()),
        (Code::TranscriptMismatch, |t| t.image_set_id = schemas::id::ImageSetId::parse(&id("img", 2)).unwrap()),
        (Code::ChallengeUnknown, |t| t.nonce = Bytes(vec![4; 32])),
    ];
    for (at, (code, change)) in changes.into_iter().enumerate() {
        assert_eq!(Case::new(change).judge(0).unwrap_err().code, code, "change {at}");
    }
}

#[test]
fn a_challenge_is_answered_once_in_time_and_at_its_place() {
    assert_eq!(Case::new(|_| {}).judge(119).map(drop), Ok(()));
    assert_eq!(Case::new(|_| {}).judge(120).unwrap_err().code, Code::ChallengeExpired);
    let mut replayed = Case::new(|_| {});
    replayed.judge(0).unwrap();
    assert_eq!(replayed.judge(0).unwrap_err().code, Code::ChallengeUsed, "replayed");
    // A refusal uses it up too.
    let mut late = Case::new(|_| {});
    late.judge(120).unwrap_err();
    assert_eq!(late.judge(0).unwrap_err().code, Code::ChallengeUsed);
    // The member of place 1 shown at place 2.
    let mut moved = Case::new(|_| {});
    moved.asked = Place { index: 2, rooms: 3 };
    assert_eq!(moved.judge(0).unwrap_err().code, Code::GroupPlaceMismatch);
    let unknown = Case::new(|t| t.challenge_id = ChallengeId::parse(&id("chl", 2)).unwrap()).judge(0);
    assert_eq!(unknown.unwrap_err().code, Code::ChallengeUnknown);
}

#[test]
fn places_that_no_group_has_are_refused() {
    for (index, rooms) in [(0, 2), (2, 2), (1, 1), (1, 17), (16, 16)] {
        assert_eq!(Place { index, rooms }.check().unwrap_err().code, Code::GroupPlaceMismatch, "{index} of {rooms}");
    }
    Place { index: 15, rooms: 16 }.check().unwrap();
}

/// Somebody between two rooms with keys of his own: each room's evidence names its own key.
#[test]
fn a_man_in_the_middle_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // He answers the leader in a genuine member's place, with evidence that it made for a key of its own.
            let (stream, _) = listener.accept().unwrap();
            let (mut wire, his) = (Wire::new(stream, SHORT).unwrap(), Ephemeral::draw().unwrap());
            let (hello, theirs) = wire.receive().unwrap();
            let challenge = Challenge { id: ChallengeId::parse(&id("chl", 5)).unwrap(), nonce: Bytes(vec![5; 32]) };
            let place = hello.place;
            let ours = wire.send(&Hello { v: 1, place, challenge, enc_jwk: his.jwk.clone() }).unwrap();
            let secret = his.with(&hello.enc_jwk).unwrap();
            let mut link = wire.sealed(Side::Member, hello.place, &secret, &theirs, &ours).unwrap();
            let Say::Occasion(occasion) = link.hear().unwrap() else { panic!("no occasion") };
            let (key, aud) = (Ephemeral::draw().unwrap().jwk, place.audience(Side::Member));
            let transcript = transcript(&occasion, aud, &hello.challenge, &key, &run_jwk(), None);
            let evidence = APPROVED.attest(&transcript).unwrap();
            link.outgoing.say(&Say::Proof(Box::new(Attested { transcript, evidence }))).unwrap();
            assert_eq!(link.hear().unwrap_err().code, Code::RunKeyMismatch);
        });
        let (clock, run_jwk) = (clock(now()), run_jwk());
        let own = Own { attester: &*APPROVED, clock: &clock, run_jwk: &run_jwk, patience: SHORT };
        let stream = TcpStream::connect(address).unwrap();
        let called = call(stream, place(), &own, &word(), &mut Challenges::default(), &Job::default());
        assert_eq!(called.map(|_| ()).unwrap_err().code, Code::RunKeyMismatch);
    });
}

/// A member that takes nothing: what is sent to it fills the ways, and then waits no longer than it may.
#[test]
fn a_room_that_never_reads_is_lost() {
    let job = Job::default();
    let (leader, member) = meet(&*APPROVED, &*APPROVED, &job, &job);
    let (mut leader, member) = (leader.unwrap(), member.unwrap());
    let large = vec![7; 64 << 20];
    assert_eq!(leader.outgoing.message(&large).unwrap_err().code, Code::GroupMemberLost);
    assert_eq!(leader.outgoing.say(&Say::Over {}).unwrap_err().code, Code::GroupMemberLost, "a cut frame is the last");
    drop(member);
}

/// A lost lease or SIGTERM is heard in the middle of what a stalled room does not take.
#[test]
fn a_room_that_never_reads_is_waited_for_while_the_run_goes_on() {
    let job = Job::default();
    let (leader, member) = meet(&*APPROVED, &*APPROVED, &job, &job);
    let (leader, member) = (leader.unwrap(), member.unwrap());
    let mut outgoing = leader.outgoing.patient(Duration::from_secs(3_600));
    let mut asked = 0;
    let stopped = outgoing.message_while(&vec![7; 64 << 20], &mut || {
        asked += 1;
        if asked < 30 { Ok(()) } else { Err(Refusal::new(Code::RoomStopped, "told to stop")) }
    });
    assert_eq!(stopped.unwrap_err().code, Code::RoomStopped);
    drop(member);
}

/// Says a byte at a time, each in time: the meeting ends all the same, on either side.
#[test]
fn a_room_that_meets_for_ever_is_lost() {
    let hurried = Patience { meeting: Duration::from_millis(300), ..SHORT };
    let trickle = |mut stream: TcpStream| {
        let hello = [&4_000u32.to_be_bytes()[..], &[b' '; 4_000]].concat();
        for byte in hello {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    for calls in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = listener.accept().unwrap().0;
        let trickles = std::thread::spawn(move || trickle(peer));
        let (clock, run_jwk) = (clock(now()), run_jwk());
        let own = Own { attester: &*APPROVED, clock: &clock, run_jwk: &run_jwk, patience: hurried };
        let met = if calls {
            call(stream, place(), &own, &word(), &mut Challenges::default(), &Job::default()).map(drop)
        } else {
            answer(stream, &own, |_, _, _| Ok(Job::default())).map(drop)
        };
        assert_eq!(met.unwrap_err().code, Code::GroupMemberLost, "calls: {calls}");
        trickles.join().unwrap();
    }
}

/// A stranger's word for why it gives up: the codes of a meeting, and no other.
#[test]
fn an_unproven_room_chooses_no_code_of_the_log() {
    for (says, heard) in [
        (Code::BudgetExceeded.to_string(), Code::PeerFault),
        (Code::LeaseExpired.to_string(), Code::PeerFault),
        ("NO_CODE".to_owned(), Code::PeerFault),
        (Code::MeasurementNotAllowed.to_string(), Code::MeasurementNotAllowed),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = listener.accept().unwrap().0;
        let code = says.clone();
        let stranger = std::thread::spawn(move || {
            let (mut wire, his) = (Wire::new(peer, SHORT).unwrap(), Ephemeral::draw().unwrap());
            let (hello, theirs) = wire.receive().unwrap();
            let challenge = Challenge { id: ChallengeId::parse(&id("chl", 5)).unwrap(), nonce: Bytes(vec![5; 32]) };
            let ours = wire.send(&Hello { v: 1, place: hello.place, challenge, enc_jwk: his.jwk.clone() }).unwrap();
            let secret = his.with(&hello.enc_jwk).unwrap();
            let mut link = wire.sealed(Side::Member, hello.place, &secret, &theirs, &ours).unwrap();
            let Say::Occasion(_) = link.hear().unwrap() else { panic!("no occasion") };
            link.outgoing.say(&Say::Refused { code }).unwrap();
            let _ = link.hear();
        });
        let (clock, run_jwk) = (clock(now()), run_jwk());
        let own = Own { attester: &*APPROVED, clock: &clock, run_jwk: &run_jwk, patience: SHORT };
        let met = call(stream, place(), &own, &word(), &mut Challenges::default(), &Job::default());
        assert_eq!(met.map(drop).unwrap_err().code, heard, "{says}");
        stranger.join().unwrap();
    }
}

/// Two genuine rooms that have met; the one that leads is so patient with a room that takes nothing.
pub(in crate::group) fn genuine(patience: Duration) -> (Link, Link) {
    let job = Job::default();
    let (leader, member) = meet(&*APPROVED, &*APPROVED, &job, &job);
    let (leader, member) = (leader.unwrap(), member.unwrap());
    (Link { outgoing: leader.outgoing.patient(patience), ..leader }, member)
}
