//! What the people of a house do, piece by piece. The walk of the demo strings these together; a test stops between two
//! of them, changes a form, leaves a signature out, or does one twice.

use std::sync::Arc;

use ccr_runtime::{Completed, Progress, Room};
use contract_client::{Client, Hook};
use depa::contract::form::ContractForm;
use depa::job::Prepared;
use depa::job::form::JobForm;
use schemas::bundle::JobBundle;
use schemas::contract::{Contract, ContractRef, ContractState};
use schemas::desk::{ContractAnswer, ContractSignature};
use schemas::id::{ContractId, ImageSetId};
use schemas::log::Receipt;
use schemas::{Code, Envelope, R, Refusal};

use super::{House, Roles};
use crate::actors::{Offered, Person};
use crate::data::Tables;

/// ε of contract and run unless told otherwise.
pub const EPSILON: &str = "1.0";

impl House {
    /// Everybody applies, and two SRO people verify each. Returns the receipts of the decisions.
    pub fn verify_participants(&self) -> R<Vec<Receipt>> {
        let verify = |(person, kind): (&Person, schemas::party::Kind)| {
            person.apply(kind)?;
            self.sro.verify(&person.did)
        };
        self.participants().into_iter().map(verify).collect()
    }

    /// The room is measured, and two SRO people approve what it measures to.
    pub fn approve_room(&mut self) -> R<ImageSetId> {
        let measured = match &self.roles {
            Roles::Processes(_) => self.ccrp.measure()?,
            Roles::InProcess(_) => self.ccrp.measure_here()?,
        };
        let draft = self.ccrp.image_set(&measured)?;
        self.sro.approve(&draft)?;
        let id = draft.read_unverified()?.image_set_id;
        self.measurement = measured.measurement;
        self.image_set = Some(id.clone());
        Ok(id)
    }

    /// The provider's agent begins to take queued runs (processes), and the payment system's receiver listens (both).
    pub fn open_for_business(&mut self) -> R<()> {
        match &mut self.roles {
            Roles::Processes(processes) => processes.open(&self.url, &self.trust_file, &self.ccrp, &self.psp),
            Roles::InProcess(here) => here.pays(&self.psp, &self.desk),
        }
    }

    /// Every provider seals its table and registers an offer.
    pub fn seal_and_offer(&mut self, tables: &Tables) -> R<()> {
        for tdp in &self.tdps {
            self.offers.push(tdp.offers(tables.of(tdp.kind))?);
        }
        Ok(())
    }

    /// Everything up to the offers, in one call: where most tests begin.
    pub fn ready(mut self, tables: &Tables) -> R<House> {
        self.verify_participants()?;
        self.approve_room()?;
        self.open_for_business()?;
        self.seal_and_offer(tables)?;
        Ok(self)
    }

    /// The approved image set.
    pub fn image_set(&self) -> R<&ImageSetId> {
        self.image_set.as_ref().ok_or_else(|| Refusal::new(Code::NotFound, "no image set is approved yet"))
    }

    /// The newest offers, one per table.
    pub fn offers(&self) -> &[Offered] {
        &self.offers
    }

    /// The form of the demo's contract over all offers, for a changed one.
    pub fn contract_form(&self) -> R<ContractForm> {
        self.tdc.contract_form(&self.ccrp.person.did, &self.offers, self.image_set()?, EPSILON)
    }

    /// Drafts a contract from the demo's form as changed. Nobody has signed it.
    pub fn contract_with(&self, change: impl FnOnce(&mut ContractForm)) -> R<Envelope<Contract>> {
        let mut form = self.contract_form()?;
        change(&mut form);
        self.tdc.drafts(&form)
    }

    /// Everybody who has to sign a contract over all offers, the consumer first.
    pub fn signers(&self) -> Vec<&Person> {
        let tdps = self.tdps.iter().map(|t| &t.person);
        [&self.tdc.person].into_iter().chain(tdps).chain([&self.ccrp.person]).collect()
    }

    /// One party's signature, made alone and offline.
    pub fn signature(&self, contract: &Envelope<Contract>, person: &Person) -> R<ContractSignature> {
        depa::contract::sign(contract, &person.key, person.trust()?, person.now())
    }

    /// Every party signs the same bytes alone; the signatures are handed in one after the other. Returns the answer to
    /// the last one, which executes the contract.
    pub fn sign_all(&self, contract: &Envelope<Contract>) -> R<ContractAnswer> {
        let mut last = None;
        for (at, person) in self.signers().into_iter().enumerate() {
            let signature = self.signature(contract, person)?;
            last = Some(depa::contract::submit(person.desk()?, contract, &signature, at == 0)?);
        }
        last.ok_or_else(|| Refusal::new(Code::Internal, "a contract has parties"))
    }

    /// A contract from the demo's form as changed, signed by everybody.
    pub fn signed_contract(&self, change: impl FnOnce(&mut ContractForm)) -> R<ContractRef> {
        let contract = self.contract_with(change)?;
        self.sign_all(&contract)?;
        Ok(ContractRef { id: contract.read_unverified()?.contract_id, sha256: contract.digest() })
    }

    /// The same, in force now; refused otherwise.
    pub fn active_contract(&self) -> R<ContractRef> {
        let contract = self.signed_contract(|_| {})?;
        match depa::contract::state(self.tdc.person.desk()?, &contract.id)? {
            ContractState::Active => Ok(contract),
            other => {
                Err(Refusal::new(Code::ContractNotActive, format!("all have signed and the contract is {other:?}")))
            }
        }
    }

    /// The form of the demo's job under a contract, for a changed one.
    pub fn job_form(&self, contract: &ContractId) -> R<JobForm> {
        self.tdc.job_form(contract, &self.offers, self.image_set()?, EPSILON)
    }

    /// Builds, judges and signs a job from the demo's form as changed.
    pub fn job_with(&self, contract: &ContractId, change: impl FnOnce(&mut JobForm)) -> R<Prepared> {
        let mut form = self.job_form(contract)?;
        change(&mut form);
        self.tdc.prepares(&form)
    }

    /// A job that was tampered with after the rules had said yes, signed by the consumer all the same: what a dishonest
    /// consumer could send.
    pub fn forged_job(&self, honest: &JobBundle, change: impl FnOnce(&mut schemas::job::JobSpec)) -> R<JobBundle> {
        let mut job = honest.job.read_unverified()?;
        change(&mut job);
        let person = &self.tdc.person;
        Ok(JobBundle { job: signing::sign(&job, &*person.key, person.now())?, ..honest.clone() })
    }

    /// A room in this process that shows what the approved image set names. Its members may be changed before it runs.
    pub fn room(&self) -> R<Room> {
        let unmeasured = || Refusal::new(Code::NotFound, "the room is not measured yet");
        self.ccrp.room(self.measurement.ok_or_else(unmeasured)?)
    }

    /// The same with a transport hook on every line to the outside: it drops, delays and duplicates calls.
    pub fn room_with(&self, hook: Arc<dyn Hook>) -> R<Room> {
        let mut room = self.room()?;
        room.desk = Client::new(&self.url, Some(hook.clone()))?.with_clock(self.clock.clone());
        room.hook = Some(hook);
        Ok(room)
    }

    /// Carries out a job in a room of this process.
    pub fn run(&self, bundle: &JobBundle, room: &Room) -> R<Completed> {
        ccr_runtime::run(bundle.clone(), room, &mut |_: Progress| {})
    }

    /// Orders a run and carries it out in a room of this process, as a provider's agent would.
    pub fn order_and_run(&self, bundle: &JobBundle) -> R<Completed> {
        self.tdc.orders(bundle)?;
        self.run(bundle, &self.room()?)
    }

    /// Waits until the payment system has answered every instruction of a contract.
    pub fn wait_until_settled(
        &self,
        contract: &ContractId,
        patience: std::time::Duration,
    ) -> R<Vec<schemas::desk::ObligationView>> {
        let began = std::time::Instant::now();
        loop {
            let payments = depa::payment::list(self.tdc.person.desk()?, Some(contract))?;
            if !payments.is_empty() && payments.iter().all(|p| p.state == "settled") {
                return Ok(payments);
            }
            if began.elapsed() > patience {
                let states: Vec<&str> = payments.iter().map(|p| p.state.as_str()).collect();
                return Err(Refusal::new(Code::Timeout, format!("payments are not settled: {states:?}")));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}
