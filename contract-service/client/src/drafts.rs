//! Drafts of contracts, private to their owner.

use schemas::R;
use schemas::desk::{ContractChecked, DraftList, DraftRequest, DraftView};

use crate::http::{Call, Client, Method, read};
use crate::parties::segment;
use crate::query::query;

impl Client {
    /// Keeps a draft.
    pub fn create_draft(&self, draft: &DraftRequest) -> R<DraftView> {
        self.post_as("/v1/drafts", draft)
    }

    /// Makes a draft of a contract in one of DEPA's shapes: JSON, or a COSE message whose every signature is verified.
    pub fn import_draft(&self, bytes: &[u8], cose: bool) -> R<DraftView> {
        let media = if cose { "application/cose" } else { "application/json" };
        let call = Call { method: Method::Post, body: Some(bytes.to_vec()), media, ..Call::get("/v1/drafts/import") };
        read(self.call(&call.with_token())?)
    }

    /// A page of the caller's drafts.
    pub fn drafts(&self, cursor: Option<&str>) -> R<DraftList> {
        self.get_as(&format!("/v1/drafts{}", query(&[("cursor", cursor.map(str::to_owned))])))
    }

    /// A draft, with what stands in the way of a proposal.
    pub fn draft(&self, id: &str) -> R<DraftView> {
        self.get_as(&format!("/v1/drafts/{}", segment(id)))
    }

    /// Writes a draft anew; refused where it changed since `rev`.
    pub fn replace_draft(&self, id: &str, rev: u32, draft: &DraftRequest) -> R<DraftView> {
        let path = format!("/v1/drafts/{}?rev={rev}", segment(id));
        read(self.call(&Call { method: Method::Put, ..self.posted(&path, draft, true)? })?)
    }

    /// Throws a draft away.
    pub fn discard_draft(&self, id: &str) -> R<()> {
        let path = format!("/v1/drafts/{}", segment(id));
        self.call(&Call { method: Method::Delete, ..Call::get(&path).with_token() }).map(drop)
    }

    /// All that stands in the way of proposing a draft.
    pub fn check_draft(&self, id: &str) -> R<ContractChecked> {
        let path = format!("/v1/drafts/{}/check", segment(id));
        read(self.call(&Call { method: Method::Post, ..Call::get(&path).with_token() })?)
    }
}
