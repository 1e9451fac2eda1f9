//! Whole runs of a room whose quotes a software TPM signs, through the front desk and the gates of three key services
//! over HTTP. SIMULATED, and called so: the report's root is a software one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use attestation::job_pcr;
use attesters::tpm::Tpm;
use ccr_runtime::{Completed, Config, Progress, Room};
use contract_client::{Act, Outgoing};
use demo::{House, TestClock, data};
use depa::image_set::Measurement;
use schemas::bundle::JobBundle;
use schemas::contract::{Assurance, ContractRef};
use schemas::evidence::EvidenceKind;
use schemas::text::Real;
use schemas::{Code, Digest, R};
use tss_esapi::handles::PcrHandle;

use super::support::refuses;
use super::swtpm::Swtpm;

/// A house whose approved room is the one before this TPM.
struct Scene {
    tpm: Swtpm,
    house: House,
    config: Config,
    file: PathBuf,
    contract: ContractRef,
}

/// None where this machine lacks something, which is said.
fn scene(test: &str) -> Option<Scene> {
    let Ok(worker) = demo::house::process::sibling("echo-worker") else {
        println!("NOT RUN {test}: echo-worker is not built");
        return None;
    };
    let tpm = Swtpm::start(test)?;
    let mut house = House::in_process(TestClock::default().clock(), &worker).unwrap();
    let (mut config, _) = Config::load(&house.ccrp.config_file()).unwrap();
    config.swtpm = Some(tpm.tcti());
    let file = house.ccrp.person.dir.join("ccr-with-tpm.toml");
    std::fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
    house.verify_participants().unwrap();
    approve(&mut house, &config, &file);
    house.open_for_business().unwrap();
    house.seal_and_offer(&data::generate(data::SEED, 60)).unwrap();
    let contract = house.active_contract().unwrap();
    Some(Scene { tpm, house, config, file, contract })
}

/// What `ccr measure` prints in this room becomes the approved image set, by `depa image-set new` as by
/// `depa kms collect`.
fn approve(house: &mut House, config: &Config, file: &std::path::Path) {
    let printed = ccr_runtime::attester::reference_values(config, file).unwrap();
    assert_eq!((printed["simulated"].as_bool(), printed["evidence"].as_str()), (Some(true), Some("software")));
    let path = house.ccrp.person.dir.join("measured.json");
    std::fs::write(&path, serde_json::to_vec(&printed).unwrap()).unwrap();
    let measured: Measurement = depa::edge::read_json(&path).unwrap();
    let draft = house.ccrp.image_set(&measured).unwrap();
    let person = &house.ccrp.person;
    let rooms = [measured.clone(), measured.clone()];
    let id = uuid::Uuid::now_v7();
    let collected = depa::kms::collect("two rooms", &rooms, 365, person.trust().unwrap(), id, person.now()).unwrap();
    let (new, collected) = (draft.read_unverified().unwrap(), collected.read_unverified().unwrap());
    assert_eq!((&new.pcrs, &new.measurements), (&collected.pcrs, &collected.measurements));
    house.sro.approve(&draft).unwrap();
    house.measurement = measured.measurement;
    house.image_set = Some(new.image_set_id);
}

impl Scene {
    /// An ordered job, of which the contract's budget pays for two.
    fn ordered(&self) -> JobBundle {
        let part = |form: &mut depa::job::form::JobForm| form.training.epsilon = Some(Real::parse("0.4").unwrap());
        let bundle = self.house.job_with(&self.contract.id, part).unwrap().bundle;
        self.house.tdc.orders(&bundle).unwrap();
        bundle
    }

    /// A process on this boot.
    fn room(&self) -> Room {
        let mut room = self.house.room().unwrap();
        room.config = self.config.clone();
        room.attester = ccr_runtime::attester::open(&self.config, &self.file).unwrap();
        room
    }

    fn reboots(&mut self) {
        self.tpm.reboot();
        self.config.swtpm = Some(self.tpm.tcti());
    }

    /// A room in which a PCR is extended before the call of this number that asks a key service for a challenge.
    fn room_that_changes(&self, pcr: PcrHandle, call: usize) -> Room {
        let (tpm, asked) = (Tpm::at(&self.tpm.tcti()).unwrap(), Arc::new(AtomicUsize::new(0)));
        let mut room = self.room();
        room.hook = Some(Arc::new(move |outgoing: &mut Outgoing| {
            if outgoing.path.ends_with("/challenges") && asked.fetch_add(1, Ordering::SeqCst) + 1 == call {
                tpm.extend(pcr, &Digest::of(b"behind the room's back")).unwrap();
            }
            Act::Pass
        }));
        room
    }
}

/// Carries out a job; with the words of its progress.
fn carried_out(bundle: &JobBundle, room: &Room) -> (R<Completed>, Vec<&'static str>) {
    let mut told = Vec::new();
    let done = ccr_runtime::run(bundle.clone(), room, &mut |progress| {
        told.push(match progress {
            Progress::Admitted { .. } => "admitted",
            Progress::CheckedIn { .. } => "checked in",
            Progress::Reserved { .. } => "reserved",
            Progress::Released { .. } => "released",
            Progress::Committed { .. } => "committed",
            _ => "other",
        });
    });
    (done, told)
}

#[test]
fn a_run_passes_every_gate_and_a_second_one_on_the_same_boot_none() {
    let Some(mut scene) = scene("a_run_passes_every_gate_and_a_second_one_on_the_same_boot_none") else { return };
    let (first, second) = (scene.ordered(), scene.ordered());
    let room = scene.room();
    let (done, told) = carried_out(&first, &room);
    let done = done.unwrap();
    for (word, times) in [("checked in", 1), ("reserved", 3), ("released", 3), ("committed", 1)] {
        assert_eq!(told.iter().filter(|t| **t == word).count(), times, "{word}: {told:?}");
    }
    // The job stands in PCR 8, and everybody who looks is told that the evidence was simulated.
    let job = first.job.digest();
    assert_eq!(Tpm::at(&scene.tpm.tcti()).unwrap().pcrs().unwrap()[8], job_pcr(&job));
    let view = scene.house.tdc.person.desk().unwrap().run(&done.run_id).unwrap();
    assert_eq!((view.evidence, view.assurance), (EvidenceKind::Software, Assurance::Software));
    let completion = view.completion.unwrap().read_unverified().unwrap();
    assert_eq!(completion.certificate.read_unverified().unwrap().assurance, Assurance::Software);
    assert_eq!(completion.release_receipts.len(), 3);
    for receipt in completion.release_receipts.iter().chain(&completion.commit_receipts) {
        assert_eq!(receipt.read_unverified().unwrap().assurance, Assurance::Software);
    }

    // Another job on this boot: neither by this process nor by the next one.
    for room in [room, scene.room()] {
        let (done, told) = carried_out(&second, &room);
        refuses(Code::BootUsed, done);
        assert_eq!(told, ["admitted"]);
    }
    // Nor this job again, after the run that it had.
    refuses(Code::BootUsed, carried_out(&first, &scene.room()).0);
    scene.reboots();
    carried_out(&second, &scene.room()).0.unwrap();
    assert_eq!(Tpm::at(&scene.tpm.tcti()).unwrap().pcrs().unwrap()[8], job_pcr(&second.job.digest()));
}

#[test]
fn key_services_look_at_job_and_image_themselves() {
    let Some(mut scene) = scene("key_services_look_at_job_and_image_themselves") else { return };
    // The front desk has checked the room in; then one PCR is not what it was.
    for (what, pcr, call, reserved) in [
        ("another job beside the one in PCR 8", PcrHandle::Pcr8, 1, 0),
        ("another boot application", PcrHandle::Pcr4, 1, 0),
        ("another kernel command line", PcrHandle::Pcr12, 2, 1),
        ("another job, once all have reserved", PcrHandle::Pcr8, 4, 3),
    ] {
        let bundle = scene.ordered();
        let (done, told) = carried_out(&bundle, &scene.room_that_changes(pcr, call));
        println!("{what}: {told:?}");
        refuses(Code::EvidenceRefused, done);
        assert_eq!(told.iter().filter(|t| **t == "reserved").count(), reserved, "{what}");
        assert!(told.contains(&"checked in") && !told.contains(&"released"), "{what}: {told:?}");
        scene.reboots();
    }
    // A room of another image does not come in: its configuration has one byte more.
    let bundle = scene.ordered();
    let other = scene.file.with_extension("other");
    std::fs::write(&other, [std::fs::read(&scene.file).unwrap(), b"\n".to_vec()].concat()).unwrap();
    let mut room = scene.house.room().unwrap();
    room.attester = ccr_runtime::attester::open(&scene.config, &other).unwrap();
    let (done, told) = carried_out(&bundle, &room);
    refuses(Code::EvidenceRefused, done);
    assert_eq!(told, ["admitted"]);
}
