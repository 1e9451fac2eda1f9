//! What falls due.

use policies::payment::{Act, RunFacts, instruction, instruction_id, split};
use policies::{Code, R};
use schemas::contract::{ContractRef, TermKind};
use schemas::event::Obligation;
use schemas::id::RunId;
use schemas::money::Minor;

use crate::fixtures::{CCRP, House, TDC, did, digest, expect, id, provider, read};

fn run() -> RunId {
    read(id("run", 1).into())
}

/// What a completed run owes, of terms that depend on no run before.
fn judged(house: &House) -> R<Vec<Obligation>> {
    let refs: Vec<ContractRef> =
        house.contracts.iter().map(|c| ContractRef { id: c.contract_id.clone(), sha256: digest(c) }).collect();
    let run = run();
    let facts = RunFacts { run: &run, job: &house.job, steps: Some(198), charges: &[], time: None };
    Ok(policies::payment::listed(&facts, &refs.iter().zip(&house.contracts).collect::<Vec<_>>())?.unwrap())
}

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

#[test]
fn every_provider_gets_its_price_once() {
    let house = House::new();
    let due = judged(&house).unwrap();
    assert_eq!(due.len(), 3);
    for (n, obligation) in due.iter().enumerate() {
        assert_eq!((obligation.payer.as_str(), obligation.payee.as_str()), (TDC, provider(n).as_str()));
        assert_eq!((obligation.amount_minor, obligation.currency.as_str()), (minor(500_000), "INR"));
        assert_eq!(obligation.contract, house.job.contracts[0]);
        let id = &obligation.instruction_id;
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b)), "{id}");
    }
    assert_eq!(judged(&house), Ok(due), "the same again");
    assert_eq!(judged(&House::of_two_contracts()).unwrap().len(), 3);
}

#[test]
fn free_terms_and_amounts_of_zero_owe_nothing() {
    let mut house = House::new();
    house.contracts[0].payment[0].kind = TermKind::Free;
    house.contracts[0].payment[1].payees =
        read(serde_json::json!([{"did": provider(1), "share_ppm": 999_999}, {"did": CCRP, "share_ppm": 1}]));
    house.contracts[0].payment[1].amount_minor = minor(100);
    let due = judged(&house).unwrap();
    let owed: Vec<_> = due.iter().map(|o| (o.payee.as_str(), o.amount_minor.get())).collect();
    assert_eq!(owed, [(provider(1).as_str(), 100), (provider(2).as_str(), 500_000)]);
}

#[test]
fn instruction_ids_depend_on_every_part_and_are_stable() {
    let contract = &House::new().job.contracts[0];
    let one = instruction_id(contract, run().as_str(), "p0", &did(&provider(0))).unwrap();
    // printf '["ctr_…001","run_…001","p0","did:web:tdp0.example"]' | openssl sha256 -binary | base32 | cut -c-32
    assert_eq!(one, PINNED);
    let mut other = contract.clone();
    other.id = read(id("ctr", 2).into());
    for another in [
        instruction_id(&other, run().as_str(), "p0", &did(&provider(0))),
        instruction_id(contract, &id("run", 2), "p0", &did(&provider(0))),
        instruction_id(contract, run().as_str(), "p1", &did(&provider(0))),
        instruction_id(contract, run().as_str(), "p0", &did(&provider(1))),
    ] {
        assert_ne!(another.unwrap(), one);
    }
}

#[test]
fn the_largest_remainders_get_what_is_left() {
    let parts =
        |amount, shares: &[u32]| split(minor(amount), shares).unwrap().iter().map(|m| m.get()).collect::<Vec<_>>();
    assert_eq!(parts(100, &[333_333, 333_333, 333_334]), [33, 33, 34]);
    assert_eq!(parts(10, &[250_000; 4]), [3, 3, 2, 2]);
    assert_eq!(parts(1, &[500_000, 500_000]), [1, 0]);
    assert_eq!(parts(1, &[499_999, 500_001]), [0, 1]);
    assert_eq!(parts(0, &[1_000_000]), [0]);
    assert_eq!(parts((1 << 53) - 1, &[1_000_000]), [(1 << 53) - 1]);
}

/// For many amounts and shares: parts add up to the amount, and none is a whole unit away from its exact share.
#[test]
fn parts_add_up_and_are_fair() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..2000 {
        let mut shares = Vec::new();
        let mut rest = 1_000_000_u32;
        while rest > 0 && shares.len() < 9 {
            let share = draw(u64::from(rest)) as u32 + 1;
            shares.push(share);
            rest -= share;
        }
        if rest > 0 {
            shares.push(rest);
        }
        let below = [10, 1000, 1 << 30, (1 << 53) - 1][draw(4) as usize];
        let amount = draw(below) as i64;
        let parts = split(minor(amount), &shares).unwrap();
        assert_eq!(parts.iter().map(|m| m.get()).sum::<i64>(), amount, "{shares:?}");
        for (part, share) in parts.iter().zip(&shares) {
            let exact = i128::from(amount) * i128::from(*share);
            assert!((i128::from(part.get()) * 1_000_000 - exact).abs() < 1_000_000, "{amount} by {shares:?}");
        }
    }
}

#[test]
fn what_registration_would_refuse_is_refused_here_too() {
    expect(split(minor(1), &[999_999]), Code::SchemaMismatch, "shares below one");
    expect(split(minor(1), &[u32::MAX, u32::MAX]), Code::SchemaMismatch, "shares above one");
}

const PINNED: &str = "2FPBTBOIUU6METJNSNRD6PAOUYEJEYZB";

#[test]
fn every_instruction_about_an_obligation_has_an_id_of_its_own() {
    let first = instruction_id(&House::new().job.contracts[0], run().as_str(), "p0", &did(&provider(0))).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for act in [Act::Pay, Act::Block, Act::Refund] {
        for attempt in 0..4 {
            let id = instruction(&first, false, act, attempt).unwrap();
            assert_eq!(id == first, act == Act::Pay && attempt == 0, "{act:?} {attempt}");
            assert!(id.len() == 32 && seen.insert(id));
        }
    }
    assert_eq!(instruction(&first, true, Act::Block, 0).unwrap(), first, "a deposit begins with a block");
    assert_ne!(instruction(&first, true, Act::Pay, 0).unwrap(), first);
}
