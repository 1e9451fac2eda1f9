//! Registered datasets.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::bundle::Logged;
use crate::contract::{Assurance, Discount};
use crate::dataset::{Column, DataCard, DatasetOffer, OfferKey, PriceTerm, Reference, SealedObject, Usage};
use crate::digest::Digest;
use crate::id::{DatasetId, Did, FamilyId};
use crate::log::Receipt;
use crate::payout::PrincipalPool;
use crate::privacy::Clause;
use crate::renewal::BudgetRenewal;
use crate::statistics::Statistics;
use crate::text::Real;
use crate::time::Timestamp;

messages! {
    /// What everyone may know of a dataset's key.
    PublicKeyTerms {
        /// The least assurance that opens it.
        min_assurance: Assurance,
    }
    /// An offer as everyone reads it: all of it but where its key lies. It is no signed document; who contracts reads
    /// that one, and pins its digest.
    PublicOffer {
        /// The registry.
        registry: Did,
        /// The dataset.
        dataset_id: DatasetId,
        /// Its version, from 1.
        version: u32,
        /// The version of the terms, from 1.
        offer_version: u32,
        /// The people behind it.
        family: FamilyId,
        /// The TDP.
        provider: Did,
        /// A name for people.
        name: String,
        /// Schema, creators, keywords, sample, consent.
        reference: Reference,
        /// The public schema of the sealed table, in the order of its columns.
        columns: Vec<Column>,
        /// The sealed objects.
        objects: Vec<SealedObject>,
        /// Merkle root over header and chunks.
        manifest_root: Digest,
        /// What opens its key; neither the key service nor the key.
        key: PublicKeyTerms,
        /// The public count of principals.
        public_rows: u64,
        /// Usage policy.
        usage: Usage,
        /// The most that a contract may grant.
        privacy_cap: Clause,
        /// How far logged renewals may ever raise the cap's ε.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        renewable_to: Option<Real>,
        /// Price, the same for every consumer.
        payment: Vec<PriceTerm>,
        /// What of the price is the data principals'.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        principal_pool: Option<PrincipalPool>,
        /// Discounts open to every consumer whose contract meets them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        discounts: Vec<Discount>,
        /// Statistics; lists leave them out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statistics: Option<Statistics>,
        /// Data card.
        data_card: DataCard,
        /// When it was offered.
        offered_at: Timestamp,
    }
    /// A registered dataset.
    DatasetView {
        /// The offer, without the reference of its key.
        offer: PublicOffer,
        /// SHA-256 of the signed offer: what a contract pins.
        sha256: Digest,
        /// The receipt of the signed offer's entry.
        receipt: Receipt,
        /// `registered`, `suspended`, `deprecated` or `withdrawn`.
        state: String,
        /// Of a suspended one, who ends it: its `provider`, or the `sro` that suspended it, or the `service` did since a key
        /// that signed for it is reported compromised, which the SRO ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        suspended_by: Option<String>,
        /// Index of the newest entry that suspended, resumed or withdrew it: what has the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        changed_by: Option<u64>,
    }
    /// A page of datasets.
    DatasetList {
        /// The datasets.
        datasets: Vec<DatasetView>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// The renewals of a dataset's privacy budget, offer by offer.
    BudgetRenewals {
        /// Each with its receipt.
        renewals: Vec<Logged<BudgetRenewal>>,
    }
    /// Every offer of a dataset, oldest first.
    DatasetVersions {
        /// The offers.
        versions: Vec<DatasetView>,
    }
}

impl From<DatasetOffer> for PublicOffer {
    fn from(offer: DatasetOffer) -> PublicOffer {
        // Taken apart by name: whoever adds a member to the offer decides here whether everyone reads it.
        let DatasetOffer {
            schema: _,
            registry,
            dataset_id,
            version,
            offer_version,
            family,
            provider,
            name,
            reference,
            columns,
            objects,
            manifest_root,
            key: OfferKey { kms: _, kms_jwk: _, key_id: _, min_assurance },
            public_rows,
            usage,
            privacy_cap,
            renewable_to,
            payment,
            principal_pool,
            discounts,
            statistics,
            data_card,
            offered_at,
        } = offer;
        let key = PublicKeyTerms { min_assurance };
        PublicOffer {
            registry,
            dataset_id,
            version,
            offer_version,
            family,
            provider,
            name,
            reference,
            columns,
            objects,
            manifest_root,
            key,
            public_rows,
            usage,
            privacy_cap,
            renewable_to,
            payment,
            principal_pool,
            discounts,
            statistics,
            data_card,
            offered_at,
        }
    }
}
