use std::path::PathBuf;

use clap::{Args, Subcommand};
use depa::attest::{self, Question};
use depa::{edge, exit};
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde_json::json;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Appraise saved evidence: every check is listed; the exit code is 0 only if it is accepted.
    #[command(
        after_help = "PATH is evidence as JSON, alone or as {\"transcript\": …, \"evidence\": …}, or a folder with hcl.bin (or \
                            report.bin), vcek.der, quote_msg.bin, quote_sig.bin, pcrs_sha256.bin, and perhaps nonce.bin.\n\n\
                            Levels: baseline (Milan and Genoa with AMD-SB-3015, -3019 and -7033), 2026 (with -3020 and -3027), \
                            strict (Genoa alone, with -3021 and without SMT). SIMULATED evidence has a level too, and counts \
                            under a pinned software root alone (--software-root).\n\nExamples:\n  \
                            depa attest verify room/ --policy baseline\n  \
                            depa attest verify evidence.json --policy 2026 --at 2026-11-20T12:00:00Z --crl milan.crl --json"
    )]
    Verify(Box<Verify>),
    /// Sign platform data as a person of the SRO; it counts once two have.
    #[command(
        after_help = "Example:\n  depa attest sign-data amd.json --out once.json --key a.key --trust trust.json\n  \
                            depa attest sign-data once.json --out amd.signed.json --key b.key --trust trust.json"
    )]
    SignData {
        /// The rules as JSON, or what another person signed.
        data: PathBuf,
        /// The signed data: a new file.
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Args)]
pub struct Verify {
    /// The evidence: a JSON file, or a folder.
    path: PathBuf,
    /// The platform level: baseline, 2026 or strict.
    #[arg(long, value_name = "NAME")]
    policy: String,
    /// The time to judge at; now if absent.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Newer platform data, signed by two SRO people; needs --trust.
    #[arg(long, value_name = "FILE")]
    platform_data: Option<PathBuf>,
    /// A revocation list of AMD (DER or PEM); may be given more than once.
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// Refuse without a revocation list of the root.
    #[arg(long)]
    require_crl: bool,
    /// An image set to compare with; its signatures are not checked here.
    #[arg(long, value_name = "FILE")]
    image_set: Option<PathBuf>,
    /// The nonce expected, in hexadecimal; else nonce.bin, else what the quote shows.
    #[arg(long, value_name = "HEX")]
    nonce: Option<String>,
    /// The user data expected, in hexadecimal, zeros behind; else what is saved, else what the evidence shows.
    #[arg(long, value_name = "HEX")]
    user_data: Option<String>,
    /// A root of vTPMs (DER or PEM): the certificate of the attestation key is then judged.
    #[arg(long, value_name = "FILE")]
    vtpm_root: Vec<PathBuf>,
    /// An authority below it (DER or PEM).
    #[arg(long, value_name = "FILE")]
    vtpm_authority: Vec<PathBuf>,
    /// Also take reports signed by a provider's VLEK.
    #[arg(long)]
    vlek: bool,
    /// SIMULATED: pin this software root (SHA-256) as a demo would.
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    software_root: Option<Digest>,
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Verify(args) => verify(*args, global),
        Verb::SignData { data, out } => {
            let signed = attest::sign_data(&data, &global.trust()?, &global.key()?, edge::now())?;
            edge::write_json(&out, &signed)?;
            let (sha256, signatures) = (signed.digest(), signed.signatures.len());
            let text = format!("sha256 {sha256}, {signatures} of 2 signatures");
            Ok(Answer::new(&json!({"sha256": sha256, "signatures": signatures}), text))
        }
    }
}

fn verify(args: Verify, global: &Global) -> R<Answer> {
    let saved = attest::load(&args.path)?;
    let trust = args.platform_data.as_ref().map(|_| global.trust()).transpose()?;
    let table = attest::pinned_table(args.platform_data.as_deref().zip(trust.as_ref()))?;
    let question = Question {
        level: args.policy,
        nonce: args.nonce.as_deref().map(unhex).transpose()?,
        user_data: args.user_data.as_deref().map(unhex).transpose()?,
        image_set: args.image_set.as_deref().map(attest::image_set).transpose()?,
        crls: blocks(&args.crl)?,
        require_crl: args.require_crl,
        vtpm_roots: blocks(&args.vtpm_root)?,
        vtpm_authorities: blocks(&args.vtpm_authority)?,
        vlek: args.vlek,
        software_root: args.software_root,
    };
    let found = attest::verify(&saved, &question, &table, args.at.unwrap_or_else(edge::now))?;
    if found.simulated {
        say("SIMULATED: software evidence, for which nobody vouches");
    }
    let mut answer = Answer::new(&found, found.text());
    if !found.appraisal.accepted {
        answer.exit = exit::ATTESTATION;
    }
    Ok(answer)
}

fn blocks(files: &[PathBuf]) -> R<Vec<Vec<u8>>> {
    let read: R<Vec<Vec<Vec<u8>>>> = files.iter().map(|f| attest::blocks(f)).collect();
    Ok(read?.into_iter().flatten().collect())
}

fn unhex(text: &str) -> R<Vec<u8>> {
    hex::decode(text).map_err(|_| Refusal::new(Code::ConfigInvalid, "hexadecimal is expected"))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|e| e.sentence)
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).map_err(|e| e.sentence)
}
