//! Offline verification of a contract with its receipt, as a key service does it before anything else.

use std::time::Instant;

use schemas::bundle::Logged;
use schemas::contract::Contract;
use schemas::envelope::Usage;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::{KeyBook, R, Signer as _};
use signing::FileKey;

use super::{Plan, signature};
use crate::house::House;
use crate::load::once_each;
use crate::peers::Peers;
use crate::rows::{Better, Row};

/// The keys of the contract's parties.
struct Book(Vec<(KeyId, Jwk)>);

impl KeyBook for Book {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        (usage == Usage::Party).then(|| self.0.iter().find(|(known, _)| known == kid).map(|(_, jwk)| jwk.clone()))?
    }
}

/// Milliseconds for one verification: five signatures, inclusion proof, signed checkpoint.
pub fn measure(_: &Plan, _: &Peers) -> R<Vec<Row>> {
    let house = House::open()?;
    let contracts = signature::contracts(&house, 1)?;
    let minutes = std::time::Duration::from_secs(60);
    once_each(house.port, signature::proposals(&house, &contracts)?, 1, minutes, 201)?.clean("propose")?;
    once_each(house.port, signature::signatures(&house, &contracts)?, 1, minutes, 201)?.clean("sign")?;
    let id = contracts[0].read_unverified()?.contract_id;
    let bundle = house.client.acting_for(house.tdc.clone()).contract_bundle(&id)?;
    let everybody: Vec<&FileKey> = house.tdps.iter().chain([&house.tdc, &house.ccrp]).map(|k| &**k).collect();
    let book = Book(everybody.iter().map(|k| (k.kid().clone(), k.jwk().clone())).collect());
    let (trust, logged) = (&house.trust, &bundle.contracts[0]);
    let rounds = 500;
    let began = Instant::now();
    for _ in 0..rounds {
        let logged: Logged<Contract> = logged.clone();
        signing::entered(logged, &trust.registry, &book, &trust.origin, trust)?;
    }
    let millis = began.elapsed().as_secs_f64() * 1000.0 / f64::from(rounds);
    Ok(vec![
        Row::new(
            "offline verification, per two of a contract's five signatures, ms",
            millis * 2.0 / 5.0,
            1.0,
            Better::Less,
        ),
        Row::beside("offline verification of a contract of five parties, ms", millis),
    ])
}
