//! Prices of every kind: what may be registered, what each comes to, and that amounts add up whatever they are.

use policies::payment::{Occasion, RunFacts, Tally, amount, due, estimate, parts, plain, revenue, term_owes, worst};
use policies::registration::{contract, offer};
use policies::{Code, R};
use schemas::contract::{ContractRef, Discount, PaymentTerm, Pricing, Rounding, Tax, TermKind, Tier, Trigger};
use schemas::dataset::{DatasetOffer, PriceTerm};
use schemas::digest::Digest;
use schemas::event::Line;
use schemas::id::RunId;
use schemas::money::{Currency, Minor};
use schemas::time::Timestamp;

use crate::fixtures::{CCRP, House, REGISTRY, did, digest, expect, id, now, plan, provider, read, spoilt};

const TAX_OFFICE: &str = "did:web:tax.example";

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

/// The first price of the first offer and the contract's copy of it, changed alike.
fn priced(house: &mut House, change: impl Fn(&mut PriceTerm)) {
    let price = &mut house.offers[0].payment[0];
    change(price);
    let price = price.clone();
    let term = &mut house.contracts[0].payment[0];
    (term.kind, term.amount_minor, term.trigger) = (price.kind, price.amount_minor, price.trigger);
    (term.payees, term.pricing) = (price.payees, price.pricing);
    term.dataset_id = Some(house.offers[0].dataset_id.clone());
    house.link();
}

fn of_kind(kind: TermKind) -> impl Fn(&mut PriceTerm) {
    move |price| {
        price.kind = kind;
        let mut pricing = Pricing::default();
        match kind {
            TermKind::Subscription => pricing.period_days = Some(30),
            TermKind::RevenueShare => {
                price.amount_minor = minor(0);
                (pricing.period_days, pricing.share_ppm) = (Some(90), Some(50_000));
            }
            TermKind::PerComputeHour => pricing.unit_count = Some(3600),
            TermKind::PerEpsilon => pricing.unit_count = Some(1_000_000),
            TermKind::PerEpoch => pricing.cap_minor = Some(minor(9_000_000)),
            _ => {}
        }
        price.pricing = Some(pricing).filter(|p| *p != Pricing::default());
    }
}

fn house_of(kind: TermKind) -> House {
    let mut house = House::new();
    priced(&mut house, of_kind(kind));
    house
}

fn registered(house: &House) -> R<()> {
    house.offers.iter().try_for_each(|o| offer(o, &did(REGISTRY), now()))?;
    let offers: Vec<(Digest, &DatasetOffer)> = house.offers.iter().map(|o| (digest(o), o)).collect();
    contract(&house.contracts[0], &offers, &did(REGISTRY), now())
}

const KINDS: [TermKind; 9] = [
    TermKind::PerRun,
    TermKind::Fixed,
    TermKind::PerEpoch,
    TermKind::PerRecord,
    TermKind::PerEpsilon,
    TermKind::PerComputeHour,
    TermKind::Subscription,
    TermKind::RevenueShare,
    TermKind::Escrow,
];

#[test]
fn every_kind_is_offered_contracted_and_put_in_words() {
    for kind in KINDS {
        let house = house_of(kind);
        assert_eq!(registered(&house), Ok(()), "{kind:?}");
        let words = plain(&house.contracts[0].payment[0]);
        assert!(words.starts_with("p0: ") && words.contains(&provider(0)), "{words}");
    }
    let hour = plain(&house_of(TermKind::PerComputeHour).contracts[0].payment[0]);
    assert!(hour.contains("500000 minor units for every hour from check-in to completion, by the second"), "{hour}");
    let deposit = plain(&house_of(TermKind::Escrow).contracts[0].payment[0]);
    assert!(deposit.contains("blocked before the run, paid when it completes, returned if it does not"), "{deposit}");
}

/// An offer of one kind with one thing spoilt.
fn offered(kind: TermKind, change: impl Fn(&mut PriceTerm)) -> R<()> {
    let mut house = house_of(kind);
    change(&mut house.offers[0].payment[0]);
    house.offers.iter().try_for_each(|o| offer(o, &did(REGISTRY), now()))
}

fn pricing(change: impl Fn(&mut Pricing)) -> impl Fn(&mut PriceTerm) {
    move |price| change(price.pricing.get_or_insert_with(Pricing::default))
}

#[test]
fn members_of_a_price_fit_its_kind() {
    let tier = |from| Tier { from, amount_minor: minor(1) };
    let tax =
        |gst_ppm, tds_ppm, to: bool| Tax { gst_ppm, gst_payee: None, tds_ppm, tds_payee: to.then(|| did(TAX_OFFICE)) };
    type Spoil = Box<dyn Fn(&mut PriceTerm)>;
    let rows: Vec<(TermKind, &str, Spoil)> = vec![
        (
            TermKind::Free,
            "a free term with pricing",
            Box::new(|p| (p.amount_minor, p.pricing) = (minor(0), Some(Pricing::default()))),
        ),
        (
            TermKind::PerEpoch,
            "what only a completion tells, at release",
            Box::new(|p| p.trigger = Trigger::KeysReleased),
        ),
        (TermKind::PerComputeHour, "hours at release", Box::new(|p| p.trigger = Trigger::KeysReleased)),
        (TermKind::Subscription, "periods at release", Box::new(|p| p.trigger = Trigger::KeysReleased)),
        (TermKind::PerRun, "units of runs", Box::new(pricing(|p| p.unit_count = Some(2)))),
        (TermKind::PerRecord, "no unit", Box::new(pricing(|p| p.unit_count = Some(0)))),
        (TermKind::Fixed, "steps of what is owed once", Box::new(pricing(move |p| p.tiers = vec![tier(1)]))),
        (TermKind::PerRecord, "steps that fall", Box::new(pricing(move |p| p.tiers = vec![tier(5), tier(5)]))),
        (TermKind::PerRecord, "a step at nothing", Box::new(pricing(move |p| p.tiers = vec![tier(0)]))),
        (TermKind::PerRecord, "nine steps", Box::new(pricing(move |p| p.tiers = (1..10).map(tier).collect()))),
        (TermKind::Subscription, "no period", Box::new(pricing(|p| p.period_days = None))),
        (TermKind::PerRun, "a period of a run", Box::new(pricing(|p| p.period_days = Some(1)))),
        (TermKind::Subscription, "a period of no day", Box::new(pricing(|p| p.period_days = Some(0)))),
        (TermKind::RevenueShare, "no share", Box::new(pricing(|p| p.share_ppm = None))),
        (TermKind::PerRun, "a share of no revenue", Box::new(pricing(|p| p.share_ppm = Some(1)))),
        (TermKind::RevenueShare, "more than all", Box::new(pricing(|p| p.share_ppm = Some(1_000_001)))),
        (TermKind::RevenueShare, "a price beside the share", Box::new(|p| p.amount_minor = minor(1))),
        (TermKind::PerRun, "due in two years", Box::new(pricing(|p| p.due_days = Some(367)))),
        (
            TermKind::PerRecord,
            "a floor above the cap",
            Box::new(pricing(|p| (p.floor_minor, p.cap_minor) = (Some(minor(2)), Some(minor(1))))),
        ),
        (TermKind::PerRecord, "a cap of nothing", Box::new(pricing(|p| p.cap_minor = Some(minor(0))))),
        (TermKind::Escrow, "a capped deposit", Box::new(pricing(|p| p.cap_minor = Some(minor(1))))),
        (TermKind::PerRun, "tax of nothing", Box::new(pricing(move |p| p.tax = Some(tax(0, 0, false))))),
        (TermKind::PerRun, "tax for nobody", Box::new(pricing(move |p| p.tax = Some(tax(0, 1, false))))),
        (TermKind::PerRun, "all withheld", Box::new(pricing(move |p| p.tax = Some(tax(0, 1_000_000, true))))),
        (TermKind::PerRun, "tax above all", Box::new(pricing(move |p| p.tax = Some(tax(1_000_001, 0, false))))),
    ];
    for (kind, what, spoil) in rows {
        expect(offered(kind, spoil), Code::OfferInvalid, what);
    }
}

#[test]
fn discounts_are_the_offers_and_open_to_all() {
    let volume = Discount { discount_id: "many".into(), off_ppm: 100_000, purpose: None, after_runs: Some(3) };
    let research = Discount { purpose: Some("RESEARCH".into()), ..volume.clone() };
    let house = || {
        let mut house = House::new();
        house.offers[0].discounts =
            vec![volume.clone(), Discount { discount_id: "research".into(), ..research.clone() }];
        house.contracts[0].payment[0].discount = Some(volume.clone());
        house.link();
        house
    };
    assert_eq!(registered(&house()), Ok(()));
    let judge = |spoil: &dyn Fn(&mut House)| {
        let mut house = house();
        spoil(&mut house);
        house.link();
        registered(&house)
    };
    let discount = |h: &mut House, change: fn(&mut Discount)| change(&mut h.offers[0].discounts[0]);
    expect(judge(&|h| discount(h, |d| d.off_ppm = 0)), Code::OfferInvalid, "nothing off");
    expect(judge(&|h| discount(h, |d| d.off_ppm = 1_000_000)), Code::OfferInvalid, "all off");
    expect(judge(&|h| discount(h, |d| d.after_runs = None)), Code::OfferInvalid, "for whomever the provider likes");
    expect(judge(&|h| discount(h, |d| d.after_runs = Some(0))), Code::OfferInvalid, "after no run");
    expect(judge(&|h| discount(h, |d| d.discount_id = "MANY".into())), Code::OfferInvalid, "its id");
    expect(judge(&|h| discount(h, |d| d.discount_id = "research".into())), Code::OfferInvalid, "one id twice");
    let taken = |h: &mut House, change: &dyn Fn(&mut Discount)| {
        change(h.contracts[0].payment[0].discount.as_mut().unwrap());
    };
    expect(judge(&|h| taken(h, &|d| d.off_ppm += 1)), Code::TermsNotOffer, "more off than offered");
    expect(
        judge(&|h| taken(h, &|d| *d = Discount { discount_id: "research".into(), ..research.clone() })),
        Code::TermsNotOffer,
        "another purpose",
    );
    let fee = |h: &mut House| {
        let mut fee = h.contracts[0].payment[0].clone();
        (fee.term_id, fee.payees[0].did) = ("room".into(), did(CCRP));
        h.contracts[0].payment[0].discount = None;
        h.contracts[0].payment.push(fee);
    };
    expect(judge(&fee), Code::TermsNotOffer, "a discount of no offer");
}

#[test]
fn a_contract_copies_every_member_of_a_price() {
    type Spoil = fn(&mut PaymentTerm);
    let rows: [(Code, Spoil); 8] = [
        (Code::TermsNotOffer, |t| t.trigger = Trigger::KeysReleased),
        (Code::TermsNotOffer, |t| t.pricing.as_mut().unwrap().unit_count = Some(100)),
        (Code::TermsNotOffer, |t| t.pricing.as_mut().unwrap().cap_minor = Some(minor(1))),
        (Code::TermsNotOffer, |t| t.pricing.as_mut().unwrap().rounding = Some(Rounding::Up)),
        (Code::TermsNotOffer, |t| t.pricing.as_mut().unwrap().due_days = Some(30)),
        (Code::ContractIncomplete, |t| t.dataset_id = None),
        (Code::ContractIncomplete, |t| t.dataset_id = Some(read(id("dst", 9).into()))),
        (Code::TermsNotOffer, |t| t.dataset_id = Some(read(id("dst", 1).into()))),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        let mut house = House::new();
        priced(&mut house, |p| {
            p.kind = TermKind::PerRecord;
            p.pricing = Some(Pricing { unit_count: Some(1000), ..Pricing::default() });
        });
        assert_eq!(registered(&house), Ok(()));
        spoil(&mut house.contracts[0].payment[0]);
        expect(registered(&house), code, &format!("row {at}"));
    }
    let mut house = House::new();
    priced(&mut house, |p| (p.kind, p.amount_minor) = (TermKind::PerEpoch, minor(1 << 40)));
    expect(registered(&house), Code::LimitExceeded, "more than can be written, without a cap");
    let mut named = house_of(TermKind::PerRecord);
    named.contracts[0].payment[0].pricing = Some(Pricing { floor_minor: Some(minor(1)), ..Pricing::default() });
    let sentence = registered(&named).unwrap_err().sentence;
    assert!(sentence.contains("pricing: floor_minor are not the offer's"), "{sentence}");
}

fn term(kind: TermKind, price: i64, pricing: Pricing) -> PaymentTerm {
    let mut term = House::new().contracts[0].payment[0].clone();
    (term.kind, term.amount_minor, term.pricing) = (kind, minor(price), Some(pricing));
    term.dataset_id = Some(read(id("dst", 0).into()));
    term
}

#[test]
fn amounts_follow_units_steps_discounts_floors_and_caps() {
    let cost = |t: &PaymentTerm, before, units| amount(t, Tally { units: before, times: 0 }, units).unwrap().get();
    let per_thousand = Pricing { unit_count: Some(1000), ..Pricing::default() };
    let mut t = term(TermKind::PerRecord, 7, per_thousand.clone());
    assert_eq!((cost(&t, 0, 1000), cost(&t, 0, 999), cost(&t, 0, 2119)), (7, 6, 14));
    t.pricing.as_mut().unwrap().rounding = Some(Rounding::Up);
    assert_eq!((cost(&t, 0, 999), cost(&t, 0, 1000)), (7, 7));
    t.pricing.as_mut().unwrap().rounding = Some(Rounding::HalfUp);
    // 7 × 500 / 1000 = 3.5 and 7 × 499 / 1000 = 3.493.
    assert_eq!((cost(&t, 0, 500), cost(&t, 0, 499)), (4, 3));

    // 10 each up to the tenth unit, then 8 each up to the twentieth, then 5.
    let tiers = vec![Tier { from: 10, amount_minor: minor(8) }, Tier { from: 20, amount_minor: minor(5) }];
    let mut t = term(TermKind::PerRun, 10, Pricing { tiers, ..Pricing::default() });
    assert_eq!((cost(&t, 0, 1), cost(&t, 9, 1), cost(&t, 10, 1), cost(&t, 20, 1)), (10, 10, 8, 5));
    assert_eq!(cost(&t, 5, 20), 5 * 10 + 10 * 8 + 5 * 5);
    assert_eq!(worst(&t, 20).unwrap().get(), 200, "every unit at the dearest step");
    t.discount = Some(Discount { discount_id: "d".into(), off_ppm: 500_000, purpose: None, after_runs: Some(2) });
    let after = |times, units| amount(&t, Tally { units: 0, times }, units).unwrap().get();
    assert_eq!((after(1, 1), after(2, 1)), (10, 5));

    let bounded = Pricing { floor_minor: Some(minor(50)), cap_minor: Some(minor(90)), ..Pricing::default() };
    let t = term(TermKind::PerEpoch, 10, bounded);
    assert_eq!((cost(&t, 0, 0), cost(&t, 0, 7), cost(&t, 0, 1000)), (50, 70, 90));
    assert_eq!(cost(&t, 0, u64::from(u32::MAX)), 90);

    let share = Pricing { share_ppm: Some(50_000), floor_minor: Some(minor(1000)), ..Pricing::default() };
    let t = term(TermKind::RevenueShare, 0, share);
    let stated = |t: &PaymentTerm, before, amount, part| revenue(t, before, minor(amount), part).unwrap().get();
    let whole = (1, 1);
    assert_eq!((stated(&t, 0, 100_001, whole), stated(&t, 0, 10, whole)), (5000, 1000));
    // Of a period that is covered in part the floor is that part, rounded as the term says.
    assert_eq!((stated(&t, 0, 10, (1, 3)), stated(&t, 0, 10, (0, 3)), stated(&t, 0, 10, (9, 3))), (333, 0, 1000));
    let mut discounted = t.clone();
    discounted.discount =
        Some(Discount { discount_id: "d".into(), off_ppm: 500_000, purpose: None, after_runs: Some(2) });
    let after = |before| stated(&discounted, before, 100_000, whole);
    assert_eq!(
        (after(1), after(2), stated(&discounted, 2, 10, whole)),
        (5000, 2500, 1000),
        "once, and not of the floor"
    );
    assert_eq!(stated(&t, 0, (1 << 53) - 1, whole), ((1_i64 << 53) - 1) / 20);

    let huge = term(TermKind::PerRecord, (1 << 53) - 1, Pricing::default());
    expect(amount(&huge, Tally::default(), 2), Code::LimitExceeded, "beyond a document's integers");
    expect(amount(&huge, Tally { units: u64::MAX, times: 0 }, 1), Code::LimitExceeded, "units overflow");
    expect(amount(&huge, Tally::default(), u64::MAX), Code::LimitExceeded, "products overflow");
}

#[test]
fn tax_lines_stand_beside_the_price() {
    let tax = Tax { gst_ppm: 180_000, gst_payee: None, tds_ppm: 100_000, tds_payee: Some(did(TAX_OFFICE)) };
    let mut t = term(TermKind::PerRun, 1001, Pricing { tax: Some(tax), ..Pricing::default() });
    t.payees =
        read(serde_json::json!([{"did": provider(0), "share_ppm": 500_000}, {"did": CCRP, "share_ppm": 500_000}]));
    let lines: Vec<_> = parts(&t, minor(1001)).unwrap();
    let shown: Vec<_> = lines.iter().map(|p| (p.line, p.to.as_str(), p.amount.get())).collect();
    let first = provider(0);
    assert_eq!(
        shown,
        [
            (None, first.as_str(), 451),
            (Some(Line::Tds), TAX_OFFICE, 50),
            (Some(Line::Gst), first.as_str(), 90),
            (None, CCRP, 450),
            (Some(Line::Tds), TAX_OFFICE, 50),
            (Some(Line::Gst), CCRP, 90),
        ]
    );
    let house = House::new();
    let run: RunId = read(id("run", 1).into());
    let owed = term_owes(&t, &house.job.contracts[0], Occasion::Run(&run), minor(1001)).unwrap();
    let ids: std::collections::BTreeSet<_> = owed.iter().map(|o| o.instruction_id.clone()).collect();
    assert_eq!((owed.len(), ids.len()), (6, 6), "every line has an id of its own");
}

#[test]
fn quantities_are_public_attested_or_the_logs() {
    let house = House::new();
    let plan = plan();
    let run: RunId = read(id("run", 1).into());
    let contract = |t: PaymentTerm| {
        let mut contract = house.contracts[0].clone();
        contract.payment = vec![t];
        contract
    };
    let owed = |t: &PaymentTerm, facts: &RunFacts<'_>| {
        let contract = contract(t.clone());
        let reference = ContractRef { id: contract.contract_id.clone(), sha256: digest(&contract) };
        let due = due(t.trigger, (&reference, &contract), facts, |_| Tally::default()).unwrap();
        due.first().map(|owed| (owed.units, owed.obligations.iter().map(|o| o.amount_minor.get()).sum::<i64>()))
    };
    let (from, to) = (Timestamp::from_seconds(1000), Timestamp::from_micros(1_000_000_000 + 3_600_000_001));
    let nothing = RunFacts { run: &run, job: &house.job, steps: None, charges: &[], time: None };
    let all = RunFacts { steps: Some(198), charges: &plan.charges, time: Some((from, to)), ..nothing };
    let plainly = |kind| term(kind, 10, Pricing::default());
    assert_eq!(
        owed(&plainly(TermKind::PerRecord), &nothing),
        Some((house.contracts[0].datasets[0].public_rows, 10 * house.contracts[0].datasets[0].public_rows as i64))
    );
    assert_eq!(owed(&plainly(TermKind::PerComputeHour), &nothing), None);
    assert_eq!(owed(&plainly(TermKind::PerComputeHour), &all), Some((3601, 36_010)), "a begun second counts");
    assert_eq!(owed(&plainly(TermKind::PerEpsilon), &nothing), None);
    let micro = plan.charges[0].epsilon_micro;
    assert_eq!(owed(&plainly(TermKind::PerEpsilon), &all), Some((micro, 10 * micro as i64)));
    assert_eq!(owed(&plainly(TermKind::PerEpoch), &nothing), None);
    let (epochs, _) = owed(&plainly(TermKind::PerEpoch), &all).unwrap();
    assert_eq!(epochs, policies::payment::epochs(&house.job, 198).unwrap());
    assert_eq!(owed(&plainly(TermKind::Subscription), &all), None, "periods are the clock's");
    assert_eq!(owed(&plainly(TermKind::Escrow), &all), None, "deposits are the order's");
    // A term of a dataset that the job does not use.
    let mut elsewhere = plainly(TermKind::PerRecord);
    elsewhere.dataset_id = Some(read(id("dst", 9).into()));
    assert_eq!(owed(&elsewhere, &all), None);
    // Once per contract.
    let fixed = contract(plainly(TermKind::Fixed));
    let reference = ContractRef { id: fixed.contract_id.clone(), sha256: digest(&fixed) };
    let again = due(Trigger::Completed, (&reference, &fixed), &all, |_| Tally { units: 1, times: 1 }).unwrap();
    assert_eq!(again, []);
}

#[test]
fn an_estimate_says_what_is_expected_at_most_and_beforehand() {
    let mut house = House::new();
    let mut deposit = house.contracts[0].payment[0].clone();
    (deposit.term_id, deposit.kind, deposit.payees[0].did) = ("deposit".into(), TermKind::Escrow, did(CCRP));
    let mut hours = term(TermKind::PerComputeHour, 3600, Pricing { unit_count: Some(3600), ..Pricing::default() });
    (hours.term_id, hours.dataset_id, hours.trigger) = ("hours".into(), None, Trigger::Completed);
    house.contracts[0].payment.extend([deposit, hours]);
    house.contracts[0].payment[0].trigger = Trigger::KeysReleased;
    house.link();
    let pairs: Vec<_> = house.job.contracts.iter().zip(&house.contracts).collect();
    let shown = |seconds| estimate(&house.job, &pairs, &[], seconds).unwrap();
    let by = |all: &[policies::payment::Estimate], id: &str| all.iter().find(|e| e.term_id == id).unwrap().clone();
    let all = shown(None);
    assert!(by(&all, "p0").owed_if_failed && !by(&all, "p1").owed_if_failed);
    assert!(by(&all, "deposit").blocked_first && by(&all, "deposit").expected_minor == Some(minor(500_000)));
    assert_eq!((by(&all, "hours").expected_minor, by(&all, "hours").most_minor), (None, None), "nothing bounds it");
    assert_eq!(by(&shown(Some(7200)), "hours").expected_minor, Some(minor(7200)));
}

/// Random numbers that are the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below.max(1)
    }

    fn term(&mut self, base: &PaymentTerm) -> PaymentTerm {
        let mut t = base.clone();
        let most = [10, 1 << 20, (1 << 53) - 1][self.below(3) as usize];
        t.amount_minor = minor(self.below(most) as i64);
        let mut shares = Vec::new();
        let mut rest = 1_000_000_u32;
        while rest > 0 && shares.len() < 5 {
            let share = if shares.len() == 4 { rest } else { self.below(u64::from(rest)) as u32 + 1 };
            shares.push(share);
            rest -= share;
        }
        let payee = |(n, share_ppm)| schemas::contract::Payee { did: did(&format!("did:web:p{n}.example")), share_ppm };
        t.payees = shares.into_iter().enumerate().map(payee).collect();
        let mut pricing = Pricing { unit_count: Some(self.below(1_000_000) + 1), ..Pricing::default() };
        let mut from = 0;
        for _ in 0..self.below(4) {
            from += self.below(1000) + 1;
            pricing.tiers.push(Tier { from, amount_minor: minor(self.below(1 << 30) as i64) });
        }
        let floor = self.below(1 << 20) as i64;
        pricing.floor_minor = (self.below(2) == 0).then(|| minor(floor));
        pricing.cap_minor = (self.below(2) == 0).then(|| minor(floor + self.below(1 << 40) as i64 + 1));
        pricing.rounding =
            [None, Some(Rounding::Down), Some(Rounding::Up), Some(Rounding::HalfUp)][self.below(4) as usize];
        let tds_ppm = self.below(999_999) as u32;
        pricing.tax = (self.below(2) == 0).then(|| Tax {
            gst_ppm: self.below(1_000_001) as u32,
            gst_payee: None,
            tds_ppm,
            tds_payee: (tds_ppm > 0).then(|| did(TAX_OFFICE)),
        });
        let off_ppm = self.below(999_999) as u32 + 1;
        t.discount = (self.below(3) == 0).then(|| Discount {
            discount_id: "d".into(),
            off_ppm,
            purpose: None,
            after_runs: None,
        });
        t.pricing = Some(pricing);
        t
    }
}

/// For random terms and quantities: prices and withheld tax add up to the amount, which keeps its floor and its cap, is
/// never negative, grows with the quantity, and stays within one minor unit of the exact quotient; what cannot be written
/// is refused.
fn amounts_add_up(cases: u32) {
    let (base, mut draw) = (term(TermKind::PerRecord, 1, Pricing::default()), Draw(88_172_645_463_325_252));
    let (mut refused, mut owed) = (0, 0);
    for case in 0..cases {
        let t = draw.term(&base);
        let pricing = t.pricing.clone().unwrap();
        let before = Tally { units: draw.below(3000), times: 0 };
        let most = [10, 5000, 1 << 40][draw.below(3) as usize];
        let units = draw.below(most);
        let judged = amount(&t, before, units);
        let exact = exact(&t, before.units, units);
        let Ok(sum) = judged else {
            assert!(exact >= f64::from(2).powi(52), "case {case}: {exact} was refused");
            refused += 1;
            continue;
        };
        owed += 1;
        let (floor, cap) = (pricing.floor_minor.map_or(0, Minor::get), pricing.cap_minor.map_or(i64::MAX, Minor::get));
        assert!((floor..=cap).contains(&sum.get()), "case {case}: {sum:?}");
        let clamped = exact.max(floor as f64).min(cap as f64);
        assert!((sum.get() as f64 - clamped).abs() <= 1.0 + clamped * 1e-9, "case {case}: {sum:?} for {clamped}");
        if let Ok(more) = amount(&t, before, units + 1) {
            assert!(more >= sum, "case {case}: less for more");
        }
        let parts = match parts(&t, sum) {
            Ok(parts) => parts,
            Err(refusal) => {
                assert_eq!(refusal.code, Code::LimitExceeded);
                continue;
            }
        };
        let price: i64 = parts.iter().filter(|p| p.line != Some(Line::Gst)).map(|p| p.amount.get()).sum();
        assert_eq!(price, sum.get(), "case {case}");
        assert!(parts.iter().all(|p| p.amount.get() >= 0), "case {case}");
    }
    assert!(refused > cases / 1000 && owed > cases / 2, "{refused} refused, {owed} owed");
}

/// The price as a double: an oracle of another kind, good to its precision.
fn exact(t: &PaymentTerm, before: u64, units: u64) -> f64 {
    let pricing = t.pricing.clone().unwrap();
    let mut sum = 0.0;
    let mut starts = vec![(0_u64, t.amount_minor.get())];
    starts.extend(pricing.tiers.iter().map(|tier| (tier.from, tier.amount_minor.get())));
    for (at, (from, price)) in starts.iter().enumerate() {
        let to = starts.get(at + 1).map_or(u64::MAX, |(next, _)| *next);
        let inside = (before + units).min(to).saturating_sub(before.max(*from));
        sum += inside as f64 * *price as f64;
    }
    let left = 1.0 - t.discount.as_ref().map_or(0.0, |d| f64::from(d.off_ppm) / 1e6);
    sum * left / pricing.unit_count.unwrap_or(1) as f64
}

#[test]
fn amounts_add_up_whatever_the_term() {
    amounts_add_up(20_000);
}

#[test]
#[ignore = "long: the same with a million terms"]
fn amounts_add_up_for_a_million_terms() {
    amounts_add_up(1_000_000);
}

#[test]
fn money_of_another_currency_is_another_price() {
    let judge = |house: &House| registered(house);
    spoilt(
        judge,
        &[(Code::TermsNotOffer, |h| {
            h.contracts[0].payment[0].currency = Currency::parse("EUR").unwrap();
        })],
    );
}
