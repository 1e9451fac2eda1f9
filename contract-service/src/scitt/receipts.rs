//! COSE receipts (RFC 9942) of entries, made when they are asked for, under the newest head of the log.

use schemas::event::Body;
use schemas::log::Checkpoint;
use schemas::{Code, R, Refusal};
use signing::scitt;
use signing::scitt::ccf::{Leaf, Step};
use signing::scitt::receipt::{Claims, Place};

use crate::app::App;

/// The verifiable data structures that receipts speak of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vds {
    /// 1: the RFC 9162 tree, EdDSA. The leaf is the public record.
    Rfc9162,
    /// 2: the CCF-shaped tree, ES256. The leaf claims the statement's digest.
    Ccf,
}

impl Vds {
    /// Reads `1` or `2`.
    pub fn parse(text: &str) -> R<Vds> {
        match text {
            "1" => Ok(Vds::Rfc9162),
            "2" => Ok(Vds::Ccf),
            _ => Err(Refusal::new(Code::NotAcceptable, "vds is 1 or 2").at("vds")),
        }
    }
}

/// The receipt of an entry. It tells nothing that the public tiles do not tell.
pub fn receipt(app: &App, index: u64, vds: Vds) -> R<Vec<u8>> {
    let subject = subject(app, index)?;
    let claims = Claims { issuer: app.did().as_str(), subject: &subject };
    match vds {
        Vds::Rfc9162 => {
            let receipt = app.registry.receipt(index)?;
            let head = Checkpoint::parse(&receipt.checkpoint)?.head;
            let place = Place { size: head.size, index, path: &receipt.path, root: head.root };
            scitt::receipt::write(&*app.signer()?, &claims, &receipt.record.bytes()?, &place)
        }
        Vds::Ccf => {
            let proof = app.registry.twin_proof(index)?;
            let leaf = Leaf::new(index, proof.leaf.entry, proof.leaf.claims);
            let path: Vec<Step> = proof.path.iter().map(|(left, hash)| Step { left: *left, hash: *hash }).collect();
            scitt::ccf::write(app.receipt_key.key(), &claims, index, &leaf, &path, proof.root)
        }
    }
}

/// The statement's own subject; for all other entries the salted one of the public record.
fn subject(app: &App, index: u64) -> R<String> {
    let unknown = || Refusal::new(Code::NotFound, "there is no such entry");
    let entry = app.registry.entries(index, 1)?.pop().filter(|e| e.index == index).ok_or_else(unknown)?;
    match &entry.body {
        Body::StatementRegistered { statement, .. } => Ok(scitt::read(&statement.0)?.subject),
        _ => Ok(entry.record.subject.to_string()),
    }
}
