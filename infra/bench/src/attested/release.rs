//! Reserve and release at one key service over loopback HTTP: SQLite with every commit on the disk, a clean room with
//! software evidence (the same bytes and checks as a real one's), a new run each time, refunded afterwards.

use std::time::Instant;

use nix::sys::resource::UsageWho;
use schemas::event::RunEventKind;
use schemas::release::KmsReceipt;
use schemas::{Code, Envelope, R, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Plan, percentile, processor};
use crate::http::{Connection, render};
use crate::load::runtime;
use crate::rows::{Better, Row};
use crate::support::room::reservation_id;
use crate::support::{Changes, Room, World};

/// Milliseconds of each request: until the answer had come, and of the processors for service and client together.
#[derive(Default)]
struct Times {
    wall: Vec<f64>,
    processor: Vec<f64>,
}

/// Sends one request and times it until the whole answer has come; a refusal ends the measurement.
async fn timed<T: DeserializeOwned>(
    connection: &mut Connection,
    (path, host): (&str, &str),
    body: &impl Serialize,
    times: &mut Times,
) -> R<T> {
    let bad = |e: serde_json::Error| Refusal::new(Code::Internal, e.to_string());
    let request = render("POST", path, host, &[], &serde_json::to_vec(body).map_err(bad)?);
    let (start, used) = (Instant::now(), processor(UsageWho::RUSAGE_SELF)?);
    let answer = connection.send(&request).await?;
    times.wall.push(start.elapsed().as_secs_f64() * 1000.0);
    times.processor.push((processor(UsageWho::RUSAGE_SELF)? - used) * 1000.0);
    if answer.status != 200 {
        let words = String::from_utf8_lossy(&answer.body).into_owned();
        return Err(Refusal::new(Code::PeerFault, format!("{path}: {}: {words}", answer.status)));
    }
    serde_json::from_slice(&answer.body).map_err(bad)
}

/// Median and slowest hundredth.
pub fn measure(plan: &Plan) -> R<Vec<Row>> {
    let world = World::with(Changes {
        config: Box::new(|config| config.challenges_per_minute = 1_000_000),
        ..Changes::default()
    });
    let bad = || Refusal::new(Code::Internal, "the service's address has no port");
    let host = world.url().trim_start_matches("http://").to_owned();
    let port = host.rsplit(':').next().and_then(|port| port.parse().ok()).ok_or_else(bad)?;
    let runtime = runtime()?;
    let mut connection = runtime.block_on(Connection::open(port, 1))?;
    let (mut reserves, mut releases) = (Times::default(), Times::default());
    for _ in 0..plan.runs {
        let room = Room::new(&world);
        let request = room.reserve_request(|_| ());
        let at = ("/v1/reservations", host.as_str());
        let reserved: Envelope<KmsReceipt> = runtime.block_on(timed(&mut connection, at, &request, &mut reserves))?;
        let request = room.release_request(&reserved);
        let path = format!("/v1/reservations/{}/release", reservation_id(&reserved));
        let release = runtime.block_on(timed(&mut connection, (&path, &host), &request, &mut releases))?;
        // What was timed is a release: the key in it is the dataset's.
        if room.open(&release, &request.attested.transcript)? != *world.key.expose() {
            return Err(Refusal::new(Code::Internal, "the released key is not the dataset's"));
        }
        let aborted = RunEventKind::Aborted { steps_run: 0, code: "TIMEOUT".into() };
        let refunded = room.refund(&room.aborted(aborted));
        refunded.map_err(|refused| Refusal::new(refused.code, refused.text))?;
    }
    Ok(vec![
        Row::new("release over loopback HTTP, SQLite, p50 ms", percentile(&mut releases.wall, 500), 10.0, Better::Less),
        Row::beside("release over loopback HTTP, SQLite, p99 ms", percentile(&mut releases.wall, 990)),
        Row::beside("release, processor time of service and client, p50 ms", percentile(&mut releases.processor, 500)),
        Row::beside("reserve over loopback HTTP, SQLite, p50 ms", percentile(&mut reserves.wall, 500)),
        Row::beside("reserve over loopback HTTP, SQLite, p99 ms", percentile(&mut reserves.wall, 990)),
    ])
}
