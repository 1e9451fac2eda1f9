//! Other people's implementations check ours: scitt-cose, pyscitt, pycose, mlcroissant. `sh infra/interop.sh` makes their Python
//! environments; without them these tests say NOT RUN.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use schemas::contract::ContractState;
use schemas::dataset::{Sample, SampleKind};
use schemas::party::Kind;
use schemas::{Signer as _, canonical};
use signing::FileKey;
use signing::did::key_did;

use crate::house::House;
use crate::papers;
use crate::wire::{get, hear, http, record, register, statement};

/// The Python of an environment, or a word that it is missing.
fn python(name: &str) -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../.build/interop/{name}"));
    // Written last; an interpreter alone may be one that could get no packages.
    if place.join("made-of").exists() {
        return Some(place.join("bin/python"));
    }
    println!("NOT RUN interoperability with {name}: sh infra/interop.sh makes its environment");
    None
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/interop").join(name)
}

fn run(command: &mut Command) -> Output {
    // What spares our own clients the web's authorities (.cargo/config.toml) is no file that these programs take.
    let output = command.env("NO_PROXY", "*").env_remove("SSL_CERT_FILE").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}{}", text(&output.stdout), text(&output.stderr));
    output
}

/// A fresh key, and its private half as PEM in a file of the house.
fn key(house: &House, name: &str) -> (Arc<FileKey>, PathBuf) {
    let private = openssl::pkey::PKey::generate_ed25519().unwrap();
    let seed: [u8; 32] = private.raw_private_key().unwrap().try_into().unwrap();
    let jwk = FileKey::from_seed("did:key:unused", &seed).jwk().clone();
    let path = house.dir.join(format!("{name}.pem"));
    std::fs::write(&path, private.private_key_to_pem_pkcs8().unwrap()).unwrap();
    (Arc::new(FileKey::from_seed(key_did(&jwk).unwrap().as_str(), &seed)), path)
}

#[test]
fn scitt_cose_verifies_receipts_and_refuses_tampered_ones() {
    let Some(python) = python("scitt-cose") else { return };
    let house = House::empty();
    house.admit(&house.tdps[0], Kind::Tdp);
    let heard = register(&house, &statement(&house.tdps[0], "models/safe", b"{}"), "application/scitt-receipt+cose");
    let index: u64 = heard.headers["location"].to_str().unwrap().rsplit_once("1.").unwrap().1.parse().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = house.dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let schemas::jwk::Jwk::Okp { x, .. } = &house.trust().registry_jwk else { panic!("an Ed25519 key") };
    let public = openssl::pkey::PKey::public_key_from_raw_bytes(&x.0, openssl::pkey::Id::ED25519).unwrap();
    let pem = file("log.pem", &public.public_key_to_pem().unwrap());
    let leaf = file("record", &record(&house, index));
    let verdict = |receipt: &Path, leaf: &Path| {
        run(Command::new(&python).arg(script("verify_receipt.py")).args([receipt, leaf, &pem])).status.success()
    };
    let good = file("good.cbor", &heard.body);
    assert!(verdict(&good, &leaf));
    assert!(!verdict(&good, &file("other", &record(&house, 0))), "for another entry");
    let last = heard.body.len() - 1;
    for at in [last, last - 100, last / 2] {
        let mut tampered = heard.body.clone();
        tampered[at] ^= 1;
        assert!(!verdict(&file("tampered.cbor", &tampered), &leaf), "byte {at}");
    }
}

#[test]
fn mlcroissant_takes_the_offers_and_refuses_a_spoilt_one() {
    let Some(python) = python("croissant") else { return };
    let house = House::furnished();
    let mut offer = papers::offer(&house, 0);
    offer.offer_version = 2;
    offer.reference.keywords = vec!["laboratory".into()];
    offer.reference.regions = vec!["IN".into(), "NP".into()];
    offer.reference.sample = Some(Sample {
        url: "https://data.example/sample.csv".into(),
        sha256: schemas::Digest([9; 32]),
        bytes: 512,
        media_type: "text/csv".into(),
        kind: SampleKind::Synthetic,
    });
    house.client.register_dataset(&house.sign(&offer, &house.tdps[0])).unwrap();
    let document = |n: usize| {
        let path = format!("/v1/datasets/{}/croissant", papers::offer(&house, n).dataset_id);
        String::from_utf8(get(&house, &path, "*/*").body).unwrap()
    };
    let verdict = |text: &str| {
        let path = house.dir.join("croissant.json");
        std::fs::write(&path, text).unwrap();
        let output = run(Command::new(&python).arg(script("check_croissant.py")).arg(&path));
        let told = String::from_utf8(output.stdout).unwrap();
        if output.status.success() { Ok(told) } else { Err(told) }
    };
    let (one, other) = (document(0), document(1));
    assert!(one.contains("spatialCoverage") && one.contains("sample.csv"), "{one}");
    // All that it says: no warning stands before what it found in the document.
    assert_eq!(verdict(&one).unwrap(), "Table 0: 2 files, 3 fields\n");
    assert_eq!(verdict(&other).unwrap(), "Table 1: 1 files, 3 fields\n");
    let fields = verdict(&one.replace("\"cr:Field\"", "\"cr:Fields\"")).unwrap_err();
    assert!(fields.contains("3 error(s)") && fields.contains("croissant/Fields"), "{fields}");
    let source = verdict(&one.replace("\"@id\":\"sealed-0\"}", "\"@id\":\"nowhere\"}")).unwrap_err();
    assert!(source.contains("nowhere"), "{source}");
    let warned = verdict(&one.replace("\"version\":\"1.2.0\",", "")).unwrap();
    assert!(warned.starts_with("warning: ") && warned.contains("version"), "{warned}");
}

#[test]
fn pyscitt_submits_and_validates() {
    let Some(python) = python("pyscitt") else { return };
    let house = House::empty();
    let (issuer, pem) = key(&house, "issuer");
    house.admit(&issuer, Kind::Tdp);
    let dir = &house.dir;
    let (signed, transparent) = (dir.join("statement.cose"), dir.join("transparent.cose"));
    let (did, kid) = (issuer.kid().holder.clone(), issuer.kid().to_string());
    let sign = run(Command::new(&python).arg(script("sign_statement.py")).arg(&pem).args([&did, &kid]).arg(&signed));
    assert!(sign.status.success());
    let scitt = python.with_file_name("scitt");
    let submit = |path: &Path| {
        let mut command = Command::new(&scitt);
        command.args(["submit", "--url", house.url(), "--transparent-statement"]).arg(&transparent).arg(path);
        run(&mut command)
    };
    assert!(submit(&signed).status.success());
    let trusted = dir.join("trusted");
    std::fs::create_dir(&trusted).unwrap();
    std::fs::write(trusted.join("parameters.json"), get(&house, "/parameters", "*/*").body).unwrap();
    let validate = |path: &Path| {
        run(Command::new(&scitt).arg("validate").arg(path).arg("--service-trust-store").arg(&trusted)).status.success()
    };
    assert!(validate(&transparent));
    // The same receipt for another payload, and with a bit of it turned.
    let whole = std::fs::read(&transparent).unwrap();
    let read = signing::scitt::read(&whole).unwrap();
    let other = statement(&issuer, "models/safe", b"{}");
    let forged = dir.join("forged.cose");
    std::fs::write(&forged, signing::scitt::with_receipts(&other, &read.receipts).unwrap()).unwrap();
    assert!(!validate(&forged));
    let mut receipt = read.receipts[0].clone();
    *receipt.last_mut().unwrap() ^= 1;
    std::fs::write(&forged, signing::scitt::with_receipts(&whole, &[receipt]).unwrap()).unwrap();
    assert!(!validate(&forged));
    // A statement of somebody who is not registered: pyscitt prints our problem details.
    let (_, stranger) = key(&house, "stranger");
    run(Command::new(&python).arg(script("sign_statement.py")).arg(stranger).args([&did, &kid]).arg(&signed));
    let refused = submit(&signed);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("SIGNATURE_INVALID"));
}

#[test]
fn pycose_signs_a_contract_that_enters() {
    let Some(python) = python("scitt-cose") else { return };
    let mut house = House::empty();
    let mut pems = Vec::new();
    let names = ["tdc", "tdp0", "tdp1", "ccrp"];
    for name in names {
        let (key, pem) = key(&house, name);
        pems.push(pem);
        match name {
            "tdc" => house.tdc = key,
            "tdp0" => house.tdps[0] = key,
            "tdp1" => house.tdps[1] = key,
            _ => house.ccrp = key,
        }
    }
    let house = house.furnish();
    let contract = papers::contract(&house);
    let (payload, out) = (house.dir.join("contract.json"), house.dir.join("contract.cose"));
    std::fs::write(&payload, canonical::to_bytes(&contract).unwrap()).unwrap();
    let parties: Vec<String> = contract.parties.iter().map(|p| p.did.to_string()).collect();
    let sign = |of: &[usize]| {
        let mut command = Command::new(&python);
        command.arg(script("sign_contract.py")).arg(&payload).arg(&out).arg("contracts/1").arg(parties.join(","));
        for at in of {
            let who = [&house.tdc, &house.tdps[0], &house.tdps[1], &house.ccrp][*at];
            command.arg(&pems[*at]).arg(&who.kid().holder).arg(format!("#{}", who.kid().thumbprint));
        }
        assert!(run(&mut command).status.success());
        std::fs::read(&out).unwrap()
    };
    let mut forged = sign(&[0, 1]);
    *forged.last_mut().unwrap() ^= 1;
    let heard = register(&house, &forged, "*/*");
    assert_eq!((heard.status, heard.json()["error"]["code"].as_str()), (422, Some("InvalidInput")));
    assert!(house.as_(&house.tdc).contracts().unwrap().contracts.is_empty(), "nothing of a forged message enters");
    assert_eq!(register(&house, &sign(&[0, 1]), "*/*").status, 202);
    let state = |house: &House| house.as_(&house.tdc).contract(&contract.contract_id).unwrap().state;
    assert_eq!(state(&house), ContractState::PartiallySigned);
    let heard = register(&house, &sign(&[2, 3]), "*/*");
    assert_eq!(heard.status, 202, "{}", heard.json());
    assert_eq!(state(&house), ContractState::Active);
    // Its parties read it back as COSE, signed by pycose, with our receipt.
    let id = heard.json()["operationId"].as_str().unwrap().to_owned();
    let bearer = crate::wire::token(&house, &house.tdc);
    let url = format!("{}/entries/{id}?embedReceipt=true", house.url());
    let shown = hear(http().get(url).bearer_auth(bearer));
    assert_eq!(signing::cose::read(&shown.body).unwrap().signatures.len(), 4);
}
