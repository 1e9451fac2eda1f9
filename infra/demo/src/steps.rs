//! The walk: the main job from two people with keys to an audited log, one line per step.

mod room;

use std::io::BufReader;
use std::time::{Duration, Instant};

use depa::job::Prepared;
use schemas::contract::{Contract, ContractRef};
use schemas::desk::RunView;
use schemas::text::Real;
use schemas::{Code, Envelope, R, Refusal};
use serde_json::Value;

use crate::actors::Person;
use crate::data::Tables;
use crate::golden;
use crate::house::House;
use crate::narrate::Narrator;
use crate::outside::{self, Linear};
use crate::report::{AuditPart, ContractPart, LogPart, ModelPart, PaymentPart, PrivacyPart, Report, RoomPart, RunPart};

pub use room::room;

/// How long payments may take to be answered, and a checkpoint to be cosigned.
const SETTLE: Duration = Duration::from_secs(60);

/// Does the main job in a house that has just been started, and reports. `epsilon` is contracted per dataset and asked
/// by the run, so that exactly one run fits the contract.
pub fn walk(house: &mut House, tables: &Tables, epsilon: &str, narrator: &mut Narrator) -> R<Report> {
    narrator.part("1. The people");
    people(house, narrator)?;
    narrator.part("2. The data");
    data(house, tables, narrator)?;
    narrator.part("3. The contract");
    let contract = contract(house, epsilon, narrator)?;
    narrator.part("4. The order");
    let prepared = order(house, &contract, epsilon, narrator)?;
    narrator.part("5. and 6. The room");
    let run = room(house, &prepared, narrator)?;
    narrator.part("7. The model and the money");
    let model = model(house, tables, &prepared, &run, narrator)?;
    let Ended { contract, run, privacy, payments, log, audit, room, seconds } =
        finish(house, contract, &prepared, &run, narrator)?;
    let joined_rows = outside::joined(tables)?.len();
    let webhooks_received = house.psp.received();
    let report =
        Report { contract, run, privacy, model, joined_rows, payments, webhooks_received, log, audit, room, seconds };
    report.tell(narrator);
    Ok(report)
}

/// What every walk ends with, whatever was trained.
pub(crate) struct Ended {
    pub(crate) contract: ContractPart,
    pub(crate) run: RunPart,
    pub(crate) privacy: PrivacyPart,
    pub(crate) payments: Vec<PaymentPart>,
    pub(crate) log: LogPart,
    pub(crate) audit: AuditPart,
    pub(crate) room: RoomPart,
    pub(crate) seconds: serde_json::Map<String, Value>,
}

/// After the model: the money, the audit, and the figures of the run.
pub(crate) fn finish(
    house: &House,
    contract: ContractRef,
    prepared: &Prepared,
    run: &RunView,
    narrator: &mut Narrator,
) -> R<Ended> {
    let payments = money(house, &contract, run, narrator)?;
    narrator.part("8. The audit");
    let (log, audit) = audit(house, narrator)?;
    let (desk, seconds) = (house.tdc.person.desk()?, narrator.seconds());
    Ok(Ended {
        contract: ContractPart::of(desk, contract)?,
        run: RunPart::of(desk.run(&run.run_id)?),
        privacy: PrivacyPart::of(&prepared.estimate.plan).ok_or_else(|| fault("the plan charges nobody"))?,
        payments,
        log,
        audit,
        room: RoomPart::of(&seconds),
        seconds,
    })
}

pub(crate) fn fault(sentence: &str) -> Refusal {
    Refusal::new(Code::Internal, sentence)
}

pub(crate) fn people(house: &mut House, narrator: &mut Narrator) -> R<()> {
    let print = depa::trust::fingerprints(&house.trust)?;
    let registry = format!(
        "registry {} with a log, started by two SRO people; trust file {}",
        house.trust.registry,
        print.sha256.short()
    );
    narrator.step("registry", &registry, "everyone, out of band");
    for (person, kind) in house.participants() {
        person.apply(kind)?;
        let receipt = house.sro.verify(&person.did)?;
        let kind = word(&kind).to_uppercase();
        let made = format!(
            "{} is verified as {kind} by two SRO people: {}, log entry {}",
            person.name,
            short_did(&person.did),
            receipt.index
        );
        narrator.step("participants", &made, "everyone");
    }
    let image_set = house.approve_room()?;
    let measurement = house.measurement.map(|m| m.short()).unwrap_or_default();
    let made = format!(
        "clean room {image_set} is approved by two SRO people: SIMULATED measurement {measurement} of ccr, ccr-trainer, libtorch, configuration"
    );
    narrator.step("image_set", &made, "everyone");
    house.open_for_business()?;
    narrator.step("open", "the provider's agent waits for orders, the payment system for webhooks", "themselves");
    Ok(())
}

fn data(house: &mut House, tables: &Tables, narrator: &mut Narrator) -> R<()> {
    for at in 0..house.tdps.len() {
        let tdp = house.tdps.get(at).ok_or_else(|| fault("a provider is missing"))?;
        let offered = tdp.offers(tables.of(tdp.kind))?;
        let made = format!(
            "{} sealed {} columns of its table: manifest root {}, offer {}, key only in its own key service",
            tdp.person.name,
            tdp.kind.sealed().len(),
            offered.sealed.manifest_root.short(),
            offered.offer.digest().short()
        );
        golden::has_the_shape_of(golden::OFFER, &offered.offer.payload.0)?;
        house.offers.push(offered);
        narrator.step("datasets", &made, "offer: participants; rows: nobody but the provider");
    }
    Ok(())
}

fn contract(house: &House, epsilon: &str, narrator: &mut Narrator) -> R<ContractRef> {
    let epsilon = Real::parse(epsilon)?;
    let draft = house.contract_with(|form| form.datasets.iter_mut().for_each(|d| d.epsilon = epsilon.clone()))?;
    golden::has_the_shape_of(golden::CONTRACT, &draft.payload.0)?;
    let contract = ContractRef { id: draft.read_unverified()?.contract_id, sha256: draft.digest() };
    let made = format!(
        "{} drafted {}: {} bytes, digest {}",
        house.tdc.person.name,
        contract.id,
        draft.payload.0.len(),
        contract.sha256.short()
    );
    narrator.step("draft", &made, "its parties, the SRO");
    sign(house, &draft, &house.signers(), narrator)?;
    Ok(contract)
}

/// Every party signs the same bytes alone, the consumer first; the full set puts the contract in force.
pub(crate) fn sign(house: &House, draft: &Envelope<Contract>, signers: &[&Person], narrator: &mut Narrator) -> R<()> {
    let mut last = None;
    for (at, person) in signers.iter().enumerate() {
        let signature = house.signature(draft, person)?;
        let answer = depa::contract::submit(person.desk()?, draft, &signature, at == 0)?;
        let made = format!(
            "{} signed the same bytes, alone: the contract is {}, log entry {}",
            person.name,
            word(&answer.state),
            answer.receipt.index
        );
        narrator.step("sign", &made, "its parties, the SRO");
        last = Some(answer);
    }
    let executed =
        last.and_then(|a| a.executed).ok_or_else(|| fault("all have signed and the contract is not in force"))?;
    let bundle = depa::contract::bundle(house.tdc.person.desk()?, &draft.read_unverified()?.contract_id)?;
    depa::contract::verify_bundle(&bundle, &house.trust)?;
    let made =
        format!("the full set of signatures made it active: receipt of log entry {} verifies offline", executed.index);
    narrator.step("active", &made, "its parties, the SRO");
    Ok(())
}

fn order(house: &House, contract: &ContractRef, epsilon: &str, narrator: &mut Narrator) -> R<Prepared> {
    let epsilon = Real::parse(epsilon)?;
    let prepared = house.job_with(&contract.id, |form| form.training.epsilon = Some(epsilon))?;
    golden::has_the_shape_of(golden::JOB, &prepared.bundle.job.payload.0)?;
    let digest = prepared.bundle.job.digest();
    ordered(house, &prepared, &format!("three tables joined, digest {}", digest.short()), narrator)?;
    Ok(prepared)
}

/// Says what a signed job is of, and orders its run.
pub(crate) fn ordered(house: &House, prepared: &Prepared, of: &str, narrator: &mut Narrator) -> R<()> {
    let (plan, readers) = (&prepared.estimate.plan, "consumer, providers, clean-room provider, SRO");
    let made = format!(
        "{} signed a job: {of}, {} private steps at σ {}",
        house.tdc.person.name, plan.steps, plan.noise_multiplier
    );
    narrator.step("job", &made, readers);
    let answer = house.tdc.orders(&prepared.bundle)?;
    narrator.step("order", &format!("a run is ordered: log entry {}", answer.receipt.index), readers);
    Ok(())
}

/// The consumer fetches the content key and opens the model.
pub(crate) fn opened(
    house: &House,
    prepared: &Prepared,
    run: &RunView,
    narrator: &mut Narrator,
) -> R<depa::model::Model> {
    let model = house.tdc.downloads(&run.run_id, &prepared.bundle)?;
    let made = format!(
        "{} fetched the content key against the entry and opened the model {}",
        house.tdc.person.name,
        model.sha256.short()
    );
    narrator.step("hand_over", &made, "the consumer alone");
    Ok(model)
}

fn model(house: &House, tables: &Tables, prepared: &Prepared, run: &RunView, narrator: &mut Narrator) -> R<ModelPart> {
    let model = opened(house, prepared, run, narrator)?;
    let linear = Linear::read(&depa::edge::read(&model.path)?)?;
    let training = prepared.bundle.job.read_unverified()?.stages.into_iter().find_map(|s| match s {
        schemas::pipeline::Stage::Train(training) => Some(training),
        _ => None,
    });
    let training = training.ok_or_else(|| fault("the job trains nothing"))?;
    let people = outside::joined(tables)?;
    let quality = linear.quality(&outside::held_out(&people, &training.split_salt.0, training.train_ppm)?);
    narrator.step("quality", "the demo, owning all plaintext, computed the model's quality outside the room", "you");
    Ok(ModelPart {
        sha256: model.sha256,
        auc: quality.auc,
        accuracy: quality.accuracy,
        test_rows: quality.test_rows,
        computed_outside_the_room: ["auc", "accuracy", "test_rows"],
        noised_metrics: model.certificate.metrics,
    })
}

pub(crate) fn money(
    house: &House,
    contract: &ContractRef,
    run: &RunView,
    narrator: &mut Narrator,
) -> R<Vec<PaymentPart>> {
    let payments = house.wait_until_settled(&contract.id, SETTLE)?;
    let of_run: Vec<_> = payments.into_iter().filter(|p| p.run_id.as_ref() == Some(&run.run_id)).collect();
    let made = format!(
        "{} instructions reached the payment system as signed webhooks and were answered: settled",
        of_run.len()
    );
    narrator.step("payments", &made, "payers, payees, payment system, SRO");
    let name = |did: &schemas::id::Did| {
        let known = house.participants().into_iter().find(|(p, _)| &p.did == did).map(|(p, _)| p.name.clone());
        known.unwrap_or_else(|| did.to_string())
    };
    Ok(of_run.iter().map(|p| PaymentPart::of(p, name(&p.payee))).collect())
}

/// An SRO person exports the log and replays it offline, with the witness.
pub fn audit(house: &House, narrator: &mut Narrator) -> R<(LogPart, AuditPart)> {
    let began = Instant::now();
    let (file, report) = loop {
        match exported(house) {
            Ok(done) => break done,
            // The newest checkpoint is cosigned a moment after it was made.
            Err(refusal) if refusal.code == Code::CheckpointInvalid && began.elapsed() < SETTLE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(refusal) => return Err(refusal),
        }
    };
    let made = format!(
        "an SRO person exported the log and replayed it offline: {} entries, root {}, cosigned by the witness",
        report.log.size,
        report.log.root.short()
    );
    narrator.step("audit", &made, "SRO; the public records: everyone");
    let depa = crate::house::process::sibling("depa").map_or("depa".to_owned(), |path| path.display().to_string());
    let (name, key) = &house.witness;
    let command = format!(
        "{depa} audit verify {} --trust {} --witness {name} --witness-key={}",
        file.display(),
        house.audit_dir().join("trust.json").display(),
        key.okp_text().unwrap_or_default()
    );
    let log = LogPart { size: report.log.size, root: report.log.root, cosigned_at: report.cosigned_at };
    Ok((log, AuditPart { verified: report.verified, command }))
}

/// One export, verified with everything that an auditor may ask.
fn exported(house: &House) -> R<(std::path::PathBuf, depa::audit::Report)> {
    let auditor = house.sro.auditor();
    let mut bytes = Vec::new();
    depa::audit::export(auditor.desk()?, &house.trust, &mut bytes)?;
    let options = depa::audit::Options { witness: Some(house.witness.clone()), ..depa::audit::Options::default() };
    let report = depa::audit::verify(&mut BufReader::new(bytes.as_slice()), &house.trust, &options, auditor.now())?;
    crate::house::make_dir(&house.audit_dir())?;
    let file = house.audit_dir().join("log-export.jsonl");
    depa::edge::write_new(&file, &bytes)?;
    depa::trust::save(&house.trust, &house.audit_dir().join("trust.json"))?;
    Ok((file, report))
}

/// A state or kind in its own word, with spaces.
fn word<T: serde::Serialize>(state: &T) -> String {
    let value = serde_json::to_value(state).ok();
    value.as_ref().and_then(Value::as_str).unwrap_or_default().replace('_', " ")
}

/// A DID, shortened for people.
fn short_did(did: &schemas::id::Did) -> String {
    let text = did.as_str();
    match text.strip_prefix("did:key:") {
        Some(key) => format!("did:key:{}…", key.get(..12).unwrap_or(key)),
        None => text.to_owned(),
    }
}
