//! Files of a bank, and their oddities.

use std::fs;
use std::path::PathBuf;

use payment_adapter::Engine;
use schemas::Code;
use schemas::event::PaymentResult;

use crate::scene::{Scene, data};
use crate::systems::{Bank, Ending, System, camt, entry, pain002};

/// A bank whose batches of these instructions were handed over; the file's id with it.
fn handed(scene: &Scene, letters: &[char]) -> (Engine, String) {
    let bank = Bank::start(scene, Ending::Delay);
    let engine = Engine::open(&bank.config(scene), scene.clock()).unwrap();
    for letter in letters {
        engine.take(&scene.instructs(&data(*letter, 123_456))).unwrap();
    }
    assert_eq!(engine.pay().unwrap(), 1);
    let sent = fs::read_dir(scene.dir.join("bank/work/sent")).unwrap().next().unwrap().unwrap().file_name();
    let batch = sent.to_string_lossy().trim_start_matches("pain001-").trim_end_matches(".xml").to_owned();
    (engine, batch)
}

fn file(scene: &Scene, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = scene.dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn id(letter: char) -> String {
    String::from(letter).repeat(32)
}

fn state(engine: &Engine, letter: char) -> String {
    engine.status().unwrap().state_of(&id(letter)).unwrap().to_owned()
}

#[test]
fn a_report_moves_what_it_names_and_each_file_counts_once() {
    let scene = Scene::new();
    let (engine, _) = handed(&scene, &['A', 'B']);
    let pending = entry(&id('A'), "1234.56", "INR", "DBIT", "PDNG", "");
    let first = engine.import(&file(&scene, "1.xml", camt("052", "Rpt", "M1", &pending))).unwrap();
    assert_eq!((first.moved, first.known, state(&engine, 'A').as_str()), (1, false, "accepted"));
    let booked =
        entry(&id('A'), "1234.56", "INR", "DBIT", "BOOK", "") + &entry(&id('B'), "1234.560", "INR", "DBIT", "BOOK", "");
    let statement = file(&scene, "2.xml", camt("053", "Stmt", "M2", &booked));
    assert_eq!(engine.import(&statement).unwrap().moved, 2);
    let again = engine.import(&statement).unwrap();
    assert_eq!((again.known, again.moved, again.repeated), (true, 0, 0));
    // The same bookings in another kind of report are the same payments.
    let notice = engine.import(&file(&scene, "3.xml", camt("054", "Ntfctn", "M3", &booked))).unwrap();
    assert_eq!((notice.moved, notice.repeated, notice.unmatched), (0, 2, 0));
    // Another file under an id that is known.
    let forged = file(&scene, "4.xml", camt("053", "Stmt", "M2", ""));
    assert_eq!(engine.import(&forged).unwrap_err().code, Code::RequestReplayed);
    // The money comes back, and is told to have come back again.
    let back = entry(&id('A'), "1234.56", "INR", "CRDT", "BOOK", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>");
    assert_eq!(engine.import(&file(&scene, "5.xml", camt("054", "Ntfctn", "M5", &back))).unwrap().moved, 1);
    assert_eq!(engine.import(&file(&scene, "6.xml", camt("053", "Stmt", "M6", &back))).unwrap().repeated, 1);
    assert_eq!(state(&engine, 'A'), "returned");
    let note = engine.status().unwrap().instructions.iter().find(|i| i.instruction_id == id('A')).unwrap().note.clone();
    assert_eq!(note.as_deref(), Some("AC04"));
}

#[test]
fn the_contract_service_is_told_each_step_in_its_order_and_no_old_news() {
    use PaymentResult::{Accepted, Returned, Settled, Submitted};
    let booked = |letter| entry(&id(letter), "1234.56", "INR", "DBIT", "BOOK", "");
    let scene = Scene::new();
    let (engine, batch) = handed(&scene, &['A', 'B']);
    engine.answer().unwrap();
    engine.import(&file(&scene, "1.xml", pain002("S1", &batch, "ACCP", ""))).unwrap();
    engine.answer().unwrap();
    assert_eq!(scene.desk.words(&id('A')), [Submitted, Accepted]);
    let both = booked('A') + &booked('B');
    engine.import(&file(&scene, "2.xml", camt("053", "Stmt", "M2", &both))).unwrap();
    engine.answer().unwrap();
    let back = entry(&id('A'), "1234.56", "INR", "CRDT", "BOOK", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>");
    engine.import(&file(&scene, "3.xml", camt("054", "Ntfctn", "M3", &back))).unwrap();
    engine.answer().unwrap();
    assert_eq!(scene.desk.words(&id('A')), [Submitted, Accepted, Settled, Returned]);
    assert_eq!(scene.desk.words(&id('B')), [Submitted, Accepted, Settled]);

    // What nobody was told of the way is told by its end.
    let scene = Scene::new();
    let (engine, batch) = handed(&scene, &['A']);
    engine.import(&file(&scene, "1.xml", pain002("S1", &batch, "ACCP", ""))).unwrap();
    engine.import(&file(&scene, "2.xml", camt("053", "Stmt", "M2", &booked('A')))).unwrap();
    assert_eq!(engine.answer().unwrap(), 1);
    assert_eq!((scene.desk.words(&id('A')), scene.desk.calls()), (vec![Settled], 1));

    // A word about the way that the log does not want is dropped, and the end is told all the same.
    let scene = Scene::new();
    let (engine, _) = handed(&scene, &['A']);
    scene.desk.refuses(Code::PaymentState, "result");
    engine.answer().unwrap();
    let status = engine.status().unwrap();
    assert_eq!((status.answers_open, status.answers_refused, status.answers.len()), (0, 0, 0));
    scene.desk.relents();
    engine.import(&file(&scene, "1.xml", camt("053", "Stmt", "M1", &booked('A')))).unwrap();
    engine.answer().unwrap();
    assert_eq!(scene.desk.words(&id('A')), [Settled]);
}

#[test]
fn money_that_fits_no_instruction_is_told_for_suspense_once() {
    let scene = Scene::new();
    let (engine, _) = handed(&scene, &['A']);
    let no_details = "<Ntry><Amt Ccy=\"INR\">7.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts><AcctSvcrRef>FEE-1</AcctSvcrRef></Ntry>";
    let entries = [
        entry(&id('A'), "1234.57", "INR", "DBIT", "BOOK", ""),
        entry("SOMEBODY-ELSES", "5.00", "INR", "DBIT", "BOOK", ""),
        entry("NOTPROVIDED", "9.00", "EUR", "CRDT", "BOOK", ""),
        no_details.to_owned(),
    ]
    .concat();
    let imported = engine.import(&file(&scene, "1.xml", camt("053", "Stmt", "M1", &entries))).unwrap();
    assert_eq!((imported.moved, imported.unmatched), (0, 4));
    // An intraday report of the same bookings adds nothing.
    let imported = engine.import(&file(&scene, "2.xml", camt("052", "Rpt", "M2", &entries))).unwrap();
    assert_eq!((imported.unmatched, imported.repeated), (0, 4));
    let status = engine.status().unwrap();
    let mut whys: Vec<&str> = status.unmatched.iter().map(|u| u.why.as_str()).collect();
    whys.sort_unstable();
    assert_eq!(whys, ["amount", "unknown", "unknown", "unknown"]);
    assert_eq!(state(&engine, 'A'), "submitted");
    engine.answer().unwrap();
    let told = scene.desk.unmatched();
    assert_eq!(told.len(), 4);
    let named: Vec<_> = told.iter().filter_map(|u| u.instruction_id.clone()).collect();
    assert_eq!(named, [id('A')], "an id that is none of ours is not passed on");
}

#[test]
fn a_status_report_speaks_of_transactions_parts_or_the_whole_file() {
    let transaction = |letter, state: &str| {
        format!("<TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>{state}</TxSts></TxInfAndSts>", id(letter))
    };
    let cases: [(&str, String, [&str; 2]); 6] = [
        ("RJCT", String::new(), ["failed", "failed"]),
        ("ACCP", String::new(), ["accepted", "accepted"]),
        ("ACSC", String::new(), ["settled", "settled"]),
        ("PART", transaction('A', "ACSC") + &transaction('B', "RJCT"), ["settled", "failed"]),
        ("", transaction('A', "PDNG") + &transaction('B', "ACSP"), ["submitted", "accepted"]),
        ("", "<PmtInfSts>RJCT</PmtInfSts>".into(), ["failed", "failed"]),
    ];
    for (group, transactions, states) in cases {
        let scene = Scene::new();
        let (engine, batch) = handed(&scene, &['A', 'B']);
        let text = pain002("S1", &batch, group, &transactions);
        engine.import(&file(&scene, "1.xml", text)).unwrap();
        assert_eq!([state(&engine, 'A'), state(&engine, 'B')], states, "{group} {transactions}");
    }
    let scene = Scene::new();
    let (engine, _) = handed(&scene, &['A']);
    let unknown = engine.import(&file(&scene, "1.xml", pain002("S1", "another", "RJCT", ""))).unwrap();
    assert_eq!((unknown.refused, state(&engine, 'A').as_str()), (1, "submitted"));
    // A rejection after the money went is out of order.
    let booked = entry(&id('A'), "1234.56", "INR", "DBIT", "BOOK", "");
    engine.import(&file(&scene, "2.xml", camt("053", "Stmt", "M2", &booked))).unwrap();
    let late = engine.import(&file(&scene, "3.xml", pain002("S2", "b", "", &transaction('A', "RJCT")))).unwrap();
    assert_eq!((late.refused, state(&engine, 'A').as_str()), (1, "settled"));
}

#[test]
fn what_is_no_report_is_refused_whole() {
    let scene = Scene::new();
    let (engine, _) = handed(&scene, &['A']);
    let good = entry(&id('A'), "1234.56", "INR", "DBIT", "BOOK", "");
    let with = |from: &str, to: &str| camt("053", "Stmt", "M1", &(good.clone() + &good.replace(from, to)));
    let bomb = format!("<!DOCTYPE d [<!ENTITY a \"1234.56\">]>{}", camt("053", "Stmt", "M1", &good));
    let cases = [
        ("a bomb", bomb),
        ("an entity", with("1234.56", "&a;")),
        ("no amount", with("<Amt Ccy=\"INR\">1234.56</Amt>", "")),
        ("a float", with("1234.56", "1.23456e3")),
        ("a negative", with("1234.56", "-1234.56")),
        ("a comma", with("1234.56", "1234,56")),
        ("half a paisa", with("1234.56", "1234.565")),
        ("no currency", with("Ccy=\"INR\"", "")),
        ("gold", with("\"INR\"", "\"XAU\"")),
        ("no way", with("<CdtDbtInd>DBIT</CdtDbtInd>", "")),
        ("another status", with("<Cd>BOOK</Cd>", "<Cd>MAYB</Cd>")),
        ("another message", camt("053", "Stmt", "M1", &good).replace("camt.053", "camt.086")),
        ("a message in another's clothes", camt("053", "Stmt", "M1", &good).replace("camt.053", "pain.002")),
        ("no namespace", camt("053", "Stmt", "M1", &good).replace("xmlns", "x")),
        ("no id", camt("053", "Stmt", "", &good)),
        ("a long id", camt("053", "Stmt", &"M".repeat(36), &good)),
        ("cut off", camt("053", "Stmt", "M1", &good).replace("</Document>", "")),
        ("nothing", String::new()),
    ];
    for (what, text) in cases {
        assert_eq!(engine.import(&file(&scene, "1.xml", text)).unwrap_err().code, Code::PaymentFile, "{what}");
        assert_eq!(state(&engine, 'A'), "submitted", "{what}");
    }
    let large = format!("{}<!--{}-->", camt("053", "Stmt", "M1", &good), "x".repeat(1024 * 1024));
    assert_eq!(engine.import(&file(&scene, "1.xml", large)).unwrap_err().code, Code::BodyTooLarge);
    assert_eq!(engine.import(&scene.dir.join("missing.xml")).unwrap_err().code, Code::PaymentFile);
    assert_eq!(engine.import(&file(&scene, "1.xml", camt("053", "Stmt", "M1", &good))).unwrap().moved, 1);
}

#[test]
fn several_payments_in_one_booking_are_told_apart_by_their_own_amounts() {
    let details = |letter, amount: &str| {
        let amount = if amount.is_empty() { String::new() } else { format!("<Amt Ccy=\"INR\">{amount}</Amt>") };
        format!("<TxDtls><Refs><EndToEndId>{}</EndToEndId></Refs>{amount}</TxDtls>", id(letter))
    };
    let booking = |details: &str| {
        format!(
            "<Ntry><Amt Ccy=\"INR\">2469.12</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
             <AcctSvcrRef>SUM-1</AcctSvcrRef><NtryDtls>{details}</NtryDtls></Ntry>"
        )
    };
    let scene = Scene::new();
    let (engine, _) = handed(&scene, &['A', 'B']);
    let blind = booking(&(details('A', "") + &details('B', "")));
    let refused = engine.import(&file(&scene, "1.xml", camt("053", "Stmt", "M1", &blind))).unwrap_err();
    assert_eq!(refused.code, Code::PaymentFile);
    let seen = booking(&(details('A', "1234.56") + &details('B', "1234.56")));
    let imported = engine.import(&file(&scene, "2.xml", camt("053", "Stmt", "M1", &seen))).unwrap();
    assert_eq!((imported.moved, imported.unmatched), (2, 0));
}

#[test]
fn the_inbox_is_emptied_into_what_was_read_and_what_was_refused() {
    let scene = Scene::new();
    let (engine, _) = handed(&scene, &['A']);
    let inbox = scene.dir.join("bank/in");
    fs::write(inbox.join("1.xml"), camt("053", "Stmt", "M1", &entry(&id('A'), "1234.56", "INR", "DBIT", "BOOK", "")))
        .unwrap();
    fs::write(inbox.join("2.xml"), "<!DOCTYPE x><x/>").unwrap();
    fs::write(inbox.join(".3.xml"), "half").unwrap();
    assert!(engine.look().unwrap() >= 2);
    assert_eq!(state(&engine, 'A'), "settled");
    assert!(inbox.join("done/1.xml").exists() && inbox.join("refused/2.xml").exists() && inbox.join(".3.xml").exists());
    let why = fs::read_to_string(inbox.join("refused/2.why")).unwrap();
    assert!(why.starts_with("PAYMENT_FILE"), "{why}");
}
