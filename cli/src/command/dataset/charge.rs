//! Which ledger is charged for what a provider lets out itself, and the charge of a file that is there already.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use depa::dataset::charge::{Account, Outgoing, let_out};
use depa::dataset::kms::Kms;
use depa::dataset::sketch::Sketch;
use depa::edge;
use schemas::dataset::DatasetOffer;
use schemas::own_release::{Charging, OwnReleaseCharged, ReleasedKind};
use schemas::privacy::Mechanism;
use schemas::statistics::Statistics;
use schemas::text::Real;
use schemas::{Code, Envelope, R, Refusal, canonical};

use super::super::Global;
use crate::output::{Answer, say};

/// The ledger, or the word that there shall be none.
#[derive(Args)]
pub struct Ledger {
    /// Base URL of your own key service: the ledger of the dataset's family is charged there, before the file is written.
    #[arg(long, value_name = "URL", conflicts_with = "uncharged")]
    kms: Option<String>,
    /// The offer that you signed: it names the family and the cap.
    #[arg(long, value_name = "FILE", requires = "kms")]
    offer: Option<PathBuf>,
    /// Renewals that raised the cap: what `depa dataset renewals --json` printed.
    #[arg(long, value_name = "FILE", requires = "kms")]
    renewals: Option<PathBuf>,
    /// Charge no ledger, and say so in the file: for tables in which nobody real stands.
    #[arg(long)]
    uncharged: bool,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Charge a file at your own key service before you let it out: one that was made uncharged, or by another program.
    ///
    /// A profile or sketch says itself what it costs. Of any other file you say so: the noise of one Gaussian release over its
    /// sensitivity; an ε-private one costs no more than noise of 1/ε. The file is not changed; the same one is charged once.
    #[command(
        after_help = "Examples:\n  depa dataset charge profile.json --kms https://kms.tdp.example --offer offer.json --key tdp.key\n  depa dataset charge sample.csv --kind sample --noise-multiplier 8 --kms https://kms.tdp.example --offer offer.json --key tdp.key"
    )]
    Charge {
        /// The file.
        file: PathBuf,
        /// Base URL of your own key service.
        #[arg(long, value_name = "URL")]
        kms: String,
        /// The offer that you signed: it names the family and the cap.
        #[arg(long, value_name = "FILE")]
        offer: PathBuf,
        /// Renewals that raised the cap: what `depa dataset renewals --json` printed.
        #[arg(long, value_name = "FILE")]
        renewals: Option<PathBuf>,
        /// What it is, where it does not say so itself: profile, sample or sketch.
        #[arg(long, value_parser = kind, requires = "noise_multiplier")]
        kind: Option<ReleasedKind>,
        /// Noise over sensitivity.
        #[arg(long, value_parser = real, requires = "kind")]
        noise_multiplier: Option<Real>,
    },
}

impl Ledger {
    /// The account that is charged; none, with a warning, where that is wished. `drafted` is asked where no offer is named.
    pub fn account(
        &self,
        drafted: impl FnOnce() -> R<Option<Envelope<DatasetOffer>>>,
        global: &Global,
    ) -> R<Option<Account>> {
        let Some(kms) = &self.kms else {
            if self.uncharged {
                say(
                    "WARNING: no ledger is charged, and the file says so; let it out only if nobody real stands in the table",
                );
                return Ok(None);
            }
            let sentence = "what is let out costs every person in the table, and is charged before: name your key service \
                            and its offer (--kms URL --offer FILE); or say --uncharged where nobody real stands in the table";
            return Err(Refusal::new(Code::ConfigInvalid, sentence).at("kms"));
        };
        let offer = match &self.offer {
            Some(file) => Some(edge::read_json(file)?),
            None => drafted()?,
        };
        let unnamed = || {
            let sentence = "--offer FILE names the family that is charged, and its cap";
            Refusal::new(Code::ConfigInvalid, sentence).at("offer")
        };
        let renewals = self.renewals.as_deref().map(edge::read_json).transpose()?;
        Account::open(Kms::new(kms)?, global.key()?, offer.ok_or_else(unnamed)?, renewals).map(Some)
    }
}

/// What a file says of an account.
pub fn charging(account: Option<&Account>) -> Option<Charging> {
    Some(if account.is_some() { Charging::Charged } else { Charging::Uncharged })
}

/// Charges a file and writes it, and says what it cost.
pub fn out(outgoing: &Outgoing<'_>, account: Option<&Account>, path: &Path) -> R<()> {
    if let Some(charged) = let_out(outgoing, account, path, edge::now())? {
        say(&told(&charged));
    }
    Ok(())
}

fn told(charged: &OwnReleaseCharged) -> String {
    let charge = &charged.charge;
    format!("charged to {} at {}: {} alone", charge.family, charged.at, charge.words())
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let Verb::Charge { file, kms, offer, renewals, kind, noise_multiplier } = verb;
    let renewals = renewals.as_deref().map(edge::read_json).transpose()?;
    let (kms, key) = (Kms::new(&kms)?, global.key()?);
    let account = Account::open(kms, key, edge::read_json(&offer)?, renewals)?;
    let bytes = edge::read(&file)?;
    let (kind, mechanism) = match (kind, noise_multiplier) {
        (Some(kind), Some(noise_multiplier)) => (kind, Mechanism::Gaussian { noise_multiplier }),
        _ => said(&bytes).ok_or_else(|| {
            let sentence = format!(
                "{} does not say what it costs, or less than its ε does: --kind and --noise-multiplier do",
                file.display()
            );
            Refusal::new(Code::ConfigInvalid, sentence)
        })?,
    };
    let charged = account.charge(kind, &bytes, &mechanism, edge::now())?;
    Ok(Answer::new(&charged, told(&charged)))
}

/// What a file of ours says that it is and costs; nothing where that is not what its ε costs.
fn said(file: &[u8]) -> Option<(ReleasedKind, Mechanism)> {
    let profile =
        canonical::parse::<Statistics>(file).map(|made| (ReleasedKind::Profile, made.terms.epsilon, made.charge));
    let sketch =
        || canonical::parse::<Sketch>(file).map(|made| (ReleasedKind::Sketch, made.terms.epsilon, made.charge));
    let (kind, epsilon, charge) = profile.or_else(|_| sketch()).ok()?;
    (depa::dataset::sketch::charge(&epsilon).ok()? == charge).then_some((kind, charge))
}

fn kind(text: &str) -> Result<ReleasedKind, String> {
    serde_json::from_value(text.into()).map_err(|_| "profile, sample or sketch is expected".to_owned())
}

fn real(text: &str) -> Result<Real, String> {
    Real::parse(text).map_err(|refusal| refusal.sentence)
}
