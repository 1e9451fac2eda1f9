//! A house in which one thing goes wrong at a time, and what must not have come of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use attestation::Attester;
use attestation::software::{SoftwareAttester, SoftwareRoot};
use ccr_runtime::{Completed, Progress, Room};
use contract_client::Client;
use demo::actors::Tdp;
use demo::data::{self, Tables};
use demo::{House, TestClock};
use depa::contract::form::ContractForm;
use depa::job::form::JobForm;
use schemas::bundle::JobBundle;
use schemas::contract::{ContractRef, ContractState};
use schemas::evidence::{Evidence, EvidenceKind, Transcript};
use schemas::id::RunId;
use schemas::job::JobSpec;
use schemas::text::{Bytes, Real};
use schemas::{Code, Envelope, R};
use serde_json::Value;
use signing::FileKey;

use crate::echo_worker;

/// The people of a table in these tests: few, since nobody looks at the model.
pub const PEOPLE: usize = 60;

/// A house with everything up to the offers, its clock, and one attester that shows the approved measurement.
pub struct Scene {
    pub house: House,
    pub clock: TestClock,
    pub attester: Arc<SoftwareAttester>,
}

/// A contract in force with an honest job under it, and the folder where its model would go.
pub struct Deal {
    pub contract: ContractRef,
    pub bundle: JobBundle,
    pub upload: PathBuf,
}

/// One attester for many rooms: drawing its RSA key takes longer than most tests.
pub struct Shown(pub Arc<SoftwareAttester>);

impl Attester for Shown {
    fn kind(&self) -> EvidenceKind {
        self.0.kind()
    }
    fn attest(&self, transcript: &Transcript) -> R<Evidence> {
        self.0.attest(transcript)
    }
}

/// A house that tests share which neither move its clock nor let a run complete. It goes with the last of them.
pub fn calm() -> Arc<Scene> {
    static SHARED: Mutex<Weak<Scene>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(scene) = shared.upgrade() {
        return scene;
    }
    let scene = Arc::new(Scene::new());
    *shared = Arc::downgrade(&scene);
    scene
}

pub fn tables() -> Tables {
    data::generate(data::SEED, PEOPLE)
}

pub fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

impl Scene {
    /// A house of its own whose providers grant much more than one contract asks.
    pub fn new() -> Scene {
        Scene::with(|tdp, tables| tdp.offers_with(tables.of(tdp.kind), |d| d.cap.epsilon = real("900")).unwrap())
    }

    /// A house of its own with these offers.
    pub fn with(offer: impl Fn(&Tdp, &Tables) -> demo::actors::Offered) -> Scene {
        Scene::under(TestClock::default(), offer)
    }

    /// The same under this clock.
    pub fn under(clock: TestClock, offer: impl Fn(&Tdp, &Tables) -> demo::actors::Offered) -> Scene {
        let mut house = started(&clock);
        house.verify_participants().unwrap();
        house.approve_room().unwrap();
        house.open_for_business().unwrap();
        let tables = tables();
        let offers = house.tdps.iter().map(|tdp| offer(tdp, &tables)).collect();
        house.offers = offers;
        let root = SoftwareRoot::load(&house.ccrp.root).unwrap();
        let attester = Arc::new(SoftwareAttester::new(root, house.measurement.unwrap()).unwrap());
        Scene { house, clock, attester }
    }

    /// A contract in force and an honest job under it.
    pub fn deal(&self) -> Deal {
        self.deal_with(|_| {})
    }

    /// The same from a changed contract.
    pub fn deal_with(&self, change: impl FnOnce(&mut ContractForm)) -> Deal {
        let contract = self.house.signed_contract(change).unwrap();
        self.deal_under(contract)
    }

    /// An honest job under a contract.
    pub fn deal_under(&self, contract: ContractRef) -> Deal {
        let upload = self.upload_folder();
        let bundle = self.house.job_with(&contract.id, |form| to_folder(form, &upload)).unwrap().bundle;
        Deal { contract, bundle, upload }
    }

    /// Another honest job under the contract of a deal, to the same folder.
    pub fn again(&self, deal: &Deal) -> JobBundle {
        self.house.job_with(&deal.contract.id, |form| to_folder(form, &deal.upload)).unwrap().bundle
    }

    /// A fresh folder for a model.
    pub fn upload_folder(&self) -> PathBuf {
        let folder = self.house.dir.join("storage").join("models").join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    /// The job of a deal changed behind the back of the rules, and signed by the consumer all the same.
    pub fn forged(&self, deal: &Deal, change: impl FnOnce(&mut JobSpec)) -> JobBundle {
        self.house.forged_job(&deal.bundle, change).unwrap()
    }

    /// The front desk, acting for nobody.
    pub fn desk(&self) -> &Client {
        &self.house.desk
    }

    /// A room of this process that shows the approved measurement.
    pub fn room(&self) -> Room {
        let (config, _) = ccr_runtime::Config::load(&self.house.ccrp.config_file()).unwrap();
        Room {
            config,
            trust: self.house.trust.clone(),
            attester: Box::new(Shown(self.attester.clone())),
            clock: self.house.clock.clone(),
            desk: self.house.desk.clone(),
            members: Vec::new(),
            lease_token: None,
            second_gate: None,
            hook: None,
            stop: Default::default(),
        }
    }

    /// Orders a run and carries it out.
    pub fn order_and_run(&self, bundle: &JobBundle) -> R<Completed> {
        self.house.tdc.orders(bundle)?;
        self.run(bundle, &self.room()).0
    }

    /// Carries out an ordered run; also gives the progress that it told.
    pub fn run(&self, bundle: &JobBundle, room: &Room) -> (R<Completed>, Vec<Progress>) {
        let mut told = Vec::new();
        let done = ccr_runtime::run(bundle.clone(), room, &mut |progress| told.push(progress));
        (done, told)
    }

    /// The registry's own key: what a contract service that was taken over could sign with.
    pub fn registry_key(&self) -> FileKey {
        FileKey::load(&self.house.dir.join("contract-service").join("registry.key")).unwrap()
    }

    /// The privacy ledger of one provider, read by its owner over HTTP.
    pub fn budget(&self, tdp: &Tdp) -> Value {
        let jti = Bytes(signing::signer::random::<24>().unwrap().to_vec()).text();
        let token = signing::token::assertion(&*tdp.person.key, &tdp.kms, jti, tdp.person.now()).unwrap();
        super::wire::get(&format!("{}/v1/budget", tdp.kms), Some(&token)).unwrap()
    }

    /// State and ε of everything that stands under a contract in a provider's ledger, in its order.
    pub fn events(&self, tdp: &Tdp, contract: &ContractRef) -> Vec<(String, u64)> {
        let budget = self.budget(tdp);
        let events = budget["ledgers"].as_array().unwrap().iter().flat_map(|l| l["events"].as_array().unwrap());
        let own = events.filter(|e| e["contract_id"] == contract.id.as_str());
        own.map(|e| (e["state"].as_str().unwrap().into(), e["charge"]["epsilon_micro"].as_u64().unwrap())).collect()
    }

    /// The states of everything that stands under a contract, per provider.
    pub fn states(&self, contract: &ContractRef) -> [Vec<String>; 3] {
        [0, 1, 2].map(|at| self.events(&self.house.tdps[at], contract).into_iter().map(|(state, _)| state).collect())
    }

    /// ε that counts against a contract, per provider, in 10⁻⁶: reserved, charged and committed together.
    pub fn spent(&self, contract: &ContractRef) -> [u64; 3] {
        [0, 1, 2].map(|at| {
            let events = self.events(&self.house.tdps[at], contract);
            events.iter().filter(|(state, _)| !matches!(state.as_str(), "expired" | "refunded")).map(|(_, e)| e).sum()
        })
    }

    /// Nothing came of a deal: no budget is held or spent, nobody is owed or told to pay, no model lies anywhere.
    #[track_caller]
    pub fn nothing_came_of(&self, deal: &Deal) {
        assert_eq!(self.spent(&deal.contract), [0, 0, 0], "budget of {}", deal.contract.id);
        self.nothing_left(deal);
    }

    /// Nobody is owed or told to pay, and no model lies anywhere; budget may be spent.
    #[track_caller]
    pub fn nothing_left(&self, deal: &Deal) {
        self.nobody_pays(&deal.contract);
        assert_eq!(models(deal), 0, "models of {}", deal.contract.id);
    }

    /// Nobody is owed or told to pay under a contract.
    #[track_caller]
    pub fn nobody_pays(&self, contract: &ContractRef) {
        assert_eq!(self.payments(contract), Vec::<String>::new(), "payments of {}", contract.id);
        assert_eq!(self.told(contract), 0, "webhooks of {}", contract.id);
    }

    /// The states of the payments under a contract.
    pub fn payments(&self, contract: &ContractRef) -> Vec<String> {
        let desk = self.house.tdc.person.desk().unwrap();
        depa::payment::list(desk, Some(&contract.id)).unwrap().into_iter().map(|p| p.state).collect()
    }

    /// How many webhooks about a contract reached the payment system.
    pub fn told(&self, contract: &ContractRef) -> usize {
        let journal = std::fs::read_to_string(self.house.psp.journal()).unwrap_or_default();
        journal.lines().filter(|line| line.contains(contract.id.as_str())).count()
    }

    /// The content key of a run is withheld from its consumer.
    pub fn key_is_withheld(&self, run: &RunId) {
        refuses(Code::KeyWithheld, self.house.tdc.person.desk().unwrap().content_key(run));
    }

    /// The state of a contract at the front desk.
    pub fn state(&self, contract: &ContractRef) -> ContractState {
        depa::contract::state(self.house.tdc.person.desk().unwrap(), &contract.id).unwrap()
    }
}

/// A house that runs. Its ports were free when they were drawn; should another house have taken one since, draw again.
fn started(clock: &TestClock) -> House {
    let start = || House::in_process(clock.clock(), echo_worker());
    start().or_else(|_| start()).unwrap()
}

/// Sealed models that lie in the folder of a deal.
pub fn models(deal: &Deal) -> usize {
    std::fs::read_dir(&deal.upload).unwrap().count()
}

/// The job goes to this folder.
pub fn to_folder(form: &mut JobForm, folder: &std::path::Path) {
    form.output.upload = format!("file://{}", folder.display());
}

/// Refused with this code and no other.
#[track_caller]
pub fn refuses<T>(code: Code, result: R<T>) {
    match result {
        Ok(_) => panic!("{code} was expected, and it was granted"),
        Err(refusal) => assert_eq!(refusal.code, code, "{refusal}"),
    }
}

/// The digest of an envelope's document as a reference to a contract.
pub fn reference(contract: &Envelope<schemas::contract::Contract>) -> ContractRef {
    ContractRef { id: contract.read_unverified().unwrap().contract_id, sha256: contract.digest() }
}
