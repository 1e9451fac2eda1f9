//! Operations: a registration is done when it is answered, so its operation has the id of its entry and has succeeded.

use schemas::{Code, R, Refusal};
use serde_json::json;

use super::client::{Client, words};
use super::{index_of, transaction};
use crate::app::App;
use crate::call::{Answer, Call};

/// How a registration ended, in the form in which it was posted.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let client = Client::of(call);
    client.told(answer(app, call, client))
}

fn answer(app: &App, call: &Call, client: Client) -> R<Answer> {
    let unknown = || Refusal::new(Code::NotFound, "there is no such operation");
    let index = index_of(call.params.get("id").map_or("", String::as_str)).map_err(|_| unknown())?;
    let entry = app.registry.entries(index, 1)?.pop().filter(|e| e.index == index).ok_or_else(unknown)?;
    let id = transaction(index);
    match (client, entry.record.kind.as_str()) {
        (Client::Ledger, "statement_registered" | "contract_proposed" | "contract_signed" | "digest_anchored")
        | (_, "contract_proposed" | "contract_signed" | "digest_anchored") => {
            Answer::ok(&json!({"operationId": id, "status": "succeeded", "entryId": id}))
        }
        (_, "statement_registered") => words(200, &[("OperationId", &id), ("Status", "succeeded"), ("EntryId", &id)]),
        _ => Err(unknown()),
    }
}

/// The operations that are still running: none, ever.
pub fn list(_: &App, _: &Call) -> R<Answer> {
    Answer::ok(&json!({"operations": []}))
}
