//! Papers: what a stock guest cannot carry. The provider brings the bundle of a job and a status list, and brings the list
//! anew while guests may fetch: without it nothing is given, so the provider ends all of it by falling silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use schemas::bundle::JobBundle;
use schemas::contract::Assurance;
use schemas::evidence::ImageSet;
use schemas::id::ContractId;
use schemas::release::StatusList;
use schemas::{Code, Envelope, R, Refusal, Timestamp};
use signing::{OpenedBundle, Trust};

use super::wire::{Papers, PapersTaken};
use crate::audit;
use crate::history;
use crate::judge::job_if_in_force;
use crate::kms::{Kms, use_once};
use crate::withdrawn;

/// Most jobs whose papers lie here at a time; each is looked at when a guest attests.
const MOST: usize = 16;
/// Papers are put away after this time without a new status list.
const KEPT_SECONDS: i64 = 900;

/// The papers of one job.
pub(crate) struct Brought {
    pub bundle: JobBundle,
    pub list: Envelope<StatusList>,
    /// Whom evidence may show, and under which levels it must hold.
    pub image_set: ImageSet,
    pub levels: BTreeSet<String>,
    at: Timestamp,
}

/// Papers by contract; the newest count.
#[derive(Default)]
pub(crate) struct Shelf {
    all: Mutex<BTreeMap<ContractId, Arc<Brought>>>,
}

impl Shelf {
    fn all(&self) -> MutexGuard<'_, BTreeMap<ContractId, Arc<Brought>>> {
        self.all.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn put(&self, contracts: &[ContractId], brought: Brought) -> R<()> {
        let (mut all, now) = (self.all(), brought.at);
        all.retain(|_, papers| now < papers.at.plus_seconds(KEPT_SECONDS));
        let new = contracts.iter().filter(|id| !all.contains_key(id)).count();
        if all.len() + new > MOST {
            let sentence = format!("papers of at most {MOST} contracts lie here at a time");
            return Err(Refusal::new(Code::LimitExceeded, sentence).at("bundle"));
        }
        let brought = Arc::new(brought);
        all.extend(contracts.iter().map(|id| (id.clone(), brought.clone())));
        Ok(())
    }

    fn away(&self, contracts: &[ContractId]) {
        self.all().retain(|id, _| !contracts.contains(id));
    }

    /// The papers of a contract.
    pub fn of(&self, contract: &ContractId) -> R<Arc<Brought>> {
        let missing = || Refusal::new(Code::KbsPapersMissing, format!("nobody brought the papers of {contract}"));
        self.all().get(contract).cloned().ok_or_else(missing)
    }

    /// All of them, each once.
    pub fn each(&self) -> Vec<Arc<Brought>> {
        let mut out: Vec<Arc<Brought>> = Vec::new();
        for papers in self.all().values() {
            if !out.iter().any(|other| Arc::ptr_eq(other, papers)) {
                out.push(papers.clone());
            }
        }
        out
    }
}

impl Kms {
    /// Takes papers in, from the provider alone, verified as a reservation's are. They are judged again at each fetch.
    pub(crate) fn kbs_papers(&self, token: &str, papers: Papers) -> R<PapersTaken> {
        let now = self.now();
        let claims = signing::token::check_assertion(token, &self.config.url, &self.provider_book(), now)?;
        let code = Code::TokenReplayed;
        self.store.transact(|c| use_once(c, claims.iss.as_str(), &claims.jti, code, now))?;
        let trust = self.trust(papers.bundle.log_keys.as_ref())?;
        let opened = signing::open_bundle(papers.bundle.clone(), &trust)?;
        let contracts: Vec<ContractId> = opened.job.contracts.iter().map(|c| c.id.clone()).collect();
        // Whatever was told about these contracts before: from here on the newest word counts, also where it is a no.
        self.kbs.papers.away(&contracts);
        self.kbs_in_force(&trust, &opened, &papers.status_list, now)?;
        self.own_datasets(&opened, Assurance::Hardware)?;
        let brought = Brought {
            image_set: (**opened.image_set).clone(),
            levels: self.levels(&opened),
            bundle: papers.bundle,
            list: papers.status_list,
            at: now,
        };
        self.kbs.papers.put(&contracts, brought)?;
        Ok(PapersTaken { contracts })
    }

    /// Requires that the job's contracts are in force by a fresh status list of the registry, that neither the log nor
    /// this service's database went back, and that the image set stands.
    pub(crate) fn kbs_in_force(
        &self,
        trust: &Trust,
        opened: &OpenedBundle,
        list: &Envelope<StatusList>,
        now: Timestamp,
    ) -> R<()> {
        if trust.quorum > 0 {
            // A status list carries no cosignatures, and a stock guest brings no Admission.
            let sentence = "witnesses are asked for here, and the KBS face shows none";
            return Err(Refusal::new(Code::CosignaturesMissing, sentence));
        }
        let registry = &trust.registry;
        let list = signing::verify_by(list.clone(), registry, trust, registry.as_str())?;
        policies::release::status_list(&list, &[], now)?;
        // What is told of image sets is kept, also where it ends this very request.
        self.store.transact(|c| withdrawn::hear(c, &list.image_sets_revoked))?;
        self.store.transact(|c| {
            audit::check_caught_up(c)?;
            withdrawn::refuse(c, &opened.image_set.image_set_id)
        })?;
        policies::release::status_list(&list, &opened.job.contracts, now)?;
        let mut heads = history::heads(opened)?;
        heads.push(list.checkpoint.clone());
        self.store.transact(|c| {
            history::not_behind(c, &trust.origin, &list.checkpoint, list.issued_at)?;
            history::keep(c, trust, &heads, now)
        })?;
        job_if_in_force(opened, now)
    }
}
