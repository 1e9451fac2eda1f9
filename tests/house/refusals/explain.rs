//! `depa kms explain` against a real key service's binary and folder, beside the same service over HTTP: what it foretells
//! is what a reservation then meets, and asking enters nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use demo::TestClock;
use demo::house::process::sibling;
use schemas::Code;
use schemas::bundle::JobBundle;
use serde_json::Value;

use super::probe::Probe;
use super::scene::{Scene, refuses};

/// What the command says of a bundle: its exit code and its one document.
fn explained(depa: &Path, kms: &Path, folder: &Path, bundle: &JobBundle) -> (i32, Value) {
    let file = folder.join(format!("bundle-{}.json", uuid::Uuid::new_v4()));
    std::fs::write(&file, serde_json::to_vec(bundle).unwrap()).unwrap();
    let mut command = Command::new(depa);
    command.args(["kms", "explain"]).arg(&file).arg("--kms-adapter").arg(kms);
    command.arg("--config").arg(folder.join("kms.toml")).arg("--json").stdin(Stdio::null());
    let output = command.output().unwrap();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().unwrap(), told)
}

/// The code of the one check that was refused.
fn refused_by(told: &Value) -> Option<Code> {
    let checks = told["checks"].as_array().unwrap();
    let mut refused = checks.iter().filter(|check| check["verdict"] == "refused");
    let one = refused.next()?;
    assert!(refused.next().is_none() && one["why"].is_string(), "{told}");
    Code::parse(one["code"].as_str().unwrap())
}

#[test]
fn what_explain_foretells_a_reservation_meets() {
    let (Ok(depa), Ok(kms)) = (sibling("depa"), sibling("kms-adapter")) else {
        return crate::not_run("refusals::explain", "depa or kms-adapter is not built");
    };
    // Processes have the system's clock.
    let clock = TestClock::starting(contract_client::system_clock()());
    let scene = Scene::under(clock, |tdp, tables| tdp.offers(tables.of(tdp.kind)).unwrap());
    let deal = scene.deal();
    let (url, folder) = (scene.house.tdps[0].kms.clone(), scene.house.tdps[0].person.dir.join("kms"));
    let explain = |bundle: &JobBundle| explained(&depa, &kms, &folder, bundle);
    let before = scene.budget(&scene.house.tdps[0]);

    let (exit, told) = explain(&deal.bundle);
    assert_eq!((exit, &told["would_reserve"], refused_by(&told)), (0, &Value::Bool(true), None), "{told}");
    assert!(told["checks"].as_array().unwrap().iter().filter(|c| c["verdict"] == "passed").count() >= 6, "{told}");

    let forged = scene.forged(&deal, |job| job.purpose = "MARKETING".into());
    let (exit, told) = explain(&forged);
    assert_eq!((exit, refused_by(&told)), (6, Some(Code::PurposeNotAllowed)), "{told}");
    let mut probe = Probe::unseen(&scene, &forged);
    probe.forges_admission();
    refuses(Code::PurposeNotAllowed, probe.reserve(&url));
    assert_eq!(scene.budget(&scene.house.tdps[0]), before, "asking entered something");

    Probe::admitted(&scene, &deal.bundle).unwrap().reserve(&url).unwrap();
    let again = scene.again(&deal);
    let (exit, told) = explain(&again);
    assert_eq!((exit, &told["would_reserve"]), (8, &Value::Bool(false)), "{told}");
    assert_eq!(refused_by(&told), Some(Code::BudgetExceeded));
    refuses(Code::BudgetExceeded, Probe::admitted(&scene, &again).unwrap().reserve(&url));
}
