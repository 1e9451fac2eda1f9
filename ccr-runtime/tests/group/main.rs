//! One training over several rooms: attested rooms in this process, each with the real `ccr-trainer` as its worker, give
//! the weights of one room; and what is done to the way between them ends the run. NOT RUN where that binary is not
//! built or the machine lends no network devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod rooms;
mod way;

use std::collections::BTreeMap;

use ccr_runtime::group::handshake::Say;
use ccr_runtime::group::member::take_part;
use ccr_runtime::worker::Delivered;
use schemas::worker::{Device, Report, Start};
use schemas::{Code, R, Refusal};
use serde_json::{Value, json};

use rooms::{Ended, PATIENCE, STEPS, Trainer, alone, meet, run, start, together};
use way::Way;

/// The weights of a model in safetensors.
fn weights(delivered: &Delivered) -> BTreeMap<String, Vec<f32>> {
    let (length, rest) = delivered.model.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap();
    let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__");
    tensors
        .map(|(name, tensor)| {
            assert_eq!(tensor["dtype"], "F32");
            let at = |n: usize| tensor["data_offsets"][n].as_u64().unwrap() as usize;
            let values = data[at(0)..at(1)].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            (name, values)
        })
        .collect()
}

fn apart(one: &Delivered, other: &Delivered) -> f32 {
    let (one, other) = (weights(one), weights(other));
    assert!(one.keys().eq(other.keys()));
    let pairs = one.values().flatten().zip(other.values().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn code<T>(answer: R<T>) -> Code {
    answer.map(|_| ()).unwrap_err().code
}

#[test]
fn several_rooms_give_the_weights_of_one() {
    let Some(trainer) = Trainer::named("several_rooms_give_the_weights_of_one") else { return };
    for model in [json!({"kind": "logistic_regression"}), json!({"kind": "mlp", "hidden": [64, 32]})] {
        let start = start(&model);
        let (one, steps) = alone(&trainer, &start, &mut |_| Ok(()));
        let one = one.unwrap();
        assert_eq!((one.outcome.noise_draws, steps), (STEPS, STEPS));
        assert!(weights(&one).values().flatten().any(|w| w.abs() > 1e-3), "something was learnt or noised");
        for rooms in [2, 3] {
            let Ended { leader, steps, members } = together(&trainer, &start, rooms, &Way::open, &mut |_| Ok(()));
            let many = leader.unwrap();
            members.into_iter().for_each(|member| member.unwrap());
            let largest = apart(&one, &many);
            println!("{} in {rooms} rooms beside one: largest difference of a weight {largest:.3e}", model["kind"]);
            assert!(largest <= 1e-5, "{largest}");
            assert_eq!(
                (many.outcome.noise_draws, many.outcome.configuration, steps),
                (STEPS, one.outcome.configuration, STEPS)
            );
        }
    }
}

/// On the way to the leader and on the way to the member; the run ends for both, and steps that were run stay charged.
#[test]
fn a_frame_that_was_touched_ends_the_run() {
    let Some(trainer) = Trainer::named("a_frame_that_was_touched_ends_the_run") else { return };
    let start = start(&json!({"kind": "logistic_regression"}));
    type Touch = fn(&[u8]) -> Vec<Vec<u8>>;
    let touches: [(&str, Touch); 5] = [
        ("changed", |frame| {
            let mut other = frame.to_vec();
            *other.last_mut().unwrap() ^= 1;
            vec![other]
        }),
        ("repeated", |frame| vec![frame.to_vec(), frame.to_vec()]),
        ("left out", |_| vec![]),
        ("readdressed", |frame| {
            let mut other = frame.to_vec();
            other[1] ^= 1;
            vec![other]
        }),
        ("invented", |frame| vec![[&frame[..3], &[0; 64]].concat(), frame.to_vec()]),
    ];
    for (what, touch) in touches {
        for to_leader in [true, false] {
            // The 30th packet is of the training, or of the way to it.
            let way = move || Way::touched(to_leader, 30, touch);
            let Ended { leader, members, .. } = together(&trainer, &start, 2, &way, &mut |_| Ok(()));
            assert_eq!(code(leader), Code::GroupTampered, "{what}, to the leader: {to_leader}");
            for member in members {
                assert_eq!(code(member), Code::GroupTampered, "{what}, to the leader: {to_leader}");
            }
        }
    }
}

#[test]
fn a_member_that_is_gone_ends_the_run_and_steps_stay_charged() {
    let Some(trainer) = Trainer::named("a_member_that_is_gone_ends_the_run") else { return };
    let start = start(&json!({"kind": "logistic_regression"}));
    let way = Way::open();
    let cut = way.clone();
    let Ended { leader, steps, members } = together(&trainer, &start, 2, &|| way.clone(), &mut |report| {
        if matches!(report, Some(Report::Progress { step: 3.., .. })) {
            cut.cut();
        }
        Ok(())
    });
    assert_eq!((code(leader), steps >= 3), (Code::GroupMemberLost, true));
    members.into_iter().for_each(|member| assert_eq!(code(member), Code::GroupMemberLost));
}

#[test]
fn a_member_whose_worker_dies_ends_the_run() {
    let Some(trainer) = Trainer::named("a_member_whose_worker_dies_ends_the_run") else { return };
    let start = start(&json!({"kind": "logistic_regression"}));
    let of_member = Trainer::named("member-alone").unwrap();
    let Ended { leader, steps, members } =
        rooms::together_with(&trainer, &of_member, &start, 2, &Way::open, &mut |report| {
            if matches!(report, Some(Report::Progress { step: 3.., .. })) {
                of_member.kill();
            }
            Ok(())
        });
    assert_eq!((code(leader), steps >= 3), (Code::WorkerFailed, true));
    members.into_iter().for_each(|member| assert_eq!(code(member), Code::WorkerFailed));
}

#[test]
fn a_leader_that_is_told_to_stop_ends_its_members() {
    let Some(trainer) = Trainer::named("a_leader_that_is_told_to_stop_ends_its_members") else { return };
    let start = start(&json!({"kind": "logistic_regression"}));
    let Ended { leader, members, .. } = together(&trainer, &start, 2, &Way::open, &mut |report| match report {
        Some(Report::Progress { step: 3.., .. }) => Err(Refusal::new(Code::RoomStopped, "told to stop")),
        _ => Ok(()),
    });
    assert_eq!(code(leader), Code::RoomStopped);
    members.into_iter().for_each(|member| assert_eq!(code(member), Code::RoomStopped));
}

/// Orders that a genuine leader would not give are not carried out; no worker is started for them.
#[test]
fn orders_for_another_place_or_job_are_refused() {
    let orders = |change: fn(&mut Start), judge: fn(&Start) -> R<()>| {
        let (mut leader, member) = meet(1, 2, Way::open());
        let mut start = start(&json!({"kind": "logistic_regression"}));
        (start.tables, start.checkpoint_every) = (vec![], None);
        start.group = Some(schemas::worker::Group { rank: 1, size: 2, seconds: 60 });
        change(&mut start);
        let (group_key, start) = (schemas::text::Bytes(vec![1; 32]), Box::new(start));
        leader.outgoing.say(&Say::Orders { group_key, start, weights: false }).unwrap();
        let none = std::path::Path::new("/nowhere/ccr-trainer");
        let refused = code(take_part(member, &run(), (none, Device::Cpu), PATIENCE, &mut { judge }));
        assert_eq!(leader.hear().unwrap_err().code, refused, "the leader is told");
        refused
    };
    let fine: fn(&Start) -> R<()> = |_| Ok(());
    // Everything holds, and there is no such worker.
    assert_eq!(orders(|_| {}, fine), Code::WorkerFailed);
    assert_eq!(orders(|s| s.group = None, fine), Code::GroupPlaceMismatch);
    assert_eq!(orders(|s| s.group.as_mut().unwrap().rank = 0, fine), Code::GroupPlaceMismatch);
    assert_eq!(orders(|s| s.group.as_mut().unwrap().size = 3, fine), Code::GroupPlaceMismatch);
    assert_eq!(orders(|_| {}, |_| Err(Refusal::new(Code::JobMismatch, "another job"))), Code::JobMismatch);
}

/// Every thread of every worker in the middle of a training, alone and in a group: no capability in any set.
#[test]
fn workers_at_work_have_no_capability() {
    let Some(trainer) = Trainer::named("workers_at_work_have_no_capability") else { return };
    let start = start(&json!({"kind": "mlp", "hidden": [64, 32]}));
    let mut seen = Vec::new();
    let look = |report: Option<&Report>, seen: &mut Vec<String>| {
        if matches!(report, Some(Report::Progress { step: 3.., .. })) {
            let tasks = trainer.processes().into_iter().map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")));
            for task in tasks.flatten().flatten().flatten() {
                // A thread may end before it is read.
                seen.extend(std::fs::read_to_string(task.path().join("status")));
            }
        }
        Ok(())
    };
    let (one, _) = alone(&trainer, &start, &mut |report| look(report, &mut seen));
    one.unwrap();
    let by_one = seen.len();
    let Ended { leader, members, .. } =
        together(&trainer, &start, 2, &Way::open, &mut |report| look(report, &mut seen));
    leader.unwrap();
    members.into_iter().for_each(|member| member.unwrap());
    assert!(by_one > 0 && seen.len() > by_one + 1, "workers were looked at");
    for status in seen {
        for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
            assert!(status.contains(&format!("Cap{set}:\t{}\n", "0".repeat(16))), "{status}");
        }
    }
}
