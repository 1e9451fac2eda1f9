mod acts;
mod charge;
mod find;
mod own;
mod renew;
mod sketch;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use depa::dataset::kms::Kms;
use depa::dataset::seal::Job;
use depa::dataset::{self, DatasetLine, Description};
use depa::edge;
use schemas::id::DatasetId;
use schemas::{Code, R};
use serde_json::json;

use super::Global;
use super::seal::Places;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Seal the described columns of a table and hand the data key to your own key service.
    ///
    /// The key is never written to disk. Columns that the description does not list are dropped. A table with more people than
    /// the description's public_rows, told apart by any join key, is refused as rooms would refuse it. A folder of pictures
    /// has `index.csv` (columns `file`, `…_file` name pictures), or a folder per sample (`s1/s1_scan.png`), or a folder
    /// per class; it is packed into one table with the columns `image` or `…` beside the others.
    #[command(
        after_help = concat!("Example:\n  depa dataset seal dataset.toml --csv table.csv --out enc/table.depa --record sealed.json --key tdp.key --trust trust.json\n\nA form with everything that is needed:\n\n", include_str!("../../samples/dataset.toml"))
    )]
    Seal {
        /// The description (TOML, or JSON).
        description: PathBuf,
        /// The table: a CSV file, a file that ends in .parquet, or a folder of pictures.
        #[arg(long, visible_alias = "table")]
        csv: PathBuf,
        #[command(flatten)]
        places: Places,
    },
    /// Put a sealed object where its record says that rooms fetch it from: a bucket, a file, an https: address.
    ///
    /// The buckets and the way to their credentials stand in a file: `--stores`, or DEPA_STORES.
    #[command(
        after_help = "Example:\n  depa dataset seal dataset.toml --csv table.csv --out enc/table.depa --url s3://acme-sealed/table.depa --record sealed.json --key tdp.key --trust trust.json\n  depa dataset upload enc/table.depa --record sealed.json --stores stores.toml\n\nA file of stores (the credentials' file has access_key_id and secret_access_key, chmod 600):\n\n[[stores]]\nkind = \"s3\"\nbuckets = [\"acme-sealed\"]\nregion = \"ap-south-1\"\ncredentials = \"/home/acme/s3.toml\""
    )]
    Upload {
        /// The sealed object.
        object: PathBuf,
        /// What sealing left behind.
        #[arg(long)]
        record: PathBuf,
    },
    /// Check a sealed dataset without any key: every chunk against the manifest, its root and size against what was signed.
    ///
    /// Nothing is opened. Exit code 10 names the chunk at fault. Without --offer nobody vouches for the manifest.
    #[command(
        after_help = "Examples:\n  depa dataset verify enc/table.depa --offer offer.json\n  depa dataset verify enc/table.depa --record sealed.json --json"
    )]
    Verify {
        /// The sealed object.
        object: PathBuf,
        /// Its manifest; beside the object without it (OBJECT.manifest.json).
        #[arg(long)]
        manifest: Option<PathBuf>,
        /// What sealing left behind.
        #[arg(long)]
        record: Option<PathBuf>,
        /// The signed offer, whose provider must have signed this manifest's root.
        #[arg(long)]
        offer: Option<PathBuf>,
        /// The provider's public key as a JWK file; needed where its DID does not encode the key that signed.
        #[arg(long, requires = "offer")]
        provider_jwk: Option<PathBuf>,
    },
    /// Sign the offer of a sealed dataset.
    #[command(
        after_help = "Example:\n  depa dataset offer dataset.toml --record sealed.json --out offer.json --key tdp.key --trust trust.json"
    )]
    Offer {
        /// The description (TOML, or JSON).
        description: PathBuf,
        /// What sealing left behind.
        #[arg(long)]
        record: PathBuf,
        /// What `depa dataset profile` made of the table, for everyone to read.
        #[arg(long, value_name = "FILE")]
        statistics: Option<PathBuf>,
        /// The signed offer: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Register a signed offer.
    #[command(after_help = "Example:\n  depa dataset publish offer.json --registry URL")]
    Publish {
        /// The signed offer.
        offer: PathBuf,
    },
    #[command(flatten)]
    Act(acts::Verb),
    #[command(flatten)]
    Find(find::Verb),
    #[command(flatten)]
    Overlap(sketch::Verb),
    #[command(flatten)]
    Charge(charge::Verb),
    #[command(flatten)]
    Renewal(renew::Verb),
    #[command(flatten)]
    Own(own::Verb),
    /// List the registered datasets.
    #[command(after_help = "Example:\n  depa dataset list --registry URL")]
    List,
    /// Show a dataset; with --trust every signature and receipt of it is verified.
    #[command(after_help = "Example:\n  depa dataset show dst_… --registry URL --trust trust.json --key tdp.key")]
    Show {
        /// The dataset.
        #[arg(value_parser = super::id::<DatasetId>)]
        id: DatasetId,
    },
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Seal { description, csv, places: Places { out, url, record } } => {
            let description: Description = edge::read_form(&description)?;
            let (key, trust, kms) = (global.key()?, global.trust()?, Kms::new(&description.kms)?);
            let job = Job { description: &description, csv: &csv, out: &out, url };
            let sealed = dataset::seal(&job, &kms, &key, &trust, &mut edge::fresh, edge::now())?;
            dataset::record::write(&record, &sealed)?;
            say(&format!("the data key is at {} only", sealed.kms));
            let text =
                format!("{} sealed, {} bytes\nmanifest root {}", sealed.dataset_id, sealed.bytes, sealed.manifest_root);
            Ok(Answer::new(&sealed, text))
        }
        Verb::Upload { object, record } => {
            let sealed = dataset::record::read(&record)?;
            let bytes = depa::upload::upload(&object, &sealed.manifest_root, &sealed.url, &global.reach()?)?;
            let answer = json!({"dataset_id": sealed.dataset_id, "url": sealed.url, "bytes": bytes});
            Ok(Answer::new(&answer, format!("{bytes} bytes at {}", objects::place(&sealed.url))))
        }
        Verb::Verify { object, manifest, record, offer, provider_jwk } => {
            let record = record.as_deref().map(dataset::record::read).transpose()?;
            let jwk = provider_jwk.as_deref().map(edge::read_json).transpose()?;
            let signed = |file: &PathBuf| dataset::verify::signed_offer(edge::read_json_of(file, edge::OFFER)?, jwk);
            let offer = offer.as_ref().map(signed).transpose()?;
            let manifest = manifest.unwrap_or_else(|| sealing::manifest_path(&object));
            let checked = dataset::verify::verify(&object, &manifest, record.as_ref(), offer.as_ref())?;
            Ok(Answer::new(&checked, checked.text()))
        }
        Verb::Offer { description, record, statistics, out } => {
            let description: Description = edge::read_form(&description)?;
            let sealed = dataset::record::read(&record)?;
            let (key, trust, now) = (global.key()?, global.trust()?, edge::now());
            let mut draft = dataset::draft(&description, &sealed, key.did()?, &trust, now);
            let profiled = |file: &Path| edge::read_json_of(file, edge::STATISTICS);
            draft.statistics = statistics.as_deref().map(profiled).transpose()?;
            let offer = dataset::sign(&draft, &key, &trust, now)?;
            edge::write_json(&out, &offer)?;
            let answer = json!({"dataset_id": sealed.dataset_id, "offer_sha256": offer.digest()});
            Ok(Answer::new(&answer, format!("offer of {}\nsha256 {}", sealed.dataset_id, offer.digest())))
        }
        Verb::Publish { offer } => {
            let receipt = dataset::publish(&global.desk()?, &edge::read_json_of(&offer, edge::OFFER)?)?;
            Ok(Answer::new(&receipt, format!("registered; entry {} of the log", receipt.index)))
        }
        Verb::Act(verb) => acts::run(verb, global),
        Verb::Find(verb) => find::run(verb, global),
        Verb::Overlap(verb) => sketch::run(verb, global),
        Verb::Charge(verb) => charge::run(verb, global),
        Verb::Renewal(verb) => renew::run(verb, global),
        Verb::Own(verb) => own::run(verb, global),
        Verb::List => {
            let all = dataset::list(&global.desk()?)?;
            Ok(Answer::new(&all, DatasetLine::table(&all).text()))
        }
        Verb::Show { id } => {
            if global.trust_path().is_ok() && global.has_key() {
                let desk = global.desk_as()?.0;
                match dataset::verified_offer(&desk, &global.trust()?, &id) {
                    Ok(offer) => {
                        let state = dataset::show(&desk, &id)?.state;
                        say(&format!("every signature and receipt holds; the service says: {state}"));
                        return Ok(Answer::value(&**offer));
                    }
                    // The signed offer says where the key lies; everyone else reads the public one.
                    Err(refusal) if refusal.code == Code::Forbidden => {}
                    Err(refusal) => return Err(refusal),
                }
            }
            let view = dataset::show(&global.desk()?, &id)?;
            say(&format!("not verified, and without where its key lies; the service says: {}", view.state));
            Ok(Answer::value(&view.offer))
        }
    }
}
