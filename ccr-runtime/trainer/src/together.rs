//! One training over several workers, each with rows of its own.
//!
//! A member sums the clipped gradients of its own rows; the sums of all members are added over the group at the first one
//! ([`collective`]), on whose way partial sums without noise pass through other members, attested as it is; it draws the noise once and gives every member the noised sum; then all take
//! the very same step. The rows count as if they stood one after the other, by the members' ranks, so that sampling is
//! that of one training over all of them, and one person's row lies with one member.
//!
//! Sums of several members are added in another order than those of one, which moves the last bits of a weight (below
//! 10^-12 of the clipping norm for numbers of double precision; the grid of the noise and the margin of the clip cover
//! it). All members hold the same bits.

use std::io::stdin;
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;
use std::time::Duration;

use chacha20::rand_core::Rng;
use collective::network::Interface;
use collective::{Group, Place};
use schemas::R;
use schemas::worker::Group as Told;

use crate::confine;
use crate::dpsgd::{Acts, AsPlanned, Data, Settings, clipped_sums};
use crate::fault::internal;
use crate::model::Network;
use crate::noise::{Grid, Streams};
use crate::table::Rows;

/// Where the first member gathers the others; nobody else is in their network.
const PORT: u16 = 29_500;

/// The steps as the plan wants them, over all members of a group.
pub struct Together {
    group: Group,
    /// Rows of the members before this one: secret.
    before: u64,
}

impl Together {
    /// With the rows that this member holds. Every member of the group calls it at the same point.
    pub fn new(group: Group, data: &Data) -> R<Together> {
        let before = group.before(data.rows() as u64)?;
        Ok(Together { group, before })
    }

    /// Every member calls it after its last step. When the first member comes back from it, the others need nothing more
    /// of it.
    pub fn finish(&self) -> R<()> {
        self.group.gather(&mut [0.0])
    }
}

/// The interface of a member. Only in a network namespace of this process's own: elsewhere neighbours would reach the
/// group, which seals and asks nothing.
pub fn interface(told: &Told) -> R<Interface> {
    confine::apart()?;
    Interface::of(told.rank)
}

/// The network that this process gets from its warden.
pub struct Tunnel {
    told: Told,
    relay: JoinHandle<()>,
}

/// A group over that network.
pub struct Tunnelled {
    /// The steps.
    pub acts: Together,
    rank: u32,
    relay: JoinHandle<()>,
}

impl Tunnel {
    /// Has its packets relayed over standard input, which is a socket behind its data.
    pub fn open(told: &Told, interface: Interface) -> R<Tunnel> {
        let socket = stdin().as_fd().try_clone_to_owned().map_err(|_| internal("standard input cannot be shared"))?;
        Ok(Tunnel { told: *told, relay: interface.relay(socket)? })
    }

    /// Joins the group there, once the warden heard `Ready`. Waits for the others no longer than it would for a step.
    pub fn enter(self, data: &Data) -> R<Tunnelled> {
        let Tunnel { told, relay } = self;
        let addresses = [0, told.rank].map(|rank| Told::address(rank).into());
        let place = Place { port: PORT, rank: told.rank, members: told.size };
        let group = Group::join_at(addresses, place, Duration::from_secs(u64::from(told.seconds)))?;
        Ok(Tunnelled { acts: Together::new(group, data)?, rank: told.rank, relay })
    }
}

impl Tunnelled {
    /// After the last step. The first member goes on to deliver; any other one stays, so that its last packets leave,
    /// until its warden ends it.
    pub fn finish(self) -> R<()> {
        self.acts.finish()?;
        if self.rank == 0 {
            return Ok(());
        }
        let _ = self.relay.join();
        Err(internal("the first member delivers for the group"))
    }
}

/// The rows of a member: its stretch of all of them, which every member has joined alike.
pub fn stretch(all: &Rows, inputs: usize, told: &Told) -> R<Rows> {
    let lost = || internal("a member's rows cannot be told");
    let count = all.features.len().checked_div(inputs).ok_or_else(lost)?;
    let width = all.labels.len().checked_div(count).unwrap_or(1);
    let end = |rank: u32| (count as u128 * u128::from(rank) / u128::from(told.size.max(1))) as usize;
    let (from, to) = (end(told.rank), end(told.rank.saturating_add(1)));
    Ok(Rows {
        features: all.features.get(from * inputs..to * inputs).ok_or_else(lost)?.to_vec(),
        labels: all.labels.get(from * width..to * width).ok_or_else(lost)?.to_vec(),
    })
}

impl Acts for Together {
    fn rows(&self, settings: &Settings, data: &Data, streams: &Streams, step: u32) -> R<Vec<i64>> {
        let mut stream = streams.sampling(step)?;
        // One number for every row of the members before: each row has its own place in the stream, as with one worker.
        for _ in 0..self.before {
            stream.next_u64();
        }
        Ok(settings.sampling.draw(data.rows(), stream))
    }

    fn sums(&self, network: &Network, data: &Data, rows: &[i64], settings: &Settings) -> R<Vec<Vec<f64>>> {
        let mut own = clipped_sums(network, data, rows, settings, self.group.place().members)?;
        let mut all = own.concat();
        self.group.gather(&mut all)?;
        cut(&mut own, &all)?;
        Ok(own)
    }

    fn noise(&self, network: &Network, grid: &Grid, sums: &mut [Vec<f64>], streams: &Streams, step: u32) -> R<()> {
        if self.group.place().rank == 0 {
            AsPlanned.noise(network, grid, sums, streams, step)?;
        }
        let mut all = sums.concat();
        self.group.spread(&mut all)?;
        cut(sums, &all)
    }
}

/// One vector per parameter, of all in a row.
fn cut(parts: &mut [Vec<f64>], all: &[f64]) -> R<()> {
    let mut rest = all;
    for part in parts {
        let (these, others) = rest.split_at_checked(part.len()).ok_or_else(|| internal("a sum lost its tail"))?;
        part.copy_from_slice(these);
        rest = others;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    use schemas::pipeline::Model;

    use super::*;
    use crate::dpsgd::{Position, train, train_by};
    use crate::fixtures;

    const MEMBER: &str = "DEPA_TEST_MEMBER";
    const FEATURES: usize = 16;

    /// One in double precision, two in single. All are smooth, so that rounding turns no unit on or off.
    fn models() -> [Model; 3] {
        let image = r#"{"input":{"kind":"image","channels":1,"height":4,"width":4},"layers":[
            {"op":"conv2d","channels_in":1,"channels_out":6,"kernel":3,"stride":1,"padding":1,"bias":true},
            {"op":"tanh"},
            {"op":"conv2d","channels_in":6,"channels_out":4,"kernel":3,"stride":2,"padding":1,"bias":true},
            {"op":"tanh"},{"op":"flatten"},{"op":"linear","inputs":16,"outputs":1,"bias":true}]}"#;
        let sequence = r#"{"input":{"kind":"sequence","length":4,"width":4},"layers":[
            {"op":"lstm","inputs":4,"hidden":6},{"op":"last_token"},
            {"op":"linear","inputs":6,"outputs":1,"bias":true}]}"#;
        let network = |text| Model::Network { network: serde_json::from_str(text).unwrap() };
        [Model::LogisticRegression, network(image), network(sequence)]
    }

    fn rows(count: usize) -> Rows {
        let unit = |n: usize| (n * 7_919 % 1_009) as f32 / 504.5 - 1.0;
        let positive = |at: usize| unit(at) + 0.5 * unit(at + 1) > 0.1;
        Rows {
            features: (0..count * FEATURES).map(unit).collect(),
            labels: (0..count).map(|row| f32::from(u8::from(positive(row * FEATURES)))).collect(),
        }
    }

    fn part(of: &Rows, from: usize, to: usize) -> Rows {
        let features = of.features[from * FEATURES..to * FEATURES].to_vec();
        Rows { features, labels: of.labels[from..to].to_vec() }
    }

    /// The weights after a training on `rows`, by a member of a group or alone.
    fn weights(rows: &Rows, model: usize, place: Option<Place>) -> R<Vec<f64>> {
        let (start, _) = fixtures::three_tables(1);
        let mut network = Network::new(&models()[model], FEATURES, 5)?;
        let data = Data::new(rows, FEATURES)?;
        let (settings, streams) = (Settings::new(&start.plan, &start.training)?, Streams::new(&[9; 32]));
        let quiet = |_: &Network, _: Position| Ok(());
        let begin = Position::default();
        let trained = match place {
            None => train(&mut network, &data, &settings, &streams, begin, quiet)?,
            Some(place) => {
                let together = Together::new(Group::join(place, Duration::from_secs(20))?, &data)?;
                let trained = train_by(&together, &mut network, &data, &settings, &streams, begin, quiet)?;
                together.finish()?;
                trained
            }
        };
        assert_eq!(trained.noise_draws, settings.steps);
        Ok(network.parameters.iter().flat_map(|p| p.values.clone()).collect())
    }

    /// No test of its own: what the processes of the next one run.
    #[test]
    fn a_member() {
        let Ok(task) = std::env::var(MEMBER) else { return };
        let numbers: Vec<u32> = task.split(' ').map(|n| n.parse().unwrap()).collect();
        let [port, rank, members, from, to, model] = numbers[..] else { panic!("{task}") };
        let place = Place { port: port.try_into().unwrap(), rank, members };
        let all = rows(400);
        match weights(&part(&all, from as usize, to as usize), model as usize, Some(place)) {
            Ok(weights) => println!("MEMBER {weights:?}"),
            Err(refusal) => println!("MEMBER {refusal}"),
        }
    }

    /// Weights of the members, each a process of its own with a stretch of 400 rows.
    fn members(model: usize, stretches: &[(u32, u32)]) -> Vec<Vec<f64>> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started: Vec<_> = stretches
            .iter()
            .enumerate()
            .map(|(rank, (from, to))| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["together::tests::a_member", "--exact", "--nocapture"])
                    .env(MEMBER, format!("{port} {rank} {} {from} {to} {model}", stretches.len()))
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let told = started.into_iter().map(|child| {
            let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
            let line = text.lines().find_map(|line| line.split_once("MEMBER ")).unwrap_or_else(|| panic!("{text}")).1;
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))
        });
        told.collect()
    }

    #[test]
    fn two_processes_give_the_weights_of_one() {
        for (at, model) in models().iter().enumerate() {
            let first = Network::new(model, FEATURES, 5).unwrap();
            assert_eq!(first.single(), at > 0);
            let one = weights(&rows(400), at, None).unwrap();
            let two = members(at, &[(0, 150), (150, 400)]);
            assert_eq!(two[0], two[1], "all members hold the same bits: {model:?}");
            assert_eq!(two[0].len(), one.len());
            let largest = one.iter().zip(&two[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("two processes beside one, model {at}: largest difference of a weight {largest:.3e}");
            assert!(largest <= 1e-5, "{model:?}: {largest}");
            let begun = first.parameters.iter().flat_map(|p| &p.values);
            assert!(one.iter().zip(begun).any(|(w, begun)| (w - begun).abs() > 1e-3), "something was learnt or noised");
        }
    }

    #[test]
    fn a_member_without_rows_changes_nothing() {
        let two = members(0, &[(0, 200), (200, 200)]);
        let one = weights(&part(&rows(400), 0, 200), 0, None).unwrap();
        assert!(one.iter().zip(&two[1]).all(|(a, b)| (a - b).abs() <= 1e-5));
    }

    #[test]
    fn each_members_rows_count() {
        let half = weights(&part(&rows(400), 0, 200), 0, None).unwrap();
        let whole = weights(&rows(400), 0, None).unwrap();
        assert!(half.iter().zip(&whole).any(|(a, b)| (a - b).abs() > 1e-4));
    }

    #[test]
    fn stretches_are_all_rows_once() {
        let all = rows(101);
        for size in [2, 3, 16] {
            let parts: Vec<Rows> =
                (0..size).map(|rank| stretch(&all, FEATURES, &Told { rank, size, seconds: 1 }).unwrap()).collect();
            let features: Vec<f32> = parts.iter().flat_map(|part| part.features.clone()).collect();
            let labels: Vec<f32> = parts.iter().flat_map(|part| part.labels.clone()).collect();
            assert_eq!((features, labels), (all.features.clone(), all.labels.clone()));
            assert!(parts.iter().all(|part| part.features.len() == FEATURES * part.labels.len()));
        }
        let none = stretch(&rows(0), FEATURES, &Told { rank: 1, size: 2, seconds: 1 }).unwrap();
        assert!(none.features.is_empty() && none.labels.is_empty());
    }
}
