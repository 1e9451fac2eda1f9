//! A good receiver alone, and beside a hundred that send their answers a byte a second.

use std::time::Duration;

use contract_client::wish;
use schemas::R;
use schemas::party::Kind;

use super::sink::{Came, Sink};
use super::{Plan, endpoints, paced, parties, signatures};
use crate::house::House;
use crate::rows::{Better, Row};

/// Good endpoints of each of the four parties, and slow ones.
const GOOD: usize = 2;
const SLOW: usize = 18;
/// Slow endpoints of two more participants.
const FURTHER: usize = 14;
/// Tests sent to each slow endpoint before: one is under way there all the time.
const TESTS: usize = 3;
/// Signatures per second.
const RATE: u64 = 40;
const MINUTES: Duration = Duration::from_secs(120);

/// How much later a good receiver is told beside slow ones.
pub fn measure(plan: &Plan) -> R<Vec<Row>> {
    let house = House::open()?;
    let (good, slow) = (Sink::quick()?, Sink::slow()?);
    let count = (RATE * plan.seconds) as usize;
    let (warm, alone, beside) = (signatures(&house, 40)?, signatures(&house, count)?, signatures(&house, count)?);
    endpoints(&house, &format!("{}/hook", good.url), GOOD)?;
    let fan = GOOD * parties(&house).len();
    let told = |house: &House, requests: Vec<Vec<u8>>| -> R<Came> {
        let wanted = requests.len() * fan;
        paced(house.port, requests, RATE)?;
        good.take(wanted, MINUTES)
    };
    told(&house, warm)?;
    let alone = told(&house, alone)?;
    let mut owners: Vec<_> = parties(&house).into_iter().map(|party| (party, SLOW)).collect();
    for name in ["Fourth Practice", "Fifth Institute"] {
        owners.push((house.admit(Kind::Tdp, name)?, FURTHER));
    }
    let mut slow_ones = 0;
    for (owner, count) in owners {
        let client = house.client.acting_for(owner);
        for _ in 0..count {
            // They are told by tests, not by the load: what is measured is that they hang, not that there is more to send.
            let made = client.create_endpoint_of(&wish(&slow.url, &["run.completed"], false))?;
            for _ in 0..TESTS {
                client.ping_endpoint(&made.endpoint_id)?;
            }
            slow_ones += 1;
        }
    }
    let beside = told(&house, beside)?;
    eprintln!("bench: {slow_ones} slow endpoints, {} connections made to them", slow.connections());
    Ok(vec![
        Row::new(
            format!("a good receiver's p99 beside {slow_ones} slow ones, times that without them"),
            beside.percentile(990) / alone.percentile(990),
            2.0,
            Better::Less,
        ),
        Row::beside("delivery to a good receiver without slow ones, p99 ms", alone.percentile(990)),
        Row::beside(
            format!("delivery to a good receiver beside {slow_ones} slow ones, p99 ms"),
            beside.percentile(990),
        ),
    ])
}
