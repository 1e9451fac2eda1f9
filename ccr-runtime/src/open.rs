//! Opening: sealed objects are fetched, checked chunk by chunk against the contract's manifest root, and decrypted
//! in memory only.

use schemas::{Code, R, Refusal};
use sealing::Subject;
use zeroize::Zeroizing;

use crate::admit::Admitted;
use crate::fetch::fetch;
use crate::keys::Keys;
use crate::room::Room;

/// A decrypted table under its handle; wiped on drop.
pub struct Table {
    /// The handle in the pipeline.
    pub handle: String,
    /// CSV bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Opens every dataset of the job.
pub fn open(job: &Admitted, keys: &Keys, room: &Room) -> R<Vec<Table>> {
    let mut tables = Vec::new();
    for wanted in job.datasets()? {
        let [object] = wanted.offer.objects.as_slice() else {
            return Err(Refusal::new(Code::OfferInvalid, "a dataset has exactly one sealed object"));
        };
        let container = fetch(&object.url, &room.config)?;
        let subject = Subject::Dataset { id: wanted.job.dataset_id.clone(), version: wanted.job.version };
        let key = keys.of(&wanted.job.dataset_id, wanted.job.version)?;
        let bytes = sealing::open_with_recomputed_manifest(&container, &wanted.terms.manifest_root, key, &subject)?;
        tables.push(Table { handle: wanted.job.handle.clone(), bytes });
    }
    Ok(tables)
}
