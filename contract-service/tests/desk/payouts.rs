//! Payouts to data principals over HTTP: what a settled price sets aside, and the batches that split it, one after the other.

use policies::money::payout::{Principal, Tree, lines_fit, split, weights_sha256};
use schemas::desk::{PayoutView, PoolPart};
use schemas::event::{Body, Obligation, PaymentResult};
use schemas::id::{DatasetId, Did};
use schemas::log::{Checkpoint, Receipt};
use schemas::money::{Currency, Minor};
use schemas::payout::{PayoutBatch, PayoutLine, PrincipalPool};
use schemas::text::Bytes;
use schemas::{Code, Digest, Document, Envelope, R};
use signing::FileKey;

use crate::house::{House, reference};
use crate::http::{code as http_code, get};
use crate::papers;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

/// A tenth of the price; 60 are paid at least to each, and ten people at least.
fn terms() -> PrincipalPool {
    PrincipalPool { ppm: 100_000, minimum_minor: minor(60), at_least: 10 }
}

/// Ten principals of weight 100 and two of weight 1, with what each carries.
fn people(carried: impl Fn(&str) -> Minor) -> Vec<Principal> {
    let person = |n: u8| {
        let principal = format!("p-{n:02}");
        let weight = if n < 10 { 100 } else { 1 };
        Principal { carried: carried(&principal), principal, salt: Bytes(vec![n + 1; 32]), weight }
    };
    (0..12).map(person).collect()
}

/// A completed run under an offer of two prices and a pool, and what it owes the provider: 500,000 and 250,000.
fn owed() -> (House, DatasetId, [Obligation; 2]) {
    let mut house = House::furnished();
    let mut offer = papers::offer(&house, 0);
    offer.offer_version = 2;
    offer.principal_pool = Some(terms());
    let mut second = offer.payment[0].clone();
    (second.term_id, second.amount_minor) = ("p2".into(), minor(250_000));
    offer.payment.push(second);
    let signed = house.sign(&offer, &house.tdps[0]);
    house.client.register_dataset(&signed).unwrap();

    let mut contract = papers::contract(&house);
    contract.datasets[0].offer_sha256 = signed.digest();
    let mut second = contract.payment[0].clone();
    (second.term_id, second.amount_minor) = ("p2".into(), minor(250_000));
    contract.payment.push(second);
    // Whose principals' part it is must stand in the contract.
    assert_eq!(code(house.propose(&contract)), Code::ContractIncomplete);
    for at in [0, 2] {
        contract.payment[at].dataset_id = Some(offer.dataset_id.clone());
    }
    let contract = house.propose(&contract).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.countersign(&contract, who).unwrap();
    }
    let bundle = house.bundle(&reference(&contract));
    house.as_(&house.tdc).order_run(&bundle).unwrap();
    let arrival = house.arrive(&bundle);
    let admission = house.check_in(&arrival, &bundle).unwrap();
    let run = house.run_of(arrival, &bundle, admission);
    let completion = house.completion(&run);
    let done = house.client.complete(&run.run_id, &house.sign(&completion, &run.key)).unwrap();
    let one = |amount| done.obligations.iter().find(|o| o.amount_minor == minor(amount)).unwrap().clone();
    let both = [one(500_000), one(250_000)];
    assert!(both.iter().all(|obligation| obligation.payee == offer.provider));
    (house, offer.dataset_id, both)
}

fn settle(house: &House, obligation: &Obligation) {
    let callback = house.callback(obligation, PaymentResult::Settled);
    assert_eq!(house.client.payment_callback(&callback).unwrap().state, "settled");
}

/// How the payouts stand, as their provider reads it.
fn shown(house: &House, dataset: &DatasetId) -> PayoutView {
    house.as_(&house.tdps[0]).payouts(dataset, 1).unwrap()
}

/// The next batch over all that is not split, made of what the service shows.
fn batch(house: &House, view: &PayoutView, people: &[Principal]) -> (PayoutBatch, Vec<PayoutLine>) {
    let mut parts: Vec<&PoolPart> = view.parts.iter().filter(|part| !part.split).collect();
    parts.sort_by(|a, b| a.instruction_id.cmp(&b.instruction_id));
    let pool = minor(parts.iter().map(|part| part.amount_minor.get()).sum());
    let split = split(pool, people, view.terms.as_ref().unwrap()).unwrap();
    let mut batch = PayoutBatch {
        schema: PayoutBatch::SCHEMA.into(),
        registry: house.registry(),
        provider: house.tdps[0].did().unwrap(),
        dataset_id: view.dataset_id.clone(),
        version: view.version,
        currency: parts[0].currency,
        seq: u32::try_from(view.batches.len()).unwrap() + 1,
        previous: view.batches.last().map(|logged| logged.envelope.digest()),
        weights_sha256: weights_sha256(&split.lines).unwrap(),
        settled: parts.iter().map(|part| part.instruction_id.clone()).collect(),
        pool_minor: pool,
        carried_in_minor: split.carried_in,
        paid_minor: split.paid,
        carried_out_minor: split.carried_out,
        principals: split.lines.len() as u64,
        paid_principals: split.paid_principals,
        root: Digest([0; 32]),
        at: house.now(),
    };
    batch.root = Tree::of(&batch, &split.lines).unwrap().root();
    lines_fit(&batch, &split.lines, view.terms.as_ref().unwrap()).unwrap();
    (batch, split.lines)
}

/// Hands a batch in under a dataset's path, signed by somebody.
fn enter(house: &House, dataset: &DatasetId, batch: &PayoutBatch, who: &FileKey) -> R<Receipt> {
    house.client.enter_payout(dataset, &house.sign(batch, who))
}

/// One thing changed, the code that it is refused with, and what it is.
type Spoilt = (fn(&mut PayoutBatch), Code, &'static str);

fn each_is_refused(house: &House, good: &PayoutBatch, rows: &[Spoilt]) {
    for (spoil, expected, what) in rows {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_ne!(bad, *good, "{what}");
        assert_eq!(code(enter(house, &good.dataset_id, &bad, &house.tdps[0])), *expected, "{what}");
    }
}

#[test]
fn what_is_set_aside_is_shown_to_its_provider_and_those_who_oversee() {
    let (house, dataset, own) = owed();
    let nothing = shown(&house, &dataset);
    assert_eq!((nothing.terms, nothing.parts.len(), nothing.batches.len()), (Some(terms()), 0, 0), "nothing is paid");
    settle(&house, &own[0]);
    let view = shown(&house, &dataset);
    let [part] = view.parts.as_slice() else { panic!("{view:?}") };
    assert_eq!((part.amount_minor, part.split), (minor(50_000), false), "a tenth");
    assert_eq!(part.instruction_id, own[0].instruction_id);
    assert_eq!(house.as_(&house.sro[0]).payouts(&dataset, 1).unwrap(), view);
    // Nothing stands under another version.
    let other = house.as_(&house.tdps[0]).payouts(&dataset, 2).unwrap();
    assert_eq!((other.terms, other.parts.len()), (None, 0));
    for stranger in [&house.tdps[1], &house.tdc, &house.psp] {
        assert_eq!(code(house.as_(stranger).payouts(&dataset, 1)), Code::DatasetUnknown);
    }
    let nobody = get(&house, &format!("/v1/datasets/{dataset}/payouts")).send().unwrap();
    assert_eq!(http_code(nobody), Code::Unauthenticated);
}

#[test]
fn a_batch_is_entered_by_its_provider_alone_and_only_as_it_adds_up() {
    let (house, dataset, own) = owed();
    settle(&house, &own[0]);
    let (good, lines) = batch(&house, &shown(&house, &dataset), &people(|_| minor(0)));
    assert_eq!((good.paid_minor, good.carried_out_minor, good.paid_principals), (minor(49_900), minor(100), 10));

    // Who may enter it.
    for stranger in [&house.tdps[1], &house.tdc, &house.psp, &house.sro[0]] {
        assert_eq!(code(enter(&house, &dataset, &good, stranger)), Code::SignerNotParty);
    }
    let foreign = PayoutBatch { provider: house.tdps[1].did().unwrap(), ..good.clone() };
    assert_eq!(code(enter(&house, &dataset, &foreign, &house.tdps[1])), Code::PayoutPool, "another's dataset");
    let consumer = PayoutBatch { provider: house.tdc.did().unwrap(), ..good.clone() };
    assert_eq!(code(enter(&house, &dataset, &consumer, &house.tdc)), Code::ParticipantNotVerified);
    let other = papers::offer(&house, 1).dataset_id;
    assert_eq!(code(enter(&house, &other, &good, &house.tdps[0])), Code::SchemaMismatch, "the path names another");
    let mut signed = house.sign(&good, &house.tdps[0]);
    signed.payload = house.sign(&PayoutBatch { paid_minor: minor(1), ..good.clone() }, &house.tdps[0]).payload;
    assert_eq!(code(house.client.enter_payout(&dataset, &signed)), Code::SignatureInvalid);

    // What it says.
    let rows: [Spoilt; 15] = [
        (|b| b.registry = Did::parse("did:web:other.example").unwrap(), Code::WrongRegistry, "another registry"),
        (|b| b.at = b.at.plus_seconds(3_600), Code::SchemaMismatch, "written tomorrow"),
        (|b| b.version = 2, Code::PayoutPool, "no such version"),
        (|b| b.currency = Currency::parse("EUR").unwrap(), Code::PayoutPool, "another currency"),
        (|b| b.settled = vec!["B".repeat(32)], Code::PayoutPool, "nothing was set aside for it"),
        (|b| b.settled.push(b.settled[0].clone()), Code::SchemaMismatch, "one part twice"),
        (|b| b.settled.clear(), Code::SchemaMismatch, "of nothing"),
        (|b| b.seq = 2, Code::PayoutChain, "a gap"),
        (|b| b.previous = Some(Digest([1; 32])), Code::PayoutChain, "after another batch"),
        (
            |b| (b.carried_in_minor, b.paid_minor) = (minor(1), minor(49_901)),
            Code::PayoutChain,
            "carried in from nowhere",
        ),
        (|b| (b.pool_minor, b.paid_minor) = (minor(50_001), minor(49_901)), Code::PayoutSums, "more than the parts"),
        (|b| b.paid_minor = minor(0), Code::PayoutSums, "it does not add up"),
        (
            |b| (b.paid_minor, b.carried_out_minor) = (minor(49_800), minor(200)),
            Code::PayoutSums,
            "more carried forward than two below the minimum can have",
        ),
        (|b| b.paid_principals = 3, Code::PayoutPrincipals, "three are paid"),
        (|b| b.principals = 9, Code::PayoutPrincipals, "nine in all"),
    ];
    each_is_refused(&house, &good, &rows);
    assert!(shown(&house, &dataset).batches.is_empty(), "nothing of it was entered");

    let envelope = house.sign(&good, &house.tdps[0]);
    let receipt = house.client.enter_payout(&dataset, &envelope).unwrap();
    let (body, trust) = (Body::PayoutEntered { batch: envelope.clone() }, house.trust());
    signing::verify_receipt(&receipt, &body, &trust.origin, &trust.registry_jwk).unwrap();
    let view = shown(&house, &dataset);
    assert!(view.parts.iter().all(|part| part.split));
    assert_eq!((view.batches.len(), &view.batches[0].envelope), (1, &envelope));
    assert_eq!(view.batches[0].receipt.index, receipt.index);
    lines_fit(&view.batches[0].envelope.read_unverified().unwrap(), &lines, &terms()).unwrap();
    // That an overseer reads batches is entered before they are shown.
    let head = || Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head.size;
    let before = head();
    assert_eq!(house.as_(&house.sro[0]).payouts(&dataset, 1).unwrap().batches[0].envelope, envelope);
    assert!(head() > before);

    // The same again, and the same part under the next number.
    assert_eq!(code(house.client.enter_payout(&dataset, &envelope)), Code::PayoutExists);
    let doubled = PayoutBatch {
        seq: 2,
        previous: Some(envelope.digest()),
        carried_in_minor: minor(100),
        paid_minor: minor(50_100),
        carried_out_minor: minor(0),
        paid_principals: 12,
        ..good
    };
    assert_eq!(code(enter(&house, &dataset, &doubled, &house.tdps[0])), Code::PayoutExists);
}

#[test]
fn the_next_batch_carries_the_remainder() {
    let (house, dataset, own) = owed();
    settle(&house, &own[0]);
    let (first, before) = batch(&house, &shown(&house, &dataset), &people(|_| minor(0)));
    let first: Envelope<PayoutBatch> = house.sign(&first, &house.tdps[0]);
    house.client.enter_payout(&dataset, &first).unwrap();
    settle(&house, &own[1]);
    let left = |principal: &str| before.iter().find(|line| line.principal == principal).unwrap().carried_out_minor;
    assert_eq!([left("p-00"), left("p-10"), left("p-11")], [minor(0), minor(50), minor(50)]);

    let (next, lines) = batch(&house, &shown(&house, &dataset), &people(left));
    let sums = (next.pool_minor, next.carried_in_minor, next.paid_minor, next.carried_out_minor);
    assert_eq!(sums, (minor(25_000), minor(100), minor(25_100), minor(0)));
    assert_eq!((next.seq, next.previous, next.paid_principals), (2, Some(first.digest()), 12));
    let paid = |principal: &str| lines.iter().find(|line| line.principal == principal).unwrap().paid_minor;
    assert_eq!([paid("p-10"), paid("p-11")], [minor(75), minor(75)], "50 of before, 25 of now");
    let rows: [Spoilt; 6] = [
        (|b| b.seq = 1, Code::PayoutExists, "the number of the first"),
        (|b| b.seq = 3, Code::PayoutChain, "a gap"),
        (|b| b.previous = None, Code::PayoutChain, "after no batch"),
        (|b| b.previous = Some(Digest([1; 32])), Code::PayoutChain, "after another batch"),
        (
            |b| (b.carried_in_minor, b.paid_minor) = (minor(0), minor(25_000)),
            Code::PayoutChain,
            "what was carried forward is kept back",
        ),
        (|b| b.weights_sha256 = Digest([9; 32]), Code::PayoutChain, "other weights"),
    ];
    each_is_refused(&house, &next, &rows);
    enter(&house, &dataset, &next, &house.tdps[0]).unwrap();

    let view = shown(&house, &dataset);
    assert_eq!((view.batches.len(), view.parts.len()), (2, 2));
    assert!(view.parts.iter().all(|part| part.split));
    let journal = house.as_(&house.tdps[0]).journal(None).unwrap();
    let sum = |what: &str| -> i64 {
        journal.iter().filter(|line| line.code == what).map(|line| line.amount_minor.get()).sum()
    };
    assert_eq!((sum("set_aside"), sum("paid_out")), (75_000, 75_000), "nothing is left in the pool");
}
