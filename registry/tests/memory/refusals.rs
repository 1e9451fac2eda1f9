//! Each refusal of the fold with its code, one thing spoilt at a time; a refused body leaves no trace in the log.
//! Here: participants, image sets, offers, contracts, orders. Runs and payments: `refused_runs`.

use schemas::contract::{ContractDecline, ContractRef, ContractRevoke};
use schemas::event::{Abort, Body};
use schemas::id::{ContractId, ImageSetId};
use schemas::money::Minor;
use schemas::party::{Decision, Kind};
use schemas::{Code, Digest, Envelope};
use signing::FileKey;

use crate::house::{House, reference, start, uuid};
use crate::papers;
use crate::runs::Run;

impl House {
    /// Expects a refusal and an unchanged log.
    #[track_caller]
    pub fn refuses(&self, code: Code, body: Body) {
        let before = self.registry.state();
        let refusal = self.enter(body).unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert_eq!(self.registry.state(), before);
    }

    pub fn revocation(&self, contract: &ContractRef) -> ContractRevoke {
        ContractRevoke {
            schema: "contract-revoke.v1".into(),
            registry: papers::registry(),
            contract: contract.clone(),
            reason: "r".into(),
            cause: schemas::contract::Cause::AtWill,
            revoked_at: start(),
        }
    }

    pub fn revoke(&self, contract: &ContractRef) {
        let revoke = self.sign(&self.revocation(contract), &self.tdps[0]);
        self.enter(Body::ContractRevoked { revoke }).unwrap();
    }

    fn decline(&self, contract: &ContractRef, who: &FileKey) -> Body {
        let decline = ContractDecline {
            schema: "contract-decline.v1".into(),
            registry: papers::registry(),
            contract: contract.clone(),
            reason: "r".into(),
            declined_at: start(),
        };
        Body::ContractDeclined { decline: self.sign(&decline, who) }
    }

    pub fn abort(&self, run: &Run) -> Abort {
        Abort {
            schema: "abort.v1".into(),
            registry: papers::registry(),
            run_id: run.run_id.clone(),
            reason: "r".into(),
            at: start(),
        }
    }
}

#[test]
fn genesis_and_participants() {
    let house = House::empty();
    let entries = house.registry.entries(0, 1).unwrap();
    house.refuses(Code::StateTransition, entries[0].body.clone());
    house.apply(&house.tdc, Kind::Tdc).unwrap();
    let application = |who: &FileKey, kind| Body::ParticipantApplied {
        application: house.sign(&papers::participant(who, kind), who),
        resolution: None,
    };
    house.refuses(Code::ParticipantExists, application(&house.tdc, Kind::Tdc));
    house.refuses(Code::ParticipantExists, application(&house.sro[0], Kind::Tdc));
    house.refuses(Code::Forbidden, application(&house.ccrp, Kind::Sro));
    let mut foreign = papers::participant(&house.ccrp, Kind::Ccrp);
    foreign.registry = schemas::id::Did::parse("did:web:other.example").unwrap();
    house.refuses(
        Code::WrongRegistry,
        Body::ParticipantApplied { application: house.sign(&foreign, &house.ccrp), resolution: None },
    );
}

#[test]
fn decisions_need_two_sro_people_and_come_in_order() {
    let house = House::empty();
    house.apply(&house.tdc, Kind::Tdc).unwrap();
    let row = house.registry.state().participant(&house.tdc.did().unwrap()).unwrap().clone();
    let verify = papers::decision(&row, Decision::Verified, start());
    let decided = |decision: Envelope<_>| Body::ParticipantDecided { decision };
    house.refuses(Code::TwoPeopleNeeded, decided(house.sign(&verify, &house.sro[0])));
    let mut twice = house.sign(&verify, &house.sro[0]);
    twice.signatures.push(twice.signatures[0].clone());
    house.refuses(Code::SignerTwice, decided(twice));
    let mut outsider = house.sign(&verify, &house.sro[0]);
    outsider.signatures.push(signing::countersign(&outsider, &house.sro[2], start()).unwrap());
    house.refuses(Code::SignerUnknown, decided(outsider));
    house.admit(&house.ccrp, Kind::Ccrp);
    let mut party = house.sign(&verify, &house.sro[0]);
    party.signatures.push(signing::countersign(&party, &house.ccrp, start()).unwrap());
    house.refuses(Code::TwoPeopleNeeded, decided(party));
    let mut unknown = verify.clone();
    unknown.participant = house.psp.did().unwrap();
    house.refuses(Code::NotFound, decided(house.by_sro(&unknown)));
    let mut other = verify.clone();
    other.participant_sha256 = Digest([0; 32]);
    house.refuses(Code::StateTransition, decided(house.by_sro(&other)));
    house.refuses(Code::StateTransition, decided(house.by_sro(&papers::decision(&row, Decision::Suspended, start()))));
    let mut ahead = verify.clone();
    ahead.decided_at = start().plus_seconds(4000);
    house.refuses(Code::SchemaMismatch, decided(house.by_sro(&ahead)));
    // The same bytes never count again, not even after a suspension that they would undo.
    house.enter(decided(house.by_sro(&verify))).unwrap();
    house.decide(&house.tdc, Decision::Suspended).unwrap();
    house.refuses(Code::StateTransition, decided(house.by_sro(&verify)));
    house.decide(&house.tdc, Decision::Verified).unwrap();
    house.decide(&house.tdc, Decision::Suspended).unwrap();
    house.decide(&house.tdc, Decision::Rejected).unwrap();
    house.apply(&house.tdc, Kind::Tdc).unwrap();
    house.refuses(Code::StateTransition, decided(house.by_sro(&verify)));
}

/// Two payment providers would both be instructed, and a completion would be paid twice.
#[test]
fn one_payment_provider_at_a_time() {
    let house = House::furnished();
    let other = FileKey::generate().unwrap();
    house.apply(&other, Kind::Psp).unwrap();
    let row = house.registry.state().participant(&other.did().unwrap()).unwrap().clone();
    let verify = house.by_sro(&papers::decision(&row, Decision::Verified, house.now()));
    house.refuses(Code::StateTransition, Body::ParticipantDecided { decision: verify });
    house.decide(&house.psp, Decision::Suspended).unwrap();
    house.decide(&other, Decision::Verified).unwrap();
    let row = house.registry.state().participant(&house.psp.did().unwrap()).unwrap().clone();
    let back = house.by_sro(&papers::decision(&row, Decision::Verified, house.now()));
    house.refuses(Code::StateTransition, Body::ParticipantDecided { decision: back });
}

#[test]
fn image_sets_and_offers() {
    let house = House::furnished();
    let mut set = papers::image_set();
    house.refuses(Code::StateTransition, Body::ImageSetApproved { image_set: house.by_sro(&set) });
    set.image_set_id = ImageSetId::new(uuid());
    house.refuses(Code::TwoPeopleNeeded, Body::ImageSetApproved { image_set: house.sign(&set, &house.sro[1]) });
    let mut offer = house.offer(0).read_unverified().unwrap();
    let registered = |offer: &schemas::dataset::DatasetOffer, who: &FileKey| Body::DatasetRegistered {
        offer: house.sign(offer, who),
    };
    house.refuses(Code::DatasetExists, registered(&offer, &house.tdps[0]));
    offer.offer_version = 2;
    house.refuses(Code::SignerNotParty, registered(&offer, &house.tdps[1]));
    offer.manifest_root = Digest([0; 32]);
    house.refuses(Code::OfferInvalid, registered(&offer, &house.tdps[0]));
    offer.version = 2;
    let family = std::mem::replace(&mut offer.family, house.offer(1).read_unverified().unwrap().family);
    house.refuses(Code::OfferInvalid, registered(&offer, &house.tdps[0]));
    offer.family = family;
    house.enter(registered(&offer, &house.tdps[0])).unwrap();
    offer.provider = house.tdc.did().unwrap();
    offer.dataset_id = schemas::id::DatasetId::new(uuid());
    house.refuses(Code::ParticipantNotVerified, registered(&offer, &house.tdc));
    house.decide(&house.tdps[0], Decision::Suspended).unwrap();
    offer.provider = house.tdps[0].did().unwrap();
    house.refuses(Code::SignerUnknown, registered(&offer, &house.tdps[0]));
}

#[test]
fn proposals() {
    let house = House::furnished();
    let good = house.draft();
    let proposed = |contract: &schemas::contract::Contract, who: &FileKey| Body::ContractProposed {
        contract: house.sign(contract, who),
    };
    house.refuses(Code::SignerNotParty, proposed(&good, &house.psp));
    let mut two = house.sign(&good, &house.tdc);
    two.signatures.push(signing::countersign(&two, &house.ccrp, start()).unwrap());
    house.refuses(Code::SignerNotParty, Body::ContractProposed { contract: two });
    let mut c = good.clone();
    c.supersedes = Some(Digest([0; 32]));
    house.refuses(Code::ContractUnknown, proposed(&c, &house.tdc));
    let mut c = good.clone();
    c.datasets[0].offer_sha256 = Digest([0; 32]);
    house.refuses(Code::DatasetUnknown, proposed(&c, &house.tdc));
    let mut c = good.clone();
    c.compute.image_sets.push(ImageSetId::new(uuid()));
    house.refuses(Code::ImageSetUnknown, proposed(&c, &house.tdc));
    let mut c = good.clone();
    c.parties[3].did = house.sro[2].did().unwrap();
    house.refuses(Code::ParticipantNotVerified, proposed(&c, &house.tdc));
    let mut c = good.clone();
    c.payment[0].amount_minor = Minor::new(1).unwrap();
    house.refuses(Code::TermsNotOffer, proposed(&c, &house.tdc));
    let mut c = good.clone();
    c.expires_at = start().plus_seconds(5);
    house.skip(10);
    house.refuses(Code::ContractPeriod, proposed(&c, &house.tdc));
    house.propose(&good).unwrap();
    house.refuses(Code::ContractExists, proposed(&good, &house.tdc));
    house.decide(&house.tdps[1], Decision::Suspended).unwrap();
    let mut c = good.clone();
    c.contract_id = ContractId::new(uuid());
    house.refuses(Code::ParticipantNotVerified, proposed(&c, &house.tdc));
}

#[test]
fn signatures_and_declines() {
    let house = House::furnished();
    let contract = house.propose(&house.draft()).unwrap();
    let this = reference(&contract);
    house.refuses(Code::SignerTwice, house.signature(&contract, &house.tdc));
    house.refuses(Code::SignerNotParty, house.signature(&contract, &house.psp));
    let unknown = house.sign(&house.draft(), &house.tdc);
    house.refuses(Code::ContractUnknown, house.signature(&unknown, &house.ccrp));
    let Body::ContractSigned { signature, .. } = house.signature(&contract, &house.ccrp) else { unreachable!() };
    let mut other = this.clone();
    other.id = ContractId::new(uuid());
    house.refuses(Code::ContractUnknown, Body::ContractSigned { contract: other, signature: signature.clone() });
    let mut forged = signature.clone();
    forged.sig.0[5] ^= 1;
    house.refuses(Code::SignatureInvalid, Body::ContractSigned { contract: this.clone(), signature: forged });
    let early = house.registry.state().contract(&this.sha256).unwrap().envelope();
    house.refuses(Code::SignatureMissing, Body::ContractExecuted { contract: early });
    house.refuses(Code::SignerNotParty, house.decline(&this, &house.psp));
    house.enter(house.signature(&contract, &house.tdps[0])).unwrap();
    house.enter(house.signature(&contract, &house.ccrp)).unwrap();
    // The last signature does not bring a contract into force while a party is suspended.
    house.decide(&house.ccrp, Decision::Suspended).unwrap();
    house.refuses(Code::ParticipantNotVerified, house.signature(&contract, &house.tdps[1]));
    house.decide(&house.ccrp, Decision::Verified).unwrap();
    house.enter(house.signature(&contract, &house.tdps[1])).unwrap();
    let executed = house.registry.state().contract(&this.sha256).unwrap().envelope();
    house.refuses(Code::StateTransition, Body::ContractExecuted { contract: executed });
    house.refuses(Code::StateTransition, house.decline(&this, &house.tdc));

    let declined = house.propose(&house.draft()).unwrap();
    house.enter(house.decline(&reference(&declined), &house.tdps[1])).unwrap();
    house.refuses(Code::StateTransition, house.signature(&declined, &house.ccrp));
    house.refuses(Code::StateTransition, house.decline(&reference(&declined), &house.tdc));
    let late = house.propose(&house.draft()).unwrap();
    house.skip(31 * 86_400);
    // It has lapsed by the clock.
    house.refuses(Code::StateTransition, house.signature(&late, &house.ccrp));
}

#[test]
fn revocations() {
    let house = House::furnished();
    let revoked = |revoke| Body::ContractRevoked { revoke };
    let open = reference(&house.propose(&house.draft()).unwrap());
    house.refuses(Code::StateTransition, revoked(house.by_sro(&house.revocation(&open))));
    let (contract, _) = house.executed();
    let revoke = house.revocation(&contract);
    house.refuses(Code::SignerNotParty, revoked(house.sign(&revoke, &house.tdc)));
    house.refuses(Code::TwoPeopleNeeded, revoked(house.sign(&revoke, &house.sro[0])));
    let mut mixed = house.sign(&revoke, &house.tdps[0]);
    mixed.signatures.push(signing::countersign(&mixed, &house.sro[0], start()).unwrap());
    house.refuses(Code::TwoPeopleNeeded, revoked(mixed));
    house.enter(revoked(house.by_sro(&revoke))).unwrap();
    house.refuses(Code::StateTransition, revoked(house.sign(&revoke, &house.tdps[0])));
    let listed = house.registry.state().not_in_force(house.now());
    assert_eq!(
        listed.iter().map(|s| &s.id).collect::<Vec<_>>(),
        [&contract.id],
        "proposals do not stand in the status list"
    );
}

#[test]
fn orders() {
    let house = House::furnished();
    let ordered = |job: &schemas::job::JobSpec, who: &FileKey| Body::RunOrdered { job: house.sign(job, who) };
    let open = reference(&house.propose(&house.draft()).unwrap());
    house.refuses(Code::ContractNotActive, ordered(&house.job(&open), &house.tdc));
    let mut future = house.draft();
    future.effective_from = start().plus_seconds(86_400);
    let future = house.propose(&future).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.enter(house.signature(&future, who)).unwrap();
    }
    house.refuses(Code::ContractNotYetValid, ordered(&house.job(&reference(&future)), &house.tdc));
    let (contract, _) = house.executed();
    let good = house.job(&contract);
    house.refuses(Code::SignerNotParty, ordered(&good, &house.ccrp));
    let mut job = good.clone();
    job.contracts[0].sha256 = Digest([0; 32]);
    house.refuses(Code::ContractUnknown, ordered(&job, &house.tdc));
    let mut job = good.clone();
    job.ccrp = house.psp.did().unwrap();
    house.refuses(Code::JobMismatch, ordered(&job, &house.tdc));
    let mut job = good.clone();
    job.image_set_id = ImageSetId::new(uuid());
    house.refuses(Code::JobMismatch, ordered(&job, &house.tdc));
    let mut job = good.clone();
    job.datasets[0].version = 2;
    house.refuses(Code::JobMismatch, ordered(&job, &house.tdc));
    let mut job = good.clone();
    job.purpose = "RESALE".into();
    house.refuses(Code::PurposeNotAllowed, ordered(&job, &house.tdc));
    house.enter(ordered(&good, &house.tdc)).unwrap();
    house.refuses(Code::StateTransition, ordered(&good, &house.tdc));
    house.skip(86_400);
    house.refuses(Code::JobExpired, ordered(&house.job(&contract), &house.tdc));
    house.revoke(&contract);
    let mut job = good.clone();
    job.expires_at = start().plus_seconds(100 * 86_400);
    house.refuses(Code::ContractRevoked, ordered(&job, &house.tdc));
    let (contract, _) = house.executed();
    let mut job = house.job(&contract);
    job.expires_at = start().plus_seconds(100 * 86_400);
    house.skip(30 * 86_400);
    house.refuses(Code::ContractExpired, ordered(&job, &house.tdc));
}
