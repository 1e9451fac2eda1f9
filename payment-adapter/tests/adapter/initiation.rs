//! The credit transfer initiation, judged by the structure of pain.001.001.09, and its handing over.

use std::fs;

use payment_adapter::Engine;
use payment_adapter::iso::xml::{self, Node};
use serde_json::json;

use crate::scene::{Scene, data};
use crate::systems::{Bank, Ending, System};

/// An element's name, whether it must be there, whether it may repeat.
type Member = (&'static str, bool, bool);

/// Elements of the message's schema in their order, with whether they must be there and whether they may repeat: of what
/// the adapter writes, each with all that its type demands.
const STRUCTURE: &[(&str, &[Member])] = &[
    ("Document", &[("CstmrCdtTrfInitn", true, false)]),
    ("CstmrCdtTrfInitn", &[("GrpHdr", true, false), ("PmtInf", true, true)]),
    (
        "GrpHdr",
        &[
            ("MsgId", true, false),
            ("CreDtTm", true, false),
            ("NbOfTxs", true, false),
            ("CtrlSum", false, false),
            ("InitgPty", true, false),
        ],
    ),
    ("InitgPty", &[("Nm", false, false)]),
    (
        "PmtInf",
        &[
            ("PmtInfId", true, false),
            ("PmtMtd", true, false),
            ("BtchBookg", false, false),
            ("NbOfTxs", false, false),
            ("CtrlSum", false, false),
            ("PmtTpInf", false, false),
            ("ReqdExctnDt", true, false),
            ("Dbtr", true, false),
            ("DbtrAcct", true, false),
            ("DbtrAgt", true, false),
            ("ChrgBr", false, false),
            ("CdtTrfTxInf", true, true),
        ],
    ),
    ("ReqdExctnDt", &[("Dt", true, false)]),
    ("Dbtr", &[("Nm", false, false)]),
    ("Cdtr", &[("Nm", false, false)]),
    ("DbtrAcct", &[("Id", true, false)]),
    ("CdtrAcct", &[("Id", true, false)]),
    ("DbtrAgt", &[("FinInstnId", true, false)]),
    ("CdtrAgt", &[("FinInstnId", true, false)]),
    ("FinInstnId", &[("BICFI", false, false), ("ClrSysMmbId", false, false), ("Othr", false, false)]),
    ("ClrSysMmbId", &[("ClrSysId", false, false), ("MmbId", true, false)]),
    ("ClrSysId", &[("Cd", true, false)]),
    (
        "CdtTrfTxInf",
        &[
            ("PmtId", true, false),
            ("Amt", true, false),
            ("CdtrAgt", false, false),
            ("Cdtr", false, false),
            ("CdtrAcct", false, false),
            ("RmtInf", false, false),
        ],
    ),
    ("PmtId", &[("InstrId", false, false), ("EndToEndId", true, false)]),
    ("Amt", &[("InstdAmt", true, false)]),
    ("RmtInf", &[("Ustrd", false, true)]),
    ("Othr", &[("Id", true, false)]),
];

/// Text types by element: the longest text.
const MAX: &[(&str, usize)] = &[
    ("MsgId", 35),
    ("PmtInfId", 35),
    ("InstrId", 35),
    ("EndToEndId", 35),
    ("Nm", 140),
    ("NbOfTxs", 15),
    ("MmbId", 35),
    ("Ustrd", 140),
    ("CtrlSum", 19),
    ("InstdAmt", 19),
    ("IBAN", 34),
];

/// Whether a tree is in the schema's structure.
fn judge(node: &Node, parent: &str) {
    let kinds: Vec<&str> = node.children.iter().map(|c| c.name.as_str()).collect();
    if node.name == "Id" && ["DbtrAcct", "CdtrAcct"].contains(&parent) {
        assert!(kinds == ["IBAN"] || kinds == ["Othr"], "an account is an IBAN or another number: {kinds:?}");
    } else if let Some((_, members)) = STRUCTURE.iter().find(|(name, _)| *name == node.name) {
        let mut at = 0;
        for (name, must, repeats) in *members {
            let count = kinds[at..].iter().take_while(|k| k == &name).count();
            assert!(count > 0 || !must, "{} lacks {name}: {kinds:?}", node.name);
            assert!(count <= 1 || *repeats, "{} repeats {name}", node.name);
            at += count;
        }
        assert_eq!(at, kinds.len(), "{} has more or in another order: {kinds:?}", node.name);
    } else {
        assert!(kinds.is_empty() && !node.text.is_empty(), "{} is a text", node.name);
        if let Some((_, max)) = MAX.iter().find(|(name, _)| *name == node.name) {
            assert!(node.text.chars().count() <= *max, "{} is too long", node.name);
        }
    }
    for child in &node.children {
        judge(child, &node.name);
    }
}

fn sent(scene: &Scene) -> Vec<(String, String)> {
    let dir = scene.dir.join("bank/out");
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_batch_is_one_file_of_the_schemas_structure_with_exact_sums() {
    let scene = Scene::new();
    let bank = Bank::start(&scene, Ending::Delay);
    let engine = Engine::open(&bank.config(&scene), scene.clock()).unwrap();
    let (mut yen, mut back) = (data('B', 5), data('C', 1));
    yen["currency"] = json!("JPY");
    (back["act"], back["from_block"]) = (json!("refund"), json!("D".repeat(32)));
    for told in [data('A', 123_456), yen, back, data('E', 9_007_199_254_740_991)] {
        engine.take(&scene.instructs(&told)).unwrap();
    }
    assert_eq!(engine.pay().unwrap(), 1);
    let files = sent(&scene);
    assert_eq!(files.len(), 1);
    let text = &files[0].1;
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    let root = xml::read(text.as_bytes()).unwrap();
    assert_eq!(root.namespace.as_deref(), Some("urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"));
    judge(&root, "");
    let message = root.child("CstmrCdtTrfInitn").unwrap();
    assert_eq!(message.text_at("GrpHdr/NbOfTxs"), Some("4"));
    // 1234.56 + 5 + 0.01 + 90071992547409.91
    assert_eq!(message.text_at("GrpHdr/CtrlSum"), Some("90071992548649.48"));
    assert_eq!(message.text_at("GrpHdr/CreDtTm"), Some("2026-12-01T00:00:00Z"));
    let parts: Vec<&Node> = message.all("PmtInf").collect();
    let said: Vec<[&str; 4]> = parts
        .iter()
        .map(|p| ["Dbtr/Nm", "NbOfTxs", "CtrlSum", "ReqdExctnDt/Dt"].map(|path| p.text_at(path).unwrap()))
        .collect();
    let expected = [
        ["Payments Ltd", "1", "0.01", "2026-12-01"],
        ["Models & Sons", "2", "90071992548644.47", "2026-12-01"],
        ["Models & Sons", "1", "5.00", "2026-12-01"],
    ];
    assert_eq!(said, expected);
    let transfers: Vec<(&str, &str, &str, &str)> = parts
        .iter()
        .flat_map(|p| p.all("CdtTrfTxInf"))
        .map(|t| {
            let amount = t.at("Amt/InstdAmt").unwrap();
            let account = t.text_at("CdtrAcct/Id/IBAN").or(t.text_at("CdtrAcct/Id/Othr/Id")).unwrap();
            (t.text_at("PmtId/EndToEndId").unwrap(), amount.text.as_str(), amount.currency.as_deref().unwrap(), account)
        })
        .collect();
    let [a, b, c, e] = ['A', 'B', 'C', 'E'].map(|letter| String::from(letter).repeat(32));
    let expected = [
        (c.as_str(), "0.01", "INR", "99887766"),
        (a.as_str(), "1234.56", "INR", "DE89370400440532013000"),
        (e.as_str(), "90071992547409.91", "INR", "DE89370400440532013000"),
        (b.as_str(), "5", "JPY", "DE89370400440532013000"),
    ];
    assert_eq!(transfers, expected);
    // For whoever has the schema at hand: xmllint --schema pain.001.001.09.xsd FILE.
    if let Ok(keep) = std::env::var("DEPA_KEEP_PAIN001") {
        fs::write(keep, text).unwrap();
    }
}

#[test]
fn a_file_gathers_what_comes_within_its_time_and_no_more_than_it_holds() {
    let scene = Scene::new();
    let bank = Bank::start(&scene, Ending::Delay);
    let mut config = bank.config(&scene);
    let settings = config.pain001.as_mut().unwrap();
    (settings.most, settings.gather_seconds) = (2, 60);
    let engine = Engine::open(&config, scene.clock()).unwrap();
    for letter in ['A', 'B', 'C'] {
        engine.take(&scene.instructs(&data(letter, 5))).unwrap();
    }
    // Two make a full file; the third waits for its time.
    assert_eq!((engine.pay().unwrap(), sent(&scene).len()), (1, 1));
    scene.advance(59);
    assert_eq!(engine.pay().unwrap(), 0);
    scene.advance(1);
    assert_eq!((engine.pay().unwrap(), sent(&scene).len()), (1, 2));
}

#[test]
fn a_file_that_the_bank_took_away_is_not_handed_over_again() {
    let scene = Scene::new();
    let bank = Bank::start(&scene, Ending::Delay);
    let config = bank.config(&scene);
    let cut = Engine::open(&config, scene.clock()).unwrap();
    let cut = cut.cut_by(std::sync::Arc::new(|step| step == "before what was told is kept"));
    cut.take(&scene.instructs(&data('A', 5))).unwrap();
    assert!(cut.pay().is_err());
    let first = sent(&scene);
    fs::remove_file(scene.dir.join("bank/out").join(&first[0].0)).unwrap();
    let engine = Engine::open(&config, scene.clock()).unwrap();
    assert_eq!(engine.pay().unwrap(), 1);
    assert!(sent(&scene).is_empty());
    assert_eq!(engine.status().unwrap().state_of(&"A".repeat(32)), Some("submitted"));
    // Its copy stands where the operator finds it.
    let copy = fs::read_to_string(scene.dir.join("bank/work/sent").join(&first[0].0)).unwrap();
    assert_eq!(copy, first[0].1);
}
