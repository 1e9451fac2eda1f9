//! Renewals of a privacy budget over HTTP: the provider's, once each, and at hand for every job under the offer.

use schemas::privacy::Scope;
use schemas::renewal::BudgetRenewal;
use schemas::text::Real;
use schemas::{Code, R};

use crate::house::{House, reference};
use crate::papers;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

#[test]
fn a_renewal_enters_once_and_travels_with_the_bundle_of_its_contract() {
    let house = House::furnished();
    let mut offer = papers::offer(&house, 0);
    (offer.offer_version, offer.renewable_to) = (2, Some(Real::parse("3.0").unwrap()));
    let signed = house.sign(&offer, &house.tdps[0]);
    house.client.register_dataset(&signed).unwrap();
    let mut terms = papers::contract(&house);
    terms.datasets[0].offer_sha256 = signed.digest();
    let contract = house.propose(&terms).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.countersign(&contract, who).unwrap();
    }
    let contract = reference(&contract);
    assert!(house.bundle(&contract).renewals.is_empty());

    let tdc = (offer.privacy_cap.scope == Scope::PerTdc).then(|| house.tdc.did().unwrap());
    let renewal = BudgetRenewal {
        schema: "budget-renewal.v1".into(),
        registry: house.registry(),
        provider: offer.provider.clone(),
        family: offer.family.clone(),
        dataset_id: offer.dataset_id.clone(),
        offer_sha256: signed.digest(),
        tdc,
        number: 1,
        epsilon: Real::parse("0.5").unwrap(),
        reason: "The second year of the study".into(),
        at: house.now(),
    };
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
