//! Two checkpoints of one log: the same, one a prefix of the other, or a fork.

use contract_client::Client;
use schemas::log::{Checkpoint, CheckpointRef, check_consistency};
use schemas::{Code, R};
use serde::Serialize;
use signing::{Trust, note};

use super::quorum::{self, Cosigned};

/// How two checkpoints stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Size and root are the same.
    Same,
    /// The smaller one is a prefix of the larger one, which was proved.
    Prefix,
    /// They cannot be of one history: the log showed two.
    Fork,
    /// They are of different size and no service was asked for the proof.
    NotProved,
}

/// Two verified checkpoints and how they stand to each other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// How.
    pub relation: Relation,
    /// The smaller one.
    pub first: CheckpointRef,
    /// The larger one.
    pub second: CheckpointRef,
    /// Pinned witnesses that cosigned the smaller one.
    pub first_cosigned: Vec<Cosigned>,
    /// Pinned witnesses that cosigned the larger one.
    pub second_cosigned: Vec<Cosigned>,
}

/// Compares two checkpoint notes, both signed by the log. Of different sizes, the service's proof decides; a proof that
/// does not hold is a fork: an honest log can always give one.
pub fn checkpoints(one: &str, other: &str, client: Option<&Client>, trust: &Trust) -> R<Difference> {
    let mut followed = trust.clone();
    for text in [one, other] {
        if let Some(client) = client {
            followed = crate::trust::for_note(client, &followed, text)?;
        }
    }
    let trust = &followed;
    let read = |text: &str| note::verify_checkpoint(text, &trust.origin, trust);
    let (mut first, mut second) = (read(one)?, read(other)?);
    if first.head.size > second.head.size {
        std::mem::swap(&mut first, &mut second);
    }
    let relation = relation(&first, &second, client)?;
    let lenient = Trust { quorum: 0, ..trust.clone() };
    Ok(Difference {
        relation,
        first_cosigned: quorum::require(&first, &lenient)?,
        second_cosigned: quorum::require(&second, &lenient)?,
        first: first.head,
        second: second.head,
    })
}

fn relation(first: &Checkpoint, second: &Checkpoint, client: Option<&Client>) -> R<Relation> {
    if first.head.size == second.head.size {
        return Ok(if first.head.root == second.head.root { Relation::Same } else { Relation::Fork });
    }
    let Some(client) = client else { return Ok(Relation::NotProved) };
    let proof = client.consistency(first.head.size, second.head.size)?;
    match check_consistency(&first.head, &second.head, &proof) {
        Ok(()) => Ok(Relation::Prefix),
        Err(refusal) if refusal.code == Code::ConsistencyInvalid => Ok(Relation::Fork),
        Err(refusal) => Err(refusal),
    }
}
