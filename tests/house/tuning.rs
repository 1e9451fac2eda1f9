//! Fine-tuning from a consumer's encrypted weights, from sealing to the model, through a whole house with the real worker.

use std::path::Path;

use demo::{House, TestClock, data};
use schemas::Code;
use schemas::weights::Weights;

use crate::lab::{self, Lab};
use crate::refusals::scene::refuses;
use crate::{not_run, real_worker};

/// The bytes of a tensor in a file.
fn values(file: &[u8], name: &str) -> Vec<f32> {
    models::weights::read(file).unwrap().remove(name).unwrap().values
}

/// Whether these bytes lie anywhere below a folder.
fn lies_below(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            return lies_below(&path, bytes);
        }
        std::fs::read(&path).is_ok_and(|file| file.windows(bytes.len()).any(|window| window == bytes))
    })
}

#[test]
fn a_run_tunes_encrypted_weights_with_frozen_layers() {
    let name = "a_run_tunes_encrypted_weights_with_frozen_layers";
    let Some(worker) = real_worker() else { return not_run(name, "ccr-trainer is not built") };
    let tables = data::generate(data::SEED, 300);
    let mut house = House::in_process(TestClock::default().clock(), &worker).unwrap();
    house.verify_participants().unwrap();
    house.approve_room().unwrap();
    let much = schemas::text::Real::parse("100").unwrap();
    house.offers = house
        .tdps
        .iter()
        .map(|tdp| tdp.offers_with(tables.of(tdp.kind), |d| d.cap.epsilon = much.clone()).unwrap())
        .collect();
    let lab = Lab::open(&house);
    let contract =
        house.signed_contract(|form| form.datasets.iter_mut().for_each(|d| d.epsilon = much.clone())).unwrap();
    let job = |weights: Weights| {
        let (model, recipe) = lab::tuned();
        house.job_with(&contract.id, |form| {
            (form.training.model, form.training.recipe, form.training.weights) = (model, Some(recipe), Some(weights));
        })
    };

    let plain = lab::file(&lab::tensors());
    let prepared = job(lab.seals(&house, &plain, &[])).unwrap();
    let run = house.order_and_run(&prepared.bundle).unwrap();
    let model = house.tdc.downloads(&run.run_id, &prepared.bundle).unwrap();
    let tuned = std::fs::read(&model.path).unwrap();
    for frozen in ["0.weight", "0.bias"] {
        assert_eq!(values(&tuned, frozen), values(&plain, frozen), "{frozen}");
    }
    for learnt in ["2.weight", "2.bias"] {
        assert_ne!(values(&tuned, learnt), values(&plain, learnt), "{learnt}");
    }
    for tdp in &house.tdps {
        assert!(tdp.charges().unwrap().iter().all(|(_, state)| state == "committed"));
    }
    // In the clear they lie with the consumer alone.
    let secret = &plain[plain.len() - 100..];
    assert!(lies_below(&house.tdc.person.dir, secret));
    for other in ["storage", "contract-service", "witness", "ccrp", "icmr", "cowin", "statewarroom"] {
        assert!(!lies_below(&house.dir.join(other), secret), "{other}");
    }

    // A file without a new head is taken where the job says so, and refused, without a charge, where it does not.
    let mut headless = lab::tensors();
    headless.retain(|name, _| name.starts_with("0."));
    let headless = lab::file(&headless);
    let prepared = job(lab.seals(&house, &headless, &["2."])).unwrap();
    let run = house.order_and_run(&prepared.bundle).unwrap();
    let model = house.tdc.downloads(&run.run_id, &prepared.bundle).unwrap();
    assert_eq!(values(&std::fs::read(&model.path).unwrap(), "0.weight"), values(&plain, "0.weight"));
    let before: Vec<_> = house.tdps.iter().map(|tdp| tdp.charges().unwrap().len()).collect();
    let prepared = job(lab.seals(&house, &headless, &[])).unwrap();
    refuses(Code::ModelWeights, house.order_and_run(&prepared.bundle));
    let after: Vec<_> = house.tdps.iter().map(|tdp| tdp.charges().unwrap().len()).collect();
    assert_eq!(after, before, "the charge went back");
}
