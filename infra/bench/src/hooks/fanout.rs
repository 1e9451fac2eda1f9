//! Contracts are signed at a fixed rate; each signature is told to twenty endpoints. And the same from a backlog.

use std::time::{Duration, Instant};

use contract_client::EndpointAct;
use schemas::{Code, R, Refusal};

use super::sink::Sink;
use super::{Plan, endpoints, paced, parties, signatures, switch};
use crate::house::House;
use crate::load::once_each;
use crate::rows::{Better, Row};

/// Endpoints of each of the four parties.
const EACH: usize = 5;
/// Signatures per second, and so twenty times as many deliveries.
const RATE: u64 = 110;
/// How long deliveries may take to come.
const MINUTES: Duration = Duration::from_secs(120);

/// Deliveries per second, how late, and from a backlog.
pub fn measure(plan: &Plan) -> R<Vec<Row>> {
    let house = House::open()?;
    let sink = Sink::quick()?;
    let count = (RATE * plan.seconds) as usize;
    let (warm, requests, later) = (signatures(&house, 40)?, signatures(&house, count)?, signatures(&house, count)?);
    let all = endpoints(&house, &format!("{}/hook", sink.url), EACH)?;
    let fan = EACH * parties(&house).len();
    once_each(house.port, warm, 4, MINUTES, 201)?.clean("warm-up")?;
    sink.take(40 * fan, MINUTES)?;

    let (began, before) = (Instant::now(), house.service.cpu_seconds());
    paced(house.port, requests, RATE)?;
    let came = sink.take(count * fan, MINUTES)?;
    let seconds = came.last.map_or(f64::NAN, |last| (last - began).as_secs_f64());
    let used =
        house.service.cpu_seconds().zip(before).map(|(after, before)| (after - before) * 1e6 / (count * fan) as f64);
    if came.micros.len() != count * fan || came.ids.len() != count {
        let sentence = format!("{} deliveries of {} messages came", came.micros.len(), came.ids.len());
        return Err(Refusal::new(Code::PeerFault, sentence));
    }

    switch(&house, &all, EndpointAct::Pause)?;
    once_each(house.port, later, 16, MINUTES, 201)?.clean("backlog")?;
    // Until all is dispatched; a paused endpoint's deliveries wait.
    std::thread::sleep(Duration::from_secs(2));
    let drained = Instant::now();
    switch(&house, &all, EndpointAct::Resume)?;
    let backlog = sink.take(count * fan, MINUTES)?;
    let draining = backlog.last.map_or(f64::NAN, |last| (last - drained).as_secs_f64());
    let mut rows = vec![
        Row::new(
            format!("deliveries to a local sink, {} offered, per second", RATE as usize * fan),
            (count * fan) as f64 / seconds,
            2_000.0,
            Better::More,
        ),
        Row::new("delivery, from the entry to its first attempt, p99 ms", came.percentile(990), 200.0, Better::Less),
        Row::beside("delivery, from the entry to its first attempt, p50 ms", came.percentile(500)),
        Row::beside(
            format!("deliveries from a backlog of {}, per second", count * fan),
            (count * fan) as f64 / draining,
        ),
    ];
    rows.extend(used.map(|micros| Row::beside("delivery, processor time of the service, microseconds", micros)));
    Ok(rows)
}
