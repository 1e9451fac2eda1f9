//! A reference scenario as a whole, in a house: its tables sealed and offered, a contract that everybody signs, a run in
//! a room, the model opened, the payments answered, the log audited.
//!
//! Forms and data are those of `depa scenario new`; what a rehearsal does with them outside any room is done here by all
//! roles. The tables are dealt among the house's three providers, so that a scenario of six tables needs three key
//! services, and one of a single table one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use depa::contract::form::DatasetTerms;
use depa::dataset::SealedDataset;
use depa::dataset::form::Description;
use depa::job::Prepared;
use depa::job::form::{JobForm, OutputForm, TrainingForm};
use depa::train::{self, LocalForm, Quality};
use scenarios::{Order, Scenario};
use schemas::contract::ContractRef;
use schemas::desk::RunView;
use schemas::text::Bytes;
use schemas::worker::NoisedMetrics;
use schemas::{Digest, R};
use serde::Serialize;

use crate::actors::{Person, Tdp};
use crate::house::{House, make_dir, process};
use crate::narrate::Narrator;
use crate::report::{AuditPart, ContractPart, LogPart, PaymentPart, PrivacyPart, RoomPart, RunPart};
use crate::steps::{self, Ended};

/// What came of it: the one JSON document of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioReport {
    /// Its name.
    pub scenario: &'static str,
    /// Whether the data are published tables and not generated.
    pub published_tables: bool,
    /// The public count of people.
    pub public_rows: u64,
    /// The contract.
    pub contract: ContractPart,
    /// The run.
    pub run: RunPart,
    /// What it spent of the dataset that paid most.
    pub privacy: PrivacyPart,
    /// The model.
    pub model: Opened,
    /// What fell due and became of it.
    pub payments: Vec<PaymentPart>,
    /// The log.
    pub log: LogPart,
    /// The audit.
    pub audit: AuditPart,
    /// The run by its parts.
    pub room: RoomPart,
    /// Seconds per step, and in all.
    pub seconds: serde_json::Map<String, serde_json::Value>,
}

/// The model that the consumer opened.
#[derive(Clone, Debug, Serialize)]
pub struct Opened {
    /// SHA-256 in the clear.
    pub sha256: Digest,
    /// What it is worth on the held-out part: exact, by the house, which owns the data. None without `trainer-evaluate`.
    pub held_out_computed_outside_the_room: Option<Quality>,
    /// What the room let out: noised and charged.
    pub noised_metrics: Option<NoisedMetrics>,
}

/// Does everything in a house that has just been started.
pub fn walk(house: &mut House, order: &Order, narrator: &mut Narrator) -> R<ScenarioReport> {
    narrator.part("1. The people");
    steps::people(house, narrator)?;
    perform(house, order, |_| {}, narrator)
}

/// The same from the data on, in a house whose people are verified and whose room is approved. `change` may alter the
/// training that the scenario ships: tests ask for fewer steps.
pub fn perform(
    house: &mut House,
    order: &Order,
    change: impl FnOnce(&mut TrainingForm),
    narrator: &mut Narrator,
) -> R<ScenarioReport> {
    let scenario = order.scenario;
    narrator.part("2. The data");
    let dir = house.dir.join("scenario");
    make_dir(&dir)?;
    let dir = dir.join(scenario.name());
    let written = depa::scenario::new(order, &dir)?;
    let mut form: LocalForm = depa::edge::read_form(&written.job)?;
    // One public salt for the job and for whoever judges its model.
    form.training.split_salt = Some(Bytes(Digest::of(b"depa demo split").0.to_vec()));
    change(&mut form.training);
    let tables = seal(house, scenario, &form, &dir, narrator)?;
    narrator.part("3. The contract");
    let contract = contract(house, &tables, narrator)?;
    narrator.part("4. The order");
    let prepared = job(house, &contract, &form, &tables, narrator)?;
    narrator.part("5. and 6. The room");
    let run = steps::room(house, &prepared, narrator)?;
    narrator.part("7. The model and the money");
    let model = model(house, &prepared, &form, &dir, &run, narrator)?;
    let Ended { contract, run, privacy, payments, log, audit, room, seconds } =
        steps::finish(house, contract, &prepared, &run, narrator)?;
    let report = ScenarioReport {
        scenario: scenario.name(),
        published_tables: written.published,
        public_rows: written.rows,
        contract,
        run,
        privacy,
        model,
        payments,
        log,
        audit,
        room,
        seconds,
    };
    report.tell(narrator);
    Ok(report)
}

/// A table with its provider's place in the house.
struct Sealed {
    name: String,
    provider: usize,
    description: Description,
    dataset: SealedDataset,
}

fn seal(house: &House, scenario: Scenario, form: &LocalForm, dir: &Path, narrator: &mut Narrator) -> R<Vec<Sealed>> {
    let mut sealed = Vec::new();
    for (place, (name, table)) in form.tables.iter().enumerate() {
        let provider = place % house.tdps.len().max(1);
        let tdp = provider_of(house, provider)?;
        let description: Description = depa::edge::read_form(&dir.join(&table.description))?;
        let description = Description { kms: tdp.kms.clone(), ..description };
        let file = table.file.as_ref().ok_or_else(|| steps::fault("a scenario's table has a file"))?;
        let object = format!("{}-{name}", scenario.name());
        let (dataset, offer, _) = tdp.seals(&object, &description, &dir.join(file))?;
        let made = format!(
            "{} sealed {name}, {} columns: manifest root {}, offer {}, key only in its own key service",
            tdp.person.name,
            description.columns.len(),
            dataset.manifest_root.short(),
            offer.digest().short()
        );
        narrator.step("datasets", &made, "offer: participants; rows: nobody but the provider");
        sealed.push(Sealed { name: name.clone(), provider, description, dataset });
    }
    Ok(sealed)
}

fn provider_of(house: &House, place: usize) -> R<&Tdp> {
    house.tdps.get(place).ok_or_else(|| steps::fault("a provider is missing"))
}

/// Everything that the offers grant, signed by the consumer, the providers concerned and the room's provider.
fn contract(house: &House, tables: &[Sealed], narrator: &mut Narrator) -> R<ContractRef> {
    let terms = |table: &Sealed| DatasetTerms {
        dataset_id: table.dataset.dataset_id.clone(),
        epsilon: table.description.cap.epsilon.clone(),
        delta: table.description.cap.delta.clone(),
        without_differential_privacy: table.description.cap.without_differential_privacy,
        allowed_columns: None,
        join_keys: None,
        target_columns: None,
        kbs: None,
        discount: None,
    };
    let image_set = house.image_set()?;
    let mut form = house.tdc.contract_form(&house.ccrp.person.did, &[], image_set, crate::house::EPSILON)?;
    form.datasets = tables.iter().map(terms).collect();
    let draft = house.tdc.drafts(&form)?;
    let contract = ContractRef { id: draft.read_unverified()?.contract_id, sha256: draft.digest() };
    let providers: BTreeSet<usize> = tables.iter().map(|table| table.provider).collect();
    let mut signers: Vec<&Person> = vec![&house.tdc.person];
    for place in providers {
        signers.push(&provider_of(house, place)?.person);
    }
    signers.push(&house.ccrp.person);
    narrator.step("draft", &format!("{} drafted {}", house.tdc.person.name, contract.id), "its parties, the SRO");
    steps::sign(house, &draft, &signers, narrator)?;
    Ok(contract)
}

fn job(
    house: &House,
    contract: &ContractRef,
    form: &LocalForm,
    tables: &[Sealed],
    narrator: &mut Narrator,
) -> R<Prepared> {
    let datasets: BTreeMap<_, _> =
        tables.iter().map(|table| (table.name.clone(), table.dataset.dataset_id.clone())).collect();
    let prepared = house.tdc.prepares(&JobForm {
        contracts: vec![contract.id.clone()],
        image_set_id: house.image_set()?.clone(),
        purpose: "TRAINING".into(),
        expires_in_seconds: 86_400,
        sql: form.sql.clone(),
        union: form.union.clone(),
        tables: datasets,
        training: form.training.clone(),
        output: OutputForm { recipient_jwk: house.tdc.enc.jwk().clone(), upload: house.tdc.upload.clone() },
        rooms: None,
    })?;
    steps::ordered(house, &prepared, &format!("{} tables", tables.len()), narrator)?;
    Ok(prepared)
}

fn model(
    house: &House,
    prepared: &Prepared,
    form: &LocalForm,
    dir: &Path,
    run: &RunView,
    narrator: &mut Narrator,
) -> R<Opened> {
    let model = steps::opened(house, prepared, run, narrator)?;
    let held_out = match process::sibling("trainer-evaluate") {
        Ok(evaluator) => {
            let local = train::prepare(form, dir, &BTreeMap::new())?;
            let evaluation = train::evaluate(&local, &depa::edge::read(&model.path)?, &evaluator)?;
            Some(Quality::of(&local.training, &evaluation))
        }
        Err(_) => None,
    };
    narrator.step("quality", "the demo, owning all plaintext, computed the model's quality outside the room", "you");
    Ok(Opened {
        sha256: model.sha256,
        held_out_computed_outside_the_room: held_out,
        noised_metrics: model.certificate.metrics,
    })
}

impl ScenarioReport {
    fn tell(&self, narrator: &mut Narrator) {
        narrator.part("What came of it");
        let quality = self.model.held_out_computed_outside_the_room.as_ref().map(Quality::words);
        let quality = quality.unwrap_or_else(|| "not looked at: trainer-evaluate is not built".into());
        narrator.line(&format!("  model      {quality} (computed outside the room)"));
        let p = &self.privacy;
        narrator.line(&format!(
            "  privacy    at most ε {} at δ {} spent of a dataset (σ {}, {} steps, sampling rate {})",
            p.epsilon, p.delta, p.noise_multiplier, p.steps, p.sample_rate
        ));
        narrator.line(&format!("  room       {}", self.room.words()));
        narrator.line(&format!("  log        {} entries, root {}", self.log.size, self.log.root.short()));
        if self.run.simulated {
            narrator.line("  evidence   SIMULATED: software attestation, for rehearsals only");
        }
        narrator.line(&format!("  audit      verified; again, offline:\n             {}", self.audit.command));
    }
}
