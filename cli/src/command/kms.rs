use std::path::PathBuf;

use clap::Subcommand;
use depa::image_set::Measurement;
use depa::{edge, exit, kms};
use schemas::R;
use serde_json::json;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Say, check by check, what a reservation of a job would meet at your key service. Nothing is entered there.
    #[command(after_help = "Runs on the key service's machine, as the user that may read its folder.\n\nExample:\n  \
                            depa kms explain bundle.json --kms-adapter /usr/bin/kms-adapter --config kms.toml")]
    Explain {
        /// What `depa job bundle` made.
        bundle: PathBuf,
        /// The key service's binary.
        #[arg(long, default_value = "kms-adapter", value_name = "FILE")]
        kms_adapter: PathBuf,
        /// The key service's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Draft an image set of what known-good rooms of one image measured to.
    #[command(after_help = "In each room: ccr measure --config ccr.toml > room-1.json\n\nExample:\n  \
                            depa kms collect room-1.json room-2.json --name 'room 1.4' --out image-set.json --trust trust.json\n  \
                            depa image-set sign image-set.json --key a.key --registry URL")]
    Collect {
        /// What `ccr measure` printed in each room.
        #[arg(required = true)]
        rooms: Vec<PathBuf>,
        /// A name for people, with the release it stands for.
        #[arg(long)]
        name: String,
        /// Days from now for which it is approved.
        #[arg(long, default_value_t = 365)]
        days: u32,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Explain { bundle, kms_adapter, config } => {
            let dry = kms::explain(&kms_adapter, &config, &bundle)?;
            let mut answer = Answer::new(&dry, dry.text());
            if !dry.would_reserve {
                answer.exit = dry.code().map_or(exit::POLICY, exit::of_code);
            }
            Ok(answer)
        }
        Verb::Collect { rooms, name, days, out } => {
            let rooms = rooms.iter().map(|path| edge::read_json::<Measurement>(path)).collect::<R<Vec<_>>>()?;
            if rooms.iter().any(|room| room.simulated) {
                say("SIMULATED: a room shown by software evidence is vouched for by nobody");
            }
            let draft = kms::collect(&name, &rooms, days, &global.trust()?, edge::fresh(), edge::now())?;
            edge::write_json(&out, &draft)?;
            let id = draft.read_unverified()?.image_set_id;
            let text = format!("{id}\nsha256 {}", draft.digest());
            Ok(Answer::new(&json!({"image_set_id": id, "sha256": draft.digest(), "rooms": rooms.len()}), text))
        }
    }
}
