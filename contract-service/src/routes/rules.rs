//! What the SRO lays down: templates and data schemas for everyone to read, erasures, the log's next key.

use schemas::bundle::Logged;
use schemas::desk::{DataSchemaList, TemplateList};
use schemas::event::Body;
use schemas::rules::{DataSchema, Erasure, LogKey, Template};
use schemas::{Code, Envelope, R, Refusal};

use super::two_people;
use crate::app::App;
use crate::call::{Answer, Call};

/// Takes a template with the signatures of one or two SRO people.
pub fn approve_template(app: &App, call: &Call) -> R<Answer> {
    let template: Envelope<Template> = call.read()?;
    two_people::hand_in(app, template, |template| Body::TemplateApproved { template })
}

/// All approved templates.
pub fn templates(app: &App, _: &Call) -> R<Answer> {
    let state = app.registry.state();
    let logged = state.templates().map(|row| entered(app, &row.envelope, row.index));
    Answer::ok(&TemplateList { templates: logged.collect::<R<Vec<_>>>()? })
}

/// An approved template.
pub fn template(app: &App, call: &Call) -> R<Answer> {
    let name = call.params.get("name").map(String::as_str).unwrap_or_default();
    let state = app.registry.state();
    let row = state.template(name).ok_or_else(|| Refusal::new(Code::NotFound, "no such template is approved"))?;
    Answer::ok(&entered(app, &row.envelope, row.index)?)
}

/// Takes a data schema with the signatures of one or two SRO people.
pub fn approve_data_schema(app: &App, call: &Call) -> R<Answer> {
    let data_schema: Envelope<DataSchema> = call.read()?;
    two_people::hand_in(app, data_schema, |data_schema| Body::DataSchemaApproved { data_schema })
}

/// The approved data schemas, or the one with the URI in the query.
pub fn data_schemas(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let wanted = call.query.get("uri");
    let rows = state.data_schemas().filter(|row| wanted.is_none_or(|uri| row.data_schema.uri == *uri));
    let logged = rows.map(|row| entered(app, &row.envelope, row.index));
    Answer::ok(&DataSchemaList { data_schemas: logged.collect::<R<Vec<_>>>()? })
}

/// Takes the log's next key with the signatures of one or two SRO people. Its private half must lie beside the key file:
/// the entry and the head that the new key signs are one step.
pub fn rotate_log_key(app: &App, call: &Call) -> R<Answer> {
    let rotation: Envelope<LogKey> = call.read()?;
    let next = rotation.read_unverified()?.jwk;
    if app.log_keys.with(&next).is_err() {
        let sentence = "this service does not hold the new key; contract-service rotate-log-key makes it";
        return Err(Refusal::new(Code::KeyUnknown, sentence).at("jwk"));
    }
    two_people::hand_in(app, rotation, |rotation| Body::LogKeyRotated { rotation })
}

/// Takes an erasure with the signatures of one or two SRO people.
pub fn erase(app: &App, call: &Call) -> R<Answer> {
    let erasure: Envelope<Erasure> = call.read()?;
    two_people::hand_in(app, erasure, |erasure| Body::SubjectErased { erasure })
}

fn entered<T>(app: &App, envelope: &Envelope<T>, index: u64) -> R<Logged<T>> {
    Ok(Logged { envelope: envelope.clone(), receipt: app.registry.receipt(index)? })
}
