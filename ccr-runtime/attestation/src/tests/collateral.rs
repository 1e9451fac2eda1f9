//! What the policy asks beside the level: revocation lists, the vTPM's certificate, chips, guests, challenges. One thing
//! is spoilt at a time.

use std::sync::OnceLock;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage};
use openssl::x509::{X509Builder, X509NameBuilder};
use schemas::Digest;
use serde_json::json;

use super::fakes::{Fake, expected, software_set, world};
use super::*;
use crate::der::{self, element};
use crate::snp::certificate::{Certificate, PSS};
use crate::software::{SoftwareAttester, SoftwareRoot};
use crate::{Attester, GuestRules, appraise};

/// A platform whose authorities' keys are known, its evidence, and a policy that pins its root.
struct Known {
    evidence: Evidence,
    expected_set: ImageSet,
    pin: Digest,
    ark: PKey<Private>,
    ask: PKey<Private>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let (root, [ark, ask]) = SoftwareRoot::create_all(2048, now()).unwrap();
        let measurement = Digest::of(b"the code");
        let (pin, expected_set) = (root.pin(), software_set(&measurement));
        let evidence = SoftwareAttester::new(root, measurement).unwrap().attest(&transcript()).unwrap();
        Known { evidence, expected_set, pin, ark, ask }
    })
}

fn demo(pin: Digest) -> PlatformPolicy {
    PlatformPolicy::new(Profile::Demo, Level::named("baseline").unwrap(), vec![pin])
}

/// A revocation list before it is signed.
struct List {
    issuer: usize,
    next: &'static str,
    this: &'static str,
    serials: Vec<Vec<u8>>,
    critical: bool,
    key: PKey<Private>,
}

impl List {
    fn of_ark() -> List {
        let key = known().ark.clone();
        List { issuer: 2, this: "261101000000Z", next: "261201000000Z", serials: vec![], critical: false, key }
    }

    fn sign(&self) -> Vec<u8> {
        let issuer = Certificate::read(&known().evidence.certificates[self.issuer].0).unwrap().subject;
        let algorithm = element(der::SEQUENCE, &[&PSS]);
        let time = |text: &str| element(der::UTC_TIME, &[text.as_bytes()]);
        let revoked: Vec<Vec<u8>> = self
            .serials
            .iter()
            .map(|s| element(der::SEQUENCE, &[&element(der::INTEGER, &[s]), &time(self.this)]))
            .collect();
        let revoked: Vec<&[u8]> = revoked.iter().map(Vec::as_slice).collect();
        let revoked = if revoked.is_empty() { Vec::new() } else { element(der::SEQUENCE, &revoked) };
        let extension = [
            element(der::OID, &[&[0x55, 0x1d, 0x1c]]), // issuing distribution point
            if self.critical { vec![der::BOOLEAN, 1, 0xff] } else { Vec::new() },
            element(der::OCTET_STRING, &[&[der::SEQUENCE, 0]]),
        ];
        let extension = element(der::SEQUENCE, &[&extension.concat()]);
        let extensions = element(der::LIST_EXTENSIONS, &[&element(der::SEQUENCE, &[&extension])]);
        let (this, next) = (time(self.this), time(self.next));
        let next = if self.next.is_empty() { Vec::new() } else { next };
        let version = element(der::INTEGER, &[&[1]]);
        let tbs = element(der::SEQUENCE, &[&version, &algorithm, &issuer, &this, &next, &revoked, &extensions]);
        let mut signer = Signer::new(MessageDigest::sha384(), &self.key).unwrap();
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(48)).unwrap();
        signer.set_rsa_mgf1_md(MessageDigest::sha384()).unwrap();
        let signature = signer.sign_oneshot_to_vec(&tbs).unwrap();
        element(der::SEQUENCE, &[&tbs, &algorithm, &element(der::BIT_STRING, &[&[0], &signature])])
    }
}

fn under(lists: Vec<Vec<u8>>, required: bool) -> Appraisal {
    let expected = Expected::from_transcript(&transcript(), &known().expected_set).unwrap();
    appraise(&known().evidence, &expected, &demo(known().pin).with_crls(lists, required), now())
}

#[test]
fn revocation_lists_are_judged() {
    let spoilt = |spoil: &dyn Fn(&mut List)| {
        let mut list = List::of_ark();
        spoil(&mut list);
        under(vec![list.sign()], true)
    };
    accepted(&spoilt(&|_| ()));
    accepted(&under(Vec::new(), false));
    refused(&under(Vec::new(), true), &["crl"]);
    refused(&spoilt(&|l| l.serials = vec![vec![2]]), &["crl"]); // the ASK
    refused(&spoilt(&|l| l.serials = vec![vec![9], vec![2]]), &["crl"]);
    accepted(&spoilt(&|l| l.serials = vec![vec![9]])); // another ASK
    refused(&spoilt(&|l| l.key = known().ask.clone()), &["crl"]);
    refused(&spoilt(&|l| l.next = "261119000000Z"), &["crl"]);
    refused(&spoilt(&|l| l.next = ""), &["crl"]);
    refused(&spoilt(&|l| l.this = "261121000000Z"), &["crl"]);
    refused(&spoilt(&|l| l.critical = true), &["crl"]);
    // The ASK's own list names the VCEK; it does not stand for the ARK's.
    let of_ask = |serials| List { issuer: 1, key: known().ask.clone(), serials, ..List::of_ark() }.sign();
    refused(&under(vec![of_ask(vec![vec![9]])], true), &["crl"]);
    accepted(&under(vec![of_ask(vec![vec![9]]), List::of_ark().sign()], true));
    refused(&under(vec![List::of_ark().sign(), of_ask(vec![vec![1]])], false), &["crl"]);
    // A list that is given and cannot be read counts against the evidence, asked for or not.
    refused(&under(vec![b"no list".to_vec()], false), &["crl"]);
    let mut longer = List::of_ark().sign();
    longer.push(0);
    refused(&under(vec![longer], false), &["crl"]);
    refused(&under(vec![List::of_ark().sign(); 9], false), &["crl"]);
}

#[test]
fn every_byte_of_a_revocation_list_counts() {
    let list = List::of_ark().sign();
    for at in 0..list.len() {
        let mut spoilt = list.clone();
        spoilt[at] ^= 1 << (at % 8);
        let appraisal = under(vec![spoilt], true);
        assert_eq!(appraisal.failed(), ["crl"], "byte {at}");
    }
}

/// A certificate for a key, by an authority or by itself.
struct Paper<'a> {
    name: &'a str,
    key: &'a PKey<Public>,
    by: Option<(&'a X509, &'a PKey<Private>)>,
    own: &'a PKey<Private>,
    authority: bool,
    usage: Option<&'a str>,
    until: &'a str,
}

impl Paper<'_> {
    fn sign(&self) -> X509 {
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", self.name).unwrap();
        let name = name.build();
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(self.by.map_or(&*name, |(issuer, _)| issuer.subject_name())).unwrap();
        builder.set_pubkey(self.key).unwrap();
        builder.set_not_before(&Asn1Time::from_str("20260101000000Z").unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_str(self.until).unwrap()).unwrap();
        if self.authority {
            builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        }
        if let Some(usage) = self.usage {
            builder.append_extension(ExtendedKeyUsage::new().other(usage).build().unwrap()).unwrap();
        }
        builder.sign(self.by.map_or(self.own, |(_, key)| key), MessageDigest::sha256()).unwrap();
        builder.build()
    }
}

fn public(key: &PKey<Private>) -> PKey<Public> {
    PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
}

#[test]
fn the_vtpm_certificate_is_judged_under_a_pinned_root_only() {
    let key = || PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let (root_key, ca_key, other_key) = (key(), key(), key());
    let (root_public, ca_public, other_public) = (public(&root_key), public(&ca_key), public(&other_key));
    let far = "20400101000000Z";
    let paper = |name, key, by, authority, usage, until| {
        Paper { name, key, by, own: &root_key, authority, usage, until }.sign()
    };
    let root = paper("Test vTPM root", &root_public, None, true, None, far);
    let ca = paper("Test vTPM CA", &ca_public, Some((&root, &root_key)), true, None, far);
    let not_ca = paper("Test vTPM CA", &ca_public, Some((&root, &root_key)), false, None, far);
    let aik = Some("2.23.133.8.3");
    let (evidence, expected) = recorded::recorded("milan-v3-cleanroom-signing");
    let genuine = X509::from_der(&evidence.ak_certificate.as_ref().unwrap().0).unwrap();
    let ak = genuine.public_key().unwrap();
    let by_ca = Some((&ca, &ca_key));
    let good = paper("ak", &ak, by_ca, false, aik, far);

    let der = |c: &X509| c.to_der().unwrap();
    let judge = |certificate: Option<&X509>, roots: Vec<Vec<u8>>, between: Vec<Vec<u8>>| {
        let mut evidence = evidence.clone();
        evidence.ak_certificate = certificate.map(|c| Bytes(der(c)));
        appraise(&evidence, &expected, &production().with_vtpm_roots(roots, between), now())
    };
    let with = |certificate: &X509| judge(Some(certificate), vec![der(&root)], vec![der(&ca)]);
    let verdict = |appraisal: &Appraisal| appraisal.checks.iter().find(|c| c.name == "ak_certificate").unwrap().verdict;
    let passed = with(&good);
    accepted(&passed);
    assert_eq!(verdict(&passed), Verdict::Pass);
    // Without a root its bytes enter no verdict.
    for certificate in [None, Some(&genuine), Some(&paper("ak", &other_public, by_ca, false, None, far))] {
        let appraisal = judge(certificate, Vec::new(), Vec::new());
        accepted(&appraisal);
        assert_eq!(verdict(&appraisal), Verdict::NotEvaluated);
    }
    let cases = [
        ("genuine, of another root", genuine.clone()),
        ("of another key", paper("ak", &other_public, by_ca, false, aik, far)),
        ("without usage", paper("ak", &ak, by_ca, false, None, far)),
        ("for servers", paper("ak", &ak, by_ca, false, Some("1.3.6.1.5.5.7.3.1"), far)),
        ("an authority", paper("ak", &ak, by_ca, true, aik, far)),
        ("expired", paper("ak", &ak, by_ca, false, aik, "20261101000000Z")),
        ("by a stranger", paper("ak", &ak, Some((&ca, &other_key)), false, aik, far)),
    ];
    for (what, certificate) in cases {
        let appraisal = with(&certificate);
        assert_eq!(appraisal.failed(), ["ak_certificate"], "{what}");
        refused(&appraisal, &["ak_certificate"]);
    }
    refused(&judge(None, vec![der(&root)], vec![der(&ca)]), &["ak_certificate"]);
    refused(&judge(Some(&good), vec![der(&root)], Vec::new()), &["ak_certificate"]);
    refused(&judge(Some(&good), vec![der(&root)], vec![der(&not_ca)]), &["ak_certificate"]);
    refused(&judge(Some(&good), vec![b"no root".to_vec()], vec![der(&ca)]), &["ak_certificate"]);
    let mut spoilt = evidence.clone();
    spoilt.ak_certificate = Some(Bytes(vec![0x30; 9000]));
    let policy = production().with_vtpm_roots(vec![der(&root)], vec![der(&ca)]);
    assert!(appraise(&spoilt, &expected, &policy, now()).failed().contains(&"size"));
    // Every byte of it counts now.
    let bytes = der(&good);
    for at in 0..bytes.len() {
        let mut spoilt = evidence.clone();
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        spoilt.ak_certificate = Some(Bytes(changed));
        assert_eq!(appraise(&spoilt, &expected, &policy, now()).failed(), ["ak_certificate"], "byte {at}");
    }
}

#[test]
fn chips_are_allowed_and_denied_by_list() {
    let (evidence, expected) = recorded::recorded("milan-v3-trustee-v2");
    let judge = |policy| appraise(&evidence, &expected, &policy, now());
    let chip = judge(production()).record.chip_id_sha256.unwrap();
    assert_eq!(chip, Digest::of(&evidence.report.0[32 + 0x1a0..32 + 0x1e0]));
    let other = Digest([7; 32]);
    accepted(&judge(production().only_chips([chip])));
    accepted(&judge(production().only_chips([other, chip]).without_chips([other])));
    refused(&judge(production().only_chips([other])), &["chip_list"]);
    refused(&judge(production().without_chips([other, chip])), &["chip_list"]);
    // A masked chip is on no list.
    let mut fake = Fake::honest();
    fake.put(0x1a0, &[0; 64]);
    let policy = demo(world().attester.root.pin()).only_chips([chip]);
    refused(&appraise(&fake.build(), &super::fakes::expected(), &policy, now()), &["hwid", "chip_list"]);
}

#[test]
fn guests_are_of_the_version_and_ids_asked() {
    let (evidence, expected) = recorded::recorded("milan-v3-trustee-v2");
    let judge = |guest| appraise(&evidence, &expected, &production().with_guest(guest), now());
    let report = &evidence.report.0[32..];
    let svn = u32::from_le_bytes(report[4..8].try_into().unwrap());
    let id = |at: usize| Some(vec![<[u8; 16]>::try_from(&report[at..at + 16]).unwrap()]);
    let rules = |min_svn, family_ids, image_ids| GuestRules { min_svn, family_ids, image_ids };
    accepted(&judge(rules(svn, id(0x10), id(0x20))));
    refused(&judge(rules(svn + 1, None, None)), &["guest_svn"]);
    refused(&judge(rules(0, Some(vec![[9; 16]]), None)), &["guest_ids"]);
    refused(&judge(rules(0, id(0x10), Some(vec![[9; 16]]))), &["guest_ids"]);
    refused(&judge(rules(0, None, Some(Vec::new()))), &["guest_ids"]);
}

#[test]
fn a_level_may_take_provisional_firmware_and_unknown_bits_and_refuse_a_console() {
    let level = |edit: fn(&mut Value)| rules::table(|r| edit(&mut r["levels"][0])).unwrap().level("baseline").unwrap();
    let judge = |level: Level, spoil: fn(&mut Fake)| {
        let mut fake = Fake::honest();
        spoil(&mut fake);
        let policy = PlatformPolicy::new(Profile::Demo, level, vec![world().attester.root.pin()]);
        appraise(&fake.build(), &expected(), &policy, now())
    };
    let provisional: fn(&mut Fake) = |f| f.put(0x1e8, &[30]);
    refused(&judge(level(|_| ()), provisional), &["firmware"]);
    accepted(&judge(level(|l| l["provisional_firmware"] = json!(true)), provisional));
    let unknown: fn(&mut Fake) = |f| f.put(0x41, &[1]);
    refused(&judge(level(|_| ()), unknown), &["platform_info"]);
    accepted(&judge(level(|l| l["unknown_platform_bits"] = json!(true)), unknown));
    let console: fn(&mut Fake) = |f| f.runtime["vm-configuration"]["console-enabled"] = json!(true);
    accepted(&judge(level(|_| ()), console));
    refused(&judge(level(|l| l["console"] = json!(false)), console), &["vm_configuration"]);
    let smt = |l: &mut Value| l["smt"] = json!(false);
    refused(&judge(level(smt), |_| ()), &["guest_policy", "platform_info"]);
    accepted(&judge(level(smt), |f| {
        f.put(0x08, &0x2001fu64.to_le_bytes());
        f.put(0x40, &[0x24]);
    }));
}

#[test]
fn mitigation_vectors_and_guest_flags_are_compared_where_asked() {
    let judge = |edit: fn(&mut Value), spoil: fn(&mut Fake)| {
        let level = rules::table(|r| edit(&mut r["requirements"][0])).unwrap().level("baseline").unwrap();
        let mut fake = Fake::honest();
        spoil(&mut fake);
        let policy = PlatformPolicy::new(Profile::Demo, level, vec![world().attester.root.pin()]);
        appraise(&fake.build(), &expected(), &policy, now())
    };
    let asked: fn(&mut Value) = |r| r["mitigation"] = json!(5);
    refused(&judge(asked, |_| ()), &["mitigation"]); // version 3 has none
    accepted(&judge(asked, |f| {
        f.put(0, &[5]);
        f.put(0x1f8, &[7]);
        f.put(0x200, &[5]);
    }));
    refused(
        &judge(asked, |f| {
            f.put(0, &[5]);
            f.put(0x1f8, &[4]);
            f.put(0x200, &[5]);
        }),
        &["mitigation"],
    );
    refused(
        &judge(asked, |f| {
            f.put(0, &[5]);
            f.put(0x1f8, &[5]);
            f.put(0x200, &[1]);
        }),
        &["mitigation"],
    );
    let swap: fn(&mut Value) = |r| r["guest_policy"] = json!(["page_swap_disable"]);
    refused(&judge(swap, |_| ()), &["guest_policy"]);
    accepted(&judge(swap, |f| f.put(0x08, &0x203001fu64.to_le_bytes())));
}

#[test]
fn the_nonce_is_the_one_that_the_service_consumed() {
    let evidence = world().attester.attest(&transcript()).unwrap();
    let judge = |nonce: Vec<u8>, ends| {
        let expected = expected().of_challenge(&Bytes(nonce), ends);
        appraise(&evidence, &expected, &world().policy, now())
    };
    let nonce = transcript().nonce.0;
    let passed = judge(nonce.clone(), now().plus_seconds(1));
    accepted(&passed);
    assert!(passed.checks.iter().any(|c| c.name == "nonce" && c.verdict == Verdict::Pass));
    refused(&judge(vec![1; 32], now().plus_seconds(1)), &["nonce"]);
    refused(&judge(nonce, now()), &["nonce"]);
}

#[test]
fn an_appraisal_keeps_what_it_was_made_of() {
    let (evidence, expected) = recorded::recorded("genoa-v3-trustee");
    let judge = |policy: PlatformPolicy| appraise(&evidence, &expected, &policy, now()).record;
    let record = judge(production());
    assert_eq!((record.product.as_deref(), record.tcb.as_deref()), (Some("Genoa"), Some("0/10/0/23/84")));
    assert_eq!(record.level.as_deref(), Some("baseline"));
    let quote = evidence.quote.as_ref().unwrap();
    let attest = crate::snp::quote::Attest::read(&quote.message.0).unwrap();
    assert_eq!(record.reset_count, Some(attest.reset_count));
    assert!(record.guest_svn.is_some() && record.ak_sha256.is_some() && record.collateral_sha256.is_some());
    // Every part of the policy has its digest.
    let other = Digest([7; 32]);
    let level = |name| PlatformPolicy::new(Profile::Production, Level::named(name).unwrap(), Vec::new());
    let policies = [
        production(),
        level("2026"),
        production().with_vlek(),
        production().without_chips([other]),
        production().only_chips([other]),
        production().with_crls(Vec::new(), true),
        production().with_vtpm_roots(vec![vec![1]], Vec::new()),
        production().with_guest(GuestRules { min_svn: 1, ..GuestRules::default() }),
    ];
    let digests: std::collections::BTreeSet<_> =
        policies.into_iter().map(|p| judge(p).policy_sha256.unwrap()).collect();
    assert_eq!(digests.len(), 8);
    let with_list = judge(production().with_crls(vec![vec![1]], false));
    assert_ne!(with_list.collateral_sha256, record.collateral_sha256);
}
