//! A restart after kill -9 in the middle of load: seconds from the start of the process until it shows its signed head.

use std::time::{Duration, Instant};

use schemas::R;
use schemas::log::Checkpoint;

use super::{Plan, append, signature};
use crate::house::House;
use crate::load::once_each;
use crate::peers::Peers;
use crate::rows::{Better, Row};

/// Time that filling the log may take.
const MINUTES: Duration = Duration::from_secs(1800);
/// Anchors of one stretch: their requests lie in memory, and a token lives ten minutes.
const STRETCH: u64 = 100_000;

/// One entry in forty is of a contract with all its signatures; the others are anchored digests.
pub fn measure(plan: &Plan, _: &Peers) -> R<Vec<Row>> {
    let mut house = House::open()?;
    let contracts = signature::contracts(&house, plan.entries as usize / 240)?;
    once_each(house.port, signature::proposals(&house, &contracts)?, 64, MINUTES, 201)?.clean("propose")?;
    let mut anchored = 0;
    while anchored < plan.entries {
        let stretch = STRETCH.min(plan.entries - anchored);
        let token = house.token(&house.tdc)?;
        let requests = append::requests(&house, &token, stretch as usize)?;
        once_each(house.port, requests, 256, MINUTES, 201)?.clean("append")?;
        anchored += stretch;
    }
    // The end of the log is of signatures, and it ends without a word.
    let requests = signature::signatures(&house, &contracts)?;
    let signed = once_each(house.port, requests, 256, MINUTES, 201)?.clean("signature")?;
    house.kill()?;
    let began = Instant::now();
    house.start()?;
    // Connections are taken before the log is open; an answer comes after that.
    let size = Checkpoint::parse(&house.client.checkpoint()?)?.head.size;
    let (seconds, used) = (began.elapsed().as_secs_f64(), house.service.cpu_seconds());
    eprintln!("bench: {} entries after the restart, {} signatures among them", size, signed.good);
    let row = Row::new(format!("restart after kill -9 with {size} entries, seconds"), seconds, 2.0, Better::Less);
    let used = used.map(|used| Row::beside("restart after kill -9, processor time of the service, seconds", used));
    Ok([row].into_iter().chain(used).collect())
}
