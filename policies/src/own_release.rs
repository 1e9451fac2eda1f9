//! May a provider let something of its data out by itself, outside any run: statistics, a sample, a sketch?
//!
//! Nobody knows who will read such a file, so it counts for every consumer: in the ledger of each who has one, and in that of
//! whoever comes next. It is charged to the same family as training, against the same cap, by the same arithmetic.

use schemas::dataset::DatasetOffer;
use schemas::envelope::Signed;
use schemas::id::KeyId;
use schemas::own_release::OwnRelease;
use schemas::privacy::{Clause, DatasetCharge, Mechanism};
use schemas::problem::{Code, R};
use schemas::time::Timestamp;

use crate::accountant::RdpVector;
use crate::budget;
use crate::forms::{count, ensure, written};
use crate::weights::Keeper;

/// Most mechanisms that one file is charged for.
pub const MAX_MECHANISMS: usize = 16;

/// What these mechanisms cost the people behind an offer, as it is entered: whole, since no join is between them and the
/// file, with the δ and the level of the offer's cap.
pub fn charge(offer: &DatasetOffer, mechanisms: Vec<Mechanism>) -> R<DatasetCharge> {
    count(mechanisms.len(), MAX_MECHANISMS, "charge.mechanisms")?;
    let cap = &offer.privacy_cap;
    Ok(DatasetCharge {
        dataset_id: offer.dataset_id.clone(),
        version: offer.version,
        family: offer.family.clone(),
        factor: 1,
        level: cap.level,
        epsilon_micro: budget::vector(&mechanisms)?.epsilon_micro(budget::delta_atto(&cap.delta)?),
        mechanisms,
        delta: cap.delta.clone(),
    })
}

/// What a release costs, if it is this service's to charge, in this order:
///
/// 1. its provider signed it and the offer alone, by the key that this service pins;
/// 2. it is meant for this service and its provider;
/// 3. it names this offer, which names this service by its address and the key that signs its answers;
/// 4. its charge is the one that follows from its mechanisms and the offer;
/// 5. it was not written in the future. Its age is no matter to who asks again: a file is charged once, and what was charged
///    stays. One that is new must be [`recent`] too.
pub fn cost(
    release: &Signed<OwnRelease>,
    offer: &Signed<DatasetOffer>,
    keeper: &Keeper<'_>,
    now: Timestamp,
) -> R<RdpVector> {
    let alone = |signers: &[KeyId]| matches!(signers, [one] if one == keeper.pinned);
    let sentence = "Release and offer are signed by the provider alone, with the key that this service pins.";
    ensure(alone(release.signers()) && alone(offer.signers()), Code::SignerUnknown, "provider_jwk", sentence)?;
    let meant = release.kms == keeper.url && release.provider == *keeper.provider;
    let sentence = "The release is meant for another key service or provider.";
    ensure(meant, Code::SignatureContext, "kms", sentence)?;
    let named = release.offer_sha256 == offer.digest() && offer.provider == *keeper.provider;
    ensure(named, Code::TermsNotOffer, "offer_sha256", "The release names another offer.")?;
    let here = offer.key.kms == keeper.url && offer.key.kms_jwk == *keeper.sign_jwk;
    ensure(here, Code::TermsNotOffer, "offer.key", "The offer names another key service.")?;
    let sentence = "The charge is not what its mechanisms cost the family of the offer.";
    let same = release.charge == charge(offer, release.charge.mechanisms.clone())?;
    ensure(same, Code::TermsNotOffer, "charge", sentence)?;
    written(release.at, now, "at")?;
    budget::vector(&release.charge.mechanisms)
}

/// Seconds for which an act may be shown first.
pub const RECENT_SECONDS: f64 = 3_600.0;

/// Was this act written just now? One that was refused, and that somebody else kept, charges nothing once there is room.
pub fn recent(release: &OwnRelease, now: Timestamp) -> R<()> {
    let sentence =
        format!("The release was written at {}, over an hour ago, and never charged; sign it anew.", release.at);
    ensure(now.seconds_since(release.at) <= RECENT_SECONDS, Code::SchemaMismatch, "at", sentence)
}

/// A ledger in which a release will count.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Whose it is, in words.
    pub whose: String,
    /// What is spent of it.
    pub spent: RdpVector,
    /// The family's cap in it.
    pub cap: Clause,
}

/// Does the cost fit into each of these ledgers? Where only law bounds the family it is entered and refused by no sum, as
/// charges of runs are.
pub fn fits(cost: &RdpVector, ledgers: &[Ledger]) -> R<()> {
    for ledger in ledgers.iter().filter(|ledger| ledger.cap.level != Clause::LEGAL_ONLY) {
        let whose = format!("the family's cap for {}", ledger.whose);
        budget::fits(&ledger.spent, cost, &ledger.cap, &whose)?;
    }
    Ok(())
}
