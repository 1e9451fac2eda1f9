//! Our files before the schemas of ISO 20022, and the banks' files that the tests write before another reader of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use payment_adapter::provider::About;
use payment_adapter::{Engine, iso};
use serde_json::{Value, json};

use crate::scene::{Scene, data};
use crate::systems::{Bank, Ending, System, camt, entry, pain002};

/// The folder of schemas in the package of the crate `sepa`.
fn schemas() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    // Of this platform alone: packages of others were never fetched where this is a first build.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == "sepa").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().join("tests/xsd")
}

const CHECK: &str = "import sys
from lxml import etree
schema = etree.XMLSchema(etree.parse(sys.argv[1]))
for name in sys.argv[2:]:
    schema.assertValid(etree.parse(name))
    print('valid')
";

/// Validates files by libxml2; false where it is not there.
fn valid(test: &str, schema: &str, files: &[PathBuf]) -> bool {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.build/interop/iso20022/bin/python");
    if !python.exists() {
        println!("NOT RUN {test}: no Python environment of infra/interop.sh");
        return false;
    }
    let schema = schemas().join(format!("{schema}.xsd"));
    let output = Command::new(python).args(["-c", CHECK]).arg(&schema).args(files).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", schema.display());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), files.len());
    true
}

#[test]
fn the_initiation_is_valid_by_the_schema() {
    let scene = Scene::new();
    let bank = Bank::start(&scene, Ending::Delay);
    let mut config = bank.config(&scene);
    config.pain001.as_mut().unwrap().most = 3;
    let engine = Engine::open(&config, scene.clock()).unwrap();
    let (mut yen, mut refund, mut dinar) = (data('B', 5), data('C', 1), data('D', 1001));
    yen["currency"] = json!("JPY");
    dinar["currency"] = json!("KWD");
    (refund["act"], refund["from_block"]) = (json!("refund"), json!("E".repeat(32)));
    for told in [data('A', 123_456), yen, refund, dinar, data('F', 9_007_199_254_740_991)] {
        engine.take(&scene.instructs(&told)).unwrap();
    }
    assert_eq!(engine.pay().unwrap(), 2);
    let out = fs::read_dir(scene.dir.join("bank/out")).unwrap();
    let files: Vec<PathBuf> = out.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    if !valid("the_initiation_is_valid_by_the_schema", "pain.001.001.09", &files) {
        return;
    }
    // The check can say no.
    let text = fs::read_to_string(&files[0]).unwrap().replace("<PmtMtd>TRF</PmtMtd>", "");
    let spoilt = scene.dir.join("spoilt.xml");
    fs::write(&spoilt, text).unwrap();
    let refused = std::panic::catch_unwind(|| valid("", "pain.001.001.09", &[spoilt]));
    assert!(refused.is_err());
}

#[test]
fn the_banks_files_of_these_tests_are_valid_and_another_reader_reads_them_alike() {
    let scene = Scene::new();
    let (a, b) = ("A".repeat(32), "B".repeat(32));
    let back = entry(&b, "7.00", "EUR", "CRDT", "BOOK", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>");
    let entries = entry(&a, "1234.56", "EUR", "DBIT", "BOOK", "") + &back;
    let statement = camt("053", "Stmt", "M1", &entries);
    let notice = camt("054", "Ntfctn", "M2", &entries);
    let report = camt("052", "Rpt", "M3", &entry(&a, "1234.56", "EUR", "DBIT", "PDNG", ""));
    let transactions = format!(
        "<TxInfAndSts><OrgnlEndToEndId>{a}</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn>\
         </StsRsnInf></TxInfAndSts>"
    );
    let status = pain002("S1", "batch", "PART", &transactions);
    for (name, text) in [
        ("camt.053.001.08", &statement),
        ("camt.054.001.08", &notice),
        ("camt.052.001.08", &report),
        ("pain.002.001.10", &status),
    ] {
        let path = scene.dir.join(format!("{name}.xml"));
        fs::write(&path, text).unwrap();
        valid("the_banks_files_of_these_tests_are_valid_and_another_reader_reads_them_alike", name, &[path]);
    }

    // Euro, since that reader counts hundredths.
    let ours = |text: &str| -> Vec<(String, i64, Option<String>)> {
        let news = iso::read(text.as_bytes(), 1 << 20).unwrap().news;
        let one = |n: &payment_adapter::News| {
            let About::Instruction(id) = &n.about else { panic!("{n:?}") };
            (id.clone(), n.money.map_or(0, |(amount, _)| amount.get()), n.note.clone())
        };
        news.iter().map(one).collect()
    };
    let theirs = |entries: &[sepa::CashEntry]| -> Vec<(String, i64, Option<String>)> {
        let details = entries.iter().flat_map(|e| &e.details);
        details
            .map(|d| (d.end_to_end_id.clone().unwrap(), d.amount.ct.unwrap(), d.return_reason_code.clone()))
            .collect()
    };
    let read = sepa::parse_camt053(&statement).unwrap();
    assert_eq!(ours(&statement), theirs(&read.statements[0].entries));
    assert_eq!(ours(&statement)[1], (b.clone(), 700, Some("AC04".into())));
    let read = sepa::parse_camt054(&notice).unwrap();
    assert_eq!(ours(&notice), theirs(&read.notifications[0].entries));
    let read = sepa::parse_pain002(&status).unwrap();
    let said = &read.payment_info_statuses[0].transactions[0];
    assert_eq!(said.original_end_to_end_id.as_deref(), Some(a.as_str()));
    assert!(said.status.as_ref().unwrap().is_rejected());
    assert_eq!(ours(&status), [(a, 0, Some("AC04".into()))]);
}
