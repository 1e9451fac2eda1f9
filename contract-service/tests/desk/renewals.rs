//! Renewals of a privacy budget over HTTP: the provider's, once each, and at hand for every job under the offer.

use schemas::bundle::JobBundle;
use schemas::contract::ContractRef;
use schemas::dataset::{DatasetAct, DatasetActKind, DatasetOffer};
use schemas::party::{KeyAct, KeyEvent};
use schemas::privacy::Scope;
use schemas::renewal::BudgetRenewal;
use schemas::text::Real;
use schemas::{Code, Envelope, R, Signer};

use crate::catcher::{Catcher, eventually};
use crate::house::{House, reference};
use crate::papers;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

/// The first offer on terms that are renewable, and a contract in force under it.
fn renewable(house: &House) -> (DatasetOffer, Envelope<DatasetOffer>, ContractRef) {
    let mut offer = papers::offer(house, 0);
    (offer.offer_version, offer.renewable_to) = (2, Some(Real::parse("3.0").unwrap()));
    let signed = house.sign(&offer, &house.tdps[0]);
    house.client.register_dataset(&signed).unwrap();
    let mut terms = papers::contract(house);
    terms.datasets[0].offer_sha256 = signed.digest();
    let contract = house.propose(&terms).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.countersign(&contract, who).unwrap();
    }
    let contract = reference(&contract);
    (offer, signed, contract)
}

fn renewal(house: &House, offer: &DatasetOffer, signed: &Envelope<DatasetOffer>) -> BudgetRenewal {
    BudgetRenewal {
        schema: "budget-renewal.v1".into(),
        registry: house.registry(),
        provider: offer.provider.clone(),
        family: offer.family.clone(),
        dataset_id: offer.dataset_id.clone(),
        offer_sha256: signed.digest(),
        tdc: (offer.privacy_cap.scope == Scope::PerTdc).then(|| house.tdc.did().unwrap()),
        number: 1,
        epsilon: Real::parse("0.5").unwrap(),
        reason: "The second year of the study".into(),
        at: house.now(),
    }
}

#[test]
fn a_renewal_enters_once_and_travels_with_the_bundle_of_its_contract() {
    let house = House::furnished();
    let (offer, signed, contract) = renewable(&house);
    assert!(house.bundle(&contract).renewals.is_empty());
    let renewal = renewal(&house, &offer, &signed);
    let foreign = house.sign(&renewal, &house.tdps[1]);
    assert_eq!(code(house.client.renew_budget(&foreign)), Code::SignerNotParty);
    let own = house.sign(&renewal, &house.tdps[0]);
    let receipt = house.client.renew_budget(&own).unwrap();
    assert_eq!(code(house.client.renew_budget(&own)), Code::BudgetRenewalExists);
    let again = house.sign(&BudgetRenewal { reason: "Sent again".into(), ..renewal.clone() }, &house.tdps[0]);
    assert_eq!(code(house.client.renew_budget(&again)), Code::BudgetRenewalExists);
    let large = BudgetRenewal { number: 2, epsilon: Real::parse("9").unwrap(), ..renewal };
    assert_eq!(code(house.client.renew_budget(&house.sign(&large, &house.tdps[0]))), Code::BudgetRenewalTooLarge);

    let all = house.client.budget_renewals(&offer.dataset_id).unwrap().renewals;
    assert_eq!((all.len(), &all[0].envelope, all[0].receipt.index), (1, &own, receipt.index));
    let none = house.client.budget_renewals(&papers::offer(&house, 1).dataset_id).unwrap().renewals;
    assert!(none.is_empty());
    let opened = signing::open_bundle(house.bundle(&contract), house.trust()).unwrap();
    assert_eq!(opened.renewals.len(), 1);
    assert_eq!(opened.renewals[0].digest(), own.digest());
}

#[test]
fn who_uses_the_dataset_is_told_of_the_renewal_and_nobody_else() {
    let house = House::furnished();
    let (offer, signed, _) = renewable(&house);
    let [provider, consumer, stranger] = [(); 3].map(|()| Catcher::start(|_| (200, String::new())));
    for (who, catcher) in [(&house.tdps[0], &provider), (&house.tdc, &consumer), (&house.psp, &stranger)] {
        house.as_(who).create_endpoint(&catcher.url("/told"), &["budget.renewed"]).unwrap();
    }
    let receipt = house.client.renew_budget(&house.sign(&renewal(&house, &offer, &signed), &house.tdps[0])).unwrap();
    assert!(eventually(|| provider.seen().len() == 1 && consumer.seen().len() == 1));
    for catcher in [&provider, &consumer] {
        let body: serde_json::Value = serde_json::from_slice(&catcher.seen()[0].body).unwrap();
        let data = &body["data"];
        assert_eq!(
            (&body["type"], &data["number"], &data["epsilon"]),
            (&"budget.renewed".into(), &1.into(), &"0.5".into())
        );
        assert_eq!(data["dataset_id"], offer.dataset_id.as_str());
        assert_eq!(data["tdc"], house.tdc.did().unwrap().as_str());
        assert_eq!(data["index"], receipt.index);
    }
    assert!(stranger.seen().is_empty());
}

/// The thief of a provider's key renewed its budget. Once the theft is reported and the SRO has looked, the contract goes
/// on without that renewal: new bundles leave it out, and one of before is refused.
#[test]
fn a_renewal_by_a_stolen_key_ends_no_contract_and_raises_nothing() {
    let house = House::furnished();
    let (offer, signed, contract) = renewable(&house);
    let (tdp, did) = (&house.tdps[0], house.tdps[0].did().unwrap());
    let stolen = house.client.renew_budget(&house.sign(&renewal(&house, &offer, &signed), tdp)).unwrap().index;
    let (before, other) = (house.bundle(&contract), house.bundle(&contract));
    assert_eq!(before.renewals.len(), 1);
    let report = KeyEvent {
        schema: "key-event.v1".into(),
        registry: house.registry(),
        participant: did,
        event: KeyAct::Compromise { thumbprint: tdp.jwk().thumbprint(), since_index: stolen },
        reason: "The laptop is gone".into(),
        at: house.now(),
    };
    house.client.change_key(&house.sign(&report, tdp)).unwrap();
    let without = JobBundle { renewals: vec![], ..before.clone() };
    assert_eq!(code(house.client.order_run(&without)), Code::DatasetNotAvailable, "until the SRO has looked");
    house.skip(1);
    let resume = DatasetAct {
        schema: "dataset-act.v1".into(),
        registry: house.registry(),
        dataset_id: offer.dataset_id,
        version: 1,
        act: DatasetActKind::Resume,
        reason: "The data are what they were".into(),
        at: house.now(),
    };
    house.client.change_dataset(&house.by_sro(&resume)).unwrap();
    // Its participants know of no report, so that it opens; the log knows.
    signing::open_bundle(before.clone(), house.trust()).unwrap();
    assert_eq!(code(house.client.order_run(&before)), Code::KeyNotActive);
    let today = house.bundle(&contract);
    assert!(today.renewals.is_empty());
    house.client.order_run(&today).unwrap();
    house.check_in(&house.arrive(&today), &today).unwrap();
    // Ordered without the renewal, and shown with it when the room checks in.
    let plain = JobBundle { renewals: vec![], ..other.clone() };
    house.client.order_run(&plain).unwrap();
    let arrival = house.arrive(&plain);
    assert_eq!(code(house.check_in(&arrival, &other)), Code::KeyNotActive);
}
