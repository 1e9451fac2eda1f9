//! The production package: the services and the room built without the feature `software-attester`
//! (`sh infra/production.sh`). Each is started in profile `production`, on what a demo house left behind, and takes
//! software evidence nowhere.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use attestation::guest::{self, GuestTranscript, init_data_pcr};
use demo::TestClock;
use demo::house::Roles;
use demo::house::process::Process;
use reqwest::blocking::Response;
use schemas::Code;
use schemas::contract::Assurance;
use schemas::release::{ReleaseRequest, RunAct};
use serde_json::{Value, json};

use super::probe::{Probe, client, reservation};
use super::scene::{Scene, refuses};
use super::wire::http;

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
    command.env("DEPA_KMS__SOFTWARE_ROOTS", "[]").env("DEPA_KMS__KBS", "{ enabled = true }");
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
    refuses(Code::EvidenceRefused, client(&kms_url).post_once::<_, Value>(&path, &words));
    refused_at_the_kbs_face(&scene, &kms_url);

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

/// A guest of the KBS protocol that says what it is, and one that calls its SIMULATED evidence a hardware's.
fn refused_at_the_kbs_face(scene: &Scene, url: &str) {
    let hashes = json!({"supported-hash-algorithms": ["sha384"]});
    let auth = |tee: &str| {
        let words = json!({"version": "0.4.0", "tee": tee, "extra-params": hashes});
        http().post(format!("{url}/kbs/v0/auth")).json(&words).send().unwrap()
    };
    let code = |response: Response| {
        let status = response.status().as_u16();
        let told: Value = response.json().unwrap();
        let code = Code::parse(told["type"].as_str().unwrap().strip_prefix("urn:depa:problem:").unwrap()).unwrap();
        assert_eq!(code.status(), status, "{told}");
        code
    };
    assert_eq!(code(auth("depa-sample")), Code::KbsTee);

    let challenge = auth("az-snp-vtpm");
    let cookie = challenge.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let nonce = challenge.json::<Value>().unwrap()["nonce"].as_str().unwrap().to_owned();
    let tee_pubkey = json!({"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": POINT[0], "y": POINT[1]});
    let said =
        GuestTranscript { tee_pubkey: tee_pubkey.clone(), nonce: nonce.clone(), additional_evidence: String::new() };
    let evidence = scene.attester.show(&said.binding().unwrap(), init_data_pcr(None)).unwrap();
    let shown = json!({
        "runtime-data": {"nonce": nonce, "tee-pubkey": tee_pubkey},
        "tee-evidence": {"primary_evidence": guest::write(&evidence), "additional_evidence": ""},
    });
    let attested = http().post(format!("{url}/kbs/v0/attest")).header("cookie", cookie).json(&shown).send().unwrap();
    assert_eq!(code(attested), Code::EvidenceForm);
}

/// The curve's base point: a key of nobody's.
const POINT: [&str; 2] = ["axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"];

fn port(url: &str) -> u16 {
    url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap()
}
