//! Stock confidential-container guests: whom the contract lets have a key, and the whole grant that this costs.

use policies::accountant::RdpVector;
use policies::kbs::{allowed, form, whole};
use policies::{Code, budget};
use schemas::Digest;
use schemas::contract::{ContractDataset, KbsRelease};

use crate::fixtures::{House, expect, real};

fn terms(init_data: &[&str]) -> ContractDataset {
    let mut terms = House::new().contracts[0].datasets[0].clone();
    let mut init_data: Vec<Digest> = init_data.iter().map(|text| Digest::of(text.as_bytes())).collect();
    init_data.sort();
    terms.kbs = Some(KbsRelease { init_data });
    terms
}

#[test]
fn the_contract_says_so_for_the_dataset_and_for_the_init_data() {
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    assert_eq!(allowed(&terms(&[]), None), Ok(()));
    assert_eq!(allowed(&terms(&["one", "two"]), Some(&one)), Ok(()));
    expect(allowed(&terms(&["one"]), Some(&other)), Code::KbsInitData, "init-data that is not named");
    expect(allowed(&terms(&["one"]), None), Code::KbsInitData, "no init-data where some is asked for");
    expect(allowed(&terms(&[]), Some(&one)), Code::KbsInitData, "init-data where none is named");
    let silent = ContractDataset { kbs: None, ..terms(&[]) };
    expect(allowed(&silent, None), Code::KbsNotAllowed, "a contract that does not say so");
    for level in [0, 2] {
        let mut terms = terms(&[]);
        terms.privacy.level = level;
        expect(allowed(&terms, None), Code::KbsNotAllowed, "a clause of another level");
    }
}

#[test]
fn init_data_stands_in_order_and_once() {
    assert_eq!(form(&terms(&["one", "two", "three"])), Ok(()));
    assert_eq!(form(&ContractDataset { kbs: None, ..terms(&[]) }), Ok(()));
    let mut twice = terms(&["one"]);
    let kbs = twice.kbs.as_mut().unwrap();
    kbs.init_data.push(kbs.init_data[0]);
    expect(form(&twice), Code::SchemaMismatch, "a digest twice");
    let names: Vec<String> = (0..17).map(|n| n.to_string()).collect();
    let many = terms(&names.iter().map(String::as_str).collect::<Vec<_>>());
    expect(form(&many), Code::SchemaMismatch, "seventeen");
}

/// Whatever was spent before: afterwards next to nothing is left, and the sum never exceeds the grant.
#[test]
fn one_fetch_costs_all_that_is_left() {
    for epsilon in ["0.1", "1.0", "8", "100"] {
        let mut terms = terms(&[]);
        terms.privacy.epsilon = real(epsilon);
        let granted = budget::epsilon_micro(&terms.privacy.epsilon).unwrap();
        let mut spent = RdpVector::zero();
        for part in ["0.5", "1.0"] {
            let mut half = terms.clone();
            half.privacy.epsilon = real(&format!("{}", terms.privacy.epsilon.value() * part.parse::<f64>().unwrap()));
            let charge = whole(&half, &spent).unwrap();
            assert_eq!((charge.factor, charge.dataset_id.clone()), (1, terms.dataset_id.clone()));
            spent = spent.compose(&budget::vector(&charge.mechanisms).unwrap());
        }
        let after = spent.epsilon_micro(terms.privacy.delta.scaled_up(18).unwrap().try_into().unwrap());
        assert!(after <= granted && granted - after < granted / 1000, "{after} of {granted}");
        expect(whole(&terms, &spent), Code::BudgetExceeded, "a second time");
    }
}
