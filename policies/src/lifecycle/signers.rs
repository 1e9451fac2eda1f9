//! Who signed: one named holder, or two SRO people, with keys that are active at this point of the log.

use schemas::envelope::PartySignature;
use schemas::event::Body;
use schemas::text::Bytes;
use schemas::{Code, Document, Envelope, KeyBook, R, Refusal, Timestamp};

use super::State;

impl State {
    /// May what one SRO person has signed enter at `now`, once a second one has? So that the first person learns at
    /// once what would be refused. Nothing counts by this: the second signature is asked for all the same.
    pub fn foresee<T: Document>(
        &self,
        first: &Envelope<T>,
        body: impl FnOnce(Envelope<T>) -> Body,
        now: Timestamp,
    ) -> R<()> {
        let [signature] = first.signatures.as_slice() else { return Ok(()) };
        let people = self.genesis().into_iter().flat_map(|genesis| &genesis.sro);
        let others = people.filter(|person| person.did.as_str() != signature.kid.holder);
        let Some(other) = others.filter_map(|person| self.person_signs_with(person)).next() else { return Ok(()) };
        let mut both = first.clone();
        both.signatures.push(PartySignature {
            form: signature.form,
            protected: Bytes::default(),
            kid: other,
            sig: Bytes::default(),
        });
        self.check_body(&body(both), now)
    }

    /// Every signature is by a key that is active now. That it verifies was checked before.
    pub(super) fn keys_active<T: Document>(&self, envelope: &Envelope<T>) -> R<()> {
        if envelope.signatures.is_empty() {
            return Err(Refusal::new(Code::SignatureMissing, "the document carries no signature"));
        }
        for signature in &envelope.signatures {
            if self.key(&signature.kid, T::USAGE).is_none() {
                return Err(Refusal::new(
                    Code::SignerUnknown,
                    format!("no active key {} is known for this act", signature.kid),
                ));
            }
        }
        Ok(())
    }

    /// Exactly one signature, by this holder, with a key that is active now.
    pub(super) fn signed_only_by<T: Document>(&self, envelope: &Envelope<T>, holder: &str) -> R<()> {
        let signer = sole_signer(envelope)?;
        if signer != holder {
            return Err(Refusal::new(Code::SignerNotParty, format!("one signature, by {holder}, is expected")));
        }
        self.keys_active(envelope)
    }

    /// Two different SRO people, and nobody else.
    pub(super) fn signed_by_two_people<T: Document>(&self, envelope: &Envelope<T>) -> R<()> {
        let mut holders: Vec<&str> = envelope.signatures.iter().map(|s| s.kid.holder.as_str()).collect();
        holders.sort_unstable();
        holders.dedup();
        if holders.len() < 2 || holders.len() != envelope.signatures.len() || !holders.iter().all(|h| self.is_sro(h)) {
            return Err(Refusal::new(
                Code::TwoPeopleNeeded,
                "two different SRO people must have signed, and nobody else",
            ));
        }
        self.keys_active(envelope)
    }

    /// Either two SRO people, or one party that `allowed` accepts.
    pub(super) fn signed_by_party_or_two_people<T: Document>(
        &self,
        envelope: &Envelope<T>,
        allowed: impl Fn(&str) -> bool,
    ) -> R<()> {
        if envelope.signatures.iter().any(|s| self.is_sro(&s.kid.holder)) {
            return self.signed_by_two_people(envelope);
        }
        let signer = sole_signer(envelope)?;
        if !allowed(signer) {
            return Err(Refusal::new(Code::SignerNotParty, format!("{signer} may not do this")));
        }
        self.keys_active(envelope)
    }
}

/// The holder of the only signature.
pub(super) fn sole_signer<T>(envelope: &Envelope<T>) -> R<&str> {
    match envelope.signatures.as_slice() {
        [] => Err(Refusal::new(Code::SignatureMissing, "the document carries no signature")),
        [one] => Ok(&one.kid.holder),
        _ => Err(Refusal::new(Code::SignerNotParty, "one signature is expected")),
    }
}
