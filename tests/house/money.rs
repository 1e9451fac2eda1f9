//! Money as people type it: payouts to data principals from weights to a proof, a statement of revenue, and the books, for
//! hledger and for the auditor.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use demo::actors::Tdp;
use demo::data::{self, TableKind};
use demo::house::process::sibling;
use demo::{House, TestClock};
use depa::contract::form::RoomPrice;
use schemas::Code;
use schemas::contract::{ContractRef, Pricing, TermKind, Trigger};
use schemas::id::DatasetId;
use schemas::money::{Currency, Minor};
use schemas::payout::PrincipalPool;
use serde_json::Value;

use crate::typed::Hand;
use crate::{echo_worker, not_run};

/// Spoils one thing of a document.
type Spoil = fn(&mut Value);

const PATIENCE: Duration = Duration::from_secs(120);
const DAY: i64 = 86_400;

/// A house whose first provider gives its data principals a tenth of its price of 500,000: at least 60 to each who is paid,
/// and to ten at least.
fn house(clock: demo::Clock) -> House {
    let mut house = House::in_process(clock, echo_worker()).unwrap();
    house.verify_participants().unwrap();
    house.approve_room().unwrap();
    house.open_for_business().unwrap();
    let tables = data::generate(data::SEED, 60);
    let pool = PrincipalPool { ppm: 100_000, minimum_minor: Minor::new(60).unwrap(), at_least: 10 };
    let offer = |tdp: &Tdp| {
        let own = (tdp.kind == TableKind::Icmr).then(|| pool.clone());
        tdp.offers_with(tables.of(tdp.kind), |description| description.principal_pool = own).unwrap()
    };
    let offers = house.tdps.iter().map(offer).collect();
    house.offers = offers;
    house
}

/// A contract that began so many days ago. The provider of rooms gets a tenth of the revenue of every 30 days.
fn sharing(house: &House, days: i64) -> ContractRef {
    let from = house.tdc.person.now().plus_seconds(-days * DAY);
    let contract = house.signed_contract(|form| {
        form.effective_from = Some(from);
        form.room_price = Some(RoomPrice {
            currency: Currency::parse("INR").unwrap(),
            amount_minor: Minor::new(0).unwrap(),
            kind: TermKind::RevenueShare,
            trigger: Trigger::Completed,
            pricing: Some(Pricing { period_days: Some(30), share_ppm: Some(100_000), ..Pricing::default() }),
        });
    });
    contract.unwrap()
}

/// A run of a contract that completes, and is paid.
fn paid(house: &House, contract: &ContractRef) {
    let job = house.job_with(&contract.id, |_| {}).unwrap();
    house.order_and_run(&job.bundle).unwrap();
    house.wait_until_settled(&contract.id, PATIENCE).unwrap();
}

#[test]
fn payouts_revenue_and_books_as_people_type_them() {
    let Ok(depa) = sibling("depa") else {
        return not_run("payouts_revenue_and_books_as_people_type_them", "depa is not built");
    };
    // Processes have the machine's clock.
    let house = house(contract_client::system_clock());
    let dataset = house.offers[0].sealed.dataset_id.clone();
    let (first, second) = (sharing(&house, 40), house.active_contract().unwrap());
    let [tdp, other] = [0, 1].map(|at: usize| Hand::of(&depa, &house, &house.tdps[at].person));
    paid(&house, &first);
    first_batch((&tdp, &other), &dataset);
    revenue(&depa, &house, &first);
    paid(&house, &second);
    second_batch(&tdp, &dataset);
    let sro = Hand::of(&depa, &house, house.sro.auditor());
    books_for_hledger(&sro);
    books_for_the_auditor(&sro, house.tdps[0].person.did.as_str());
}

/// Ten principals of weight 100, two of weight 1: of 50,000 the two have 50 each, which is carried forward.
fn first_batch((tdp, other): (&Hand<'_>, &Hand<'_>), dataset: &DatasetId) {
    let weights = |people: usize| -> String {
        let line = |n: usize| format!("p-{n:02},{}\n", if n < 10 { 100 } else { 1 });
        ["# pseudonym,weight\n".to_owned()].into_iter().chain((0..people).map(line)).collect()
    };
    fs::write(tdp.file("weights.csv"), weights(12)).unwrap();
    fs::write(tdp.file("few.csv"), weights(9)).unwrap();
    fs::write(tdp.file("wrong.csv"), "p-00,much\n").unwrap();
    let new = format!("payment payout new {dataset} --currency INR");
    tdp.refused(&format!("{new} --weights few.csv --out batch-1.json"), Code::PayoutPrincipals);
    tdp.refused(&format!("{new} --weights wrong.csv --out batch-1.json"), Code::ConfigInvalid);
    other.refused(&format!("payment payout show {dataset}"), Code::DatasetUnknown);
    assert!(!tdp.file("batch-1.json").exists(), "what is refused leaves no file in the way");

    let said = tdp.reads(&format!("{new} --weights weights.csv --out batch-1.json"));
    assert!(said.starts_with("batch 1 entered as entry "), "{said}");
    assert!(said.contains(": INR 499.00 to 10 of 12 principals, INR 1.00 carried forward"), "{said}");
    let again = tdp.json("payment payout enter batch-1.json");
    assert_eq!((&again["paid_minor"], &again["carried_out_minor"]), (&49_900.into(), &100.into()));
    let shown = tdp.json(&format!("payment payout show {dataset}"));
    assert_eq!(shown["batches"].as_array().unwrap().len(), 1, "it stands once: {shown}");
    assert_eq!((&shown["parts"][0]["amount_minor"], &shown["parts"][0]["split"]), (&50_000.into(), &true.into()));
    // Nothing was settled since.
    tdp.refused(&format!("{new} --before batch-1.json --out batch-2.json"), Code::PayoutPool);

    // A principal gets its own line and the way to the root, and needs no service to believe it.
    tdp.reads("payment payout prove batch-1.json --principal p-03 --out p-03.json");
    tdp.refused("payment payout prove batch-1.json --principal p-12 --out p-12.json", Code::NotFound);
    for private in ["batch-1.json", "p-03.json"] {
        assert_eq!(fs::metadata(tdp.file(private)).unwrap().permissions().mode() & 0o777, 0o600, "{private}");
    }
    let proof = fs::read_to_string(tdp.file("p-03.json")).unwrap();
    assert!((0..12).filter(|n| *n != 3).all(|n| !proof.contains(&format!("\"p-{n:02}\""))), "nobody else is named");
    let said = tdp.reads("payment payout verify p-03.json --registry http://127.0.0.1:1");
    assert!(said.contains("p-03 is paid INR 49.90, INR 0.00 carried forward"), "{said}");
    let spoilt: [(&str, Spoil); 5] = [
        ("paid", |proof| proof["line"]["paid_minor"] = 4_991.into()),
        ("share", |proof| {
            proof["line"]["share_minor"] = 4_991.into();
            proof["line"]["paid_minor"] = 4_991.into();
        }),
        ("name", |proof| proof["line"]["principal"] = "p-04".into()),
        ("weight", |proof| proof["line"]["weight"] = 101.into()),
        ("place", |proof| proof["index"] = (proof["index"].as_u64().unwrap() ^ 1).into()),
    ];
    for (what, change) in spoilt {
        tdp.spoil("p-03.json", &format!("{what}.json"), change);
        tdp.refused(&format!("payment payout verify {what}.json"), Code::PayoutProof);
    }

    // The provider and an auditor look at every line.
    let said = tdp.reads("payment payout verify batch-1.json --lines");
    assert!(said.contains("verified: 12 lines of batch 1"), "{said}");
    let spoilt: [(&str, Spoil); 3] = [
        ("line-weight", |file| file["lines"][4]["weight"] = 7.into()),
        ("line-paid", |file| file["lines"][4]["paid_minor"] = 1.into()),
        ("line-order", |file| file["lines"].as_array_mut().unwrap().swap(0, 1)),
    ];
    for (what, change) in spoilt {
        tdp.spoil("batch-1.json", &format!("{what}.json"), change);
        tdp.refused(&format!("payment payout verify {what}.json --lines"), Code::PayoutProof);
    }
}

/// What was carried forward is paid with the next settled price.
fn second_batch(tdp: &Hand<'_>, dataset: &DatasetId) {
    let new = format!("payment payout new {dataset} --currency INR --out batch-2.json");
    tdp.refused(&format!("{new} --weights weights.csv"), Code::PayoutChain);
    assert!(!tdp.file("batch-2.json").exists());
    let said = tdp.reads(&format!("{new} --before batch-1.json"));
    assert!(said.starts_with("batch 2 entered as entry "), "{said}");
    assert!(said.contains(": INR 501.00 to 12 of 12 principals, INR 0.00 carried forward"), "{said}");
    let said = tdp.reads("payment payout verify batch-2.json --lines --before batch-1.json");
    assert!(said.contains("verified: 12 lines of batch 2"), "{said}");
    tdp.refused("payment payout verify batch-2.json --lines", Code::PayoutChain);
    tdp.refused("payment payout verify batch-2.json --lines --before batch-2.json", Code::PayoutChain);
    tdp.reads("payment payout prove batch-2.json --principal p-11 --out p-11.json");
    let said = tdp.reads("payment payout verify p-11.json");
    assert!(said.contains("p-11 is paid INR 1.00"), "50 of before, 50 of now: {said}");
    // The receipt of one batch says nothing of another.
    let first: Value = serde_json::from_slice(&fs::read(tdp.file("p-03.json")).unwrap()).unwrap();
    tdp.spoil("p-11.json", "receipt.json", |proof| proof["receipt"] = first["receipt"].clone());
    tdp.refused("payment payout verify receipt.json", Code::ReceiptMismatch);
}

/// The consumer states what it earned in the 30 days that are over.
fn revenue(depa: &Path, house: &House, contract: &ContractRef) {
    let [tdc, ccrp] = [&house.tdc.person, &house.ccrp.person].map(|person| Hand::of(depa, house, person));
    let state = |term: &str, period: u32| {
        format!("payment revenue --contract {} --term {term} --period {period} --amount 12500000", contract.id)
    };
    ccrp.refused(&state("room", 0), Code::SignerNotParty);
    tdc.refused(&state("room", 1), Code::PaymentState);
    tdc.refused(&state("p1", 0), Code::PaymentState);
    tdc.refused(&state("none", 0), Code::PaymentUnknown);
    tdc.reads(&state("room", 0));
    tdc.refused(&state("room", 0), Code::PaymentState);
    house.wait_until_settled(&contract.id, PATIENCE).unwrap();

    // People read the major unit, programs the minor one.
    let (list, room) = (format!("payment list --contract {}", contract.id), &house.ccrp.person.did);
    let said = tdc.reads(&list);
    let shown = |amount: &str, payee: &dyn std::fmt::Display| {
        said.lines().find(|line| line.contains(amount) && line.ends_with(&format!("  {payee}"))).unwrap_or_default()
    };
    let line = shown("INR 12500.00  settled", room);
    assert!(line.contains("period 0"), "{said}");
    assert!(!shown("INR 5000.00", &house.tdps[0].person.did).is_empty(), "{said}");
    let told = tdc.json(&list);
    let own = told.as_array().unwrap().iter().find(|payment| payment["payee"] == room.as_str()).unwrap();
    assert_eq!((&own["amount_minor"], &own["period"]), (&1_250_000.into(), &0.into()));
}

/// What the library states is what the command states, also where time passes in the house alone.
#[test]
fn revenue_is_stated_once_its_period_is_over() {
    let clock = TestClock::default();
    let house = house(clock.clock());
    let contract = sharing(&house, 0);
    let tdc = &house.tdc.person;
    let state = |revenue| {
        let (place, revenue) = ((&contract.id, "room", 0), Minor::new(revenue).unwrap());
        depa::payment::state_revenue(tdc.desk().unwrap(), &tdc.key, &house.trust, place, revenue, tdc.now())
    };
    assert_eq!(state(7_000).unwrap_err().code, Code::PaymentState);
    clock.advance(30 * DAY);
    state(7_000).unwrap();
    assert_eq!(state(9_000).unwrap_err().code, Code::PaymentState);
    let payments = depa::payment::list(tdc.desk().unwrap(), Some(&contract.id)).unwrap();
    let [due] = payments.as_slice() else { panic!("{payments:?}") };
    assert_eq!((due.amount_minor.get(), due.period, &due.payee), (700, Some(0), &house.ccrp.person.did));
}

/// hledger's word on the journal, strictly; none where this machine has no hledger.
fn hledger(journal: &Path) -> Option<(bool, String)> {
    let output = Command::new("hledger").arg("-f").arg(journal).args(["check", "--strict", "ordereddates"]).output();
    let Ok(output) = output else {
        not_run("payouts_revenue_and_books_as_people_type_them, hledger's part", "hledger is not installed");
        return None;
    };
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Some((output.status.success(), text))
}

fn books_for_hledger(sro: &Hand<'_>) {
    let said = sro.reads("payment export --format hledger --out books.journal");
    assert!(said.contains("transfers in books.journal"), "{said}");
    let text = fs::read_to_string(sro.file("books.journal")).unwrap();
    for booked in ["set_aside", "paid_out"] {
        assert!(text.contains(booked), "{booked} in\n{text}");
    }
    let Some((good, said)) = hledger(&sro.file("books.journal")) else { return };
    assert!(good, "{said}\n{text}");
    let spoilt = text.replacen("INR 499.00\n", "INR 499.01\n", 1);
    assert_ne!(text, spoilt);
    fs::write(sro.file("spoilt.journal"), spoilt).unwrap();
    let (good, said) = hledger(&sro.file("spoilt.journal")).unwrap();
    assert!(!good, "one amount was changed: {said}");
}

fn books_for_the_auditor(sro: &Hand<'_>, party: &str) {
    let counts = sro.json("payment export --format json --out books.json");
    let (transfers, obligations) = (&counts["transfers"], &counts["obligations"]);
    sro.reads(&format!("payment export --format json --party {party} --out own.json"));
    sro.reads("audit export --out log.jsonl");
    let verify = |books: &str| format!("audit verify log.jsonl --books {books}");
    let said = sro.reads(&verify("books.json"));
    let all =
        format!("{transfers} of {transfers} transfers and {obligations} of {obligations} obligations are the log's");
    assert!(said.contains(&all), "{all} in\n{said}");
    // One party's part is fewer, and as true.
    let own: Value = serde_json::from_slice(&fs::read(sro.file("own.json")).unwrap()).unwrap();
    let shown = own["transfers"].as_array().unwrap().len();
    assert!((1..transfers.as_u64().unwrap()).contains(&(shown as u64)), "{shown} of {transfers}");
    let said = sro.reads(&verify("own.json"));
    assert!(said.contains(&format!("{shown} of {transfers} transfers")), "{said}");

    let spoilt: [(&str, Code, Spoil); 4] = [
        ("amount", Code::BooksTransfer, |books| books["transfers"][0]["amount_minor"] = 1.into()),
        ("twice", Code::BooksTransfer, |books| {
            let line = books["transfers"][0].clone();
            books["transfers"].as_array_mut().unwrap().push(line);
        }),
        ("owed", Code::BooksObligation, |books| books["obligations"][0]["amount_minor"] = 1.into()),
        ("unknown", Code::BooksObligation, |books| {
            books["obligations"][0]["instruction_id"] = "B".repeat(32).into();
        }),
    ];
    for (what, code, change) in spoilt {
        sro.spoil("books.json", &format!("{what}.json"), change);
        sro.refused(&verify(&format!("{what}.json")), code);
    }
}
