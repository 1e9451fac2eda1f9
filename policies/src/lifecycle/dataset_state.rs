//! Where versions of datasets stand: registered, suspended, deprecated, withdrawn; whose families are; what is a sample.

use schemas::dataset::{DatasetAct, DatasetActKind, DatasetOffer, DatasetState};
use schemas::envelope::Envelope;
use schemas::id::DatasetId;
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Latest, State, read, transition};

/// Who suspended a dataset version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopper {
    /// Its provider.
    Provider,
    /// Two SRO people.
    Sro,
    /// The rules: its offer was signed with a key that is reported compromised. The SRO's to lift.
    Service,
}

/// What acts made of a dataset version; a version without acts has no row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetRow {
    /// Who suspended it, if it is suspended.
    pub suspended: Option<Stopper>,
    /// Index of the entry that withdrew it.
    pub withdrawn: Option<u64>,
    /// Indices of the entries that changed it.
    pub acts: Vec<u64>,
    /// The last acts by the time written in them.
    latest: Latest,
}

/// What lies at an address or has a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Lies {
    /// Sealed data.
    Sealed,
    /// A sample that anyone may read.
    Sample,
}

impl State {
    /// The state of a dataset version (`contract-service.md` 5.5); none for one that is not registered.
    pub fn dataset_state(&self, id: &DatasetId, version: u32) -> Option<DatasetState> {
        self.offers.range((id.clone(), version, 0)..=(id.clone(), version, u32::MAX)).next()?;
        let row = self.datasets.get(&(id.clone(), version));
        if row.is_some_and(|row| row.withdrawn.is_some()) {
            return Some(DatasetState::Withdrawn);
        }
        if row.is_some_and(|row| row.suspended.is_some()) {
            return Some(DatasetState::Suspended);
        }
        let newer = self.latest_offer(id).is_some_and(|newest| newest.offer.version > version);
        Some(if newer { DatasetState::Deprecated } else { DatasetState::Registered })
    }

    /// What acts made of a dataset version.
    pub fn dataset_acts(&self, id: &DatasetId, version: u32) -> Option<&DatasetRow> {
        self.datasets.get(&(id.clone(), version))
    }

    /// Requires that a dataset version may be contracted and used now: neither suspended nor withdrawn.
    pub fn require_dataset_available(&self, id: &DatasetId, version: u32) -> R<()> {
        match self.dataset_state(id, version) {
            Some(DatasetState::Registered | DatasetState::Deprecated) => Ok(()),
            Some(DatasetState::Suspended) => Err(unavailable(format!("version {version} of {id} is suspended"))),
            Some(DatasetState::Withdrawn) => Err(unavailable(format!("version {version} of {id} is withdrawn"))),
            None => Err(Refusal::new(Code::DatasetUnknown, format!("version {version} of {id} is not registered"))),
        }
    }

    /// By the provider, or by two SRO people. What the SRO suspended, the SRO resumes; what is withdrawn stays so.
    pub(super) fn check_dataset_act(&self, envelope: &Envelope<DatasetAct>, now: Timestamp) -> R<()> {
        let act = read(envelope)?;
        let unknown = || {
            let sentence = format!("version {} of {} is not registered", act.version, act.dataset_id);
            Refusal::new(Code::DatasetUnknown, sentence)
        };
        let state = self.dataset_state(&act.dataset_id, act.version).ok_or_else(unknown)?;
        let provider = self.latest_offer(&act.dataset_id).map(|row| row.offer.provider.as_str()).ok_or_else(unknown)?;
        self.signed_by_party_or_two_people(envelope, |holder| holder == provider)?;
        crate::registration::dataset_act(&act, self.registry()?, now)?;
        let row = self.dataset_acts(&act.dataset_id, act.version);
        if let Some(row) = row {
            row.latest.admits(&envelope.digest(), act.at, "at")?;
        }
        let own = !envelope.signatures.iter().any(|s| self.is_sro(&s.kid.holder));
        let by_provider = row.and_then(|row| row.suspended) == Some(Stopper::Provider);
        match (act.act, state) {
            (DatasetActKind::Suspend, DatasetState::Registered | DatasetState::Deprecated) => Ok(()),
            (DatasetActKind::Suspend, DatasetState::Suspended) if !own && by_provider => Ok(()),
            (DatasetActKind::Resume, DatasetState::Suspended) if own && !by_provider => {
                Err(Refusal::new(Code::Forbidden, "what the SRO suspended, the SRO resumes"))
            }
            (DatasetActKind::Resume, DatasetState::Suspended) => Ok(()),
            (DatasetActKind::Withdraw, DatasetState::Withdrawn) => Err(transition("the dataset is withdrawn already")),
            (DatasetActKind::Withdraw, _) => Ok(()),
            _ => Err(transition("this act does not fit the state of the dataset")),
        }
    }

    pub(super) fn fold_dataset_act(&mut self, index: u64, envelope: &Envelope<DatasetAct>) -> R<()> {
        let act = read(envelope)?;
        let sro = envelope.signatures.iter().any(|s| self.is_sro(&s.kid.holder));
        let by = if sro { Stopper::Sro } else { Stopper::Provider };
        self.change_dataset(index, (act.dataset_id, act.version), |row| {
            row.latest.note(envelope.digest(), act.at);
            match act.act {
                DatasetActKind::Suspend => row.suspended = Some(by),
                DatasetActKind::Resume => row.suspended = None,
                DatasetActKind::Withdraw => row.withdrawn = Some(index),
            }
        });
        Ok(())
    }

    /// Offers that a compromised key signed or renewed from `since` on: their versions are suspended until the SRO has looked.
    pub(super) fn offers_contested(&mut self, index: u64, holder: &str, thumbprint: &str, since: u64) {
        let by_key = |signatures: &[schemas::envelope::PartySignature]| {
            signatures.iter().any(|s| s.kid.holder == holder && s.kid.thumbprint == thumbprint)
        };
        let signed = self.offers().filter(|row| row.index >= since && by_key(&row.envelope.signatures));
        // A renewal by that key raised the cap of its offer.
        let renewals = self.renewals.iter().map(|(_, row)| row);
        let renewed = renewals.filter(|row| row.index >= since && by_key(&row.envelope.signatures));
        let raised = renewed.filter_map(|row| self.offer(&row.renewal.offer_sha256));
        let touched: std::collections::BTreeSet<_> =
            signed.chain(raised).map(|row| (row.offer.dataset_id.clone(), row.offer.version)).collect();
        for key in touched {
            self.change_dataset(index, key, |row| row.suspended = Some(Stopper::Service));
        }
    }

    fn change_dataset(&mut self, index: u64, key: (DatasetId, u32), change: impl FnOnce(&mut DatasetRow)) {
        let mut row = self.datasets.get(&key).cloned().unwrap_or_default();
        change(&mut row);
        row.acts.push(index);
        self.datasets.put(key, row);
    }

    /// New terms are for a version that is there.
    pub(super) fn version_goes_on(&self, offer: &DatasetOffer) -> R<()> {
        match self.dataset_state(&offer.dataset_id, offer.version) {
            Some(DatasetState::Withdrawn) => Err(unavailable("this version of the dataset is withdrawn".into())),
            Some(DatasetState::Suspended) => Err(unavailable("this version of the dataset is suspended".into())),
            _ => Ok(()),
        }
    }

    /// A family is the provider's who named it first: nobody else charges its budget, nobody escapes one's own.
    pub(super) fn family_is_own(&self, offer: &DatasetOffer) -> R<()> {
        if self.families.get(&offer.family).is_some_and(|owner| *owner != offer.provider) {
            let sentence = "this family of datasets belongs to another provider";
            return Err(Refusal::new(Code::OfferInvalid, sentence).at("family"));
        }
        Ok(())
    }

    /// A sample has neither digest nor address of any sealed object, and no sealed object those of a sample.
    pub(super) fn sample_is_no_data(&self, offer: &DatasetOffer) -> R<()> {
        let clash = objects(offer).find(|(name, lies)| self.objects.get(name).is_some_and(|known| known != lies));
        match clash {
            Some(_) => {
                let sentence = "a sample and a sealed object are the same, by digest or address";
                Err(Refusal::new(Code::SampleIsData, sentence).at("reference.sample"))
            }
            None => Ok(()),
        }
    }

    pub(super) fn note_objects(&mut self, offer: &DatasetOffer) {
        for (name, lies) in objects(offer) {
            self.objects.put(name, lies);
        }
    }
}

/// Digests and addresses in an offer, and what lies there.
fn objects(offer: &DatasetOffer) -> impl Iterator<Item = (String, Lies)> {
    let sealed = offer.objects.iter().map(|object| object.url.clone()).chain([offer.manifest_root.to_string()]);
    let shown = offer.reference.sample.iter().flat_map(|sample| [sample.url.clone(), sample.sha256.to_string()]);
    sealed.map(|name| (name, Lies::Sealed)).chain(shown.map(|name| (name, Lies::Sample)))
}

fn unavailable(sentence: String) -> Refusal {
    Refusal::new(Code::DatasetNotAvailable, sentence)
}
