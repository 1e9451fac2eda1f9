use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use depa::dataset::kms::Kms;
use depa::image_set::Measurement;
use depa::kms::{kbs, ledger};
use depa::{edge, exit, kms};
use schemas::R;
use schemas::bundle::JobBundle;
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
    /// Read the privacy ledger of your key service: what every run was charged, and every file outside runs, per family and
    /// consumer.
    #[command(after_help = "Caps are in the offers; `depa dataset renewals` lists what raised them.\n\nExample:\n  \
                            depa kms budget --kms https://kms.tdp.example --key tdp.key")]
    Budget {
        /// Base URL of the key service.
        #[arg(long, value_name = "URL")]
        kms: String,
    },
    /// Print the digest under which a contract names an init-data document of stock confidential guests.
    #[command(
        after_help = "The contract form takes it as  kbs = { init_data = [\"DIGEST\"] }  under [[datasets]].\n\nExample:\n  \
                            depa kms init-data initdata.toml"
    )]
    InitData {
        /// The document as the guest's host has it.
        file: PathBuf,
    },
    /// Bring a job's papers to your own key service, so that stock confidential guests may fetch its data keys by the KBS
    /// protocol: for a minute each time. Falling silent ends it.
    #[command(after_help = "Examples:\n  \
                            depa kms papers bundle.json --kms https://kms.tdp.example --key tdp.key --registry URL\n  \
                            depa kms papers bundle.json --kms https://kms.tdp.example --times 60 --every 30 --key tdp.key --registry URL")]
    Papers {
        /// What `depa job bundle` made of a job under contracts that name the release.
        bundle: PathBuf,
        /// Base URL of the key service.
        #[arg(long, value_name = "URL")]
        kms: String,
        /// How often they are brought.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        times: u32,
        /// Seconds between two times; a status list holds for 60.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=60))]
        every: u64,
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
        Verb::Budget { kms } => {
            let (kms, key) = (Kms::new(&kms)?, global.key()?);
            let ledgers = ledger::read(&kms, &key, (edge::fresh(), edge::now()))?;
            let text = ledgers.text();
            Ok(Answer::new(&ledgers, text))
        }
        Verb::InitData { file } => {
            let digest = kbs::init_data_digest(&edge::read(&file)?)?;
            Ok(Answer::new(&json!({"init_data": digest}), digest.to_string()))
        }
        Verb::Papers { bundle, kms, times, every } => {
            let bundle = edge::read_json_of::<JobBundle>(&bundle, edge::BUNDLE)?;
            let (desk, key) = (global.desk()?, global.key()?);
            let kms = Kms::new(&kms)?;
            let bring = || kbs::bring_papers(&bundle, &desk, &kms, &key, (edge::fresh(), edge::now()));
            let mut taken = bring()?;
            for time in 1..times {
                say(&format!("brought {time} of {times} times"));
                std::thread::sleep(Duration::from_secs(every));
                taken = bring()?;
            }
            let contracts: Vec<String> = taken.contracts.iter().map(ToString::to_string).collect();
            Ok(Answer::new(&taken, format!("guests may fetch for a minute under {}", contracts.join(", "))))
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
