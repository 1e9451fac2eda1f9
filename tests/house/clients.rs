//! The clients in Python and TypeScript, generated from the published document, against a house: each registers a
//! participant that two people of the SRO verify, lists, reads a receipt and verifies inclusion.

use std::path::Path;
use std::process::Command;

use demo::data;
use demo::house::House;

use crate::{echo_worker, not_run};

#[test]
fn clients_register_list_and_verify_inclusion() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // The clients go by the clock of the machine.
    let house = House::in_process(contract_client::system_clock(), echo_worker()).unwrap();
    let house = house.ready(&data::generate(data::SEED, 20)).unwrap();
    let sro: Vec<String> = house.sro.people.iter().map(|p| p.key_file().display().to_string()).collect();
    let mut check = Command::new("sh");
    check.arg("clients/check.sh").arg("service").current_dir(&root);
    check.env("DEPA_REGISTRY", &house.url).env("DEPA_TRUST", &house.trust_file).env("DEPA_TEST_SRO", sro.join(":"));
    check.env("DEPA_TEST_DATASET", house.offers[0].sealed.dataset_id.to_string());
    let output = check.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    if output.status.code() == Some(3) {
        return not_run("clients_register_list_and_verify_inclusion", said.lines().last().unwrap_or_default());
    }
    assert!(output.status.success());
}
