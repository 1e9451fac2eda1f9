//! What a provider lets out of a table itself is charged to the table's family at the provider's own key service, as
//! training is; only then is the file written. A crash in between leaves a charge without a file, which harms nobody.

use std::path::Path;
use std::sync::Arc;

use schemas::dataset::DatasetOffer;
use schemas::desk::BudgetRenewals;
use schemas::id::DatasetId;
use schemas::own_release::{OwnRelease, OwnReleaseCharged, OwnReleaseRequest, ReleasedKind};
use schemas::privacy::Mechanism;
use schemas::renewal::BudgetRenewal;
use schemas::{Code, Digest, Envelope, R, Refusal, Signed, Signer as _, Timestamp, canonical};
use signing::FileKey;
use signing::book::OneKey;

use super::kms::{Kms, call};
use crate::edge;

/// How often a charge is sent whose answer does not come: the same act is charged once.
const ATTEMPTS: u32 = 3;

/// The ledger of an offer's family at its provider's own key service.
pub struct Account {
    kms: Kms,
    key: Arc<FileKey>,
    offer: Signed<DatasetOffer>,
    renewals: Vec<Envelope<BudgetRenewal>>,
}

impl Account {
    /// Of an offer that the key's owner signed; it need not be registered. Of the renewals those of this offer count.
    ///
    /// # Errors
    /// `SIGNER_NOT_PARTY`, `SIGNER_UNKNOWN` and the like where somebody else signed it, or another key; `FORBIDDEN` where the
    /// key service serves somebody else; `CONFIG_INVALID` where the offer names another one.
    pub fn open(
        kms: Kms,
        key: Arc<FileKey>,
        offer: Envelope<DatasetOffer>,
        renewals: Option<BudgetRenewals>,
    ) -> R<Account> {
        let (did, registry) = (key.did()?, offer.read_unverified()?.registry);
        let book = OneKey { holder: did.to_string(), jwk: key.jwk().clone() };
        let offer = signing::verify_by(offer, &registry, &book, did.as_str())?;
        kms.info(&did)?;
        if offer.key.kms != kms.url() {
            let sentence = format!("the offer names the key service at {}; its ledger is charged", offer.key.kms);
            return Err(Refusal::new(Code::ConfigInvalid, sentence).at("kms"));
        }
        let mut own = Vec::new();
        for renewal in renewals.map(|all| all.renewals).unwrap_or_default() {
            if renewal.envelope.read_unverified()?.offer_sha256 == offer.digest() {
                own.push(renewal.envelope);
            }
        }
        Ok(Account { kms, key, offer, renewals: own })
    }

    /// Refuses an account of another dataset than this one, where the table is described as one.
    pub fn is_of(&self, dataset: Option<&DatasetId>) -> R<()> {
        match dataset {
            Some(id) if *id != self.offer.dataset_id => {
                let sentence = format!("the offer is of {}, the description of {id}", self.offer.dataset_id);
                Err(Refusal::new(Code::ConfigInvalid, sentence).at("offer"))
            }
            _ => Ok(()),
        }
    }

    /// Charges a file.
    ///
    /// # Errors
    /// `BUDGET_EXCEEDED` where a ledger of the family has no room; what the key service answers.
    pub fn charge(
        &self,
        kind: ReleasedKind,
        file: &[u8],
        mechanism: &Mechanism,
        now: Timestamp,
    ) -> R<OwnReleaseCharged> {
        let release = OwnRelease {
            schema: "own-release.v1".into(),
            registry: self.offer.registry.clone(),
            kms: self.kms.url().to_owned(),
            provider: self.key.did()?,
            kind,
            file_sha256: Digest::of(file),
            offer_sha256: self.offer.digest(),
            charge: policies::own_release::charge(&self.offer, vec![mechanism.clone()])?,
            at: now,
        };
        let request = OwnReleaseRequest {
            release: signing::sign(&release, &*self.key, now)?,
            offer: self.offer.envelope().clone(),
            renewals: self.renewals.clone(),
        };
        let body = canonical::to_bytes(&request)?;
        let mut attempt = 1;
        let charged: OwnReleaseCharged = loop {
            match call(self.kms.post("/v1/budget/releases").body(body.clone()), self.kms.url()) {
                Err(refusal) if refusal.code == Code::PeerUnreachable && attempt < ATTEMPTS => attempt += 1,
                answer => break answer?,
            }
        };
        if (charged.file_sha256, &charged.charge) != (release.file_sha256, &release.charge) {
            return Err(Refusal::new(Code::PeerFault, "the key service charged something else than it was asked to"));
        }
        Ok(charged)
    }
}

/// What is let out, and what its noise costs.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// What it is.
    pub kind: ReleasedKind,
    /// The file, byte by byte.
    pub file: &'a [u8],
    /// What its noise costs.
    pub mechanism: &'a Mechanism,
}

/// Charges a file, where there is an account, and then writes it, as a new one. That it can be written is looked at first; a
/// charge stands all the same, should it fail.
pub fn let_out(
    outgoing: &Outgoing<'_>,
    account: Option<&Account>,
    out: &Path,
    now: Timestamp,
) -> R<Option<OwnReleaseCharged>> {
    edge::vacant(out)?;
    let Outgoing { kind, file, mechanism } = *outgoing;
    let charged = account.map(|account| account.charge(kind, file, mechanism, now)).transpose()?;
    edge::write_new(out, file).map_err(|mut refusal| {
        if charged.is_some() {
            refusal.sentence.push_str("; the charge stands, although nothing was let out");
        }
        refusal
    })?;
    Ok(charged)
}
