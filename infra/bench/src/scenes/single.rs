//! One unloaded client that signs contracts, one after the other.

use super::{Plan, signature};
use crate::house::House;
use crate::load::once_each;
use crate::peers::Peers;
use crate::rows::{Better, Row};
use schemas::R;

/// Median and slowest hundredth of one client's signatures.
pub fn measure(plan: &Plan, _: &Peers) -> R<Vec<Row>> {
    let house = House::open()?;
    let contracts = signature::contracts(&house, plan.seconds as usize * 150)?;
    let minutes = std::time::Duration::from_secs(600);
    once_each(house.port, signature::proposals(&house, &contracts)?, 16, minutes, 201)?.clean("propose")?;
    let load = once_each(house.port, signature::signatures(&house, &contracts)?, 1, plan.time(), 201)?;
    let load = load.clean("single client")?;
    Ok(vec![
        Row::new("contract signature, one client, p50 ms", load.percentile(500), 3.0, Better::Less),
        Row::new("contract signature, one client, p99 ms", load.percentile(990), 15.0, Better::Less),
    ])
}
