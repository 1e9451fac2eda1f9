//! Streams of events: in the order of the log, for those concerned, resumed where they broke off.

use std::io::{BufRead as _, BufReader};

use reqwest::blocking::Response;
use schemas::Code;
use schemas::dataset::{DatasetAct, DatasetActKind};
use schemas::desk::{EventNote, RunStep};
use schemas::event::RunEventKind;
use schemas::party::Kind;
use schemas::release::RunAct;
use serde::de::DeserializeOwned;
use signing::FileKey;

use crate::catcher::eventually;
use crate::house::{House, reference};
use crate::http::{bearer, code, get};
use crate::papers;
use crate::room::released;

/// An open stream.
struct Stream(BufReader<Response>);

impl Stream {
    fn open(house: &House, path: &str, who: &FileKey, last: Option<u64>) -> Stream {
        let request = get(house, path).bearer_auth(bearer(house, who)).timeout(std::time::Duration::from_secs(20));
        let request = match last {
            Some(last) => request.header("last-event-id", last.to_string()),
            None => request,
        };
        let response = request.send().unwrap();
        assert_eq!(
            (response.status().as_u16(), &*crate::http::header(&response, "content-type")),
            (200, "text/event-stream")
        );
        let mut stream = Stream(BufReader::new(response));
        // The first line says that the stream stands: what happens from here on is told.
        assert_eq!(stream.line(), ": the log from here on");
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next event.
    fn next(&mut self) -> EventNote {
        self.data()
    }

    fn data<T: DeserializeOwned>(&mut self) -> T {
        loop {
            if let Some(data) = self.line().strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

impl Stream {
    /// The data of the first event of this kind.
    fn find<T: DeserializeOwned>(&mut self, kind: &str) -> T {
        let head = format!("event: {kind}");
        while self.line() != head {}
        self.data()
    }
}

#[test]
fn parties_hear_of_their_contract_and_resume_where_they_were() {
    let house = House::furnished();
    let mut stream = Stream::open(&house, "/v1/events", &house.tdps[0], None);
    let contract = house.propose(&papers::contract(&house)).unwrap();
    let proposed = stream.next();
    assert_eq!((proposed.kind.as_str(), &proposed.contract), ("contract_proposed", &Some(reference(&contract))));
    house.countersign(&contract, &house.tdps[1]).unwrap();
    let signed = stream.next();
    assert_eq!(signed.kind, "contract_signed");
    assert!(signed.index > proposed.index);
    drop(stream);
    house.countersign(&contract, &house.tdps[0]).unwrap();
    let mut resumed = Stream::open(&house, "/v1/events", &house.tdps[0], Some(proposed.index));
    assert_eq!(resumed.next(), signed);
    assert_eq!(resumed.next().kind, "contract_signed");
    house.countersign(&contract, &house.ccrp).unwrap();
    let kinds = [resumed.next().kind, resumed.next().kind];
    assert_eq!(kinds, ["contract_signed", "contract_executed"]);
}

#[test]
fn others_hear_nothing_of_it() {
    let house = House::furnished();
    let mut stream = Stream::open(&house, "/v1/events", &house.psp, Some(0));
    let run = house.running();
    // Only what concerns everyone could have come before; of contracts and runs nothing does, so the first event is
    // that of the payment provider's own concern or the end of the stream by time.
    let foreign = get(&house, &format!("/v1/runs/{}/events", run.run_id)).bearer_auth(bearer(&house, &house.psp));
    assert_eq!(code(foreign.send().unwrap()), Code::RunUnknown);
    assert_eq!(code(get(&house, "/v1/events").send().unwrap()), Code::Unauthenticated);
    let mut own = Stream::open(&house, &format!("/v1/runs/{}/events", run.run_id), &house.tdc, Some(0));
    let first = own.next();
    assert_eq!((first.kind.as_str(), first.run_id), ("run_checked_in", Some(run.run_id)));
    house.skip(601);
    // The token has ended, and with the next entry its stream does.
    house.propose(&papers::contract(&house)).map(drop).unwrap_or(());
    let mut rest = String::new();
    let ended = std::io::Read::read_to_string(&mut stream.0, &mut rest);
    let told = rest.lines().filter_map(|line| line.strip_prefix("data: "));
    let told: Vec<EventNote> = told.map(|data| serde_json::from_str(data).unwrap()).collect();
    assert!(told.iter().all(|note| note.contract.is_none() && note.run_id.is_none()), "{rest} {ended:?}");
    assert!(!told.is_empty(), "of the register everyone hears");
}

#[test]
fn everyone_hears_what_becomes_of_participants_keys_and_datasets() {
    let house = House::furnished();
    let mut stream = Stream::open(&house, "/v1/events", &house.psp, None);
    let mut desk = Stream::open(&house, "/v1/events", &house.sro[0], None);
    let offer = papers::offer(&house, 0);
    let act = papers::dataset_act(&house, DatasetActKind::Suspend);
    house.client.change_dataset(&house.sign(&act, &house.tdps[0])).unwrap();
    let changed = stream.next();
    assert_eq!((changed.kind.as_str(), &changed.dataset), ("dataset_changed", &Some(offer.dataset_id)));
    assert_eq!((&changed.contract, &changed.run_id, &changed.participant), (&None, &None, &None));
    let key = FileKey::generate().unwrap();
    house.client.apply(&house.sign(&papers::participant(&house, &key, Kind::Tdc), &key)).unwrap();
    // Who applies is told to those who decide alone: anybody may apply.
    assert_eq!(desk.next(), changed);
    let applied = desk.next();
    assert_eq!((applied.kind.as_str(), applied.participant), ("participant_applied", Some(key.did().unwrap())));
    let resumed = DatasetAct { act: DatasetActKind::Resume, at: house.now().plus_seconds(1), ..act };
    house.skip(1);
    house.client.change_dataset(&house.sign(&resumed, &house.tdps[0])).unwrap();
    assert_eq!(stream.next().index, desk.next().index);
}

#[test]
fn streams_are_bounded() {
    let house = House::with(|config| config.limits.event_streams = 1).furnish();
    let open = Stream::open(&house, "/v1/events", &house.tdc, None);
    let token = bearer(&house, &house.tdc);
    assert_eq!(code(get(&house, "/v1/events").bearer_auth(&token).send().unwrap()), Code::Unavailable);
    let bad = get(&house, "/v1/events").bearer_auth(&token).header("last-event-id", "x").send().unwrap();
    assert_eq!(code(bad), Code::MalformedNumber);
    drop(open);
}

#[test]
fn one_participant_leaves_places_to_others() {
    let house = House::with(|config| config.limits.event_streams_each = 2).furnish();
    let first = Stream::open(&house, "/v1/events", &house.tdc, None);
    let _second = Stream::open(&house, "/v1/events", &house.tdc, None);
    let ask = || get(&house, "/v1/events").bearer_auth(bearer(&house, &house.tdc)).send().unwrap();
    let refused = ask();
    assert_eq!(crate::http::header(&refused, "retry-after"), "5");
    assert_eq!(code(refused), Code::RateLimited);
    drop(Stream::open(&house, "/v1/events", &house.tdps[0], None));
    // A place is free again once the service has seen that its stream is gone, at the latest with what it tells next.
    drop(first);
    assert!(eventually(|| {
        house.propose(&papers::contract(&house)).unwrap();
        ask().status() == 200
    }));
}

#[test]
fn how_far_a_run_is_goes_to_its_parties_alone_and_into_no_log() {
    let mut house = House::furnished();
    let run = house.running();
    let tell = |house: &House, step: u32, key: &FileKey| {
        house.client.tell_step(&run.run_id, &house.sign(&house.step_words(&run, step), key)).map_err(|e| e.code)
    };
    assert_eq!(tell(&house, 1, &run.key), Err(Code::RunState), "it has no keys yet");
    let receipts = house.both_say(&run, &released());
    house.client.kms_receipts(&run.run_id, &receipts).unwrap();
    for event in [RunEventKind::KeysReleased {}, RunEventKind::Training {}] {
        house.client.report(&run.run_id, &house.event(&run, event)).unwrap();
    }
    let stranger = FileKey::generate().unwrap();
    house.admit(&stranger, Kind::Tdp);
    let mut own = Stream::open(&house, "/v1/events", &house.tdps[0], None);
    let mut of_run = Stream::open(&house, &format!("/v1/runs/{}/events", run.run_id), &house.tdc, None);
    let mut foreign = Stream::open(&house, "/v1/events", &stranger, None);
    let before = house.client.checkpoint().unwrap();

    // Nobody but the run says so, and nothing but a step of its plan that is still to come.
    assert_eq!(tell(&house, 2, &house.tdc), Err(Code::SignerNotParty));
    assert_eq!(tell(&house, 2, &house.ccrp), Err(Code::SignerNotParty));
    let mut other = house.step_words(&run, 2);
    other.request = RunAct::RefreshAdmission {};
    let told = house.client.tell_step(&run.run_id, &house.sign(&other, &run.key));
    assert_eq!(told.unwrap_err().code, Code::TranscriptMismatch);
    for step in [0, run.plan.steps + 1] {
        assert_eq!(tell(&house, step, &run.key), Err(Code::LimitExceeded));
    }
    tell(&house, 2, &run.key).unwrap();
    assert_eq!(tell(&house, 3, &run.key), Err(Code::RateLimited));
    for step in [1, 2] {
        assert_eq!(tell(&house, step, &run.key), Err(Code::RequestReplayed), "backwards or again");
    }
    let step: RunStep = own.data();
    assert_eq!((&step.run_id, step.step, step.steps), (&run.run_id, 2, run.plan.steps));
    assert_eq!(of_run.data::<RunStep>(), step);
    let whole = run.plan.charges.iter().map(|charge| charge.epsilon_micro).max().unwrap();
    assert!(step.epsilon_micro.is_some_and(|so_far| so_far > 0 && so_far < whole), "{step:?} of {whole}");
    // Who comes later hears the newest one; nothing of it stands in the log.
    assert_eq!(
        Stream::open(&house, "/v1/events", &house.tdc, Some(0)).find::<schemas::desk::RunStep>("run_step"),
        step
    );
    std::thread::sleep(std::time::Duration::from_secs(1));
    tell(&house, run.plan.steps, &run.key).unwrap();
    let last: RunStep = own.data();
    assert!(
        last.step == run.plan.steps && last.epsilon_micro > step.epsilon_micro && last.epsilon_micro <= Some(whole)
    );
    let size = |note: &str| note.lines().nth(1).map(str::to_owned);
    assert_eq!(size(&house.client.checkpoint().unwrap()), size(&before));

    // The stranger has heard nothing when its token ends, and the stream with it.
    house.skip(601);
    house.propose(&papers::contract(&house)).map(drop).unwrap_or(());
    let mut rest = String::new();
    let ended = std::io::Read::read_to_string(&mut foreign.0, &mut rest);
    assert!(!rest.contains("data: "), "{rest} {ended:?}");
}
