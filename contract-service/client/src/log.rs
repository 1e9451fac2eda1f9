//! The transparency log and its export.

use schemas::desk::{AnchorRequest, AuditExport, ConsistencyProof, Receipted};
use schemas::log::Receipt;
use schemas::{Code, Digest, R, Refusal};

use crate::http::{Call, Client, EXPORT_LIMIT};
use crate::query::query;

impl Client {
    /// The newest checkpoint note, with the cosignatures of witnesses.
    pub fn checkpoint(&self) -> R<String> {
        let fault = |_| Refusal::new(Code::PeerFault, "the checkpoint is not UTF-8");
        String::from_utf8(self.get_bytes("/log/checkpoint")?).map_err(fault)
    }

    /// A tile by its C2SP path below `/log/tile/`, like `0/000.p/5`.
    pub fn tile(&self, path: &str) -> R<Vec<u8>> {
        self.get_bytes(&format!("/log/tile/{path}"))
    }

    /// A consistency proof between two sizes.
    pub fn consistency(&self, old: u64, new: u64) -> R<Vec<Digest>> {
        Ok(self.get::<ConsistencyProof>(&format!("/v1/log/proof?old={old}&new={new}"))?.proof)
    }

    /// The receipt of an entry that concerns the caller.
    pub fn receipt(&self, index: u64) -> R<Receipt> {
        Ok(self.get_as::<Receipted>(&format!("/v1/log/receipts/{index}"))?.receipt)
    }

    /// The receipt of an entry as `tlog-proof`, `cose` (of tree `vds` 1 or 2) or `bundle`.
    pub fn receipt_as(&self, index: u64, form: &str, vds: Option<u8>) -> R<Vec<u8>> {
        let narrowed = query(&[("form", Some(form.to_owned())), ("vds", vds.map(|n| n.to_string()))]);
        Ok(self.call(&Call::get(&format!("/v1/log/receipts/{index}{narrowed}")).with_token())?.body)
    }

    /// Anchors a digest: it existed at this point of the log.
    pub fn anchor(&self, sha256: Digest) -> R<Receipt> {
        Ok(self.post_as::<_, Receipted>("/v1/log/anchors", &AnchorRequest { sha256 })?.receipt)
    }

    /// A page of the log with bodies and salts, for SRO people.
    pub fn export(&self, from: u64, limit: u32) -> R<AuditExport> {
        self.get_as_within(&format!("/v1/audit/export?from={from}&limit={limit}"), EXPORT_LIMIT)
    }
}
