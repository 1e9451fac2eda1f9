//! Exact splits, payouts and books under many random cases; and each of their refusals, one thing spoilt at a time.

#![allow(clippy::unwrap_used, clippy::panic)] // tests

use std::collections::BTreeMap;

use policies::lifecycle::Frontier;
use policies::money::payout::{Principal, Split, Tree, batch_stands, lines_fit, proof_fits, split, weights_sha256};
use policies::money::{AccountId, AccountKind, Books, Phase, Place, Transfer, TransferCode, check, shares};
use schemas::id::{DatasetId, Did};
use schemas::log::{Receipt, Record};
use schemas::money::{Currency, Minor};
use schemas::payout::{PayoutBatch, PayoutLine, PayoutProof, PrincipalPool};
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope, R, Timestamp};

/// xorshift64*: the same cases in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % most
    }
}

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

fn did(text: &str) -> Did {
    Did::parse(text).unwrap()
}

fn expect<T: std::fmt::Debug>(judged: R<T>, code: Code, what: &str) {
    assert_eq!(judged.map_err(|refusal| refusal.code).unwrap_err(), code, "{what}");
}

fn shares_are_exact_and_fair(cases: usize, draw: &mut Draw) {
    for _ in 0..cases {
        let many = draw.below(12) + 1;
        let most = [3, 1_000, 1 << 20, (1 << 53) - 1][draw.below(4) as usize];
        let mut weights: Vec<u64> = (0..many).map(|_| draw.below(most)).collect();
        weights[0] += 1;
        let top = [10, 1_000, 1 << 40, (1 << 53) - 1][draw.below(4) as usize];
        let amount = draw.below(top) as i64;
        let parts = shares(amount, &weights).unwrap();
        assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(amount), "{weights:?}");
        let whole: i128 = weights.iter().map(|w| i128::from(*w)).sum();
        for (part, weight) in parts.iter().zip(&weights) {
            let exact = i128::from(amount) * i128::from(*weight);
            assert!((i128::from(*part) * whole - exact).abs() < whole, "{amount} by {weights:?}");
        }
    }
}

#[test]
fn shares_add_up_and_none_is_a_whole_unit_off() {
    shares_are_exact_and_fair(20_000, &mut Draw(88_172_645_463_325_252));
    assert_eq!(shares(10, &[1, 1, 1, 1]).unwrap(), [3, 3, 2, 2]);
    assert_eq!(shares(0, &[5]).unwrap(), [0]);
    assert_eq!(shares(7, &[0, 3]).unwrap(), [0, 7]);
    assert_eq!(shares(i64::MAX, &[u64::MAX, 0]).unwrap(), [i64::MAX, 0]);
    expect(shares(1, &[]), Code::SchemaMismatch, "nobody");
    expect(shares(1, &[0, 0]), Code::SchemaMismatch, "no weight");
    expect(shares(-1, &[1]), Code::SchemaMismatch, "less than nothing");
}

#[test]
#[ignore = "10^6 cases: infra/test.sh full"]
fn shares_add_up_in_a_million_cases() {
    shares_are_exact_and_fair(1_000_000, &mut Draw(0x9e37_79b9_7f4a_7c15));
}

fn pool_terms(minimum: i64, at_least: u32) -> PrincipalPool {
    PrincipalPool { ppm: 100_000, minimum_minor: minor(minimum), at_least }
}

fn people(many: u64, draw: &mut Draw) -> Vec<Principal> {
    let person = |n: u64, draw: &mut Draw| Principal {
        principal: format!("p-{n:05}"),
        salt: Bytes(Digest::of(&(n ^ draw.below(1 << 40)).to_be_bytes()).0.to_vec()),
        weight: draw.below(1_000) + 1,
        carried: minor(0),
    };
    (0..many).map(|n| person(n, draw)).collect()
}

fn batch(pool: i64, split: &Split, seq: u32) -> PayoutBatch {
    let uuid = "01900000-0000-7000-8000-000000000001";
    let mut batch = PayoutBatch {
        schema: "payout-batch.v1".into(),
        registry: did("did:web:sro.example"),
        provider: did("did:web:tdp.example"),
        dataset_id: DatasetId::parse(&format!("dst_{uuid}")).unwrap(),
        version: 1,
        currency: Currency::parse("INR").unwrap(),
        seq,
        previous: None,
        weights_sha256: weights_sha256(&split.lines).unwrap(),
        settled: vec!["A".repeat(32)],
        pool_minor: minor(pool),
        carried_in_minor: split.carried_in,
        paid_minor: split.paid,
        carried_out_minor: split.carried_out,
        principals: split.lines.len() as u64,
        paid_principals: split.paid_principals,
        root: Digest([0; 32]),
        at: Timestamp::from_micros(0),
    };
    batch.root = Tree::of(&batch, &split.lines).unwrap().root();
    batch
}

/// Batch after batch: nothing is lost, nothing is made, nobody gets less than the minimum or waits for more.
fn chains_of_batches(chains: usize, draw: &mut Draw) {
    for _ in 0..chains {
        let at_least = 10 + draw.below(5) as u32;
        let many = u64::from(at_least) + draw.below(60);
        let mut people = people(many, draw);
        let terms = pool_terms(draw.below(500) as i64, at_least);
        let (mut pools, mut paid) = (0i128, 0i128);
        for seq in 1..=draw.below(5) as u32 + 1 {
            let pool = draw.below(50_000) as i64;
            let split = split(minor(pool), &people, &terms).unwrap();
            pools += i128::from(pool);
            paid += i128::from(split.paid.get());
            assert_eq!(pools, paid + i128::from(split.carried_out.get()));
            let batch = batch(pool, &split, seq);
            lines_fit(&batch, &split.lines, &terms).unwrap();
            let floor = terms.minimum_minor.get().max(1);
            for line in &split.lines {
                assert!(line.paid_minor.get() == 0 || line.paid_minor.get() >= floor, "{line:?}");
                let waits = split.paid_principals > 0 && line.carried_out_minor.get() >= floor;
                assert!(!waits, "{line:?}");
            }
            assert!(split.paid_principals == 0 || split.paid_principals >= u64::from(at_least));
            people = split.lines.iter().map(after).collect();
        }
    }
}

fn after(line: &PayoutLine) -> Principal {
    let PayoutLine { principal, salt, weight, carried_out_minor, .. } = line.clone();
    Principal { principal, salt, weight, carried: carried_out_minor }
}

#[test]
fn nothing_is_lost_between_batches() {
    chains_of_batches(200, &mut Draw(7));
}

#[test]
#[ignore = "10^6 lines: infra/test.sh full"]
fn nothing_is_lost_between_many_batches() {
    chains_of_batches(10_000, &mut Draw(11));
}

#[test]
fn principals_that_could_not_be_told_apart_or_are_too_few_are_refused() {
    let terms = pool_terms(0, 10);
    let good = people(10, &mut Draw(3));
    let refused = |spoil: fn(&mut Vec<Principal>), code, what: &str| {
        let mut people = good.clone();
        spoil(&mut people);
        expect(split(minor(100), &people, &terms), code, what);
    };
    split(minor(100), &good, &terms).unwrap();
    refused(|p| drop(p.pop()), Code::PayoutPrincipals, "nine of ten");
    refused(|p| p[1].principal = p[0].principal.clone(), Code::SchemaMismatch, "one principal twice");
    refused(|p| p[1].salt = p[0].salt.clone(), Code::SchemaMismatch, "one salt twice");
    refused(|p| p[1].salt = Bytes(vec![0; 31]), Code::SchemaMismatch, "a short salt");
    refused(|p| p[1].principal = String::new(), Code::SchemaMismatch, "nobody");
    refused(|p| p[1].weight = 1 << 53, Code::SchemaMismatch, "a weight beyond JSON");
    refused(|p| p.iter_mut().for_each(|p| p.weight = 0), Code::SchemaMismatch, "no weight at all");
    refused(|p| p.iter_mut().for_each(|p| p.carried = minor((1 << 53) - 1)), Code::SchemaMismatch, "too much carried");
}

#[test]
fn who_would_be_paid_alone_waits() {
    let terms = pool_terms(100, 10);
    let mut people = people(12, &mut Draw(5));
    people.iter_mut().for_each(|p| p.weight = 1);
    people[0].carried = minor(99);
    let split = split(minor(24), &people, &terms).unwrap();
    assert_eq!((split.paid_principals, split.paid, split.carried_out), (0, minor(0), minor(123)));
    batch_stands(&batch(24, &split, 1), &terms).unwrap();
}

#[test]
fn a_batch_that_does_not_add_up_is_refused() {
    let terms = pool_terms(100, 10);
    let split = split(minor(5_000), &people(20, &mut Draw(9)), &terms).unwrap();
    let good = batch(5_000, &split, 1);
    assert!(good.paid_principals >= 10 && good.carried_out_minor.get() > 0, "{good:?}");
    batch_stands(&good, &terms).unwrap();
    let refused = |spoil: fn(&mut PayoutBatch), code, what: &str| {
        let mut bad = good.clone();
        spoil(&mut bad);
        expect(batch_stands(&bad, &terms), code, what);
    };
    refused(|b| b.pool_minor = minor(5_001), Code::PayoutSums, "a larger pool");
    refused(|b| b.paid_minor = minor(b.paid_minor.get() + 1), Code::PayoutSums, "more paid");
    refused(|b| b.carried_in_minor = minor(1), Code::PayoutSums, "more carried in");
    refused(|b| b.carried_out_minor = minor(b.carried_out_minor.get() + 1), Code::PayoutSums, "more carried out");
    refused(|b| b.paid_principals = 0, Code::PayoutSums, "paid to nobody");
    refused(|b| b.paid_principals = 21, Code::PayoutSums, "more paid than there are");
    refused(|b| b.paid_principals = 20, Code::PayoutSums, "carried for nobody");
    refused(|b| b.paid_principals = 9, Code::PayoutPrincipals, "nine are paid");
    refused(|b| b.principals = 9, Code::PayoutPrincipals, "nine in all");
    let all_paid = |b: &mut PayoutBatch| {
        b.carried_out_minor = minor(4_900);
        b.paid_minor = minor(100);
    };
    refused(all_paid, Code::PayoutSums, "less than the minimum each");
    let hoard = |b: &mut PayoutBatch| {
        b.paid_principals = 10;
        b.paid_minor = minor(2_000);
        b.carried_out_minor = minor(3_000);
    };
    refused(hoard, Code::PayoutSums, "more carried than ten below the minimum can have");
    refused(|b| b.principals = 0, Code::PayoutPrincipals, "nobody");
}

#[test]
fn lines_that_are_not_the_batch_s_are_refused() {
    let terms = pool_terms(100, 10);
    let split = split(minor(5_000), &people(20, &mut Draw(9)), &terms).unwrap();
    let good = batch(5_000, &split, 1);
    lines_fit(&good, &split.lines, &terms).unwrap();
    let refused = |spoil: &dyn Fn(&mut PayoutBatch, &mut Vec<PayoutLine>), code, what: &str| {
        let (mut batch, mut lines) = (good.clone(), split.lines.clone());
        spoil(&mut batch, &mut lines);
        expect(lines_fit(&batch, &lines, &terms), code, what);
    };
    refused(&|_, l| l[0].share_minor = minor(l[0].share_minor.get() + 1), Code::PayoutProof, "a larger share");
    refused(&|_, l| l[0].paid_minor = minor(l[0].paid_minor.get() + 1), Code::PayoutProof, "paid more");
    refused(&|_, l| l.swap(0, 1), Code::PayoutProof, "another order");
    refused(&|_, l| l[0].principal = "p-x".into(), Code::PayoutProof, "another principal");
    refused(&|b, _| b.weights_sha256 = Digest([1; 32]), Code::PayoutProof, "other weights");
    refused(&|b, _| b.root = Digest([1; 32]), Code::PayoutProof, "another root");
    refused(&|b, _| b.seq = 2, Code::PayoutProof, "lines of another batch");
    refused(&|b, _| b.pool_minor = minor(5_001), Code::PayoutProof, "a larger pool");
    refused(&|b, _| b.paid_principals -= 1, Code::PayoutSums, "another count");
    refused(&|b, _| b.carried_in_minor = minor(1), Code::PayoutSums, "another sum");
}

#[test]
fn every_principal_proves_its_line_and_no_other() {
    let terms = pool_terms(1, 10);
    for many in [10u64, 11, 16, 33] {
        let split = split(minor(9_999), &people(many, &mut Draw(many)), &terms).unwrap();
        let batch = batch(9_999, &split, 1);
        let tree = Tree::of(&batch, &split.lines).unwrap();
        let mut frontier = Frontier::default();
        split.lines.iter().for_each(|line| frontier.push(batch.leaf(line).unwrap(), |_, _, _| {}));
        assert_eq!(tree.root(), frontier.root(), "the tree is the log's own");
        for (at, line) in split.lines.iter().enumerate() {
            let good = proof(&batch, at, line, &tree);
            proof_fits(&good, &batch).unwrap();
            let refused = |spoil: &dyn Fn(&mut PayoutProof), what: &str| {
                let mut bad = good.clone();
                spoil(&mut bad);
                expect(proof_fits(&bad, &batch), Code::PayoutProof, what);
            };
            refused(&|p| p.v = 2, "another version");
            refused(&|p| p.index = (p.index + 1) % many, "another place");
            refused(&|p| p.index = many, "no place");
            refused(&|p| p.line.principal = "p-x".into(), "another principal");
            refused(&|p| p.line.salt.0[0] ^= 1, "another salt");
            refused(&|p| p.line.salt.0.truncate(31), "a short salt");
            refused(&|p| p.line.weight += 1, "another weight");
            refused(&|p| p.line.paid_minor = minor(p.line.paid_minor.get() + 1), "more than its share");
            refused(&|p| p.path.truncate(p.path.len() - 1), "a short way");
            refused(&|p| p.path.push(Digest([0; 32])), "a long way");
        }
    }
}

fn proof(batch: &PayoutBatch, at: usize, line: &PayoutLine, tree: &Tree) -> PayoutProof {
    let nothing = Digest([0; 32]);
    let record = Record {
        v: 1,
        kind: "payout_entered".into(),
        subject: nothing,
        seq: 1,
        at: batch.at,
        body_sha256: nothing,
        prev: nothing,
    };
    let (body_salt, checkpoint) = (Bytes(vec![0; 32]), String::new());
    PayoutProof {
        v: 1,
        batch: Envelope::draft(batch).unwrap(),
        receipt: Receipt { index: 0, record, body_salt, path: vec![], checkpoint },
        index: at as u64,
        line: line.clone(),
        path: tree.path(at),
    }
}

fn account(n: u64) -> AccountId {
    let kinds = [AccountKind::Receivable, AccountKind::Payable, AccountKind::Cash, AccountKind::TaxWithheld];
    AccountId {
        owner: did(&format!("did:web:p{}.example", n % 3)),
        currency: Currency::parse(if n.is_multiple_of(2) { "INR" } else { "EUR" }).unwrap(),
        kind: kinds[(n / 2 % 4) as usize],
    }
}

fn transfer(debit: AccountId, credit: AccountId, amount: i64, phase: Phase) -> Transfer {
    let (code, reference, at) = (TransferCode::Owed, "X".into(), Timestamp::from_micros(0));
    Transfer { debit, credit, amount, phase, code, reference, at }
}

/// Random transfers of every phase, compared with sums made apart.
fn random_books(steps: u64, draw: &mut Draw) {
    let mut books = Books::default();
    let mut pending: Vec<(Place, Transfer)> = Vec::new();
    let mut apart: BTreeMap<AccountId, [i128; 4]> = BTreeMap::new();
    for index in 0..steps {
        let resolve = !pending.is_empty() && draw.below(3) == 0;
        let (next, by) = if resolve {
            let (place, first) = pending.swap_remove(draw.below(pending.len() as u64) as usize);
            let post = draw.below(2) == 0;
            let phase = if post { Phase::Post(place) } else { Phase::Void(place) };
            (Transfer { phase, ..first }, if post { [-1, 1] } else { [-1, 0] })
        } else {
            let (debit, credit) = (account(draw.below(24)), account(draw.below(24)));
            let phase = if draw.below(2) == 0 { Phase::Pending } else { Phase::Posted };
            let amount = draw.below(1 << 50) as i64;
            let fits = debit.currency == credit.currency && debit != credit && amount > 0;
            let next = transfer(debit, credit, amount, phase);
            if !fits {
                let before = books.clone();
                expect(books.add(index, next), Code::BooksTransfer, "two currencies, one account or nothing");
                assert_eq!(books, before);
                continue;
            }
            (next, if phase == Phase::Pending { [1, 0] } else { [0, 1] })
        };
        let place = books.add(index, next.clone()).unwrap();
        for (side, id) in [(0, &next.debit), (2, &next.credit)] {
            let sums = apart.entry(id.clone()).or_default();
            sums[side] += by[0] * i128::from(next.amount);
            sums[side + 1] += by[1] * i128::from(next.amount);
        }
        if next.phase == Phase::Pending {
            pending.push((place, next));
        }
    }
    check(&books).unwrap();
    for (id, sums) in apart {
        let a = books.account(&id);
        assert_eq!([a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted], sums, "{id}");
    }
    assert!(books.sums().values().all(|(debits, credits)| debits == credits));
}

#[test]
fn random_transfers_keep_the_books() {
    (1..=20).for_each(|seed| random_books(500, &mut Draw(seed)));
}

#[test]
#[ignore = "10^6 transfers: infra/test.sh full"]
fn a_million_random_transfers_keep_the_books() {
    (1..=100).for_each(|seed| random_books(10_000, &mut Draw(seed)));
}

#[test]
fn a_pending_transfer_is_resolved_once_and_as_it_is() {
    let mut books = Books::default();
    let first = transfer(account(0), account(2), 500, Phase::Pending);
    let place = books.add(1, first.clone()).unwrap();
    let resolve = |phase, change: fn(&mut Transfer)| {
        let mut next = Transfer { phase, ..first.clone() };
        change(&mut next);
        next
    };
    let mut refused = |next: Transfer, what: &str| {
        let before = books.clone();
        expect(books.add(2, next), Code::BooksTransfer, what);
        assert_eq!(books, before, "{what}");
    };
    refused(resolve(Phase::Post(Place { index: 9, leg: 0 }), |_| {}), "no such transfer");
    refused(resolve(Phase::Post(place), |t| t.amount = 499), "another amount");
    refused(resolve(Phase::Post(place), |t| t.debit = account(4)), "another account");
    books.add(2, resolve(Phase::Post(place), |_| {})).unwrap();
    for phase in [Phase::Post(place), Phase::Void(place)] {
        expect(books.add(3, resolve(phase, |_| {})), Code::BooksTransfer, "resolved already");
    }
    let posted = Place { index: 2, leg: 0 };
    expect(books.add(3, resolve(Phase::Void(posted), |_| {})), Code::BooksTransfer, "it was never pending");
    check(&books).unwrap();
}

#[test]
fn what_is_held_for_others_is_never_overdrawn() {
    let of = |kind| AccountId { kind, ..account(0) };
    let cash = of(AccountKind::Cash);
    for (kind, debit_first) in
        [(AccountKind::Escrow, true), (AccountKind::PrincipalPool, true), (AccountKind::Suspense, false)]
    {
        let (held, mut books) = (of(kind), Books::default());
        let sides =
            |into: bool| if into == debit_first { (held.clone(), cash.clone()) } else { (cash.clone(), held.clone()) };
        let moved = |into: bool, amount, phase| {
            let (debit, credit) = sides(into);
            transfer(debit, credit, amount, phase)
        };
        expect(books.add(0, moved(false, 1, Phase::Posted)), Code::BooksOverdrawn, "nothing is there");
        books.add(0, moved(true, 100, Phase::Posted)).unwrap();
        books.add(1, moved(false, 60, Phase::Pending)).unwrap();
        expect(books.add(2, moved(false, 41, Phase::Posted)), Code::BooksOverdrawn, "pending counts");
        books.add(2, moved(false, 40, Phase::Posted)).unwrap();
        check(&books).unwrap();
    }
}
