//! Money of ours that is seen again from another side: a block on the adapter's own account, a payment that was thought to
//! have failed, refunds of our own. None of it is a stranger's, and no stranger's money passes for it.

use std::path::PathBuf;

use payment_adapter::Engine;
use payment_adapter::config::Config;
use schemas::Code;
use schemas::event::PaymentResult;
use serde_json::{Value, json};

use crate::scene::{Scene, data};
use crate::systems::{Bank, Cards, Ending, System, UpiServer, camt, entry, event, pain002};

fn id(letter: char) -> String {
    String::from(letter).repeat(32)
}

fn block(letter: char, amount: i64) -> Value {
    let mut block = data(letter, amount);
    block["act"] = json!("block");
    block
}

fn out_of(letter: char, amount: i64, act: &str, of: char) -> Value {
    let mut data = data(letter, amount);
    (data["act"], data["from_block"]) = (json!(act), json!(id(of)));
    data
}

/// An engine at a bank that says nothing by itself, with these instructions handed over.
fn handed(scene: &Scene, messages: &[Value]) -> Engine {
    let bank = Bank::start(scene, Ending::Delay);
    let engine = Engine::open(&bank.config(scene), scene.clock()).unwrap();
    take(scene, &engine, messages);
    engine
}

fn take(scene: &Scene, engine: &Engine, messages: &[Value]) {
    for message in messages {
        engine.take(&scene.instructs(message)).unwrap();
    }
    engine.pay().unwrap();
}

fn state(engine: &Engine, letter: char) -> String {
    engine.status().unwrap().state_of(&id(letter)).unwrap().to_owned()
}

/// Why amounts lie in suspense, and how much.
fn suspense(engine: &Engine) -> Vec<(String, i64)> {
    let mut all: Vec<_> = engine.status().unwrap().unmatched.into_iter().map(|u| (u.why, u.amount_minor)).collect();
    all.sort();
    all
}

fn none() -> Vec<(String, i64)> {
    Vec::new()
}

/// A bank's statement with these entries, imported: how much moved, was known, and is for suspense.
fn stated(scene: &Scene, engine: &Engine, kind: &str, message: &str, entries: &str) -> (u32, u32, u32) {
    let report = match kind {
        "052" => "Rpt",
        "053" => "Stmt",
        _ => "Ntfctn",
    };
    let path: PathBuf = scene.dir.join(format!("{message}.xml"));
    std::fs::write(&path, camt(kind, report, message, entries)).unwrap();
    let imported = engine.import(&path).unwrap();
    (imported.moved, imported.repeated, imported.unmatched)
}

#[test]
fn a_block_whose_answer_was_lost_is_known_by_its_arrival_on_the_own_account() {
    let scene = Scene::new();
    let engine = handed(&scene, &[block('A', 500), data('B', 700)]);
    // The bank's report about the file never came; the own account's statement shows the money that came in.
    let arrived = entry(&id('A'), "5.00", "INR", "CRDT", "BOOK", "");
    assert_eq!(stated(&scene, &engine, "053", "M1", &arrived), (1, 0, 0));
    assert_eq!((state(&engine, 'A').as_str(), suspense(&engine)), ("settled", none()));
    engine.answer().unwrap();
    assert_eq!(scene.desk.results(&id('A')), [PaymentResult::Blocked]);
    // The same in other reports, and where it left the payer's account, is the same money.
    let left = entry(&id('A'), "5.00", "INR", "DBIT", "BOOK", "");
    assert_eq!(stated(&scene, &engine, "054", "M2", &arrived), (0, 1, 0));
    assert_eq!(stated(&scene, &engine, "053", "M3", &left), (0, 1, 0));
    // It came twice; it came with another amount; a payment's id is quoted by money that came in; a credit was taken back.
    let again = arrived.replace(&format!("C{}", id('A')), "C-other");
    assert_eq!(stated(&scene, &engine, "053", "M4", &again), (0, 0, 1));
    let quoting = entry(&id('B'), "7.00", "INR", "CRDT", "BOOK", "");
    assert_eq!(stated(&scene, &engine, "053", "M5", &quoting), (0, 0, 1));
    assert_eq!(state(&engine, 'B'), "submitted");
    let expected = [("twice".to_owned(), 500), ("unknown".to_owned(), 700)];
    assert_eq!(suspense(&engine), expected);

    let scene = Scene::new();
    let engine = handed(&scene, &[block('A', 500)]);
    let other = entry(&id('A'), "5.01", "INR", "CRDT", "BOOK", "");
    assert_eq!(stated(&scene, &engine, "053", "M1", &other), (0, 0, 1));
    let undone =
        entry(&id('A'), "5.00", "INR", "DBIT", "BOOK", "").replace("<BookgDt>", "<RvslInd>true</RvslInd><BookgDt>");
    assert_eq!(stated(&scene, &engine, "053", "M2", &undone), (0, 0, 1));
    assert_eq!(state(&engine, 'A'), "submitted");
}

#[test]
fn what_was_told_to_have_failed_and_is_booked_after_all_is_its_instructions() {
    let scene = Scene::new();
    let engine = handed(&scene, &[block('A', 500), data('B', 700)]);
    let rejected = |letter| {
        format!("<TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>RJCT</TxSts></TxInfAndSts>", id(letter))
    };
    let path = scene.dir.join("status.xml");
    std::fs::write(&path, pain002("S1", "B", "", &(rejected('A') + &rejected('B')))).unwrap();
    assert_eq!(engine.import(&path).unwrap().moved, 2);
    engine.answer().unwrap();
    let other = entry(&id('B'), "7.01", "INR", "DBIT", "BOOK", "");
    assert_eq!(stated(&scene, &engine, "053", "M1", &other), (0, 0, 1));
    let both = entry(&id('A'), "5.00", "INR", "CRDT", "BOOK", "")
        + &entry(&id('B'), "7.00", "INR", "DBIT", "BOOK", "").replace(&format!("D{}", id('B')), "D-2");
    assert_eq!(stated(&scene, &engine, "053", "M2", &both), (2, 0, 0));
    engine.answer().unwrap();
    assert_eq!(scene.desk.results(&id('A')), [PaymentResult::Failed, PaymentResult::Blocked]);
    assert_eq!(scene.desk.results(&id('B')), [PaymentResult::Failed, PaymentResult::Settled]);
    assert_eq!(suspense(&engine), [("amount".to_owned(), 701)]);
}

#[test]
fn a_word_about_a_whole_file_or_about_another_files_part_brings_no_money() {
    let scene = Scene::new();
    let engine = handed(&scene, &[data('A', 500)]);
    let sent = std::fs::read_dir(scene.dir.join("bank/work/sent")).unwrap().next().unwrap().unwrap().file_name();
    let batch = sent.to_string_lossy().trim_start_matches("pain001-").trim_end_matches(".xml").to_owned();
    let import = |name: &str, text: String| {
        let path = scene.dir.join(name);
        std::fs::write(&path, text).unwrap();
        let imported = engine.import(&path).unwrap();
        (imported.moved, imported.refused, imported.unmatched)
    };
    let settled = "<PmtInfSts>ACSC</PmtInfSts>";
    let strange = pain002("S1", &batch, "", settled).replace(&payment_adapter::iso::part_id(&batch, 1), "strange-1");
    assert_eq!(import("1.xml", strange), (0, 1, 0));
    assert_eq!(import("2.xml", pain002("S2", &batch, "", "<PmtInfSts>RJCT</PmtInfSts>")), (1, 0, 0));
    assert_eq!(import("3.xml", pain002("S3", &batch, "ACSC", "")), (0, 1, 0));
    assert_eq!((state(&engine, 'A').as_str(), suspense(&engine)), ("failed", none()));
}

#[test]
fn movements_that_look_alike_are_each_kept_and_none_of_them_twice() {
    let scene = Scene::new();
    let engine = handed(&scene, &[data('A', 500)]);
    let fee = |day: &str, more: &str| {
        format!(
            "<Ntry><Amt Ccy=\"INR\">7.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>\
             <BookgDt><Dt>{day}</Dt></BookgDt>{more}</Ntry>"
        )
    };
    // Three equal fees without a reference, two of them on one day; numbers within a report name nothing.
    let numbered = |day: &str, n: u32| fee(day, "").replace("<Ntry>", &format!("<Ntry><NtryRef>{n}</NtryRef>"));
    let three = fee("2026-12-01", "") + &numbered("2026-12-01", 1) + &numbered("2026-12-02", 2);
    assert_eq!(stated(&scene, &engine, "053", "M1", &three), (0, 0, 3));
    assert_eq!(stated(&scene, &engine, "052", "M2", &three), (0, 3, 0));
    // One reference, two amounts.
    let referred = fee("2026-12-03", "<AcctSvcrRef>R-1</AcctSvcrRef>");
    let two = referred.clone() + &referred.replace("7.00", "8.00");
    assert_eq!(stated(&scene, &engine, "053", "M3", &two), (0, 0, 2));
    assert_eq!(stated(&scene, &engine, "054", "M4", &two), (0, 2, 0));
    engine.answer().unwrap();
    let told: i64 = scene.desk.unmatched().iter().map(|u| u.amount_minor.get()).sum();
    assert_eq!((scene.desk.unmatched().len(), told), (5, 3 * 700 + 700 + 800));
}

/// Cards with everything that was made so far told to have succeeded.
fn succeeded(scene: &Scene, engine: &Engine, cards: &Cards) {
    for made in cards.made() {
        let kind = format!("{}.updated", made["in"].as_str().unwrap().trim_end_matches('s'));
        let mut object = made.clone();
        object["status"] = json!("succeeded");
        let name = format!("evt_{}", object["id"].as_str().unwrap());
        engine.hear(&event(&name, &kind, &object, scene.now().seconds())).unwrap();
    }
}

/// The event that so much of a charge was refunded in all.
fn refunded(scene: &Scene, engine: &Engine, name: &str, of: char, whole: i64, in_all: i64) {
    let charge = json!({"id": "ch_1", "payment_intent": "pi_0", "amount": whole, "amount_refunded": in_all,
        "currency": "inr", "metadata": {"instruction_id": id(of)}});
    engine.hear(&event(name, "charge.refunded", &charge, scene.now().seconds())).unwrap();
}

#[test]
fn refunds_of_our_own_out_of_a_block_are_no_strangers_money() {
    let scene = Scene::new();
    let cards = Cards::start(Ending::Settle);
    let engine = Engine::open(&cards.config(&scene), scene.clock()).unwrap();
    take(&scene, &engine, &[block('A', 5)]);
    succeeded(&scene, &engine, &cards);
    assert_eq!(state(&engine, 'A'), "settled");
    take(&scene, &engine, &[out_of('B', 2, "refund", 'A')]);
    // The payment system tells of the refund, and of the block's charge that shows it.
    refunded(&scene, &engine, "r1", 'A', 5, 2);
    succeeded(&scene, &engine, &cards);
    assert_eq!((state(&engine, 'B').as_str(), suspense(&engine)), ("settled", none()));
    take(&scene, &engine, &[out_of('C', 1, "refund", 'A')]);
    refunded(&scene, &engine, "r2", 'A', 5, 3);
    refunded(&scene, &engine, "r3", 'A', 5, 2);
    assert_eq!(suspense(&engine), none());
    engine.answer().unwrap();
    engine.answer().unwrap();
    assert_eq!(scene.desk.results(&id('A')), [PaymentResult::Blocked]);
    assert_eq!(scene.desk.results(&id('B')), [PaymentResult::Refunded]);
    // Somebody else refunded the rest of it: that much is nobody's, once.
    refunded(&scene, &engine, "r4", 'A', 5, 5);
    refunded(&scene, &engine, "r5", 'A', 5, 5);
    assert_eq!(suspense(&engine), [("amount".to_owned(), 2)]);
    engine.answer().unwrap();
    assert_eq!(scene.desk.unmatched().len(), 1);
}

#[test]
fn a_refund_that_was_instructed_and_never_handed_over_explains_nothing() {
    let scene = Scene::new();
    let cards = Cards::start(Ending::Settle);
    let engine = Engine::open(&cards.config(&scene), scene.clock()).unwrap();
    take(&scene, &engine, &[block('A', 5)]);
    succeeded(&scene, &engine, &cards);
    engine.take(&scene.instructs(&out_of('B', 2, "refund", 'A'))).unwrap();
    refunded(&scene, &engine, "r1", 'A', 5, 2);
    assert_eq!(suspense(&engine), [("amount".to_owned(), 2)]);
}

#[test]
fn parts_that_come_back_are_counted_up_once() {
    let scene = Scene::new();
    let cards = Cards::start(Ending::Settle);
    let engine = Engine::open(&cards.config(&scene), scene.clock()).unwrap();
    take(&scene, &engine, &[data('A', 10)]);
    succeeded(&scene, &engine, &cards);
    refunded(&scene, &engine, "r1", 'A', 10, 2);
    refunded(&scene, &engine, "r2", 'A', 10, 7);
    refunded(&scene, &engine, "r3", 'A', 10, 2);
    refunded(&scene, &engine, "r4", 'A', 10, 10);
    let all = [("amount".to_owned(), 2), ("amount".to_owned(), 3), ("amount".to_owned(), 5)];
    assert_eq!(suspense(&engine), all);
    // A transfer out of a block that was taken back in part, then whole.
    take(&scene, &engine, &[block('B', 9)]);
    succeeded(&scene, &engine, &cards);
    take(&scene, &engine, &[out_of('C', 9, "pay", 'B')]);
    let transfer = cards.made().into_iter().find(|o| o["in"] == "transfers").unwrap();
    let back = |name: &str, amount: i64| {
        let mut object = transfer.clone();
        (object["amount_reversed"], object["reversed"]) = (json!(amount), json!(amount == 9));
        engine.hear(&event(name, "transfer.reversed", &object, scene.now().seconds())).unwrap();
    };
    back("t1", 4);
    assert_eq!((state(&engine, 'C').as_str(), suspense(&engine).len()), ("settled", 4));
    back("t2", 9);
    assert_eq!(suspense(&engine).iter().map(|(_, amount)| amount).sum::<i64>(), 10 + 9);
}

#[test]
fn a_payment_whose_answer_was_lost_is_asked_for_before_it_is_sent_again() {
    let scene = Scene::new();
    let upi = UpiServer::start(Ending::Lose);
    let engine = Engine::open(&upi.config(&scene), scene.clock()).unwrap();
    take(&scene, &engine, &[block('A', 5)]);
    assert_eq!((state(&engine, 'A').as_str(), upi.posts()), ("created", 1));
    for _ in 0..4 {
        scene.advance(2);
        engine.pay().unwrap();
        engine.look().unwrap();
    }
    assert_eq!((state(&engine, 'A').as_str(), upi.posts(), upi.paid(&id('A'))), ("settled", 1, 1));
    assert_eq!(suspense(&engine), none());
}

#[test]
fn one_adapter_makes_a_banks_files_in_one_folder() {
    let scene = Scene::new();
    let bank = Bank::start(&scene, Ending::Settle);
    let first = bank.config(&scene);
    let second = Config { data_dir: scene.dir.join("second"), ..first.clone() };
    let running = payment_adapter::start(&first, scene.clock()).unwrap();
    let refused = payment_adapter::start(&second, scene.clock()).err().unwrap();
    assert_eq!(refused.code, Code::StoreInUse);
    running.stop();
    payment_adapter::start(&second, scene.clock()).unwrap().stop();
}
