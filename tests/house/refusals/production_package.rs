//! The production package: the services and the room built without the feature `software-attester`
//! (`sh infra/production.sh`). Each is started in profile `production`, on what a demo house left behind, and takes
//! software evidence nowhere.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use demo::TestClock;
use demo::house::Roles;
use demo::house::process::Process;
use schemas::Code;
use schemas::contract::Assurance;
use schemas::release::{ReleaseRequest, RunAct};

use super::probe::{Probe, client, reservation};
use super::scene::{Scene, refuses};

/// A binary of the package, in the folder beside the one that tests run from.
fn packaged(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().skip(1).take(3).map(|dir| dir.join("production").join(name)).find(|path| path.is_file())
}

/// Runs a command to its end; what it said.
fn says(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    (output.status.success(), words)
}

#[track_caller]
fn is_refused(command: &mut Command, code: Code) {
    let (ok, words) = says(command);
    assert!(!ok && words.contains(code.as_str()), "{words}");
}

#[test]
fn the_production_package_takes_software_evidence_nowhere() {
    let (Some(desk), Some(kms), Some(ccr)) = (packaged("contract-service"), packaged("kms-adapter"), packaged("ccr"))
    else {
        let why = "the production package is not built (sh infra/production.sh)";
        return crate::not_run("refusals::production_package", why);
    };
    // Processes have the system's clock.
    let clock = TestClock::starting(contract_client::system_clock()());
    let mut scene = Scene::under(clock, |tdp, tables| tdp.offers(tables.of(tdp.kind)).unwrap());
    // What a demo takes, and calls software: the evidence below is good but for its kind.
    let (admitted, waiting) = (scene.deal(), scene.deal());
    scene.house.tdc.orders(&waiting.bundle).unwrap();
    let (kms_url, kms_folder) = (scene.house.tdps[0].kms.clone(), scene.house.tdps[0].person.dir.join("kms"));
    let (kept, all) = {
        let probe = Probe::admitted(&scene, &admitted.bundle).unwrap();
        assert_eq!(probe.admission.as_ref().unwrap().read_unverified().unwrap().assurance, Assurance::Software);
        let all = probe.reserve_all();
        all.iter().for_each(|r| assert_eq!(r.read_unverified().unwrap().assurance, Assurance::Software));
        (probe.kept(), all)
    };

    // The same folders under the production package.
    if let Roles::InProcess(roles) = &mut scene.house.roles {
        roles.stop();
    }
    let secure = |url: &str| url.replacen("http://", "https://", 1);
    let folder = scene.house.dir.join("contract-service");
    let serve = |config: &str, folder: &std::path::Path, binary: &PathBuf| {
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(folder.join(config));
        command
    };
    let url = scene.house.url.clone();
    let pin = format!("[\"{}\"]", scene.house.ccrp.pin);
    let production = |command: &mut Command| {
        command.env("DEPA_CONTRACT_SERVICE__PROFILE", "production").env("DEPA_CONTRACT_SERVICE__URL", secure(&url));
    };
    let mut pinned = serve("config.toml", &folder, &desk);
    production(&mut pinned);
    is_refused(pinned.env("DEPA_CONTRACT_SERVICE__SOFTWARE_ROOTS", &pin), Code::ProductionRefused);
    let mut command = serve("config.toml", &folder, &desk);
    production(&mut command);
    let mut running = Process::start("production-desk", &folder, &mut command).unwrap();
    running.ready(port(&url), "/readyz").unwrap();
    let probe = Probe::returns(&scene, &waiting.bundle).unwrap();
    refuses(Code::EvidenceRefused, scene.desk().check_in(&probe.check_in(|_| {})));

    let production = |command: &mut Command| {
        command.env("DEPA_KMS__PROFILE", "production").env("DEPA_KMS__URL", secure(&kms_url));
        command.env("DEPA_KMS__PROXIED", "true");
    };
    let mut pinned = serve("kms.toml", &kms_folder, &kms);
    production(&mut pinned);
    is_refused(pinned.env("DEPA_KMS__SOFTWARE_ROOTS", &pin), Code::ProductionRefused);
    let mut command = serve("kms.toml", &kms_folder, &kms);
    production(&mut command);
    command.env("DEPA_KMS__SOFTWARE_ROOTS", "[]");
    let mut cupboard = Process::start("production-kms", &kms_folder, &mut command).unwrap();
    cupboard.ready(port(&kms_url), "/readyz").unwrap();
    let mut probe = kept.back(&scene);
    // The registry knows this key service by its address of the demo; its word about the new one is signed here.
    let mut admission = probe.admission.take().unwrap().read_unverified().unwrap();
    admission.kms_heads.iter_mut().for_each(|head| head.kms = secure(&head.kms));
    admission.issued_at = scene.clock.now();
    probe.admission = Some(signing::sign(&admission, &scene.registry_key(), admission.issued_at).unwrap());
    refuses(Code::EvidenceRefused, probe.reserve(&kms_url));
    let challenge = probe.challenge(&kms_url);
    let reservation_id = reservation(&kms_url, &all);
    let act = RunAct::Release { challenge_id: challenge.challenge_id.clone(), reservation_id: reservation_id.clone() };
    let words = ReleaseRequest {
        request: probe.request(act, &secure(&kms_url)),
        attested: probe.attest(probe.kms_transcript(&challenge)),
        admission: probe.admission.clone().unwrap(),
        reservations: all,
        log_keys: None,
        maa_token: None,
    };
    let path = format!("/v1/reservations/{reservation_id}/release");
    refuses(Code::EvidenceRefused, client(&kms_url).post_once::<_, serde_json::Value>(&path, &words));

    // The room shows none, whatever it is told.
    let config = scene.house.ccrp.config_file();
    let measure = |binary: &PathBuf| {
        let mut command = Command::new(binary);
        command.arg("measure").arg("--config").arg(&config);
        command
    };
    is_refused(&mut measure(&ccr), Code::EvidenceNotAllowed);
    is_refused(measure(&ccr).env("DEPA_CCR__PROFILE", "production"), Code::ProductionRefused);
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap()
}
