//! One thing spoilt at a time, and the check that names it. Everything is signed anew, as a lying platform would.

use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use schemas::Digest;
use serde_json::json;

use super::fakes::{Fake, judge, second_key, set_exponent, world};
use super::*;
use crate::software::SoftwareRoot;

#[test]
fn the_report_is_judged_field_by_field() {
    accepted(&judge(|_| ()));
    let cases: [(&str, usize, &[u8], &[&str]); 34] = [
        ("version 2", 0x00, &[2], &["report_form", "report_version"]),
        ("version 6", 0x00, &[6], &["report_version"]),
        ("debug", 0x08, &0xb001fu64.to_le_bytes(), &["guest_policy"]),
        ("migration agent allowed", 0x08, &0x7001fu64.to_le_bytes(), &["guest_policy"]),
        ("CXL allowed", 0x08, &0x23001fu64.to_le_bytes(), &["guest_policy"]),
        ("reserved bit 17 clear", 0x08, &0x1001fu64.to_le_bytes(), &["guest_policy"]),
        ("unknown policy bit", 0x08, &0x403001fu64.to_le_bytes(), &["guest_policy"]),
        ("VMPL 1", 0x30, &[1], &["vmpl"]),
        ("another algorithm", 0x34, &[2], &["signature"]),
        ("current TCB above committed", 0x38, &[4, 0, 0, 0, 0, 0, 25, 219], &["firmware"]),
        ("current TCB below committed", 0x38, &[4, 0, 0, 0, 0, 0, 23, 219], &["tcb_order", "firmware"]),
        ("reserved TCB byte", 0x3a, &[1], &["report_form"]),
        ("no alias check", 0x40, &[0x05], &["platform_info"]),
        ("unknown platform bit", 0x41, &[0x01], &["platform_info"]),
        ("chip key masked", 0x48, &[2], &["hwid"]),
        ("signed by a VLEK", 0x48, &[4], &["signature"]),
        ("reserved key bits", 0x48, &[0x20], &["report_form"]),
        ("report data tail", 0x70, &[1], &["report_data"]),
        ("another paravisor", 0x90, &[0], &["measurement"]),
        ("another id key", 0xe0, &[0], &["id_key_digest"]),
        ("a migration agent", 0x160, &[0], &["migration_agent"]),
        ("reported TCB below", 0x186, &[0x17], &["tcb_matches_vcek", "tcb_minimum"]),
        ("reported TCB above", 0x186, &[0x19], &["tcb_matches_vcek", "tcb_order"]),
        ("CPUID of Genoa", 0x188, &[0x19, 0x11], &["product"]),
        ("CPUID of Turin", 0x188, &[0x1a, 0x02], &["report_form", "product", "tcb_matches_vcek", "hwid"]),
        ("CPUID of nothing", 0x188, &[0x17, 0x31], &["product", "tcb_minimum", "tcb_order", "firmware", "mitigation"]),
        ("reserved after CPUID", 0x18b, &[1], &["report_form"]),
        ("another chip", 0x1a0, &[0, 0, 0, 0], &["hwid"]),
        ("committed TCB below", 0x1e6, &[0x17], &["tcb_minimum", "tcb_order", "firmware"]),
        ("provisional firmware", 0x1e8, &[30], &["firmware"]),
        ("older running firmware", 0x1e8, &[28], &["firmware"]),
        ("launch TCB below", 0x1f6, &[0x17], &["tcb_minimum"]),
        ("mitigation vector in version 3", 0x1f8, &[1], &["report_form"]),
        ("reserved at the end", 0x29f, &[1], &["report_form"]),
    ];
    for (what, at, bytes, by) in cases {
        let appraisal = judge(|fake| fake.put(at, bytes));
        assert_eq!(appraisal.failed(), by, "{what}");
        refused(&appraisal, by);
    }
    refused(&judge(|fake| fake.put(0x1a0, &[0; 64])), &["hwid"]);
    refused(&judge(|fake| fake.bind = false), &["report_data"]);
}

#[test]
fn keys_of_others_sign_nothing() {
    let other = SoftwareRoot::create_with(2048, now()).unwrap();
    refused(&judge(|fake| fake.report_key = other.key().clone()), &["signature"]);
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    refused(&judge(|fake| fake.quote_key = rsa), &["quote_signature"]);
}

#[test]
fn the_runtime_data_is_judged_member_by_member() {
    type Spoil = fn(&mut Value);
    let cases: [(&str, Spoil, &[&str]); 11] = [
        ("secure boot off", |r| r["vm-configuration"]["secure-boot"] = json!(false), &["vm_configuration"]),
        ("secure boot as text", |r| r["vm-configuration"]["secure-boot"] = json!("true"), &["vm_configuration"]),
        ("no vTPM", |r| r["vm-configuration"]["tpm-enabled"] = json!(false), &["vm_configuration"]),
        ("no settings", |r| r["vm-configuration"] = Value::Null, &["vm_configuration"]),
        ("other user data", |r| r["user-data"] = json!("ab".repeat(64)), &["user_data"]),
        ("zero user data", |r| r["user-data"] = json!("00".repeat(64)), &["user_data"]),
        ("short user data", |r| r["user-data"] = json!(r["user-data"].as_str().unwrap()[..96]), &["user_data"]),
        ("no user data", |r| r["user-data"] = Value::Null, &["user_data"]),
        ("two attestation keys", second_key, &["ak_form"]),
        ("exponent 3", set_exponent, &["ak_form"]),
        ("no keys", |r| r["keys"] = json!({}), &["ak_form"]),
    ];
    for (what, spoil, by) in cases {
        let appraisal = judge(|fake| spoil(&mut fake.runtime));
        assert_eq!(appraisal.failed(), by, "{what}");
        refused(&appraisal, by);
    }
    let twice = |fake: &mut Fake| {
        let text = fake.runtime.to_string();
        fake.runtime_text = Some(text.replacen('{', r#"{"user-data":"00","#, 1));
    };
    refused(&judge(twice), &["ak_form", "vm_configuration", "user_data"]);
    let text = |fake: &mut Fake| fake.runtime_text = Some("not JSON".to_owned());
    refused(&judge(text), &["ak_form", "vm_configuration", "user_data"]);
}

#[test]
fn the_quote_is_judged_part_by_part() {
    // Offsets in a quote with a nonce of 48 bytes: 58 clock, 74 safe, 83 banks, 87 algorithm, 90 selection.
    type Spoil = fn(&mut Vec<u8>);
    let cases: [(&str, Spoil, &[&str]); 9] = [
        ("not made by a TPM", |m| m[0] = 0, &["quote_form"]),
        ("a certified creation", |m| m[5] = 0x1a, &["quote_form"]),
        ("a byte behind the end", |m| m.push(0), &["quote_form"]),
        ("cut", |m| m.truncate(100), &["quote_form"]),
        ("an unsafe clock", |m| m[74] = 0, &["clock"]),
        ("safe = 2", |m| m[74] = 2, &["quote_form"]),
        ("the sha1 bank", |m| m[88] = 4, &["pcr_selection"]),
        (
            "no bank",
            |m| {
                m[86] = 0;
                m.drain(87..93);
            },
            &["pcr_selection"],
        ),
        (
            "two banks",
            |m| {
                m[86] = 2;
                let bank = m[87..93].to_vec();
                m.splice(87..87, bank);
            },
            &["pcr_selection"],
        ),
    ];
    for (what, spoil, by) in cases {
        let appraisal = judge(|fake| fake.message = spoil);
        assert_eq!(appraisal.failed(), by, "{what}");
        refused(&appraisal, by);
    }
    refused(&judge(|fake| fake.selection = [0xff, 0x07, 0x01]), &["pcr_selection"]);
    refused(&judge(|fake| fake.selection = [0xff, 0xff, 0x7f]), &["pcr_selection"]);
    refused(&judge(|fake| fake.nonce = vec![0; 48]), &["quote_nonce"]);
    refused(&judge(|fake| fake.nonce.truncate(32)), &["quote_nonce"]);
    refused(&judge(|fake| fake.pcrs[11] = Digest::of(b"other code")), &["pcr_values"]);
    refused(&judge(|fake| fake.pcrs[8] = Digest([0; 32])), &["job_pcr"]);
    refused(&judge(|fake| fake.pcrs.truncate(23)), &["pcr_digest"]);
    refused(&judge(|fake| fake.message = |m| *m.last_mut().unwrap() ^= 1), &["pcr_digest"]);
}

#[test]
fn parts_of_one_piece_of_evidence_do_not_fit_another() {
    let honest = Fake::honest().build();
    let check = |edit: &dyn Fn(&mut Evidence), by: &[&str]| {
        let mut evidence = honest.clone();
        edit(&mut evidence);
        let appraisal = crate::appraise(&evidence, &super::fakes::expected(), &world().policy, now());
        refused(&appraisal, by);
    };
    check(&|e| e.quote = None, &["quote_form"]);
    check(&|e| e.kind = EvidenceKind::AzureSnp, &["image_set", "product", "chain_form", "chain_root", "poison"]);
    check(
        &|e| e.kind = EvidenceKind::Snp,
        &["image_set", "report_form", "chain_form", "chain_root", "poison", "quote_form"],
    );
    check(&|e| e.certificates.swap(0, 1), &["chain_form", "chain_signatures", "vcek_form"]);
    check(&|e| e.certificates.swap(1, 2), &["chain_form", "chain_root", "chain_signatures"]);
    check(&|e| e.certificates[0].0.push(0), &["chain_form"]);
    check(&|e| e.report.0.resize(4097, 0), &["size"]);
    check(&|e| e.report.0.push(1), &["hcl_form"]);
    check(&|e| e.quote.as_mut().unwrap().pcrs.push(Bytes(vec![0; 32])), &["size"]);
    check(&|e| e.quote.as_mut().unwrap().pcrs.swap(0, 4), &["pcr_digest", "pcr_values"]);
    check(&|e| e.quote.as_mut().unwrap().pcrs[0].0.push(0), &["pcr_digest"]);
}
