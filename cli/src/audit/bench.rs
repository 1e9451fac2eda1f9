//! A measure of the audit: a log of any size made up in a file, and the time that its verification takes.
//!
//! The made-up log is a real one: genesis, applications and decisions with their signatures, anchored digests, roots of
//! the second tree, in the proportions of a log that is mostly small entries.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use policies::lifecycle::{Frontier, Twin, twin_claims, twin_leaf};
use schemas::event::{Body, SroPerson};
use schemas::id::Did;
use schemas::log::{CheckpointRef, ExportedEntry, Record, body_digest, subject_digest};
use schemas::party::{Decision, Kind, Participant, ParticipantDecision};
use schemas::text::Bytes;
use schemas::{Digest, Envelope, R, Signer as _, Timestamp};
use serde::Serialize;
use signing::{FileKey, Trust, note};

use super::source::Lines;
use super::{Depth, Head, Options, line, verify_from};
use crate::edge::file_fault;

/// What was measured, in seconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Measured {
    /// Entries of the log.
    pub entries: u64,
    /// Bytes of the export.
    pub bytes: u64,
    /// To make it up.
    pub generate_seconds: f64,
    /// To verify tiles, both trees, chains and all states, without signatures.
    pub states_seconds: f64,
    /// To verify all of it.
    pub everything_seconds: f64,
    /// Signatures in it.
    pub signatures: u64,
    /// Threads that the machine offers.
    pub threads: usize,
}

/// Makes up a log of about this many entries in a file, and verifies it twice.
pub fn run(entries: u64, file: &Path, now: Timestamp) -> R<Measured> {
    let fault = |e: std::io::Error| file_fault(file, e);
    let started = Instant::now();
    let mut out = BufWriter::new(File::create(file).map_err(fault)?);
    let mut writer = Writer::new(&mut out, now)?;
    writer.fill(entries)?;
    let (head, trust) = writer.close()?;
    out.flush().map_err(fault)?;
    drop(out);
    let generate_seconds = started.elapsed().as_secs_f64();
    let bytes = std::fs::metadata(file).map_err(fault)?.len();
    let timed = |depth| -> R<(f64, Option<u64>)> {
        let started = Instant::now();
        let mut reader = BufReader::new(File::open(file).map_err(fault)?);
        reader.seek(SeekFrom::Start(0)).map_err(fault)?;
        let mut lines = WithHead { head: head.clone(), lines: Lines::new(&mut reader) };
        let report = verify_from(&mut lines, &trust, &Options::default(), depth, now)?;
        Ok((started.elapsed().as_secs_f64(), report.signatures))
    };
    let (states_seconds, _) = timed(Depth::NoSignatures)?;
    let (everything_seconds, signatures) = timed(Depth::Everything)?;
    Ok(Measured {
        entries: head.size,
        bytes,
        generate_seconds,
        states_seconds,
        everything_seconds,
        signatures: signatures.unwrap_or(0),
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    })
}

/// What was measured of a contract bundle.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BundleMeasured {
    /// Verifications.
    pub rounds: u32,
    /// Median of one, in milliseconds, reading included.
    pub milliseconds: f64,
}

/// Verifies a bundle file many times.
pub fn bundle(json: &[u8], trust: &Trust) -> R<BundleMeasured> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        crate::contract::bundle::verify_file(json, trust)?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(BundleMeasured { rounds: ROUNDS, milliseconds: times[times.len() / 2] })
}

const ROUNDS: u32 = 200;

/// The lines of the file under a head that is known only once they are written.
struct WithHead<'a> {
    head: Head,
    lines: Lines<'a>,
}

impl super::source::Source for WithHead<'_> {
    fn head(&mut self) -> R<Head> {
        Ok(self.head.clone())
    }
    fn line(&mut self, index: u64) -> R<Option<Vec<u8>>> {
        self.lines.line(index)
    }
    fn end(&mut self, size: u64) -> R<()> {
        self.lines.end(size)
    }
}

/// Entries per made-up batch; each ends with the root of the second tree.
const BATCH: u64 = 512;
/// One participant per so many entries.
const PER_PARTICIPANT: u64 = 200;

/// Writes entries as a registry would.
struct Writer<'a> {
    out: &'a mut dyn Write,
    registry: FileKey,
    sro: [FileKey; 2],
    trust: Trust,
    frontier: Frontier,
    twin: Twin,
    chains: HashMap<String, (u64, Digest)>,
    at: Timestamp,
    start: Timestamp,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut dyn Write, now: Timestamp) -> R<Writer<'a>> {
        let did = Did::parse("did:web:bench.example")?;
        let registry = FileKey::generate_for(&did)?;
        let sro = [FileKey::generate()?, FileKey::generate()?];
        let person = |key: &FileKey, name: &str| -> R<SroPerson> {
            Ok(SroPerson { did: key.did()?, jwk: key.jwk().clone(), name: name.into() })
        };
        let trust = Trust {
            registry: did,
            registry_jwk: registry.jwk().clone(),
            origin: "bench.example/log".into(),
            sro: vec![person(&sro[0], "Person A")?, person(&sro[1], "Person B")?],
            witnesses: vec![],
            quorum: 0,
            lineage: Default::default(),
        };
        let start = now.plus_seconds(-86_400);
        Ok(Writer {
            out,
            registry,
            sro,
            trust,
            frontier: Frontier::default(),
            twin: Twin::default(),
            chains: HashMap::new(),
            at: start,
            start,
        })
    }

    fn fill(&mut self, entries: u64) -> R<()> {
        self.enter(Body::Genesis {
            registry: self.trust.registry.clone(),
            registry_jwk: self.trust.registry_jwk.clone(),
            origin: self.trust.origin.clone(),
            sro: self.trust.sro.clone(),
            succeeds: None,
        })?;
        let mut participants = Vec::new();
        while self.frontier.size() < entries {
            let index = self.frontier.size();
            if index % BATCH == BATCH - 1 {
                self.enter(Body::TwinRoot { size: index, root: self.twin.root() })?;
            } else if participants.len() as u64 <= index / PER_PARTICIPANT {
                participants.push(self.admit(participants.len())?);
            } else {
                let by: &Did = &participants[usize::try_from(index).unwrap_or(0) % participants.len()];
                self.enter(Body::DigestAnchored { by: by.clone(), sha256: Digest::of(&index.to_be_bytes()) })?;
            }
        }
        Ok(())
    }

    /// A participant applies and is verified by two people.
    fn admit(&mut self, n: usize) -> R<Did> {
        let key = FileKey::generate()?;
        let application = Participant {
            schema: "participant.v1".into(),
            registry: self.trust.registry.clone(),
            did: key.did()?,
            kind: Kind::Tdp,
            legal_name: format!("Participant {n}"),
            jurisdiction: "IN".into(),
            jwk: key.jwk().clone(),
            applied_at: self.start,
        };
        let application: Envelope<Participant> = signing::sign(&application, &key, self.start)?;
        let decision = ParticipantDecision {
            schema: "participant-decision.v1".into(),
            registry: self.trust.registry.clone(),
            participant: key.did()?,
            participant_sha256: application.digest(),
            decision: Decision::Verified,
            reason: "made up".into(),
            decided_at: self.start,
        };
        let mut decision = signing::sign(&decision, &self.sro[0], self.start)?;
        decision.signatures.push(signing::countersign(&decision, &self.sro[1], self.start)?);
        self.enter(Body::ParticipantApplied { application, resolution: None })?;
        self.enter(Body::ParticipantDecided { decision })?;
        key.did()
    }

    fn enter(&mut self, body: Body) -> R<()> {
        let index = self.frontier.size();
        let subject = policies::lifecycle::State::new().subject(&body)?;
        // Salts of a made-up log need not be secret.
        let subject_salt = Digest::of(subject.as_bytes()).0;
        let body_salt = Digest::of(&index.to_le_bytes()).0;
        let (seq, prev) = self.chains.get(&subject).copied().unwrap_or((0, Digest([0; 32])));
        let record = Record {
            v: 1,
            kind: body.kind().to_owned(),
            subject: subject_digest(&subject_salt, &subject),
            seq: seq + 1,
            at: self.at,
            body_sha256: body_digest(&body_salt, &body)?,
            prev,
        };
        let leaf = record.leaf()?;
        self.twin.push(twin_leaf(index, &leaf, &twin_claims(&body, &record.body_sha256)), |_, _, _| {});
        self.frontier.push(leaf, |_, _, _| {});
        self.chains.insert(subject.clone(), (seq + 1, leaf));
        self.at = Timestamp::from_micros(self.at.micros() + 1000);
        let (subject_salt, body_salt) = (Bytes(subject_salt.to_vec()), Bytes(body_salt.to_vec()));
        line(self.out, &ExportedEntry { index, record, subject, subject_salt, body_salt, body })
    }

    fn close(self) -> R<(Head, Trust)> {
        let head = CheckpointRef { size: self.frontier.size(), root: self.frontier.root() };
        let checkpoint = note::sign_checkpoint(&self.trust.origin, &head, &self.registry)?.text();
        Ok((Head { v: 1, size: head.size, checkpoint }, self.trust))
    }
}
