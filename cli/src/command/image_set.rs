use std::path::PathBuf;

use clap::Subcommand;
use depa::edge;
use depa::image_set::{self, Measurement};
use depa::table::Table;
use schemas::R;
use schemas::contract::Assurance;
use schemas::id::ImageSetId;
use serde_json::json;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Draft an image set from what one room measured to (`ccr measure`, `depa ccr measure`).
    #[command(
        after_help = "Example:\n  depa image-set new --name 'room 1.4' --pcrs measured.json --out image-set.json --trust trust.json"
    )]
    New {
        /// A name for people, with the release it stands for.
        #[arg(long)]
        name: String,
        /// The measurement.
        #[arg(long)]
        pcrs: PathBuf,
        /// Days from now for which it is approved.
        #[arg(long, default_value_t = 365)]
        days: u32,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign a drafted image set as a person of the SRO; it is approved once two have.
    #[command(after_help = "Example:\n  depa image-set sign image-set.json --key a.key --registry URL")]
    Sign {
        /// The draft.
        draft: PathBuf,
    },
    /// List the approved image sets, also those that ended.
    #[command(after_help = "Example:\n  depa image-set list --registry URL")]
    List {
        /// Where the page before ended.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Show an approved image set.
    #[command(after_help = "Example:\n  depa image-set show img_… --registry URL --json")]
    Show {
        /// The image set.
        #[arg(value_parser = super::id::<ImageSetId>)]
        id: ImageSetId,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::New { name, pcrs, days, out } => {
            let measured: Measurement = edge::read_json(&pcrs)?;
            if measured.simulated {
                say("SIMULATED: a room shown by software evidence is vouched for by nobody");
            }
            let draft = image_set::draft(&name, &measured, days, &global.trust()?, edge::fresh(), edge::now())?;
            edge::write_json(&out, &draft)?;
            let id = draft.read_unverified()?.image_set_id;
            Ok(Answer::new(
                &json!({"image_set_id": id, "sha256": draft.digest()}),
                format!("{id}\nsha256 {}", draft.digest()),
            ))
        }
        Verb::Sign { draft } => {
            let (desk, key) = global.desk_as()?;
            let answer = image_set::sign(&desk, &edge::read_json(&draft)?, &key, edge::now())?;
            Ok(super::passing::two_people(&answer, "approved"))
        }
        Verb::List { cursor } => {
            let page = global.desk()?.image_sets(cursor.as_deref())?;
            let mut rows = Vec::new();
            for view in &page.image_sets {
                let set = view.image_set.envelope.read_unverified()?;
                let (kind, until) = (crate::output::word(&set.profile), set.valid_to.to_string());
                rows.push([set.image_set_id.to_string(), kind, view.state.clone(), until, set.name]);
            }
            let table = Table::new(["image set", "kind", "state", "until", "name"], rows);
            Ok(Answer::new(&page, table.page(page.next.as_deref())))
        }
        Verb::Show { id } => {
            let logged = global.desk()?.image_set(&id)?;
            let set = logged.envelope.read_unverified()?;
            let simulated = if set.profile.assurance() == Assurance::Software {
                "\nSIMULATED: a room shown by software evidence is vouched for by nobody"
            } else {
                ""
            };
            let text = format!(
                "{} {}, approved from {} to {}{simulated}",
                set.name,
                crate::output::word(&set.profile),
                set.valid_from,
                set.valid_to
            );
            Ok(Answer::new(&logged, text))
        }
    }
}
