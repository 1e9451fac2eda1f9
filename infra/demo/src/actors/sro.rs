//! The self-regulatory organisation: two people, who sign alone and count together.

use schemas::desk::TwoPeople;
use schemas::event::SroPerson;
use schemas::evidence::ImageSet;
use schemas::id::Did;
use schemas::log::Receipt;
use schemas::party::Decision;
use schemas::{Code, Envelope, R, Refusal, Signer as _};

use super::Person;

/// Two people of the SRO.
#[derive(Debug)]
pub struct Sro {
    /// Each with a key of their own.
    pub people: [Person; 2],
}

impl Sro {
    /// What the registry is told of them before it starts: public keys only.
    pub fn public(&self) -> Vec<SroPerson> {
        let public = |p: &Person| SroPerson { did: p.did.clone(), jwk: p.key.jwk().clone(), name: p.name.clone() };
        self.people.iter().map(public).collect()
    }

    /// The first person, under whose key the SRO exports its log.
    pub fn auditor(&self) -> &Person {
        &self.people[0]
    }

    /// Both people look at an application and verify it: the first drafts, both sign the same bytes.
    pub fn verify(&self, applicant: &Did) -> R<Receipt> {
        self.decide(applicant, Decision::Verified, "papers were seen")
    }

    /// Both people decide about a participant.
    pub fn decide(&self, about: &Did, decision: Decision, reason: &str) -> R<Receipt> {
        let first = self.auditor();
        let view = first.desk()?.participant(about)?;
        let draft = depa::party::decision(&view, decision, reason, first.trust()?, first.now())?;
        self.both(|person| depa::party::decide(person.desk()?, &draft, &person.key, person.now()))
    }

    /// Both people approve what a clean room must show itself to be.
    pub fn approve(&self, draft: &Envelope<ImageSet>) -> R<Receipt> {
        self.both(|person| depa::image_set::sign(person.desk()?, draft, &person.key, person.now()))
    }

    /// One person's act has no effect; the second's enters it.
    fn both(&self, act: impl Fn(&Person) -> R<TwoPeople>) -> R<Receipt> {
        let early = act(&self.people[0])?;
        if early.receipt.is_some() {
            return Err(Refusal::new(Code::PeerFault, "one person's signature was enough for an act that needs two"));
        }
        let missing = || Refusal::new(Code::PeerFault, "two people have signed and the act was not entered");
        act(&self.people[1])?.receipt.ok_or_else(missing)
    }
}
