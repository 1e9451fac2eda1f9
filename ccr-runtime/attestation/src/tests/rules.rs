//! Platform data: strict, within limits, never going back; and what its requirements refuse.

use serde_json::json;

use super::*;
use crate::PlatformTable;

/// The embedded rules with a change.
pub fn table(edit: impl FnOnce(&mut Value)) -> schemas::R<PlatformTable> {
    let mut value: Value = serde_json::from_str(include_str!("../../data/amd.json")).unwrap();
    edit(&mut value);
    PlatformTable::read(value.to_string().as_bytes())
}

/// A level that takes Turin: as `baseline`, with the values of the only vector as its minimum, and a change.
pub fn turin_level(edit: impl FnOnce(&mut Value)) -> Level {
    let made = table(|rules| {
        let mut asked = json!({
            "id": "turin", "bulletin": "TEST", "published": null, "collected": "2026-11-20", "note": "",
            "product": "turin", "tcb": {"fmc": 1, "bl": 1, "snp": 4}, "mitigation": 0x3f,
            "platform_info": ["alias_check_complete"], "firmware": {"major": 1, "minor": 55, "build": 1}
        });
        edit(&mut asked);
        rules["requirements"].as_array_mut().unwrap().push(asked);
        rules["levels"][0]["products"] = json!(["milan", "genoa", "turin"]);
        rules["levels"][0]["requirements"].as_array_mut().unwrap().push(json!("turin"));
    });
    made.unwrap().level("baseline").unwrap()
}

#[test]
fn the_rules_of_this_release_name_their_bulletins_and_days() {
    let table = PlatformTable::embedded().unwrap();
    assert_eq!((table.version(), table.issued_at().to_string().as_str()), (1, "2026-11-20T00:00:00Z"));
    for name in ["baseline", "2026", "strict"] {
        let level = table.level(name).unwrap();
        assert!(level.requirements.iter().all(|r| r.bulletin.starts_with("AMD-SB-") && !r.note.is_empty()));
        println!("{name}: {} requirements, data {}", level.requirements.len(), table.sha256());
    }
    assert!(Level::named("lax").is_err() && table.level("").is_err());
}

#[test]
fn malformed_rules_are_refused() {
    type Edit = fn(&mut Value);
    let cases: [(&str, Edit); 22] = [
        ("version 0", |r| r["version"] = json!(0)),
        ("unknown member", |r| r["surprise"] = json!(1)),
        ("no levels", |r| r["levels"] = json!([])),
        ("too many levels", |r| r["levels"] = json!(vec![r["levels"][0].clone(); 17])),
        ("a level twice", |r| r["levels"][1]["name"] = json!("baseline")),
        ("a level without a name", |r| r["levels"][0]["name"] = json!("")),
        ("a level in capitals", |r| r["levels"][0]["name"] = json!("Baseline")),
        ("too many requirements", |r| r["requirements"] = json!(vec![r["requirements"][0].clone(); 129])),
        ("a requirement twice", |r| r["requirements"][1] = r["requirements"][0].clone()),
        ("no bulletin", |r| r["requirements"][0]["bulletin"] = json!("")),
        ("a day that is none", |r| r["requirements"][0]["collected"] = json!("2026-02-30")),
        ("a long note", |r| r["requirements"][0]["note"] = json!("x".repeat(501))),
        ("an unknown product", |r| r["requirements"][0]["product"] = json!("naples")),
        ("FMC of Milan", |r| r["requirements"][0]["tcb"]["fmc"] = json!(1)),
        ("a part that does not fit", |r| r["requirements"][0]["tcb"]["snp"] = json!(256)),
        ("a requirement that asks nothing", |r| r["requirements"][2]["tcb"] = json!({})),
        ("an unknown requirement", |r| r["levels"][0]["requirements"][0] = json!("sb_1")),
        ("a requirement listed twice", |r| r["levels"][0]["requirements"][1] = json!("sb_3015_milan")),
        ("a requirement of another product", |r| r["levels"][2]["requirements"][0] = json!("sb_3015_milan")),
        ("a product without a minimum", |r| r["levels"][0]["products"] = json!(["milan", "genoa", "turin"])),
        ("products out of order", |r| r["levels"][0]["products"] = json!(["genoa", "milan"])),
        ("report version 6", |r| r["levels"][0]["report_versions"] = json!([3, 6])),
    ];
    assert!(table(|_| ()).is_ok());
    for (what, edit) in cases {
        assert!(table(edit).is_err(), "{what}");
    }
    let text = include_str!("../../data/amd.json");
    let twice = text.replacen('{', r#"{"version": 2,"#, 1);
    assert!(PlatformTable::read(twice.as_bytes()).is_err(), "a member twice");
    assert!(PlatformTable::read(format!("{text}{}", " ".repeat(65_536)).as_bytes()).is_err(), "too long");
}

#[test]
fn rules_never_go_back() {
    let held = PlatformTable::embedded().unwrap();
    let other = |version: u32, at: &str| {
        table(|r| {
            r["version"] = json!(version);
            r["issued_at"] = json!(at);
            r["levels"][0]["note"] = json!("changed");
        })
        .unwrap()
    };
    assert!(other(2, "2026-12-01T00:00:00Z").follows(&held).is_ok());
    assert!(held.follows(&held).is_ok(), "the same again");
    assert!(other(1, "2026-12-01T00:00:00Z").follows(&held).is_err(), "other rules under the same version");
    assert!(other(2, "2026-11-01T00:00:00Z").follows(&held).is_err(), "a higher version of an earlier day");
    assert!(held.follows(&other(2, "2026-12-01T00:00:00Z")).is_err(), "the version goes back");
}

/// The only real Turin report, with one requirement raised above it each time.
#[test]
fn turin_is_judged_in_its_own_layout() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/attestation");
    if !dir.is_dir() {
        println!("NOT RUN turin_is_judged_in_its_own_layout: ../shared/data/attestation is absent");
        return;
    }
    let name = "bare/microsoft-tav/turin_attestation_report.bin";
    let (evidence, expected) = vectors::load::bare(&dir, name);
    let judge = |evidence: &Evidence, edit: fn(&mut Value)| {
        let policy = PlatformPolicy::new(Profile::Production, turin_level(edit), Vec::new());
        crate::appraise(evidence, &expected, &policy, now())
    };
    let good = judge(&evidence, |_| ());
    accepted(&good);
    println!("Turin TCB {} (fmc/bl/tee/snp/ucode)", good.record.tcb.clone().unwrap());
    type Edit = fn(&mut Value);
    let cases: [(&str, Edit, &[&str]); 8] = [
        ("FMC", |r| r["tcb"] = json!({"fmc": 255}), &["tcb_minimum"]),
        ("boot loader", |r| r["tcb"] = json!({"bl": 255}), &["tcb_minimum"]),
        ("TEE", |r| r["tcb"] = json!({"tee": 255}), &["tcb_minimum"]),
        ("SNP", |r| r["tcb"] = json!({"snp": 255}), &["tcb_minimum"]),
        ("microcode", |r| r["tcb"] = json!({"ucode": 255}), &["tcb_minimum"]),
        ("mitigation", |r| r["mitigation"] = json!(0x7f), &["mitigation"]),
        ("firmware", |r| r["firmware"]["minor"] = json!(200), &["firmware"]),
        ("RAPL off", |r| r["platform_info"] = json!(["rapl_disabled"]), &["platform_info"]),
    ];
    for (what, edit, by) in cases {
        let appraisal = judge(&evidence, edit);
        assert_eq!(appraisal.failed(), by, "{what}");
        refused(&appraisal, by);
    }
    // A byte behind the 8 of the chip's id.
    let mut longer = evidence.clone();
    longer.report.0[0x1a8] = 1;
    refused(&judge(&longer, |_| ()), &["signature", "hwid"]);
    // The certificate of a chip of another line names no firmware management controller.
    let mut other = evidence.clone();
    other.certificates = vectors::load::bare(&dir, "bare/microsoft-tav/genoa_attestation_report.bin").0.certificates;
    let failed = judge(&other, |_| ());
    assert!(["product", "tcb_matches_vcek", "hwid"].iter().all(|c| failed.failed().contains(c)), "{}", faults(&failed));
}
