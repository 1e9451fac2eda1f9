//! Renew and commit: what a room asks while it holds keys.

use schemas::id::RunId;
use schemas::release::{KmsReceipt, KmsStatement, Lease, RenewRequest, RunAct, RunRequest};
use schemas::{Code, Envelope, R, Refusal};

use crate::history;
use crate::journal::{self, Statement};
use crate::kms::Kms;
use crate::rows;
use crate::run::{self, State};
use crate::shown;
use crate::store::Db;
use crate::withdrawn;

impl Kms {
    /// Extends a living lease while every contract of the run is in force, or has ended in a way that lets it finish.
    pub fn renew(&self, run_id: &RunId, request: RenewRequest) -> R<Envelope<Lease>> {
        let now = self.now();
        let row = self.run(run_id)?;
        let act = self.run_request(request.request, &row.run_id, &row.run_jwk()?, now)?;
        if act != (RunAct::Renew {}) {
            return Err(Refusal::new(Code::SignatureContext, "the request asks for something else").at("request"));
        }
        let trust = self.trust(request.log_keys.as_ref())?;
        let registry = &trust.registry;
        let list = signing::verify_by(request.status_list, registry, &trust, registry.as_str())?;
        let opened = self.reopen(&row)?;
        let image_set = &opened.image_set.image_set_id;
        // What is told of image sets is heard before it ends this run, so that it ends others here too.
        policies::release::status_list(&list, &[], now)?;
        self.store.transact(|c| withdrawn::hear(c, &list.image_sets_revoked))?;
        // A list of half a minute ago says nothing of what another room's list told since.
        self.store.transact(|c| withdrawn::refuse(c, image_set))?;
        policies::release::renewal(&list, &opened.contracts, image_set, &opened.job.purpose, now)?;
        self.store.transact(|c| {
            history::not_behind(c, &trust.origin, &list.checkpoint, list.issued_at)?;
            history::keep(c, &trust, std::slice::from_ref(&list.checkpoint), now)
        })?;
        if now < opened.image_set.valid_from || now >= opened.image_set.valid_to {
            return Err(Refusal::new(Code::ImageSetNotApproved, "the image set of the run is no longer approved"));
        }
        // Chips and platform levels that were withdrawn since the release. What a room showed is kept as long as its lease.
        if row.state(now)? == State::Charged {
            row.living_lease(now)?;
            let found = |c: &mut Db| Ok((shown::of(c, run_id.as_str())?, self.receipt(c, row.last_seq)?.1));
            let (kept, last) = self.store.transact(found)?;
            self.still_trusted(kept, &last, &opened, now)?;
        }
        let lease_seconds = self.store.transact(|c| {
            rows::check(c, &self.store.key, run_id.as_str(), &[], now)?;
            let row = run::find(c, run_id)?.ok_or_else(|| Refusal::new(Code::RunUnknown, "this run is gone"))?;
            match row.state(now)? {
                State::Charged => row.living_lease(now)?,
                state => return Err(run::wrong_state(state, "renewed").into()),
            }
            let asked = row.lease_seconds(self.config.lease_seconds);
            let lease_seconds = policies::release::lease(asked, list.issued_at, now, Code::StatusListStale)?;
            run::extend(c, run_id.as_str(), now.plus_seconds(i64::from(lease_seconds)))?;
            Ok(lease_seconds)
        })?;
        let lease = Lease {
            schema: "kms-lease.v1".into(),
            registry: registry.clone(),
            run_id: run_id.clone(),
            at: now,
            lease_seconds,
        };
        signing::sign(&lease, &self.signer, now)
    }

    /// Fixes the only output of a run. The same digest again gets the same receipt; another one raises an alarm.
    pub fn commit(&self, run_id: &RunId, request: Envelope<RunRequest>) -> R<Envelope<KmsReceipt>> {
        let now = self.now();
        let row = self.run(run_id)?;
        let act = self.run_request(request, &row.run_id, &row.run_jwk()?, now)?;
        let RunAct::Commit { output_sha256 } = act else {
            return Err(Refusal::new(Code::SignatureContext, "the request asks for something else").at("request"));
        };
        self.store.transact(|c| {
            rows::check(c, &self.store.key, run_id.as_str(), &[], now)?;
            let row = run::find(c, run_id)?.ok_or_else(|| Refusal::new(Code::RunUnknown, "this run is gone"))?;
            let (envelope, last) = self.receipt(c, row.last_seq)?;
            match (row.state(now)?, &last.statement) {
                (State::Charged, _) => row.living_lease(now)?,
                (State::Committed, KmsStatement::Committed { output_sha256: first }) if *first == output_sha256 => {
                    return Ok(envelope);
                }
                (State::Committed, _) => {
                    tracing::error!(
                        alarm = "commit_conflict",
                        run_id = run_id.as_str(),
                        "a second output was committed"
                    );
                    let sentence = "the run committed another output before; this is reported";
                    return Err(Refusal::new(Code::CommitConflict, sentence).into());
                }
                (state, _) => return Err(run::wrong_state(state, "committed").into()),
            }
            let what = KmsStatement::Committed { output_sha256 };
            let (seq, receipt) = journal::append(c, &self.book(), Statement::as_in(&last), what, now)?;
            run::step(c, run_id.as_str(), State::Committed, seq, None)?;
            shown::forget(c, run_id.as_str())?;
            tracing::info!(run_id = run_id.as_str(), seq, "output committed");
            Ok(receipt)
        })
    }
}
