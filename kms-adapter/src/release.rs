//! Release: the only path to a key. With the reservations of all key services of the run, the data keys are wrapped to
//! the attested room; from here on the charge is final.

use policies::RunView;
use schemas::id::ReservationId;
use schemas::release::{KmsReceipt, KmsStatement, Release, ReleaseRequest, RunAct};
use schemas::{Code, Digest, Envelope, R, Refusal, Timestamp};
use sealing::DatasetKey;

use crate::backend::{Caller, Opened};
use crate::cupboard::KeyRow;
use crate::journal;
use crate::judge::{Judged, OwnDataset, facts};
use crate::kms::Kms;
use crate::reserve::same_run;
use crate::rows;
use crate::run::{self, State};
use crate::shown;
use crate::store::{Db, Tx};

impl Kms {
    /// Wraps the keys of a reservation. Asked again under fresh evidence within the reservation's time, the same keys
    /// are wrapped anew and nothing is charged twice.
    pub fn release(&self, reservation_id: &ReservationId, request: ReleaseRequest) -> R<Envelope<Release>> {
        let now = self.now();
        let challenge = self.consume(&request.attested.transcript.challenge_id, now)?;
        let (row, own) = self.store.transact(|c| {
            let row = run::by_reservation(c, reservation_id)?;
            let own = self.receipt(c, row.reserved_seq)?;
            Ok((row, own))
        })?;
        let act = self.run_request(request.request, &row.run_id, &row.run_jwk()?, now)?;
        let asked =
            RunAct::Release { challenge_id: challenge.challenge_id.clone(), reservation_id: reservation_id.clone() };
        if act != asked {
            let sentence = "the request asks for something else, or under another challenge or reservation";
            return Err(Refusal::new(Code::SignatureContext, sentence).at("request"));
        }
        // Shown by a run that reserved here; the log's key may have changed since.
        self.trust(request.log_keys.as_ref())?;
        let judged = self.judge(&challenge, &request.attested, request.admission, row.bundle()?, now)?;
        if judged.transcript.run_id.as_str() != row.run_id {
            return Err(Refusal::new(Code::TranscriptMismatch, "the transcript is of another run").at("run_id"));
        }
        same_run(&own.1, &judged)?;
        self.all_reserved(&judged, &request.reservations, &own.0, now)?;
        // The backend may be far away: it is asked before the transaction, which checks the rows and the run again.
        let token = request.maa_token.as_deref();
        let keys = self.open_keys(&judged, token, now)?;
        // It may have taken its time: what ran out meanwhile counts no more.
        let now = self.now();
        let facts = facts(&judged.opened);
        policies::release::transcript(&judged.transcript, &challenge, &facts, now)?;
        policies::release::admission(&judged.admission, &judged.transcript, now)?;
        policies::gate::job(&facts, &judged.admission.contracts, now)?;
        self.all_reserved(&judged, &request.reservations, &own.0, now)?;
        self.store.transact(|c| {
            let answer = self.hand_out(c, reservation_id, &judged, &own.1, &keys, now)?;
            shown::keep(c, &row.run_id, &request.attested)?;
            Ok(answer)
        })
    }

    fn open_keys(&self, judged: &Judged, token: Option<&str>, now: Timestamp) -> R<Vec<(KeyRow, Opened)>> {
        let user_data = attestation::user_data(&attestation::binding(&judged.transcript)?);
        let room = Caller { token, user_data, ak_sha256: judged.appraisal.record.ak_sha256, now };
        let open = |dataset: &OwnDataset| {
            let (row, kek) = self.store.transact(|c| {
                let row = self.cupboard.row(c, &dataset.released.key_id)?;
                let kek = self.cupboard.kek(c, row.kek_version)?;
                Ok((row, kek))
            })?;
            let key = self.at_backend(|| self.cupboard.open_for(&row, &kek, &room))?;
            Ok((row, key))
        };
        judged.own.iter().map(open).collect()
    }

    /// One transaction: state, keys, charge, journal, signed answer.
    fn hand_out(
        &self,
        c: &mut Db,
        reservation_id: &ReservationId,
        judged: &Judged,
        reserved: &KmsReceipt,
        keys: &[(KeyRow, Opened)],
        now: Timestamp,
    ) -> Tx<Envelope<Release>> {
        rows::check(c, &self.store.key, judged.transcript.run_id.as_str(), &[], now)?;
        run::expire(c, now)?;
        let row = run::by_reservation(c, reservation_id)?;
        match row.state(now)? {
            State::Reserved | State::Charged if row.expires_at > now.micros() => {}
            State::Reserved | State::Charged | State::Expired => {
                return Err(Refusal::new(Code::ReservationExpired, "the reservation ran out").into());
            }
            state => return Err(run::wrong_state(state, "released").into()),
        }
        let (mut jwe, mut gated) = (Vec::new(), Vec::new());
        for (dataset, (opened, key)) in judged.own.iter().zip(keys) {
            let (fresh, released) = (self.cupboard.row(c, &dataset.released.key_id)?, &dataset.released);
            let same =
                fresh.same_key(opened) && fresh.is_of(&released.dataset_id, released.version, &released.manifest_root);
            if !same {
                return Err(Refusal::new(Code::KeyRowTampered, "the row of a data key changed").into());
            }
            let bound = judged.transcript_sha256.0;
            let wrap = |key: &[u8; 32]| signing::jose::wrap_key(key, &judged.transcript.enc_jwk, &bound);
            match key {
                Opened::Key(key) => jwe.push(wrap(key.expose())?),
                Opened::Gated(parts) => {
                    let under = DatasetKey::random()?;
                    jwe.push(wrap(under.expose())?);
                    gated.push(parts.seal(&under)?);
                }
            }
        }
        let jwe_sha256 = jwe.iter().map(|token| Digest::of(token.as_bytes())).collect();
        let what = KmsStatement::Released { reservation_id: reservation_id.clone(), jwe_sha256 };
        let statement = judged.statement(reserved.charges.clone());
        let (seq, receipt) = journal::append(c, &self.book(), statement, what, now)?;
        let asked = judged.held.obligations.lease(self.config.lease_seconds);
        let lease_seconds = policies::release::lease(asked, judged.admission.issued_at, now, Code::AdmissionStale)?;
        run::step(c, &row.run_id, State::Charged, seq, Some(now.plus_seconds(i64::from(lease_seconds))))?;
        run::hold(c, &row.run_id, judged.held.obligations.lease_s)?;
        let release = Release {
            schema: "kms-release.v1".into(),
            registry: self.trust.registry.clone(),
            jwe,
            gated,
            receipt,
            lease_seconds,
        };
        let answer = signing::sign(&release, &self.signer, now)?;
        tracing::info!(run_id = row.run_id, seq, datasets = judged.own.len(), "keys released; the charge is final");
        Ok(answer)
    }

    /// Every dataset of the job stands in exactly one living reservation of its own key service; ours is the one made
    /// for this run.
    fn all_reserved(
        &self,
        judged: &Judged,
        reservations: &[Envelope<KmsReceipt>],
        own: &Envelope<KmsReceipt>,
        now: Timestamp,
    ) -> R<()> {
        let incomplete = |why: &str| Refusal::new(Code::ReservationsIncomplete, why).at("reservations");
        if reservations.len() > judged.opened.job.datasets.len() {
            return Err(incomplete("more reservations than datasets"));
        }
        let mut receipts = Vec::new();
        for envelope in reservations {
            let provider = envelope.read_unverified()?.provider;
            // The book holds the keys that the offers of the bundle pin, each under its provider.
            let receipt =
                signing::verify_by(envelope.clone(), &self.trust.registry, &judged.opened.book, provider.as_str())?;
            same_run(&receipt, judged)?;
            if receipt.kms == self.url() && receipt.digest() != own.digest() {
                return Err(incomplete("the reservation of this key service is another one"));
            }
            receipts.push(receipt);
        }
        let t = &judged.transcript;
        let run = RunView {
            run_id: t.run_id.clone(),
            job_sha256: t.job_sha256,
            run_jwk_thumbprint: t.run_jwk.thumbprint(),
            image_set_id: t.image_set_id.clone(),
        };
        let facts = facts(&judged.opened);
        policies::release::reservations(&facts, &run, &judged.plan, &receipts, now)
    }
}
