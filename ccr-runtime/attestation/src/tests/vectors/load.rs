//! Readers of the vectors in the forms of their origins.

use openssl::base64::decode_block;

use super::*;

type Loaded = (Evidence, Expected);

fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn json(dir: &Path, name: &str) -> Value {
    serde_json::from_slice(&read(dir, name)).unwrap()
}

fn base64(value: &Value) -> Vec<u8> {
    decode_block(value.as_str().unwrap()).unwrap()
}

fn base64url(value: &Value) -> Vec<u8> {
    Bytes::parse(value.as_str().unwrap().trim_end_matches('=')).unwrap().0
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<u8> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The first certificate of a PEM text, or DER as it is.
fn der(bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(b"-----") { X509::from_pem(bytes).unwrap().to_der().unwrap() } else { bytes.to_vec() }
}

/// With AMD's certificates; Milan's where the endorsement key names no issuer that can be read.
fn with_roots(vcek: &[u8]) -> Vec<Bytes> {
    let vcek = der(vcek);
    crate::chain_of(&vcek).unwrap_or_else(|_| {
        let mut chain = bundle("milan-v3-trustee-v1").0.certificates;
        chain[0] = Bytes(vcek);
        chain
    })
}

/// A bare report under its own report data, so that only the platform is judged.
fn bare_report(report: Vec<u8>, vcek: &[u8]) -> Loaded {
    let expected = Expected::recorded(Vec::new(), report[0x50..0x90].try_into().unwrap());
    let evidence = Evidence {
        kind: EvidenceKind::Snp,
        report: Bytes(report),
        quote: None,
        certificates: with_roots(vcek),
        ak_certificate: None,
    };
    (evidence, expected)
}

/// An Azure room under the user data and the nonce that it shows itself.
fn azure(report: Vec<u8>, vcek: &[u8], message: Vec<u8>, signature: Vec<u8>, pcrs: Vec<Vec<u8>>) -> Loaded {
    let nonce = crate::snp::quote::Attest::read(&message).map(|a| a.extra_data.to_vec()).unwrap_or_default();
    let hcl = crate::snp::hcl::Hcl::read(&report);
    let runtime: Option<Value> = hcl.ok().and_then(|h| serde_json::from_slice(h.var_data).ok());
    let user_data = runtime.map_or(Vec::new(), |r| hex::decode(r["user-data"].as_str().unwrap_or("")).unwrap());
    let quote =
        Quote { message: Bytes(message), signature: Bytes(signature), pcrs: pcrs.into_iter().map(Bytes).collect() };
    let evidence = Evidence {
        kind: EvidenceKind::AzureSnp,
        report: Bytes(report),
        quote: Some(quote),
        certificates: with_roots(vcek),
        ak_certificate: None,
    };
    (evidence, Expected::recorded(nonce, padded(&user_data)))
}

/// A normalised folder: user data and nonce are those of the files, not of the evidence.
pub fn folder(dir: &Path, name: &str) -> Loaded {
    let file = |f: &str| read(dir, &format!("{name}/{f}"));
    let pcrs = file("pcrs_sha256.bin").chunks(32).map(<[u8]>::to_vec).collect();
    let (mut evidence, _) =
        azure(file("hcl.bin"), &file("vcek.der"), file("quote_msg.bin"), file("quote_sig.bin"), pcrs);
    evidence.ak_certificate = fs::read(dir.join(name).join("aik_cert.der")).ok().map(aik);
    let last = name.rsplit('/').next().unwrap();
    assert_eq!(bundle(last).0, evidence, "the copy in this repository is the same");
    (evidence, recorded::recorded(last).1)
}

/// trustee's JSON, versions 0 to 2.
pub fn trustee(dir: &Path, name: &str) -> Loaded {
    let value = json(dir, name);
    if let Some(report) = value.get("hcl_report") {
        let quote = &value["tpm_quote"];
        let pcrs = quote["pcrs"].as_array().unwrap().iter().map(unhex).collect();
        let vcek = base64url(&value["vcek"]);
        return azure(base64url(report), &vcek, unhex(&quote["message"]), unhex(&quote["signature"]), pcrs);
    }
    let quote = &value["quote"];
    let pcrs = quote["pcrs"].as_array().unwrap().iter().map(numbers).collect();
    let vcek = value["vcek"].as_str().unwrap().as_bytes();
    azure(numbers(&value["report"]), vcek, numbers(&quote["message"]), numbers(&quote["signature"]), pcrs)
}

/// trustee's oldest vector: report, quote and certificate apart.
pub fn trustee_parts(dir: &Path, name: &str) -> Loaded {
    let quote = json(dir, "azure-cvm/trustee/tpm-quote-v1.json");
    let pcrs = quote["pcrs"].as_array().unwrap().iter().map(unhex).collect();
    let vcek = read(dir, "azure-cvm/trustee/vcek.pem");
    azure(read(dir, name), &vcek, unhex(&quote["message"]), unhex(&quote["signature"]), pcrs)
}

/// A report with certificates of another chip, and a quote in the old binary form.
pub fn tooling(dir: &Path, name: &str) -> Loaded {
    let quote = read(dir, "azure-cvm/azure-cvm-tooling/quote.bin");
    let mut rest = quote.as_slice();
    let mut take = |len: usize| {
        let (head, tail) = rest.split_at(len);
        rest = tail;
        head.to_vec()
    };
    let length = |take: &mut dyn FnMut(usize) -> Vec<u8>| u64::from_le_bytes(take(8).try_into().unwrap()) as usize;
    let len = length(&mut take);
    let signature = take(len);
    let len = length(&mut take);
    let message = take(len);
    let count = length(&mut take);
    let pcrs = (0..count).map(|_| take(32)).collect();
    let vcek = read(dir, "azure-cvm/azure-cvm-tooling/certs.pem");
    azure(read(dir, name), &vcek, message, signature, pcrs)
}

/// azure-cleanroom's JSON of a confidential VM.
pub fn cleanroom(dir: &Path, name: &str) -> Loaded {
    let value = &json(dir, name)["report"]["snpCvm"];
    let evidence = &value["evidence"];
    let quote = base64(&evidence["tpmQuote"]);
    let len = usize::from(u16::from_be_bytes([quote[0], quote[1]]));
    let (message, signature) = (quote[2..2 + len].to_vec(), quote[2 + len + 6..].to_vec());
    let pcrs = (0..24).map(|i| base64(&evidence["pcrs"][i.to_string()])).collect();
    let vcek = value["platformCertificates"].as_str().unwrap().as_bytes();
    let (mut loaded, expected) = azure(base64(&evidence["hclReport"]), vcek, message, signature, pcrs);
    loaded.ak_certificate = Some(aik(base64(&evidence["aikCert"])));
    (loaded, expected)
}

/// An Intel TDX room's report, with the rest of a genuine SNP room.
pub fn tdx(dir: &Path, name: &str) -> Loaded {
    let (mut evidence, expected) = recorded::recorded("milan-v3-trustee-v2");
    evidence.report = Bytes(read(dir, name));
    (evidence, expected)
}

/// A report beside its certificate, which is found by the report's name.
pub fn bare(dir: &Path, name: &str) -> Loaded {
    let vcek = match name {
        "bare/trustee/test-report.bin" => "bare/trustee/test-vcek.der".to_owned(),
        "bare/trustee/test-vlek-report.bin" => "bare/trustee/test-vlek.der".to_owned(),
        "bare/go-sev-guest/attestation.bin" => "bare/go-sev-guest/vcek.testcer".to_owned(),
        "azure-caci/sidecar/snp_report.bin" => "azure-caci/sidecar/uvm_host_amd_certificate.pem".to_owned(),
        other => other.replace("_attestation_report.bin", "_vcek.pem"),
    };
    bare_report(read(dir, name), &read(dir, &vcek))
}

/// A spoilt certificate with the report of the good one.
pub fn bad_vcek(dir: &Path, name: &str) -> Loaded {
    bare_report(read(dir, "bare/trustee/test-report.bin"), &read(dir, name))
}

/// A report as hexadecimal text.
pub fn hexed(dir: &Path, name: &str) -> Loaded {
    let text = String::from_utf8(read(dir, name)).unwrap();
    bare_report(hex::decode(text.trim()).unwrap(), &read(dir, "bare/virtee-sev/vcek_milan.der"))
}

/// A report as its fields in JSON (version 3, not Turin).
pub fn fields(dir: &Path, name: &str) -> Loaded {
    let value = json(dir, name);
    let r = &value["attestation_report"];
    let mut report = vec![0; 1184];
    let mut put = |at: usize, bytes: &[u8]| report[at..at + bytes.len()].copy_from_slice(bytes);
    let number = |v: &Value| v.as_u64().unwrap();
    for (at, key, len) in [
        (0, "version", 4),
        (4, "guest_svn", 4),
        (8, "policy", 8),
        (0x30, "vmpl", 4),
        (0x34, "sig_algo", 4),
        (0x40, "plat_info", 8),
        (0x48, "key_info", 4),
        (0x188, "cpuid_fam_id", 1),
        (0x189, "cpuid_mod_id", 1),
        (0x18a, "cpuid_step", 1),
    ] {
        put(at, &number(&r[key]).to_le_bytes()[..len]);
    }
    for (at, key) in [
        (0x10, "family_id"),
        (0x20, "image_id"),
        (0x50, "report_data"),
        (0x90, "measurement"),
        (0xc0, "host_data"),
        (0xe0, "id_key_digest"),
        (0x110, "author_key_digest"),
        (0x140, "report_id"),
        (0x160, "report_id_ma"),
        (0x1a0, "chip_id"),
    ] {
        put(at, &numbers(&r[key]));
    }
    for (at, key) in [(0x38, "current_tcb"), (0x180, "reported_tcb"), (0x1e0, "committed_tcb"), (0x1f0, "launch_tcb")] {
        let part = |name: &str| number(&r[key][name]) as u8;
        put(at, &[part("bootloader"), part("tee"), 0, 0, 0, 0, part("snp"), part("microcode")]);
    }
    for (at, key) in [(0x1e8, "current"), (0x1ec, "committed")] {
        let part = |name: &str| number(&r[key][name]) as u8;
        put(at, &[part("build"), part("minor"), part("major")]);
    }
    put(0x2a0, &numbers(&r["signature"]["r"]));
    put(0x2e8, &numbers(&r["signature"]["s"]));
    bare_report(report, &numbers(&value["cert_chain"][0]["data"]))
}

/// azure-cleanroom's JSON of a container group.
pub fn caci(dir: &Path, name: &str) -> Loaded {
    let value = &json(dir, name)["report"]["snpCACI"];
    bare_report(base64(&value["attestation"]), &base64(&value["platformCertificates"]))
}

/// A request to another verifier, with the report in it.
pub fn request(dir: &Path, name: &str) -> Loaded {
    let report: Value = serde_json::from_slice(&base64url(&json(dir, name)["report"])).unwrap();
    bare_report(base64url(&report["SnpReport"]), &base64url(&report["VcekCertChain"]))
}

/// azure-privacy-sandbox-kms's JSON.
pub fn sandbox(dir: &Path, name: &str) -> Loaded {
    let value = json(dir, name);
    bare_report(base64(&value["evidence"]), &base64(&value["endorsements"]))
}

/// ccfdns's CBOR: a map of byte strings.
pub fn cbor(dir: &Path, name: &str) -> Loaded {
    let value: ciborium::Value = ciborium::from_reader(read(dir, name).as_slice()).unwrap();
    let map = value.as_map().unwrap();
    let member = |name: &str| {
        let (_, value) = map.iter().find(|(key, _)| key.as_text() == Some(name)).unwrap();
        match value {
            ciborium::Value::Bytes(bytes) => bytes.clone(),
            other => other.as_text().unwrap().as_bytes().to_vec(),
        }
    };
    let endorsements = String::from_utf8(member("eds")).unwrap();
    let certificates: Value = serde_json::from_slice(&decode_block(&endorsements).unwrap()).unwrap();
    bare_report(member("att"), certificates["vcekCert"].as_str().unwrap().as_bytes())
}

/// The self-made chain of AMD's shape, with the key whose quote re-labels PCRs.
pub fn soft(dir: &Path, name: &str) -> Loaded {
    let report = read(dir, name);
    let quote = json(dir, "generated/pcr-relabel/quote.json");
    let pcrs = quote["pcrs"].as_array().unwrap().iter().map(numbers).collect();
    let vcek = read(dir, "generated/soft-chain/vcek.pem");
    let (mut evidence, expected) = azure(report, &vcek, numbers(&quote["message"]), numbers(&quote["signature"]), pcrs);
    let names = ["vcek", "ask", "ark"];
    evidence.certificates =
        names.iter().map(|n| certificate(&dir.join(format!("generated/soft-chain/{n}.pem")))).collect();
    (evidence, expected)
}

/// The same, posing as the software attester.
pub fn soft_as_software(dir: &Path, name: &str) -> Loaded {
    let (mut evidence, expected) = soft(dir, name);
    evidence.kind = EvidenceKind::Software;
    (evidence, expected)
}

/// The quote over another selection of PCRs, with a report that binds its key.
pub fn relabelled(dir: &Path, _: &str) -> Loaded {
    soft(dir, "generated/soft-chain/soft-v3-Milan.hcl")
}
