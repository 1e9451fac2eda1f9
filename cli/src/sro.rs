//! What the SRO lays down for everyone: drafted once, signed by two different people over the same bytes.

use contract_client::{Acted, Client};
use schemas::dataset::Column;
use schemas::desk::{DisputeReceipt, TwoPeople};
use schemas::dispute::{DisputeClose, DisputeRuling};
use schemas::evidence::ImageSet;
use schemas::id::{Did, ImageSetId};
use schemas::jwk::Jwk;
use schemas::party::{KeyAct, KeyEvent, ParticipantDecision};
use schemas::rules::{DataSchema, Erasure, ImageSetRevocation, LogKey, Template};
use schemas::{Code, Digest, Document, Envelope, R, Refusal, Timestamp, canonical};
use serde::{Deserialize, Serialize};
use signing::{Signer, Trust};

/// A template, as the SRO writes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateForm {
    /// The name by which contracts choose it, like `oncology-v2`.
    pub template: String,
    /// A title for people.
    pub title: String,
    /// Where the legal text lies.
    pub text_url: String,
    /// SHA-256 of the legal text.
    pub text_sha256: Digest,
    /// Purposes that it may be used for.
    pub purposes: Vec<String>,
    /// Jurisdictions that it may be used in; every one if empty.
    #[serde(default)]
    pub jurisdictions: Vec<String>,
    /// The longest period in days.
    pub max_days: u32,
    /// Days after which an unsigned proposal lapses.
    pub lapse_days: u32,
    /// Whether two SRO people must countersign.
    #[serde(default)]
    pub sro_countersigns: bool,
    /// Whether a statement of anticipated model risks is required.
    #[serde(default)]
    pub risk_statement: bool,
    /// SHA-256 of each Rego document that contracts of it must name (`depa policy digest`).
    #[serde(default)]
    pub rules: Vec<Digest>,
}

/// A data schema, as the SRO writes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSchemaForm {
    /// The URI by which offers name it.
    pub uri: String,
    /// A title for people.
    pub title: String,
    /// The required columns.
    pub columns: Vec<Column>,
}

/// Drafts a template.
pub fn template(form: TemplateForm, trust: &Trust, now: Timestamp) -> R<Envelope<Template>> {
    Envelope::draft(&Template {
        schema: Template::SCHEMA.into(),
        registry: trust.registry.clone(),
        template: form.template,
        title: form.title,
        text_url: form.text_url,
        text_sha256: form.text_sha256,
        purposes: form.purposes,
        jurisdictions: form.jurisdictions,
        max_days: form.max_days,
        lapse_days: form.lapse_days,
        sro_countersigns: form.sro_countersigns,
        risk_statement: form.risk_statement,
        rules: form.rules,
        at: now,
    })
}

/// Drafts a data schema.
pub fn data_schema(form: DataSchemaForm, trust: &Trust, now: Timestamp) -> R<Envelope<DataSchema>> {
    Envelope::draft(&DataSchema {
        schema: DataSchema::SCHEMA.into(),
        registry: trust.registry.clone(),
        uri: form.uri,
        title: form.title,
        columns: form.columns,
        at: now,
    })
}

/// Drafts the revocation of an image set.
pub fn image_set_revocation(
    id: ImageSetId,
    reason: &str,
    trust: &Trust,
    now: Timestamp,
) -> R<Envelope<ImageSetRevocation>> {
    Envelope::draft(&ImageSetRevocation {
        schema: ImageSetRevocation::SCHEMA.into(),
        registry: trust.registry.clone(),
        image_set_id: id,
        reason: reason.to_owned(),
        at: now,
    })
}

/// Drafts the erasure of one subject's entries.
pub fn erasure(mut entries: Vec<u64>, reason: &str, trust: &Trust, now: Timestamp) -> R<Envelope<Erasure>> {
    entries.sort_unstable();
    entries.dedup();
    Envelope::draft(&Erasure {
        schema: Erasure::SCHEMA.into(),
        registry: trust.registry.clone(),
        entries,
        reason: reason.to_owned(),
        at: now,
    })
}

/// Drafts a change of the log's key. Both keys sign checkpoints for `overlap_seconds`.
pub fn log_key(jwk: Jwk, overlap_seconds: u32, trust: &Trust, now: Timestamp) -> R<Envelope<LogKey>> {
    Envelope::draft(&LogKey {
        schema: LogKey::SCHEMA.into(),
        registry: trust.registry.clone(),
        replaces: trust.key_in_use().thumbprint(),
        jwk,
        overlap_until: now.plus_seconds(i64::from(overlap_seconds)),
        at: now,
    })
}

/// What a draft of the SRO says, for the eyes of who signs it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Shown {
    /// Its schema.
    pub schema: String,
    /// Its digest.
    pub sha256: Digest,
    /// The document.
    pub document: serde_json::Value,
}

/// Reads any draft of the SRO.
pub fn show(draft: &Envelope<serde_json::Value>) -> R<Shown> {
    let document = canonical::parse_value(&draft.payload.0)?;
    let schema = document.get("schema").and_then(|s| s.as_str()).unwrap_or_default().to_owned();
    Ok(Shown { schema, sha256: draft.digest(), document })
}

/// Adds one person's signature to a draft of any kind that the SRO signs, and hands it in; it counts once a second
/// person's arrives.
pub fn approve(
    client: &Client,
    draft: &Envelope<serde_json::Value>,
    person: &dyn Signer,
    now: Timestamp,
) -> R<TwoPeople> {
    match show(draft)?.schema.as_str() {
        Template::SCHEMA => client.approve_template(&own::<Template>(draft, person, now)?),
        DataSchema::SCHEMA => client.approve_data_schema(&own::<DataSchema>(draft, person, now)?),
        ImageSet::SCHEMA => client.approve_image_set(&own::<ImageSet>(draft, person, now)?),
        ImageSetRevocation::SCHEMA => client.revoke_image_set(&own::<ImageSetRevocation>(draft, person, now)?),
        ParticipantDecision::SCHEMA => client.decide(&own::<ParticipantDecision>(draft, person, now)?),
        Erasure::SCHEMA => client.erase(&own::<Erasure>(draft, person, now)?),
        KeyEvent::SCHEMA => Ok(match client.change_key(&own::<KeyEvent>(draft, person, now)?)? {
            Acted::Entered(answer) => TwoPeople { signatures: 2, receipt: Some(answer.receipt) },
            Acted::Waiting(answer) => *answer,
        }),
        DisputeRuling::SCHEMA => {
            let ruling = own::<DisputeRuling>(draft, person, now)?;
            Ok(passed(client.rule_dispute(&ruling.read_unverified()?.dispute_id, &ruling)?))
        }
        DisputeClose::SCHEMA => {
            let close = own::<DisputeClose>(draft, person, now)?;
            Ok(passed(client.close_dispute(&close.read_unverified()?.dispute_id, &close)?))
        }
        LogKey::SCHEMA => client.rotate_log_key(&own::<LogKey>(draft, person, now)?),
        other => {
            let sentence =
                format!("{other} is no document that the SRO signs alone; see depa contract and depa dataset");
            Err(Refusal::new(Code::ConfigInvalid, sentence))
        }
    }
}

fn passed(answer: DisputeReceipt) -> TwoPeople {
    TwoPeople { signatures: if answer.receipt.is_some() { 2 } else { 1 }, receipt: answer.receipt }
}

/// Refused where this is no person of the SRO.
pub fn is_person(did: &Did, trust: &Trust) -> R<()> {
    if trust.sro.iter().any(|person| person.did == *did) {
        return Ok(());
    }
    let sentence = format!("{did} is no person of the SRO; a participant's keys change with: depa keys");
    Err(Refusal::new(Code::ConfigInvalid, sentence))
}

/// After a report of a person's key: the entries that it signed since. Nothing for any other draft.
pub fn in_doubt(client: &Client, draft: &Envelope<serde_json::Value>) -> R<Vec<u64>> {
    let event: KeyEvent = match canonical::parse(&draft.payload.0) {
        Ok(event) => event,
        Err(_) => return Ok(Vec::new()),
    };
    let KeyAct::Compromise { thumbprint, .. } = &event.event else { return Ok(Vec::new()) };
    let keys = client.participant_keys(&event.participant)?.keys;
    Ok(keys.into_iter().filter(|key| key.thumbprint == *thumbprint).flat_map(|key| key.in_doubt).collect())
}

/// The draft with this person's signature alone: signatures of two people are joined by the service.
fn own<T: Document>(draft: &Envelope<serde_json::Value>, person: &dyn Signer, now: Timestamp) -> R<Envelope<T>> {
    let draft = Envelope::<T>::new(draft.payload.0.clone(), Vec::new());
    let signature = signing::countersign(&draft, person, now)?;
    Ok(Envelope::new(draft.payload.0.clone(), vec![signature]))
}
