//! The quote path end to end, against a real TPM implementation: `swtpm`, a process of this test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use attestation::{Attester as _, Expected, Profile, appraise, binding, job_pcr};
use attesters::VtpmAttester;
use attesters::swtpm::{SoftParavisor, open};
use attesters::tpm::Tpm;
use schemas::Code;
use schemas::contract::Assurance;
use schemas::evidence::{Evidence, EvidenceKind, Quote};
use schemas::text::Bytes;
use serde_json::{Value, json};
use tss_esapi::Context;
use tss_esapi::constants::StartupType;
use tss_esapi::handles::{PcrHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::pcr_slot::PcrSlot;
use tss_esapi::structures::{Data, PcrSelectionListBuilder, Signature, SignatureScheme};
use tss_esapi::traits::Marshall as _;

use super::support::{
    Folder, accepted, image_set, judged, measurement, now, of_job, policy, refused, refuses, root, transcript,
};

/// A software TPM with a state of its own; ends with its test.
pub struct Swtpm {
    process: Child,
    port: u16,
    folder: Folder,
}

impl Swtpm {
    /// Starts one, or says that it is not installed.
    pub fn start(test: &str) -> Option<Swtpm> {
        if Command::new("swtpm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            println!("NOT RUN {test}: swtpm is not installed");
            return None;
        }
        let folder = Folder::new();
        let (process, port) = spawn(&folder);
        Some(Swtpm { process, port, folder })
    }

    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    fn attester(&self) -> VtpmAttester<SoftParavisor> {
        open(&self.tcti(), root(), &measurement()).unwrap()
    }

    fn tpm(&self) -> Tpm {
        Tpm::at(&self.tcti()).unwrap()
    }

    /// Power off and on in good order: the PCRs start anew, the keys stay.
    pub fn reboot(&mut self) {
        self.context().shutdown(StartupType::Clear).unwrap();
        self.loses_power();
    }

    /// Off and on without a word before.
    fn loses_power(&mut self) {
        self.stop();
        (self.process, self.port) = spawn(&self.folder);
    }

    fn context(&self) -> Context {
        Context::new(std::str::FromStr::from_str(&self.tcti()).unwrap()).unwrap()
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The TPM takes commands on a port and control on the next. Should another process take one first, draw again.
fn spawn(folder: &Folder) -> (Child, u16) {
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port == u16::MAX || TcpListener::bind(("127.0.0.1", port + 1)).is_err() {
            continue;
        }
        let mut process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")])
            .args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1)])
            .args(["--tpmstate", &format!("dir={}", folder.0.display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if process.try_wait().unwrap().is_some() {
                break;
            }
            // The control port, since the TPM itself serves one at a time.
            if TcpStream::connect(("127.0.0.1", port + 1)).is_ok() {
                return (process, port);
            }
            sleep(Duration::from_millis(25));
        }
        let _ = process.kill();
        let _ = process.wait();
    }
    panic!("swtpm does not start");
}

/// Signs a quote of one's own choice with the TPM's attestation key: what whoever has root in the room can do.
fn own_quote(tpm: &Swtpm, nonce: &[u8], banks: &[(HashingAlgorithm, &[PcrSlot])]) -> (Vec<u8>, Vec<u8>) {
    let mut context = tpm.context();
    let handle = TpmHandle::Persistent(PersistentTpmHandle::new(attesters::tpm::AK).unwrap());
    let key = context.tr_from_tpm_public(handle).unwrap();
    context.set_sessions((Some(AuthSession::Password), None, None));
    let selection =
        banks.iter().fold(PcrSelectionListBuilder::new(), |list, (bank, slots)| list.with_selection(*bank, slots));
    let data = Data::try_from(nonce).unwrap();
    let (attest, signature) =
        context.quote(key.into(), data, SignatureScheme::Null, selection.build().unwrap()).unwrap();
    let Signature::RsaSsa(signature) = signature else { panic!("not RSASSA") };
    (attest.marshall().unwrap(), signature.signature().to_vec())
}

#[test]
fn evidence_of_a_software_tpm_is_accepted() {
    let Some(tpm) = Swtpm::start("evidence_of_a_software_tpm_is_accepted") else { return };
    let attester = tpm.attester();
    let set = image_set(&attester.collect().unwrap());
    let evidence = attester.attest(&transcript(7)).unwrap();
    let appraisal = judged(&evidence, &transcript(7), &set);
    accepted(&appraisal);
    assert!(attestation::bound_to_transcript(&appraisal));
    assert_eq!((appraisal.kind, appraisal.assurance), (EvidenceKind::Software, Assurance::Software));
    println!("HCL blob {} bytes; an NV index of this TPM holds 2048", evidence.report.0.len());
    assert!(evidence.report.0.len() <= 2048);
    // What is fixed by the boot is in the captured set, and the job is not.
    assert_eq!(set.pcrs.keys().collect::<Vec<_>>(), ["11", "12", "4", "7", "9"]);
    let pcrs = &evidence.quote.as_ref().unwrap().pcrs;
    assert_eq!(pcrs[8].0, job_pcr(&transcript(7).job_sha256).0);
    // The same evidence opens nothing in production.
    let expected = Expected::from_transcript(&transcript(7), &set).unwrap();
    refused(&appraise(&evidence, &expected, &policy(Profile::Production), now()), &["profile", "chain_root"]);
}

#[test]
fn a_quote_over_another_nonce_is_refused() {
    let Some(tpm) = Swtpm::start("a_quote_over_another_nonce_is_refused") else { return };
    let attester = tpm.attester();
    let set = image_set(&attester.collect().unwrap());
    let mut evidence = attester.attest(&transcript(7)).unwrap();
    let later = attester.attest(&transcript(8)).unwrap();
    evidence.quote = later.quote;
    refused(&judged(&evidence, &transcript(7), &set), &["quote_nonce"]);
}

#[test]
fn changed_pcrs_are_refused() {
    let Some(mut tpm) = Swtpm::start("changed_pcrs_are_refused") else { return };
    let attester = tpm.attester();
    let set = image_set(&attester.collect().unwrap());
    accepted(&judged(&attester.attest(&transcript(1)).unwrap(), &transcript(1), &set));
    // A boot application other than the approved one.
    tpm.tpm().extend(PcrHandle::Pcr4, &measurement()).unwrap();
    refused(&judged(&attester.attest(&transcript(2)).unwrap(), &transcript(2), &set), &["pcr_values"]);
    // PCR 8 extended once more behind the room's back.
    tpm.reboot();
    let attester = tpm.attester();
    attester.attest(&transcript(3)).unwrap();
    tpm.tpm().extend(PcrHandle::Pcr8, &measurement()).unwrap();
    refused(&judged(&attester.attest(&transcript(4)).unwrap(), &transcript(4), &set), &["job_pcr"]);
    // Values beside the quote that the TPM did not sign.
    tpm.reboot();
    let mut evidence = tpm.attester().attest(&transcript(5)).unwrap();
    evidence.quote.as_mut().unwrap().pcrs[14] = Bytes(vec![1; 32]);
    refused(&judged(&evidence, &transcript(5), &set), &["pcr_digest"]);
}

#[test]
fn changed_code_is_refused() {
    let Some(mut tpm) = Swtpm::start("changed_code_is_refused") else { return };
    let set = image_set(&tpm.attester().collect().unwrap());
    // Without a restart the TPM remembers what booted.
    let other = schemas::Digest::of(b"other code");
    refuses(Code::AttesterFailed, open(&tpm.tcti(), root(), &other));
    tpm.reboot();
    let evidence = open(&tpm.tcti(), root(), &other).unwrap().attest(&transcript(7)).unwrap();
    refused(&judged(&evidence, &transcript(7), &set), &["pcr_values"]);
}

#[test]
fn a_second_run_on_the_same_boot_is_refused() {
    let Some(mut tpm) = Swtpm::start("a_second_run_on_the_same_boot_is_refused") else { return };
    let set = image_set(&tpm.attester().collect().unwrap());
    let key = tpm.tpm().attestation_key().unwrap();
    let first = tpm.attester();
    first.attest(&transcript(7)).unwrap();
    // Further evidence for the same run, and no other job.
    first.attest(&transcript(8)).unwrap();
    refuses(Code::BootUsed, first.attest(&of_job(9, 4)));
    // Another process on the same boot: neither another job nor the same one again.
    drop(first);
    refuses(Code::BootUsed, tpm.attester().attest(&of_job(9, 4)));
    refuses(Code::BootUsed, tpm.attester().attest(&transcript(7)));
    // After a restart of the machine all is well, with the same attestation key.
    tpm.reboot();
    let evidence = tpm.attester().attest(&of_job(9, 4)).unwrap();
    accepted(&judged(&evidence, &of_job(9, 4), &set));
    assert!(tpm.tpm().attestation_key().unwrap().public_eq(&key));
}

#[test]
fn a_tpm_that_lost_power_without_shutting_down_is_refused() {
    let Some(mut tpm) = Swtpm::start("a_tpm_that_lost_power_without_shutting_down_is_refused") else { return };
    let set = image_set(&tpm.attester().collect().unwrap());
    tpm.loses_power();
    // Its clock may have gone back; the quote says so.
    refused(&judged(&tpm.attester().attest(&transcript(7)).unwrap(), &transcript(7), &set), &["clock"]);
}

#[test]
fn a_relabelled_pcr_selection_is_refused_by_us_and_taken_by_others() {
    let Some(tpm) = Swtpm::start("a_relabelled_pcr_selection_is_refused_by_us_and_taken_by_others") else { return };
    let attester = tpm.attester();
    let set = image_set(&attester.collect().unwrap());
    let honest = attester.attest(&transcript(7)).unwrap();
    let nonce = binding(&transcript(7)).unwrap();
    let with = |quote: (Vec<u8>, Vec<u8>), pcrs: Vec<Bytes>| {
        let quote = Quote { message: Bytes(quote.0), signature: Bytes(quote.1), pcrs };
        Evidence { quote: Some(quote), ..honest.clone() }
    };
    let pcrs = honest.quote.as_ref().unwrap().pcrs.clone();

    // The same 24 values and digest, with an empty bank beside: nothing but the selection is wrong.
    let all: Vec<PcrSlot> = every_slot();
    let two_banks = own_quote(&tpm, &nonce, &[(HashingAlgorithm::Sha256, &all), (HashingAlgorithm::Sha384, &[])]);
    refused(&judged(&with(two_banks, pcrs.clone()), &transcript(7), &set), &["pcr_selection"]);

    // PCR 16 may be reset and filled with the genuine value of PCR 11; a quote over 0 to 10 and 16 shows it as "11".
    tpm.tpm().extend(PcrHandle::Pcr16, &measurement()).unwrap();
    tpm.tpm().extend(PcrHandle::Pcr11, &measurement()).unwrap();
    let mut slots = every_slot();
    slots.retain(|slot| *slot <= PcrSlot::Slot10 || *slot == PcrSlot::Slot16);
    let (message, signature) = own_quote(&tpm, &nonce, &[(HashingAlgorithm::Sha256, &slots)]);
    let shown: Vec<Bytes> = pcrs[..11].iter().cloned().chain([pcrs[11].clone()]).collect();
    let theirs: az_snp_vtpm::vtpm::Quote =
        serde_json::from_value(json!({"message": message, "signature": signature, "pcrs": raw(&shown)})).unwrap();
    theirs.verify(&tpm.tpm().attestation_key().unwrap(), &nonce).unwrap();
    let appraisal = judged(&with((message.clone(), signature.clone()), shown.clone()), &transcript(7), &set);
    assert!(appraisal.failed().contains(&"pcr_selection") && !appraisal.accepted, "{:?}", appraisal.failed());
    // Filled up to 24 values, as a verifier by index would want them.
    let full: Vec<Bytes> = shown.into_iter().chain(pcrs[12..].iter().cloned()).collect();
    let appraisal = judged(&with((message, signature), full), &transcript(7), &set);
    refused(&appraisal, &["pcr_selection", "pcr_digest"]);
    // And the machine as it is.
    let evidence = attester.attest(&transcript(7)).unwrap();
    refused(&judged(&evidence, &transcript(7), &set), &["pcr_values"]);
}

fn every_slot() -> Vec<PcrSlot> {
    (0..24).map(|at| PcrSlot::try_from(1u32 << at).unwrap()).collect()
}

fn raw(pcrs: &[Bytes]) -> Value {
    json!(pcrs.iter().map(|p| p.0.clone()).collect::<Vec<_>>())
}

#[test]
fn parallel_attestations_each_carry_their_own_transcript() {
    let Some(tpm) = Swtpm::start("parallel_attestations_each_carry_their_own_transcript") else { return };
    let attester = tpm.attester();
    let set = image_set(&attester.collect().unwrap());
    std::thread::scope(|scope| {
        for nonce in 1..=4 {
            let (attester, set) = (&attester, &set);
            scope.spawn(move || {
                let evidence = attester.attest(&transcript(nonce)).unwrap();
                accepted(&judged(&evidence, &transcript(nonce), set));
                // Evidence of one transcript counts for no other.
                refused(&judged(&evidence, &transcript(nonce + 1), set), &["user_data", "quote_nonce"]);
            });
        }
    });
}

#[test]
fn a_tpm_that_is_not_there_is_refused() {
    refuses(Code::ConfigInvalid, open("carrier-pigeon:coop=3", root(), &measurement()));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    refuses(Code::AttesterFailed, open(&format!("swtpm:host=127.0.0.1,port={port}"), root(), &measurement()));
    let Some(mut tpm) = Swtpm::start("a_tpm_that_is_not_there_is_refused") else { return };
    let attester = tpm.attester();
    tpm.stop();
    refuses(Code::AttesterFailed, attester.attest(&transcript(7)));
    refuses(Code::AttesterFailed, attester.collect());
}
