//! Runs: challenge, check-in, Admission. What a run does afterwards is in `run_acts`.

use std::time::Instant;

use attestation::{Expected, appraise};
use policies::lifecycle::RunRow;
use policies::{Facts, gate, pipeline, privacy, release};
use registry::StoredChallenge;
use schemas::contract::ContractRef;
use schemas::desk::CheckIn;
use schemas::event::Body;
use schemas::evidence::Appraisal;
use schemas::id::{ChallengeId, RunId};
use schemas::release::{Admission, Attested, Challenge, ChallengeRequest, RunAct, RunRequest};
use schemas::text::Bytes;
use schemas::{Code, Envelope, R, Refusal, Signed, Timestamp};
use signing::OpenedBundle;

use crate::app::App;
use crate::call::{Answer, Call};
use crate::error::fault;
use crate::ids;
use crate::steps;

/// Seconds in which a challenge must be used.
const CHALLENGE_SECONDS: i64 = 120;
/// Seconds for which a signed request counts.
const REQUEST_SECONDS: f64 = 60.0;

/// Mints a run id and a nonce for an ordered job.
pub fn challenge(app: &App, call: &Call) -> R<Answer> {
    let request: ChallengeRequest = call.read()?;
    let state = app.registry.state();
    let mismatch = |why: &str| Refusal::new(Code::JobMismatch, why.to_owned());
    let order = state.order(&request.job_sha256).ok_or_else(|| mismatch("no such job is ordered"))?;
    if order.job.contracts != request.contracts {
        return Err(mismatch("the contracts are not those of the job"));
    }
    // The writer asks again at check-in; here no room is started for nothing.
    state.require_funded(order)?;
    if request.run_id.is_some() {
        return Err(mismatch("the run id is minted here").at("run_id"));
    }
    let now = app.now();
    let challenge = Challenge {
        schema: "kms-challenge.v1".into(),
        registry: app.did().clone(),
        challenge_id: ChallengeId::new(ids::uuid(now)?),
        nonce: Bytes(signing::signer::random::<32>()?.to_vec()),
        aud: app.url().to_owned(),
        run_id: RunId::new(ids::uuid(now)?),
        job_sha256: request.job_sha256,
        expires_at: now.plus_seconds(CHALLENGE_SECONDS),
        checkpoint: Some(app.registry.head()?),
    };
    app.registry.issue_challenge(&stored(&challenge, request.contracts)?, now)?;
    Answer::ok(&signing::sign(&challenge, &*app.signer()?, now)?)
}

/// The challenge as the registry keeps it.
fn stored(challenge: &Challenge, contracts: Vec<ContractRef>) -> R<StoredChallenge> {
    let checkpoint = challenge.checkpoint.clone().ok_or_else(|| fault("a challenge without checkpoint"))?;
    Ok(StoredChallenge {
        challenge_id: challenge.challenge_id.clone(),
        nonce: challenge.nonce.clone(),
        run_id: challenge.run_id.clone(),
        job_sha256: challenge.job_sha256,
        contracts,
        expires_at: challenge.expires_at,
        checkpoint,
    })
}

/// The challenge as it was given out.
fn issued(app: &App, kept: StoredChallenge) -> Challenge {
    Challenge {
        schema: "kms-challenge.v1".into(),
        registry: app.did().clone(),
        challenge_id: kept.challenge_id,
        nonce: kept.nonce,
        aud: app.url().to_owned(),
        run_id: kept.run_id,
        job_sha256: kept.job_sha256,
        expires_at: kept.expires_at,
        checkpoint: Some(kept.checkpoint),
    }
}

/// Checks a room in. In this order: challenge consumed, bundle opened, job ordered, transcript, evidence, rules; then
/// the entry, then the Admission.
pub fn check_in(app: &App, call: &Call) -> R<Answer> {
    let CheckIn { attested, bundle, lease_token } = call.read()?;
    let now = app.now();
    let challenge = issued(app, app.registry.consume_challenge(&attested.transcript.challenge_id, now)?);
    let opened = signing::open_bundle(bundle, &app.trust())?;
    let job_sha256 = opened.job.digest();
    let state = app.registry.state();
    if state.order(&job_sha256).is_none() {
        return Err(Refusal::new(Code::JobMismatch, "no such job is ordered"));
    }
    let facts = facts(&opened);
    release::transcript(&attested.transcript, &challenge, &facts, now)?;
    let appraisal = appraised(app, &facts, &challenge, &attested, now)?;
    judge(app, &opened, now)?;
    if let Some(token) = claim(app.config.demo(), lease_token.as_deref())? {
        app.registry.require_lease(&job_sha256, token, now)?;
    }
    let run_id = challenge.run_id.clone();
    app.enter(checked_in(&run_id, &attested, &facts, &appraisal))?;
    Answer::created(&admission(app, &run_id, now)?)
}

/// The claim that a check-in shows. Evidence says what runs, not whose machine it is: without the claim, which only the
/// contracted provider's agent gets, a consumer could run the room in its own house. Demos may do without.
fn claim(demo: bool, token: Option<&str>) -> R<Option<&str>> {
    if token.is_none() && !demo {
        let sentence = "a room checks in with the claim of the contracted provider's agent";
        return Err(Refusal::new(Code::LeaseExpired, sentence).at("lease_token"));
    }
    Ok(token)
}

/// What the room asks, judged by the one set of rules: contracts in force, pipeline, privacy plan.
pub fn judge(app: &App, opened: &OpenedBundle, now: Timestamp) -> R<()> {
    let facts = facts(opened);
    let state = app.registry.state();
    state.require_renewals(&opened.renewals)?;
    gate::job(&facts, &state.statuses(&opened.job.contracts, now)?, now)?;
    pipeline::decide(&facts)?;
    privacy::plan(&facts).map(drop)
}

fn facts(opened: &OpenedBundle) -> Facts<'_> {
    Facts { job: &opened.job, contracts: &opened.contracts, offers: &opened.offers, image_set: &opened.image_set }
}

/// Appraises the evidence at the service's platform level and at every contract's; the room is told a code only.
fn appraised(app: &App, facts: &Facts, challenge: &Challenge, attested: &Attested, now: Timestamp) -> R<Appraisal> {
    let expected = Expected::from_transcript(&attested.transcript, facts.image_set)?
        .of_challenge(&challenge.nonce, challenge.expires_at);
    let policy = app.config.platform_policy(&app.platform, &app.config.platform_level)?;
    let appraisal = appraise(&attested.evidence, &expected, &policy, now);
    note_failures(&appraisal);
    release::evidence_allowed(facts, &appraisal)?;
    for contract in facts.contracts {
        let policy = app.config.platform_policy(&app.platform, &contract.compute.platform_level)?;
        release::evidence_allowed(facts, &appraise(&attested.evidence, &expected, &policy, now))?;
    }
    Ok(appraisal)
}

fn note_failures(appraisal: &Appraisal) {
    if !appraisal.accepted {
        tracing::warn!(failed = appraisal.failed().join(","), "evidence was refused");
    }
}

fn checked_in(run_id: &RunId, attested: &Attested, facts: &Facts, appraisal: &Appraisal) -> Body {
    Body::RunCheckedIn {
        run_id: run_id.clone(),
        job_sha256: facts.job.digest(),
        image_set_id: facts.image_set.image_set_id.clone(),
        evidence_sha256: appraisal.evidence_sha256,
        checks: appraisal.passed(),
        assurance: appraisal.assurance,
        run_jwk: attested.transcript.run_jwk.clone(),
        enc_jwk: attested.transcript.enc_jwk.clone(),
        platform: Some(Box::new(appraisal.platform())),
    }
}

/// Signs a fresh Admission for a living run whose contracts are all still in force, or let it finish with its keys. Of
/// such an end the Admission tells, and no key service opens anything on it.
pub fn refresh(app: &App, call: &Call) -> R<Answer> {
    let run_id: RunId = call.param("id")?;
    let request = requested(app, call, &run_id)?;
    if request.request != (RunAct::RefreshAdmission {}) {
        return Err(wrong(OTHER));
    }
    let now = app.now();
    use_once(app, &run_id, &request.jti, now)?;
    app.heard.of(&run_id, Instant::now());
    Answer::ok(&admission(app, &run_id, now)?)
}

const OTHER: &str = "it is for another run, service or act";

fn wrong(why: &str) -> Refusal {
    Refusal::new(Code::TranscriptMismatch, format!("run request: {why}"))
}

/// How far a room says that its training has got: kept in memory, told to who listens, entered nowhere. A step counts once
/// and only forwards, so that a request that is sent again says nothing.
pub fn progress(app: &App, call: &Call) -> R<Answer> {
    let run_id: RunId = call.param("id")?;
    let request = requested(app, call, &run_id)?;
    let RunAct::Progress { step } = request.request else { return Err(wrong(OTHER)) };
    let heard = Instant::now();
    app.steps.ready(&run_id, step, heard)?;
    let told = steps::of(&app.registry.state(), &run_id, step, app.now())?;
    app.steps.tell(told, heard)?;
    app.heard.of(&run_id, heard);
    Ok(Answer::empty())
}

/// A request that the run's key signed within the last minute, for this service.
fn requested(app: &App, call: &Call, run_id: &RunId) -> R<Signed<RunRequest>> {
    let envelope: Envelope<RunRequest> = call.read()?;
    let state = app.registry.state();
    state.require_run(run_id)?;
    let request = signing::verify_by(envelope, app.did(), &*state, run_id.as_str())?;
    if request.run_id != *run_id || request.aud != app.url() {
        return Err(wrong(OTHER));
    }
    if app.now().seconds_since(request.issued_at).abs() > REQUEST_SECONDS {
        return Err(wrong("it is older than 60 seconds"));
    }
    Ok(request)
}

/// A signed request of a run counts once.
fn use_once(app: &App, run_id: &RunId, jti: &str, now: Timestamp) -> R<()> {
    if jti.len() < 16 || jti.len() > 64 {
        return Err(Refusal::new(Code::SchemaMismatch, "jti has 16 to 64 characters").at("jti"));
    }
    let until = now.plus_seconds(2 * REQUEST_SECONDS as i64);
    app.registry.use_jti(app.did(), &format!("{run_id} {jti}"), until, now).map_err(|e| match e.code {
        Code::TokenReplayed => Refusal::new(Code::RequestReplayed, "this request was made before; sign a new one"),
        _ => e,
    })
}

/// The service's word that a run may ask for keys, or go on with those that it holds: refused once a contract is neither in
/// force nor lets it finish, or the run has ended.
fn admission(app: &App, run_id: &RunId, now: Timestamp) -> R<Envelope<Admission>> {
    app.registry.fresh()?;
    // The head before the state: what is said is never older than the head that it names.
    let checkpoint = app.registry.head()?;
    let state = app.registry.state();
    let run: &RunRow = state.require_run(run_id)?;
    if !run.alive() {
        return Err(Refusal::new(Code::RunState, "the run has ended"));
    }
    let job = state.job_of(run)?;
    state.require_goes_on(run, now)?;
    state.require_run_funded(run)?;
    state.require_datasets(job)?;
    state.require_image_set(&run.image_set_id, now)?;
    let services = state.kms_of_job(job)?;
    let admission = Admission {
        schema: "admission.v1".into(),
        registry: app.did().clone(),
        run_id: run_id.clone(),
        job_sha256: run.job_sha256,
        issued_at: now,
        contracts: state.statuses(&job.contracts, now)?,
        image_set_id: run.image_set_id.clone(),
        evidence_sha256: run.evidence_sha256,
        assurance: run.assurance,
        run_jwk: run.run_jwk.clone(),
        enc_jwk: run.enc_jwk.clone(),
        checkpoint,
        kms_heads: services.iter().map(|(provider, kms)| state.kms_head(provider, kms)).collect(),
        cosigned: app.cosigned.newest(now).map(|note| note.text()),
    };
    signing::sign(&admission, &*app.signer()?, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_demos_only_the_contracted_providers_room_checks_in() {
        assert_eq!(claim(false, None).unwrap_err().code, Code::LeaseExpired);
        assert_eq!(claim(false, Some("t")).unwrap(), Some("t"));
        assert_eq!(claim(true, None).unwrap(), None);
        assert_eq!(claim(true, Some("t")).unwrap(), Some("t"), "a claim that is shown is checked everywhere");
    }
}
