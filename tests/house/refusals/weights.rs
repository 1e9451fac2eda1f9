//! Weights that are not the consumer's, or not those that its job names: refused before any budget is held.

use schemas::weights::{SealedWeights, Weights};
use schemas::{Code, R, Signer as _};

use super::scene::{Deal, Scene, calm, refuses};
use crate::lab::{self, Lab};

/// The job of a deal that begins with these weights, whatever the rules would have said when it was made.
fn begins_with(scene: &Scene, deal: &Deal, weights: &Weights) -> schemas::bundle::JobBundle {
    scene.forged(deal, |job| {
        job.job_id = schemas::id::JobId::new(uuid::Uuid::new_v4());
        let training = super::pipeline::training(job);
        (training.model, training.recipe) = (lab::tuned().0, Some(lab::tuned().1));
        training.weights = Some(weights.clone());
    })
}

fn run(scene: &Scene, deal: &Deal, weights: &Weights) -> R<()> {
    let bundle = begins_with(scene, deal, weights);
    scene.order_and_run(&bundle).map(drop)
}

fn sealed(weights: &mut Weights) -> &mut SealedWeights {
    weights.sealed.as_mut().unwrap()
}

#[test]
fn weights_of_others_and_other_weights_end_before_any_budget_is_held() {
    let scene = calm();
    let (house, deal) = (&scene.house, scene.deal());
    let lab = Lab::open(house);
    let plain = lab::file(&lab::tensors());
    let honest = lab.seals(house, &plain, &[]);
    let refused = |code: Code, spoil: &dyn Fn(&mut Weights)| {
        let mut weights = honest.clone();
        spoil(&mut weights);
        refuses(code, run(&scene, &deal, &weights));
        scene.nothing_came_of(&deal);
    };
    refused(Code::WeightsMismatch, &|weights| weights.sha256 = schemas::Digest::of(b"others"));
    refused(Code::WeightsUnsealed, &|weights| weights.sealed = None);
    // Another root, key or service than the key was imported for.
    refused(Code::KeyUnknown, &|weights| sealed(weights).manifest_root = schemas::Digest::of(b"others"));
    refused(Code::SignerUnknown, &|weights| sealed(weights).key.kms_jwk = house.tdc.person.key.jwk().clone());
    // A provider's weights at the provider's key service: nobody there speaks for this consumer.
    let tdp = &house.tdps[0];
    let foreign = lab.sealed_by(&tdp.person, &tdp.kms, &plain, &[]);
    refuses(Code::SignerNotParty, run(&scene, &deal, &foreign));
    scene.nothing_came_of(&deal);

    // The sealed object was changed, or another one lies in its place, or one that is too large.
    let object = lab::object(&honest);
    let bytes = std::fs::read(&object).unwrap();
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&object, &flipped).unwrap();
    refused(Code::SealedTampered, &|_| {});
    let other = lab.seals(house, &plain, &[]);
    std::fs::copy(lab::object(&other), &object).unwrap();
    refused(Code::SealedWrongObject, &|_| {});
    std::fs::File::options().write(true).open(&object).unwrap().set_len(66 << 20).unwrap();
    refused(Code::LimitExceeded, &|_| {});
    refused(Code::AddressRefused, &|weights| sealed(weights).object.url = "file:///etc/passwd".into());

    // An honest one is carried out.
    let own = Scene::new();
    let (lab, deal) = (Lab::open(&own.house), own.deal());
    let weights = lab.seals(&own.house, &plain, &[]);
    run(&own, &deal, &weights).unwrap();
    assert_eq!(own.states(&deal.contract), [["committed"], ["committed"], ["committed"]]);
}
