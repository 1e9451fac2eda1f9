//! A Croissant document as the beginning of an offer.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::dataset::{Column, SampleKind, SealedObject};
use crate::digest::Digest;

messages! {
    /// Something that a Croissant document does not say and an offer must.
    CroissantGap {
        /// The member of the offer.
        member: String,
        /// What is missing.
        sentence: String,
    }
    /// A sample that a Croissant document names.
    CroissantSample {
        /// Where it lies.
        url: String,
        /// SHA-256 of its bytes.
        sha256: Digest,
        /// Its size.
        bytes: u64,
        /// Media type.
        media_type: String,
        /// How it came to be.
        kind: SampleKind,
    }
    /// What a Croissant document says for the data card.
    CroissantCard {
        /// What it is.
        description: Option<String>,
        /// How it was collected.
        collection: Option<String>,
        /// What it is not good for.
        limitations: Option<String>,
        /// What personal data it holds.
        personal_data: Option<String>,
        /// Licence.
        licence: Option<String>,
    }
    /// The beginning of an offer, read from a Croissant document. Nothing is signed or entered.
    CroissantDraft {
        /// Name.
        name: String,
        /// Who made the data.
        creators: Vec<String>,
        /// Words to find it by.
        keywords: Vec<String>,
        /// Countries where its people live.
        regions: Vec<String>,
        /// Columns.
        columns: Vec<Column>,
        /// The files of data; their sizes are those of the plaintext unless they are sealed already.
        sealed: Vec<SealedObject>,
        /// A sample.
        sample: Option<CroissantSample>,
        /// The data card.
        card: CroissantCard,
        /// What is still to be said.
        gaps: Vec<CroissantGap>,
    }
}
