//! Many at once on one contract, and a clock that jumps: what stands in the log is what one after the other could have
//! made, and nothing stands twice (threats C7).

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::contract::{Contract, ContractState};
use schemas::envelope::Envelope;
use schemas::event::Body;
use schemas::{Code, R};
use signing::FileKey;

use crate::house::{House, reference, start};

/// The contract's next version, signed by its TDC.
fn amendment(house: &House, contract: &Envelope<Contract>, n: i64) -> Body {
    let old = contract.read_unverified().unwrap();
    let next = Contract {
        version: old.version + 1,
        supersedes: Some(contract.digest()),
        expires_at: old.expires_at.plus_seconds(n),
        ..old
    };
    Body::ContractProposed { contract: house.sign(&next, &house.tdc) }
}

fn enter(house: &House, body: Body) -> R<registry::Entry> {
    house.registry.append(house.registry.verify(body)?, house.now())
}

#[test]
fn a_hundred_signers_amenders_and_revokers_leave_a_lawful_log() {
    for round in 0..3 {
        let mut house = House::furnished();
        let contract = house.propose(&house.draft()).unwrap();
        let this = reference(&contract);
        if round == 2 {
            // In force already: amendments stand beside it, and revocations end it.
            for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
                house.enter(house.signature(&contract, who)).unwrap();
            }
        }
        let before = house.registry.head().unwrap().size;
        let signers: Vec<&FileKey> = vec![&house.tdps[0], &house.tdps[1], &house.ccrp];
        let mut bodies: Vec<Body> = Vec::new();
        for n in 0..100usize {
            bodies.push(house.signature(&contract, signers[n % 3]));
            if n % 4 == round {
                bodies.push(amendment(&house, &contract, n as i64));
                let revoke = house.sign(&house.revocation(&this), &house.tdps[0]);
                bodies.push(Body::ContractRevoked { revoke });
            }
        }
        let shared = &house;
        let ends: Vec<(String, Option<Code>)> = std::thread::scope(|scope| {
            let one = |body: Body| {
                move || {
                    let kind = body.kind().to_owned();
                    (kind, enter(shared, body).err().map(|e| e.code))
                }
            };
            let threads: Vec<_> = bodies.into_iter().map(|body| scope.spawn(one(body))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let mut acknowledged: BTreeMap<String, usize> = BTreeMap::new();
        for (kind, refused) in &ends {
            match refused {
                None => *acknowledged.entry(kind.clone()).or_default() += 1,
                Some(code) => {
                    let lawful = [Code::SignerTwice, Code::StateTransition, Code::ContractExists, Code::SignerNotParty];
                    assert!(lawful.contains(code), "{kind}: {code}");
                }
            }
        }
        // What was acknowledged stands once, and nothing else of its kind does.
        let entries = house.registry.entries(before, 1000).unwrap();
        let mut entered: BTreeMap<String, usize> = BTreeMap::new();
        for entry in &entries {
            *entered.entry(entry.record.kind.clone()).or_default() += 1;
        }
        entered.remove("twin_root");
        let executed = entered.remove("contract_executed").unwrap_or_default();
        assert_eq!(entered, acknowledged);
        let state = house.registry.state();
        let row = state.contract(&this.sha256).unwrap();
        let ended = row.state(house.now());
        assert!(
            [ContractState::Revoked, ContractState::Superseded, ContractState::Active].contains(&ended),
            "{ended:?}"
        );
        assert_eq!(row.executed.is_some(), executed > 0 || round == 2);
        let mut holders: Vec<&str> = row.signatures.iter().map(|s| s.kid.holder.as_str()).collect();
        holders.sort_unstable();
        holders.dedup();
        assert_eq!(holders.len(), row.signatures.len(), "nobody signed twice");
        // The whole log, folded again one after the other, gives the same state.
        assert_eq!(house.registry.scrub().unwrap().first_difference, None);
        house.reopen().unwrap();
        assert_eq!(house.registry.state(), state);
    }
}

/// Entries get times that never go back, whatever the clock does; what it brings is told once.
#[test]
fn a_clock_that_jumps_turns_no_time_back_and_tells_nothing_twice() {
    let house = House::furnished();
    let contract = house.propose(&house.draft()).unwrap();
    let expires = contract.read_unverified().unwrap().expires_at;
    let registry = &house.registry;
    let tell = |now| -> Vec<Option<Code>> {
        let due = registry.state().due(now, 10);
        // Two who look at the clock at once both see it.
        let twice = due.iter().chain(&due);
        twice.map(|body| registry.append(registry.verify(body.clone()).unwrap(), now).err().map(|e| e.code)).collect()
    };
    let day = 86_400;
    let lapse = registry.state().contract(&contract.digest()).unwrap().lapses_at;
    for now in [start(), lapse.plus_seconds(-1), start().plus_seconds(-30 * day)] {
        assert_eq!(tell(now), [], "{now}");
    }
    assert_eq!(tell(lapse), [None, Some(Code::StateTransition)]);
    // Back, before what was told, and far ahead: it is not told again.
    for now in [start().plus_seconds(-400 * day), lapse.plus_seconds(-1), expires.plus_seconds(400 * day), start()] {
        assert_eq!(tell(now), [], "{now}");
    }
    let who = Arc::new(FileKey::generate().unwrap());
    let application = house.sign(&crate::papers::participant(&who, schemas::party::Kind::Tdp), &who);
    let late = registry.verify(Body::ParticipantApplied { application, resolution: None }).unwrap();
    registry.append(late, start().plus_seconds(-400 * day)).unwrap();
    let entries = registry.entries(0, 1000).unwrap();
    assert!(entries.windows(2).all(|pair| pair[0].record.at <= pair[1].record.at), "times went back");
    assert_eq!(entries.iter().filter(|e| e.record.kind == "contract_timed").count(), 1);
    assert_eq!(registry.scrub().unwrap().first_difference, None);
}
