//! The fetch: a key for a guest that nobody watches, at the price of all that is left of the dataset's clause. It is
//! charged before the key is wrapped, in the transaction that signs the receipt; what else must hold is what reserve and
//! release ask.

use diesel::prelude::*;
use schemas::id::{ContractId, DatasetId, ReservationId, RunId};
use schemas::privacy::DatasetCharge;
use schemas::release::{KmsReceipt, KmsStatement};
use schemas::{Code, Digest, Envelope, R, Refusal, Signer as _, Timestamp, canonical};
use serde_json::Value;
use signing::OpenedBundle;
use signing::guest::{GuestJwe, wrap_for_guest};

use super::session::{Credential, Fetched, Guest};
use super::wire::Resource;
use crate::budget;
use crate::cupboard::KeyRow;
use crate::journal::{self, Statement};
use crate::judge::{OwnDataset, facts};
use crate::kms::Kms;
use crate::rows;
use crate::run::{self, RunRow, State};
use crate::secret::Secret;
use crate::store::{Db, Tx};
use crate::tables;

/// How often a session may fetch a key: each time is a row of the journal.
const MOST_TIMES: u32 = 16;

/// What is asked for.
pub(crate) struct Wanted {
    pub contract_id: ContractId,
    pub dataset_id: DatasetId,
    pub version: u32,
}

/// A fetch that every rule agreed to.
struct Agreed<'a> {
    guest: &'a Guest,
    run_id: RunId,
    /// Whether this very key was fetched and charged in this session under this very contract.
    again: bool,
    opened: OpenedBundle,
    bundle: Vec<u8>,
    dataset: OwnDataset,
    charge: DatasetCharge,
    statement: Statement,
    key: (KeyRow, Secret),
}

/// What a transaction came to.
type Done = (GuestJwe, Envelope<KmsReceipt>);

impl Kms {
    /// The claims of a token of this service. No key but its own counts.
    pub(crate) fn kbs_token(&self, token: &str) -> R<Value> {
        signing::ear::read(token, self.signer.kid(), self.signer.jwk(), self.now())
    }

    /// Wraps a dataset's key to an attested guest. The first time in a session the whole rest of the clause is charged;
    /// asked again in the same session, the key is wrapped anew without a charge. Under a contract that was amended
    /// meanwhile, or of another version of the dataset, it is the first time.
    pub(crate) fn kbs_fetch(&self, credential: &Credential, wanted: &Wanted) -> R<Resource> {
        let now = self.now();
        let guest = self.kbs.sessions.guest(credential, now)?;
        let mut fetched = guest.fetched.lock().unwrap_or_else(|e| e.into_inner());
        let place = (wanted.contract_id.clone(), wanted.dataset_id.clone());
        let before = fetched.get(&place).cloned();
        let times = before.as_ref().map_or(0, |before| before.times);
        if times >= MOST_TIMES {
            return Err(Refusal::new(Code::RateLimited, "the key was fetched too often in this session"));
        }
        let agreed = self.kbs_judge(&guest, wanted, before, now)?;
        let act = if agreed.again { Kms::kbs_again } else { Kms::kbs_first };
        let (jwe, receipt) = self.store.transact(|c| act(self, c, &agreed, now))?;
        self.metrics.appended(usize::from(!agreed.again));
        let (released, run_id) = (agreed.dataset.released.clone(), agreed.run_id.clone());
        fetched.insert(place, Fetched { released, run_id, times: times + 1 });
        // Where this fails the charge stands, and the session may ask again.
        self.kbs_keep(&receipt)?;
        let GuestJwe { protected, encrypted_key, iv, ciphertext, tag } = jwe;
        Ok(Resource { protected, encrypted_key, iv, ciphertext, tag })
    }

    fn kbs_judge<'a>(
        &self,
        guest: &'a Guest,
        wanted: &Wanted,
        before: Option<Fetched>,
        now: Timestamp,
    ) -> R<Agreed<'a>> {
        let papers = self.kbs.papers.of(&wanted.contract_id)?;
        let trust = self.trust(papers.bundle.log_keys.as_ref())?;
        let opened = signing::open_bundle(papers.bundle.clone(), &trust)?;
        self.kbs_in_force(&trust, &opened, &papers.list, now)?;
        let facts = facts(&opened);
        let appraisal = self.appraise_guest(guest, &papers, now)?;
        policies::release::evidence_allowed(&facts, &appraisal)?;

        let own = self.own_datasets(&opened, appraisal.assurance)?;
        let ours = |d: &OwnDataset| {
            let r = &d.released;
            r.contract.id == wanted.contract_id && r.dataset_id == wanted.dataset_id && r.version == wanted.version
        };
        let unknown = || Refusal::new(Code::KeyUnknown, "the contract has no such key here");
        let dataset = own.into_iter().find(ours).ok_or_else(unknown)?;
        let uses = facts.datasets()?;
        let used = uses.iter().find(|used| used.terms.dataset_id == wanted.dataset_id).ok_or_else(unknown)?;
        policies::kbs::allowed(used.terms, guest.init_data.as_ref())?;

        let before = before.filter(|before| before.released == dataset.released);
        let again = before.is_some();
        let run_id = before.map_or_else(|| RunId::new(uuid::Uuid::now_v7()), |before| before.run_id);
        let charge = self.store.transact(|c| {
            if again {
                rows::check(c, &self.store.key, run_id.as_str(), &[], now)?;
                let row = run::find(c, &run_id)?.ok_or_else(|| Refusal::new(Code::RunUnknown, "this run is gone"))?;
                let charged = self.receipt(c, row.last_seq)?.1.charges.into_iter().next();
                Ok(charged.ok_or_else(|| Refusal::new(Code::Internal, "a fetch without a charge"))?)
            } else {
                let families = [used.terms.family.to_string()];
                rows::check(c, &self.store.key, run_id.as_str(), &families, now)?;
                run::expire(c, now)?;
                let contract = wanted.contract_id.as_str();
                Ok(policies::kbs::whole(used.terms, &budget::of_contract(c, contract, wanted.dataset_id.as_str())?)?)
            }
        })?;
        // Rules documents see what is charged, not what the job's pipeline would cost: nobody holds this guest to it.
        let mut plan = self.plans.of(&facts)?;
        plan.charges.iter_mut().filter(|c| c.dataset_id == charge.dataset_id).for_each(|c| *c = charge.clone());
        let held = self.ask_rules(&facts, std::slice::from_ref(&dataset), &plan, &appraisal, &run_id, now)?;
        if held.obligations.lease_s.is_some() || held.obligations.output_policy.is_some() {
            let sentence = "rules hold the run to a lease or an output policy, which no stock guest keeps";
            return Err(Refusal::new(Code::RulesObligation, sentence));
        }
        let thumbprint = guest.key.thumbprint();
        let statement = Statement {
            run_id: run_id.clone(),
            job_sha256: opened.job.digest(),
            run_jwk_thumbprint: thumbprint.clone(),
            enc_jwk_thumbprint: thumbprint,
            image_set_id: opened.image_set.image_set_id.clone(),
            assurance: appraisal.assurance,
            transcript_sha256: Digest::of(&guest.transcript.to_bytes()?),
            evidence_sha256: appraisal.evidence_sha256,
            datasets: vec![dataset.released.clone()],
            charges: vec![charge.clone()],
            rules: held.documents,
            checks: appraisal.passed(),
        };
        // The backend may be far away: it is asked before the transaction, which checks the row again.
        let (row, kek) = self.store.transact(|c| {
            let row = self.cupboard.row(c, &dataset.released.key_id)?;
            let kek = self.cupboard.kek(c, row.kek_version)?;
            Ok((row, kek))
        })?;
        let key = self.at_backend(|| self.cupboard.open(&row, &kek))?;
        // It may have taken its time: what ran out meanwhile counts no more.
        let now = self.now();
        guest.living(now)?;
        self.kbs_in_force(&trust, &opened, &papers.list, now)?;
        let bundle = canonical::to_bytes(&papers.bundle)?;
        Ok(Agreed { guest, run_id, again, bundle, dataset, charge, statement, key: (row, key), opened })
    }

    /// One transaction: charge, wrapped key, signed receipt, run.
    fn kbs_first(&self, c: &mut Db, agreed: &Agreed<'_>, now: Timestamp) -> Tx<Done> {
        let (run_id, tdc) = (&agreed.run_id, agreed.opened.job.tdc.as_str());
        let lines = budget::lines(std::slice::from_ref(&agreed.dataset), std::slice::from_ref(&agreed.charge))?;
        let families = [agreed.charge.family.to_string()];
        rows::check(c, &self.store.key, run_id.as_str(), &families, now)?;
        // Should another run have reserved since the charge was worked out, this no longer fits, and is refused.
        budget::take(c, tdc, &lines)?;
        let (jwe, what) = self.kbs_wrap(c, agreed)?;
        let (seq, receipt) = journal::append(c, &self.book(), agreed.statement.clone(), what.clone(), now)?;
        let reservation_id = match &what {
            KmsStatement::Released { reservation_id, .. } => reservation_id.to_string(),
            _ => run_id.to_string(),
        };
        let run_jwk = serde_json::to_string(&agreed.guest.key);
        let row = RunRow {
            run_id: run_id.to_string(),
            reservation_id,
            state: State::Charged.as_str().to_owned(),
            expires_at: now.micros(),
            // No lease: nothing can be renewed or committed.
            lease_until: None,
            reserved_seq: seq,
            last_seq: seq,
            bundle: agreed.bundle.clone(),
            run_jwk: run_jwk.map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
            lost: 0,
            lease_s: None,
        };
        diesel::insert_into(tables::run::table).values(&row).execute(c)?;
        budget::enter(c, run_id.as_str(), tdc, &lines, now)?;
        tracing::warn!(run_id = run_id.as_str(), seq, "a key was fetched by the KBS face; the clause is spent");
        Ok((jwe, receipt))
    }

    fn kbs_again(&self, c: &mut Db, agreed: &Agreed<'_>, now: Timestamp) -> Tx<Done> {
        let run_id = &agreed.run_id;
        rows::check(c, &self.store.key, run_id.as_str(), &[], now)?;
        let row = run::find(c, run_id)?.ok_or_else(|| Refusal::new(Code::RunUnknown, "this run is gone"))?;
        match row.state(now)? {
            State::Charged => {}
            state => return Err(run::wrong_state(state, "fetched again").into()),
        }
        let (jwe, what) = self.kbs_wrap(c, agreed)?;
        let (seq, receipt) = journal::append(c, &self.book(), agreed.statement.clone(), what, now)?;
        run::step(c, run_id.as_str(), State::Charged, seq, None)?;
        tracing::info!(run_id = run_id.as_str(), seq, "a key was fetched again in its session");
        Ok((jwe, receipt))
    }

    fn kbs_wrap(&self, c: &mut Db, agreed: &Agreed<'_>) -> Tx<(GuestJwe, KmsStatement)> {
        let (released, (opened, key)) = (&agreed.dataset.released, &agreed.key);
        let fresh = self.cupboard.row(c, &released.key_id)?;
        let same =
            fresh.same_key(opened) && fresh.is_of(&released.dataset_id, released.version, &released.manifest_root);
        if !same {
            return Err(Refusal::new(Code::KeyRowTampered, "the row of a data key changed").into());
        }
        let jwe = wrap_for_guest(key.expose(), &agreed.guest.key)?;
        let parts = [&jwe.protected, &jwe.encrypted_key, &jwe.iv, &jwe.ciphertext, &jwe.tag].map(String::as_str);
        let reservation_id = ReservationId::new(uuid::Uuid::now_v7());
        let jwe_sha256 = vec![Digest::of(parts.join(".").as_bytes())];
        Ok((jwe, KmsStatement::Released { reservation_id, jwe_sha256 }))
    }
}
