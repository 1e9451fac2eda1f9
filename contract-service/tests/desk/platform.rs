//! What the desk takes for a trustworthy platform: signed platform data from its configuration, and the challenge that it
//! consumed itself.

use std::path::PathBuf;

use contract_service::Service;
use schemas::event::Body;
use schemas::platform::{PlatformData, PlatformRules};
use schemas::{Code, Envelope};

use crate::house::House;

/// Rules of this version that ask for this SNP firmware on Milan; the software platform has 24.
fn data(house: &House, version: u32, snp: u8) -> PlatformData {
    let text = include_str!("../../../ccr-runtime/attestation/data/amd.json");
    let mut rules: PlatformRules = serde_json::from_str(text).unwrap();
    rules.version = version;
    rules.requirements.iter_mut().find(|r| r.id == "sb_3019_milan").unwrap().tcb.as_mut().unwrap().snp = snp;
    PlatformData { schema: "platform-data.v1".into(), registry: house.registry(), rules }
}

fn file(house: &House, data: &Envelope<PlatformData>) -> Option<PathBuf> {
    let path = house.dir.join("platform-data.json");
    std::fs::write(&path, serde_json::to_vec(data).unwrap()).unwrap();
    Some(path)
}

#[test]
fn newer_signed_platform_data_raises_the_minimum_at_check_in() {
    let mut house = House::furnished();
    let bundle = house.bundle(&house.executed());
    house.client.order_run(&bundle).unwrap();
    house.config.platform.data = file(&house, &house.by_sro(&data(&house, 2, 25)));
    house.restart();
    let refused = house.check_in(&house.arrive(&bundle), &bundle).unwrap_err();
    assert_eq!(refused.code, Code::EvidenceRefused);

    let start = |house: &mut House, data: Envelope<PlatformData>| {
        drop(house.running.take());
        house.config.platform.data = file(house, &data);
        Service::start(house.config.clone(), house.clock()).err().unwrap().code
    };
    let (one, older) = (house.sign(&data(&house, 2, 24), &house.sro[0]), house.by_sro(&data(&house, 1, 25)));
    assert_eq!(start(&mut house, one), Code::TwoPeopleNeeded);
    assert_eq!(start(&mut house, older), Code::ConfigInvalid, "of the version compiled in, with other rules");

    house.config.platform.data = file(&house, &house.by_sro(&data(&house, 2, 24)));
    house.restart();
    house.check_in(&house.arrive(&bundle), &bundle).unwrap();
}

#[test]
fn the_consumed_challenge_is_one_of_the_checks() {
    let house = House::furnished();
    house.running();
    let log = house.as_(&house.sro[0]).export(0, 1000).unwrap();
    let passed = log.entries.iter().find_map(|entry| match &entry.body {
        Body::RunCheckedIn { checks, platform, .. } => Some((checks.clone(), platform.clone().unwrap())),
        _ => None,
    });
    let (checks, platform) = passed.unwrap();
    assert!(checks.contains(&"nonce".to_owned()));
    assert!(platform.tcb.is_some() && platform.level.is_some() && platform.measurement.0.len() == 48);
    assert!(platform.root_sha256.is_some_and(|root| house.config.software_roots.contains(&root)));
}
