//! A standing watch over a log: every pass proves that it continues what was seen before, replays what is new, and keeps
//! a mirror. On a fault nothing of the pass is accepted and the evidence is kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contract_client::Client;
use schemas::log::{Checkpoint, CheckpointRef, check_consistency};
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use serde::Serialize;
use signing::Trust;

use super::mirror::Mirror;
use super::quorum::{self, Cosigned};
use super::report::Report;
use super::source::{Folder, Source as _};
use super::tiles::Tiles;
use super::verify::{Audit, Depth, Options};
use super::{Head, PAGE, public, tampered};

/// How long a pass waits for the cosignatures of a head that was made just now.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

/// What a pass found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Pass {
    /// Size and root of the log now.
    pub log: CheckpointRef,
    /// The checkpoint of the last accepted pass; none at the first.
    pub continues: Option<CheckpointRef>,
    /// Pinned witnesses that cosigned.
    pub cosigned: Vec<Cosigned>,
    /// All states, budgets, obligations and books, where bodies could be read; none where tiles alone were checked.
    pub report: Option<Report>,
}

impl Pass {
    /// The pass in words.
    pub fn text(&self) -> String {
        let continues = match &self.continues {
            Some(before) => format!("continues the {} entries seen before", before.size),
            None => "first pass".to_owned(),
        };
        match &self.report {
            Some(report) => format!("{continues}\n{}", report.text()),
            None => format!(
                "{continues}\nverified: {} entries by their public records; bodies were not read\nroot {}\ncosigned by {} pinned witnesses",
                self.log.size,
                self.log.root,
                self.cosigned.len()
            ),
        }
    }
}

/// A watch over one log.
pub struct Monitor {
    client: Client,
    /// Whether the client may read bodies.
    bodies: bool,
    trust: Trust,
    mirror: Mirror,
    audit: Option<Audit>,
}

/// What is kept of a fault.
#[derive(Serialize)]
struct Evidence<'a> {
    v: u8,
    code: &'a str,
    sentence: &'a str,
    /// The checkpoint note of the last accepted pass.
    accepted: Option<String>,
    /// The one that does not fit it.
    offered: String,
    /// The consistency proof that the service gave.
    proof: Vec<Digest>,
}

impl Monitor {
    /// A watch that keeps its state in this folder. With `bodies` the client acts for an SRO person or auditor.
    pub fn new(client: Client, bodies: bool, trust: Trust, dir: &Path) -> Monitor {
        Monitor { client, bodies, trust, mirror: Mirror::at(dir), audit: None }
    }

    /// One pass:
    ///
    /// 1. the newest checkpoint: signed by the log, cosigned by the pinned quorum;
    /// 2. it continues the one of the last accepted pass, which is proved;
    /// 3. with bodies: every entry up to it is replayed as in `depa audit verify`, each only once in the life of this
    ///    watch; without: every public record is read, and the chains of their subjects;
    /// 4. tiles, entries and then the checkpoint are kept.
    ///
    /// A fault is a failed verification; what shows it lies in `evidence/` of the folder.
    pub fn pass(&mut self, now: Timestamp) -> R<Pass> {
        let offered = self.offered()?;
        let mut proof = Vec::new();
        let result = self.check(&offered, &mut proof, now);
        if let Err(refusal) = &result
            && crate::exit::of(refusal) == crate::exit::VERIFICATION
        {
            // What was replayed before the fault is not carried on.
            self.audit = None;
            let file = self.keep_evidence(refusal, offered, proof, now)?;
            let sentence = format!("{}; evidence is in {}", refusal.sentence, file.display());
            return Err(Refusal::new(refusal.code, sentence));
        }
        result
    }

    /// The newest checkpoint, with the cosignatures that are asked for where they come in time: a head that was made just
    /// now is on its way to the witnesses.
    fn offered(&self) -> R<String> {
        let began = Instant::now();
        loop {
            let offered = self.client.checkpoint()?;
            let cosigned = Checkpoint::parse(&offered).is_ok_and(|c| quorum::require(&c, &self.trust).is_ok());
            if cosigned || began.elapsed() > PATIENCE {
                return Ok(offered);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn check(&mut self, offered: &str, proof: &mut Vec<Digest>, now: Timestamp) -> R<Pass> {
        let checkpoint = Checkpoint::parse(offered)?;
        let accepted = self.mirror.checkpoint()?.map(|text| Checkpoint::parse(&text)).transpose()?;
        let cosigned = quorum::require(&checkpoint, &self.trust)?;
        if let Some(before) = &accepted {
            self.continues(&before.head, &checkpoint.head, proof)?;
        }
        let report = if self.bodies {
            Some(self.replay(offered, &checkpoint.head, now)?)
        } else {
            // A key that came after the pinned one counts by the lineage that the service shows.
            self.trust = crate::trust::for_note(&self.client, &self.trust, offered)?;
            public::verify(&self.keeping(), &checkpoint.head)?;
            None
        };
        self.mirror.keep_checkpoint(offered)?;
        Ok(Pass { log: checkpoint.head, continues: accepted.map(|c| c.head), cosigned, report })
    }

    fn continues(&self, before: &CheckpointRef, now: &CheckpointRef, proof: &mut Vec<Digest>) -> R<()> {
        if now.size < before.size {
            let sentence =
                format!("the log has {} entries and had {}: it was rolled back, or forked", now.size, before.size);
            return Err(Refusal::new(Code::ConsistencyInvalid, sentence));
        }
        if now.size > before.size {
            *proof = self.client.consistency(before.size, now.size)?;
        }
        check_consistency(before, now, proof)
    }

    /// Takes the new entries into the folder and the audit further to the checkpoint.
    fn replay(&mut self, offered: &str, head: &CheckpointRef, now: Timestamp) -> R<Report> {
        self.fetch(head.size)?;
        let keeping = self.keeping();
        let audit =
            self.audit.get_or_insert_with(|| Audit::new(&self.trust, Depth::Everything, Some(Box::new(keeping))));
        let head = Head { v: 1, size: head.size, checkpoint: offered.to_owned() };
        let opened = audit.open(&head, &Options::default())?;
        let mut folder = Folder::new(self.mirror.dir());
        audit.take(&mut folder, head.size)?;
        folder.end(head.size)?;
        audit.judge(&opened, now)
    }

    /// Entries from where the accepted checkpoint ends. They count once a checkpoint over them is kept.
    fn fetch(&self, size: u64) -> R<()> {
        let accepted = self.mirror.checkpoint()?.map_or(Ok(0), |text| Checkpoint::parse(&text).map(|c| c.head.size))?;
        let mut at = accepted.min(self.mirror.entries()?);
        while at < size {
            let page = self.client.export(at, PAGE)?.entries;
            let take = usize::try_from(size - at).unwrap_or(usize::MAX).min(page.len());
            if take == 0 {
                return Err(tampered(format!("entry {at}: the service does not give it")));
            }
            let mut lines = Vec::new();
            for entry in &page[..take] {
                let mut line = canonical::to_bytes(entry)?;
                line.push(b'\n');
                lines.push(line);
            }
            self.mirror.keep_entries(at, &lines)?;
            at += take as u64;
        }
        Ok(())
    }

    fn keeping(&self) -> Keeping {
        Keeping { client: self.client.clone(), mirror: self.mirror.clone() }
    }

    fn keep_evidence(&self, refusal: &Refusal, offered: String, proof: Vec<Digest>, now: Timestamp) -> R<PathBuf> {
        let evidence = Evidence {
            v: 1,
            code: refusal.code.as_str(),
            sentence: &refusal.sentence,
            accepted: self.mirror.checkpoint()?,
            offered,
            proof,
        };
        let name = format!("evidence/{}.json", now.micros());
        self.mirror.keep(&name, &canonical::to_bytes(&evidence)?)?;
        Ok(self.mirror.dir().join(name))
    }
}

/// The service's tiles, each kept once it was found good; full ones are not asked for twice.
struct Keeping {
    client: Client,
    mirror: Mirror,
}

impl Tiles for Keeping {
    fn tile(&self, path: &str) -> R<Option<Vec<u8>>> {
        let kept = if path.contains(".p/") { None } else { self.mirror.tile(path)? };
        match kept {
            Some(bytes) => Ok(Some(bytes)),
            None => Tiles::tile(&self.client, path),
        }
    }

    fn found_good(&self, path: &str, bytes: &[u8]) -> R<()> {
        if self.mirror.tile(path)?.as_deref() == Some(bytes) {
            return Ok(());
        }
        self.mirror.keep_tile(path, bytes)
    }
}
