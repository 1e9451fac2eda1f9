//! A job bundle opened under pinned trust: every signature and receipt in it checked, each with the keys of its entry.

use schemas::bundle::JobBundle;
use schemas::contract::Contract;
use schemas::dataset::DatasetOffer;
use schemas::evidence::ImageSet;
use schemas::job::JobSpec;
use schemas::renewal::BudgetRenewal;
use schemas::{Code, Entered, R, Refusal, Signed};

use super::{PinnedBook, Trust, kids, only_signer};
use crate::document;

/// A bundle in which every signature and receipt was verified. Whether the rules allow the job is not judged yet.
#[derive(Debug)]
pub struct OpenedBundle {
    /// The job, signed by its TDC alone.
    pub job: Signed<JobSpec>,
    /// The contracts, signed by every one of their parties, in the order of the job.
    pub contracts: Vec<Entered<Contract>>,
    /// The offers, each signed by its provider.
    pub offers: Vec<Entered<DatasetOffer>>,
    /// The image set of the job, signed by two SRO people.
    pub image_set: Entered<ImageSet>,
    /// Renewals of budgets, each signed by who it says is the provider.
    pub renewals: Vec<Entered<BudgetRenewal>>,
    /// Keys of everyone in the bundle.
    pub book: PinnedBook,
}

/// The most contracts, offers or participants in a bundle.
pub const MAX_BUNDLED: usize = 64;
/// The most renewals in a bundle: of each dataset as many as a ledger takes, for sixteen datasets.
pub const MAX_RENEWALS: usize = 256;

/// Opens a bundle under pinned trust: the log's keys, participants, offers, image set, contracts, job, in this order.
pub fn open_bundle(bundle: JobBundle, trust: &Trust) -> R<OpenedBundle> {
    let counts = [bundle.contracts.len(), bundle.offers.len(), bundle.participants.len()];
    if counts.iter().any(|n| *n > MAX_BUNDLED) || bundle.renewals.len() > MAX_RENEWALS {
        let sentence = "a bundle holds at most 64 of each kind of document, and 256 renewals";
        return Err(Refusal::new(Code::LimitExceeded, sentence));
    }
    let trust = &trust.following_if(bundle.log_keys.as_ref())?;
    let mut book = PinnedBook::new(trust.clone());
    for participant in bundle.participants {
        book.admit(participant)?;
    }
    let mut offers = Vec::new();
    for logged in bundle.offers {
        let offer = book.entered(logged)?;
        only_signer(&offer, offer.provider.as_str())?;
        crate::check::public_key(&offer.key.kms_jwk)?;
        book.add_service(&offer.provider, offer.key.kms_jwk.clone());
        offers.push(offer);
    }
    let image_set = book.entered(bundle.image_set)?;
    trust.two_people(&image_set)?;
    let mut contracts = Vec::new();
    for logged in bundle.contracts {
        let contract = book.entered(logged)?;
        trust.fully_signed(&contract)?;
        contracts.push(contract);
    }
    let mut renewals = Vec::new();
    for logged in bundle.renewals {
        let renewal = book.entered(logged)?;
        only_signer(&renewal, renewal.provider.as_str())?;
        renewals.push(renewal);
    }
    let kids = kids(&bundle.job);
    let job = document::verify(bundle.job, &trust.registry, &book).map_err(|refusal| book.explained(refusal, &kids))?;
    only_signer(&job, job.tdc.as_str())?;
    Ok(OpenedBundle { job, contracts, offers, image_set, renewals, book })
}
