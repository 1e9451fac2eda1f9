use std::path::{Path, PathBuf};

use clap::Subcommand;
use depa::table::Table;
use depa::{edge, party, sro};
use schemas::desk::PendingAct;
use schemas::id::{Did, ImageSetId};
use schemas::jwk::Jwk;
use schemas::party::Decision;
use schemas::{Document, Envelope, R};
use serde_json::{Value, json};

use super::Global;
use super::passing::two_people;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Draft a contract template from a form (TOML, or JSON).
    #[command(after_help = concat!("Example:\n  depa sro template oncology.toml --out template.json --trust trust.json\n\nA form with everything that is needed:\n\n", include_str!("../../samples/template.toml")))]
    Template {
        /// The form.
        form: PathBuf,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Draft a data schema from a form (TOML, or JSON).
    #[command(after_help = concat!("Example:\n  depa sro data-schema patients.toml --out schema.json --trust trust.json\n\nA form with everything that is needed:\n\n", include_str!("../../samples/data-schema.toml")))]
    DataSchema {
        /// The form.
        form: PathBuf,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Draft the revocation of an image set: no room may show itself as it any more.
    #[command(
        after_help = "Example:\n  depa sro revoke-image-set img_… --reason 'CVE-2026-1' --out revoke.json --trust trust.json"
    )]
    RevokeImageSet {
        /// The image set.
        #[arg(value_parser = super::id::<ImageSetId>)]
        id: ImageSetId,
        /// One sentence of reason.
        #[arg(long)]
        reason: String,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Draft the suspension of a participant.
    #[command(
        after_help = "Example:\n  depa sro suspend did:key:z6Mk… --reason 'inquiry' --out suspend.json --trust trust.json --registry URL"
    )]
    Suspend {
        /// The participant.
        #[arg(value_parser = super::id::<Did>)]
        participant: Did,
        /// One sentence of reason.
        #[arg(long)]
        reason: String,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Draft the erasure of the bodies of one subject's entries, all of them.
    #[command(
        after_help = "Example:\n  depa sro erase 17 21 --reason 'rejected applicant' --out erase.json --trust trust.json"
    )]
    Erase {
        /// The entries.
        #[arg(required = true)]
        entries: Vec<u64>,
        /// One sentence of reason that names nobody.
        #[arg(long)]
        reason: String,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Draft a change of the log's key.
    #[command(
        after_help = "Example:\n  depa sro log-key new-log.jwk --overlap-hours 48 --out log-key.json --trust trust.json"
    )]
    LogKey {
        /// File with the new public key, a JWK.
        jwk: PathBuf,
        /// Hours for which both keys sign checkpoints.
        #[arg(long, default_value_t = 168)]
        overlap_hours: u32,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Draft a change of the keys of a person of the SRO: two people sign it.
    #[command(
        after_help = "Example:\n  depa sro key add did:key:z6Mk… second.key --reason 'yearly change' --out add.json --trust trust.json"
    )]
    Key {
        #[command(subcommand)]
        verb: super::sro_key::Verb,
    },
    /// Show a draft: read it before you sign it.
    #[command(after_help = "Example:\n  depa sro show template.json")]
    Show {
        /// The draft.
        draft: PathBuf,
    },
    /// List what one person of the SRO has signed and a second one has not, the oldest first.
    #[command(
        after_help = "Example:\n  depa sro pending --out waiting --key sro-b.key --registry URL\n  depa sro show waiting/3f2a….json && depa sro approve waiting/3f2a….json --key sro-b.key --registry URL"
    )]
    Pending {
        /// Write each as a draft into this folder; made if it is not there.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Sign a draft of any of these kinds, of an image set or of a decision; it counts once two people have.
    #[command(after_help = "Example:\n  depa sro approve template.json --key sro-a.key --registry URL")]
    Approve {
        /// The draft.
        draft: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let now = edge::now();
    match verb {
        Verb::Template { form, out } => write(&sro::template(edge::read_form(&form)?, &global.trust()?, now)?, &out),
        Verb::DataSchema { form, out } => {
            write(&sro::data_schema(edge::read_form(&form)?, &global.trust()?, now)?, &out)
        }
        Verb::RevokeImageSet { id, reason, out } => {
            write(&sro::image_set_revocation(id, &reason, &global.trust()?, now)?, &out)
        }
        Verb::Suspend { participant, reason, out } => {
            let view = party::show(&global.desk()?, &participant)?;
            write(&party::decision(&view, Decision::Suspended, &reason, &global.trust()?, now)?, &out)
        }
        Verb::Erase { entries, reason, out } => write(&sro::erasure(entries, &reason, &global.trust()?, now)?, &out),
        Verb::LogKey { jwk, overlap_hours, out } => {
            let jwk: Jwk = edge::read_json(&jwk)?;
            write(&sro::log_key(jwk, overlap_hours.saturating_mul(3600), &global.trust()?, now)?, &out)
        }
        Verb::Key { verb } => super::sro_key::run(verb, global),
        Verb::Show { draft } => Ok(Answer::value(&sro::show(&edge::read_json(&draft)?)?)),
        Verb::Pending { out } => pending(&global.desk_as()?.0.pending_acts()?.acts, out.as_deref()),
        Verb::Approve { draft } => {
            let (desk, key) = global.desk_as()?;
            let draft = edge::read_json(&draft)?;
            let answer = sro::approve(&desk, &draft, &key, now)?;
            let in_doubt = if answer.receipt.is_some() { sro::in_doubt(&desk, &draft)? } else { Vec::new() };
            if !in_doubt.is_empty() {
                say(&format!("entries that the reported key signed since, to be looked at again: {in_doubt:?}"));
            }
            Ok(two_people(&answer, "approved"))
        }
    }
}

pub(super) fn write<T: Document>(draft: &Envelope<T>, out: &Path) -> R<Answer> {
    edge::write_json(out, draft)?;
    say(&format!("wrote {}; two people sign it: depa sro approve {}", out.display(), out.display()));
    Ok(Answer::new(&json!({"schema": T::SCHEMA, "sha256": draft.digest()}), format!("sha256 {}", draft.digest())))
}

fn pending(acts: &[PendingAct], out: Option<&Path>) -> R<Answer> {
    if let Some(folder) = out {
        std::fs::create_dir_all(folder).map_err(|e| edge::file_fault(folder, e))?;
    }
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for act in acts {
        let draft: Envelope<Value> = Envelope::new(act.payload.0.clone(), act.signatures.clone());
        let shown = sro::show(&draft)?;
        // A file of its own content: one that is there already is the same document.
        let file = out.map(|folder| folder.join(format!("{}.json", shown.sha256)));
        if let Some(file) = file.as_ref().filter(|file| !file.exists()) {
            edge::write_json(file, &draft)?;
        }
        let signed: Vec<String> = act.signatures.iter().map(|signature| signature.kid.to_string()).collect();
        let (kind, sha256, since, until) = (&shown.schema, &shown.sha256, act.since, act.until);
        rows.push([kind.clone(), sha256.to_string(), since.to_string(), until.to_string(), signed.join(", ")]);
        all.push(
            json!({"schema": kind, "sha256": sha256, "since": since, "until": until, "signed_by": signed, "out": file}),
        );
    }
    if out.is_some() && !all.is_empty() {
        say("read each with depa sro show, then: depa sro approve FILE");
    }
    let table = Table::new(["kind", "sha256", "since", "until", "signed by"], rows);
    let text = if all.is_empty() { "nothing waits".to_owned() } else { table.text() };
    Ok(Answer::new(&json!({"acts": all}), text))
}
