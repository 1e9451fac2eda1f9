//! What a provider lets out of a table itself is charged to the table's family at the provider's own key service, as
//! training is; only then is the file written. A crash in between leaves a charge without a file, which harms nobody.

use std::path::Path;
use std::sync::Arc;

use schemas::dataset::{Column, DatasetOffer};
use schemas::desk::BudgetRenewals;
use schemas::own_release::{OwnRelease, OwnReleaseCharged, OwnReleaseRequest, ReleasedKind};
use schemas::privacy::Mechanism;
use schemas::renewal::BudgetRenewal;
use schemas::text::Real;
use schemas::{Code, Digest, Envelope, R, Refusal, Signed, Timestamp, canonical};
use signing::Signer;
use signing::book::OneKey;

use super::form::{ColumnForm, Description};
use super::kms::{Kms, call};
use crate::edge;

/// How often a charge is sent whose answer does not come: the same act is charged once.
const ATTEMPTS: u32 = 3;

/// The ledger of an offer's family at its provider's own key service.
pub struct Account {
    kms: Kms,
    key: Arc<dyn Signer>,
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
        key: Arc<dyn Signer>,
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

    /// Refuses an account of another dataset than the described one: by its id, where the description has one, and by the
    /// columns and the number of people.
    pub fn is_of(&self, described: &Description) -> R<()> {
        let offer = &self.offer;
        let another = |what: String| Err(Refusal::new(Code::ConfigInvalid, what).at("offer"));
        match &described.dataset_id {
            Some(id) if *id != offer.dataset_id => {
                return another(format!("the offer is of {}, the description of {id}", offer.dataset_id));
            }
            _ => {}
        }
        let bounds = |column: &Column| [&column.lower, &column.upper].map(|b| b.as_ref().map(Real::value));
        let one = |(own, theirs): (&ColumnForm, &Column)| {
            let own = own.public();
            (&own.name, own.column_type, bounds(&own)) == (&theirs.name, theirs.column_type, bounds(theirs))
        };
        let same =
            described.columns.len() == offer.columns.len() && described.columns.iter().zip(&offer.columns).all(one);
        if !same || described.public_rows != offer.public_rows {
            return another(format!(
                "the offer of {} describes another table: its columns or people",
                offer.dataset_id
            ));
        }
        Ok(())
    }

    /// Refuses an account of a dataset in which nobody is named by this column.
    pub fn has_key(&self, column: &str) -> R<()> {
        if self.offer.usage.join_keys.iter().any(|key| key == column) {
            return Ok(());
        }
        let sentence = format!("{column} is no join key of the offer of {}", self.offer.dataset_id);
        Err(Refusal::new(Code::ConfigInvalid, sentence).at("column"))
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
            release: signing::sign(&release, &self.key, now)?,
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

/// Charges a file, where there is an account, and then writes it, as a new one. That it can be written is looked at first.
///
/// Until it is charged it lies beside as `OUT.uncharged`, for its owner alone: a file whose charge nobody answered about is
/// made only once, since each is drawn with noise of its own and would be charged again.
///
/// # Errors
/// As [`Account::charge`]. Where it stays open whether the file was charged, the sentence says where it waits.
pub fn let_out(
    outgoing: &Outgoing<'_>,
    account: Option<&Account>,
    out: &Path,
    now: Timestamp,
) -> R<Option<OwnReleaseCharged>> {
    edge::vacant(out)?;
    let Outgoing { kind, file, mechanism } = *outgoing;
    let Some(account) = account else {
        edge::write_new(out, file)?;
        return Ok(None);
    };
    let mut waiting = out.as_os_str().to_owned();
    waiting.push(".uncharged");
    let waiting = Path::new(&waiting);
    edge::write_private(waiting, file)?;
    let waits = |mut refusal: Refusal| {
        refusal.sentence.push_str(&format!(
            "; the file waits as {}: charge it with depa dataset charge, then move it to {}",
            waiting.display(),
            out.display()
        ));
        refusal
    };
    let charged = account.charge(kind, file, mechanism, now).map_err(|refusal| match refusal.code {
        Code::PeerUnreachable | Code::PeerFault | Code::Unavailable | Code::Internal => waits(refusal),
        _ => {
            drop(std::fs::remove_file(waiting));
            refusal
        }
    })?;
    edge::write_new(out, file).map_err(waits)?;
    drop(std::fs::remove_file(waiting));
    Ok(Some(charged))
}
