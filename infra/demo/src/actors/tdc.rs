//! The training data consumer: drafts contracts, orders runs, and alone opens the model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use depa::contract::form::{ComputeTerms, ContractForm, DatasetTerms, RoomPrice};
use depa::job::form::{JobForm, OutputForm, TrainingForm};
use depa::job::{Drawn, Prepared};
use schemas::bundle::JobBundle;
use schemas::contract::{Contract, TermKind, Trigger};
use schemas::desk::OrderAnswer;
use schemas::evidence::EvidenceKind;
use schemas::id::{ContractId, Did, ImageSetId, RunId};
use schemas::money::{Currency, Minor};
use schemas::party::Kind;
use schemas::pipeline::Model;
use schemas::text::{Bytes, Real};
use schemas::{Digest, Envelope, R};
use signing::jose::EncKey;

use super::tdp::{DELTA, Offered};
use super::{Clock, Person};
use crate::data::{FEATURES, PRINCIPAL, TARGET, TableKind};

/// The demo's public split salt is SHA-256 of this, so that two demos hold the same people out.
const SPLIT: &[u8] = b"depa demo split";

/// The demo's data consumer.
#[derive(Debug)]
pub struct Tdc {
    /// Who it is.
    pub person: Person,
    /// Opens its models.
    pub enc: EncKey,
    /// `file:` folder to which the room uploads sealed models.
    pub upload: String,
}

/// The training that the demo asks for; documented in `data` and in the README.
#[derive(Clone, Debug)]
pub struct TrainingDefaults {
    /// DP-SGD steps: 15 epochs.
    pub steps: u32,
    /// 128 of 1,695 rows.
    pub sample_rate: &'static str,
    /// Clipping norm.
    pub clipping_norm: &'static str,
    /// Learning rate.
    pub learning_rate: &'static str,
    /// Parts per million trained on.
    pub train_ppm: u32,
    /// Noise on each count of the confusion matrix: large, so that it costs next to nothing of ε.
    pub metrics_noise: &'static str,
}

impl Default for TrainingDefaults {
    fn default() -> TrainingDefaults {
        TrainingDefaults {
            steps: 198,
            sample_rate: "0.0755162",
            clipping_norm: "1.0",
            learning_rate: "0.5",
            train_ppm: 800_000,
            metrics_noise: "20",
        }
    }
}

impl Tdc {
    /// A consumer with a signing key and a key to which models are encrypted.
    pub fn new(dir: &Path, upload: String, clock: &Clock) -> R<Tdc> {
        let person = Person::new("Model Builders Ltd", dir, None, clock)?;
        let enc = depa::keys::new_encryption(&dir.join("encryption.key"))?;
        Ok(Tdc { person, enc, upload })
    }

    /// The form of a contract over the offered tables: ε per dataset so that exactly one run of this ε fits.
    pub fn contract_form(
        &self,
        ccrp: &Did,
        offers: &[Offered],
        image_set: &ImageSetId,
        epsilon: &str,
    ) -> R<ContractForm> {
        let terms = |o: &Offered| {
            Ok(DatasetTerms {
                dataset_id: o.sealed.dataset_id.clone(),
                epsilon: Real::parse(epsilon)?,
                delta: Real::parse(DELTA)?,
                without_differential_privacy: false,
                allowed_columns: None,
                join_keys: None,
                target_columns: None,
                kbs: None,
                discount: None,
            })
        };
        let now = self.person.now();
        Ok(ContractForm {
            template: "training-v1".into(),
            tdc: self.person.did.clone(),
            ccrp: ccrp.clone(),
            purpose: "TRAINING".into(),
            jurisdiction: "IN".into(),
            effective_from: Some(now),
            expires_at: now.plus_seconds(365 * 86_400),
            datasets: offers.iter().map(terms).collect::<R<_>>()?,
            compute: ComputeTerms {
                image_sets: vec![image_set.clone()],
                evidence: vec![EvidenceKind::Software],
                platform_level: "baseline".into(),
                rooms_max: None,
            },
            room_price: Some(RoomPrice {
                currency: Currency::parse("INR")?,
                amount_minor: Minor::new(200_000)?,
                kind: TermKind::PerRun,
                trigger: Trigger::Completed,
                pricing: None,
            }),
            revocable_by: vec![Kind::Tdp, Kind::Sro],
            notice_seconds: 0,
            conditions: vec![],
            running: schemas::contract::Running::Abort,
            max_runs: None,
            rules: Vec::new(),
            risk_statement: "A rehearsal with synthetic people and SIMULATED attestation; no promise beyond that."
                .into(),
        })
    }

    /// Drafts the contract of a form from the verified offers. Nobody has signed it.
    pub fn drafts(&self, form: &ContractForm) -> R<Envelope<Contract>> {
        let person = &self.person;
        depa::contract::new(person.desk()?, form, person.trust()?, depa::edge::fresh(), person.now())
    }

    /// The form of the demo's job: three tables joined on the mobile number, a private logistic regression, the model
    /// to this consumer.
    pub fn job_form(
        &self,
        contract: &ContractId,
        offers: &[Offered],
        image_set: &ImageSetId,
        epsilon: &str,
    ) -> R<JobForm> {
        let defaults = TrainingDefaults::default();
        let column = |table: TableKind, column: &str| format!("{}.{column}", table.name());
        let tables: BTreeMap<_, _> =
            offers.iter().map(|o| (o.kind.name().to_owned(), o.sealed.dataset_id.clone())).collect();
        Ok(JobForm {
            contracts: vec![contract.clone()],
            image_set_id: image_set.clone(),
            purpose: "TRAINING".into(),
            expires_in_seconds: 86_400,
            sql: Some(sql()),
            union: Vec::new(),
            tables,
            training: TrainingForm {
                model: Model::LogisticRegression,
                private: true,
                features: Some(FEATURES.iter().map(|f| column(f.table, f.column)).collect()),
                forms: BTreeMap::new(),
                labels: None,
                target: column(TARGET.0, TARGET.1),
                positive: "1".into(),
                principal: column(PRINCIPAL.0, PRINCIPAL.1),
                epsilon: Some(Real::parse(epsilon)?),
                delta: Some(Real::parse(DELTA)?),
                steps: defaults.steps,
                sample_rate: Real::parse(defaults.sample_rate)?,
                clipping_norm: Real::parse(defaults.clipping_norm)?,
                learning_rate: Real::parse(defaults.learning_rate)?,
                split_salt: Some(Bytes(Digest::of(SPLIT).0.to_vec())),
                train_ppm: defaults.train_ppm,
                init_seed: 0,
                metrics_noise_multiplier: Some(Real::parse(defaults.metrics_noise)?),
                metrics_curve: None,
                metrics_loss: None,
                recipe: None,
                weights: None,
            },
            output: OutputForm { recipient_jwk: self.enc.jwk().clone(), upload: self.upload.clone() },
            rooms: None,
        })
    }

    /// Fetches the contract with everything around it, builds the job, has every rule judge it, signs it.
    pub fn prepares(&self, form: &JobForm) -> R<Prepared> {
        let person = &self.person;
        let (desk, trust) = (person.desk()?, person.trust()?);
        let contracts = form.contracts.iter().map(|id| depa::contract::bundle(desk, id)).collect::<R<Vec<_>>>()?;
        for bundle in &contracts {
            depa::contract::verify_bundle(bundle, trust)?;
        }
        let list = signing::verify(desk.status_list()?, &trust.registry, trust)?;
        let states = depa::job::states(&list, &contracts)?;
        depa::job::bundle(form, &contracts, &states, &person.key, trust, &Drawn::fresh()?, person.now())
    }

    /// Orders a run.
    pub fn orders(&self, bundle: &JobBundle) -> R<OrderAnswer> {
        depa::run::start(self.person.desk()?, bundle)
    }

    /// Fetches the model of a completed run, checks all that proves it, and opens it with its own key.
    pub fn downloads(&self, run: &RunId, bundle: &JobBundle) -> R<depa::model::Model> {
        let out = self.model_file(run);
        depa::model::download(self.person.desk()?, run, bundle, &self.enc, self.person.trust()?, &out)
    }

    /// Where the opened model of a run goes.
    pub fn model_file(&self, run: &RunId) -> PathBuf {
        self.person.dir.join(format!("{run}.safetensors"))
    }
}

/// The pipeline's SQL, parsed once into a typed join before the job is signed.
pub fn sql() -> String {
    let key = |table: TableKind| format!("{}.{}", table.name(), table.key());
    let [icmr, cowin, war_room] = TableKind::ALL;
    format!(
        "SELECT * FROM icmr INNER JOIN cowin ON {} = {} INNER JOIN statewarroom ON {} = {}",
        key(icmr),
        key(cowin),
        key(icmr),
        key(war_room)
    )
}
