//! What the registry signs, read under the pinned trust; where its key changed since, under the one that follows from it.

use schemas::{Code, Document, Envelope, R, Signed};
use signing::book::PinnedBook;
use signing::verify_by;

use contract_client::Client;

/// Verifies a document of the registry. One by a key that is not known is looked at again with the lineage that the contract
/// service shows, which must lead there from the pinned key; the book then goes on with it.
pub(crate) fn verified<T: Document>(envelope: Envelope<T>, book: &mut PinnedBook, desk: &Client) -> R<Signed<T>> {
    let registry = book.trust().registry.clone();
    let unknown = match verify_by(envelope.clone(), &registry, book, registry.as_str()) {
        Err(refusal) if refusal.code == Code::SignerUnknown => refusal,
        outcome => return outcome,
    };
    let Ok(lineage) = desk.log_keys() else { return Err(unknown) };
    if lineage.is_plain() {
        return Err(unknown);
    }
    book.follow(&lineage)?;
    verify_by(envelope, &registry, book, registry.as_str())
}
