//! Profile `production`: this build, which carries the software attester, starts no service under it; and software
//! evidence counts for nothing there.

use std::path::Path;
use std::process::{Command, Stdio};

use attestation::{Expected, Level, PlatformPolicy, Profile, appraise};
use demo::house::process::sibling;
use schemas::{Code, R};

use super::probe::Probe;
use super::scene::{calm, refuses};

#[test]
fn no_service_of_this_build_starts_in_production() {
    let scene = calm();
    let house = &scene.house;
    let dir = house.dir.join(format!("production-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&dir).unwrap();

    let people = house.sro.public();
    let mut desk = contract_service::init(&dir.join("desk"), "http://localhost:1", people).unwrap();
    desk.profile = contract_service::Mode::Production;
    refuses(Code::ProductionRefused, contract_service::Service::start(desk.clone(), house.clock.clone()).map(drop));

    let person = &house.tdps[0].person;
    let kms = |profile| {
        let mut config =
            kms_adapter::Config::new(profile, "https://kms.example", &dir.join("kms"), &person.did, &house.trust_file);
        config.provider_jwk = Some(schemas::Signer::jwk(&*person.key).clone());
        config.listen.set_port(0);
        config
    };
    refuses(Code::ProductionRefused, kms_adapter::init(&kms(kms_adapter::Profile::Production)));
    kms_adapter::init(&kms(kms_adapter::Profile::Demo)).unwrap();
    let start = |profile| kms_adapter::Service::start(kms(profile), house.clock.clone());
    refuses(Code::ProductionRefused, start(kms_adapter::Profile::Production).map(drop));
    let mut pinned = kms(kms_adapter::Profile::Production);
    pinned.software_roots = vec![house.ccrp.pin];
    refuses(Code::ProductionRefused, pinned.check());

    let (room, _) = ccr_runtime::Config::load(&house.ccrp.config_file()).unwrap();
    let room = ccr_runtime::Config { profile: ccr_runtime::config::Profile::Production, ..room };
    refuses(Code::ProductionRefused, room.check());
    started(&dir);
}

/// The binaries themselves, told by their environment to be in production.
fn started(dir: &Path) {
    let cases = [
        ("contract-service", "DEPA_CONTRACT_SERVICE__PROFILE", dir.join("desk").join("config.toml")),
        ("kms-adapter", "DEPA_KMS__PROFILE", dir.join("kms").join("kms.toml")),
    ];
    for (name, variable, config) in cases {
        let Ok(binary) = sibling(name) else {
            crate::not_run("refusals::production (binary)", &format!("{name} is not built"));
            continue;
        };
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(config).env(variable, "production").stdin(Stdio::null());
        if name == "kms-adapter" {
            command.env("DEPA_KMS__PROXIED", "true");
        }
        let output = command.output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && words.contains("PRODUCTION_REFUSED"), "{name}: {words}");
    }
}

#[test]
fn software_evidence_counts_for_nothing_in_production() {
    let scene = calm();
    let deal = scene.deal();
    let probe = Probe::arrives(&scene, &deal.bundle).unwrap();
    let attested = probe.check_in(|_| {}).attested;
    let opened = signing::open_bundle(deal.bundle.clone(), &scene.house.trust).unwrap();
    let facts = policies::Facts {
        job: &opened.job,
        contracts: &opened.contracts,
        offers: &opened.offers,
        image_set: &opened.image_set,
    };
    let expected = Expected::from_transcript(&attested.transcript, &opened.image_set).unwrap();
    let judged = |profile| -> R<()> {
        let level = Level::named("baseline")?;
        let policy = PlatformPolicy::new(profile, level, vec![scene.house.ccrp.pin]);
        policies::release::evidence_allowed(
            &facts,
            &appraise(&attested.evidence, &expected, &policy, scene.clock.now()),
        )
    };
    judged(Profile::Demo).unwrap();
    refuses(Code::EvidenceRefused, judged(Profile::Production));
    scene.nothing_came_of(&deal);
}
