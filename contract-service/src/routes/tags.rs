//! Tags of what can change: contracts and webhook endpoints. They do not ask who reads; nobody learns more by them than
//! whether a tag that it sent is still the right one.

use schemas::R;
use schemas::id::ContractId;

use crate::admit::tag_of;
use crate::app::App;
use crate::call::Call;

/// The tag of a contract: its bytes, its signatures, its state. The receipt beside it, which is made anew for each
/// answer, does not count.
pub fn contract(app: &App, call: &Call) -> R<Option<String>> {
    let Ok(id) = call.param::<ContractId>("id") else {
        return Ok(None);
    };
    let state = app.registry.state();
    Ok(state.contract_by_id(&id).map(|row| {
        let now = super::word(&row.state(app.now())).unwrap_or_default();
        tag_of(format!("{} {} {now}", row.sha256, state.contract_rev(&id)).as_bytes())
    }))
}

/// The tag of one of the caller's webhook endpoints.
pub fn endpoint(app: &App, call: &Call) -> R<Option<String>> {
    let caller = crate::auth::roles::caller(app, call, &app.registry.state())?;
    let id = call.params.get("id").map(String::as_str).unwrap_or_default();
    let own = app.registry.endpoints(caller.did())?;
    Ok(own.into_iter().find(|endpoint| endpoint.endpoint_id.as_str() == id).map(|endpoint| {
        let state = (endpoint.disabled_at, endpoint.paused_at, endpoint.former.map(|former| former.until));
        tag_of(format!("{id} {} {:?} {} {state:?}", endpoint.url, endpoint.events, endpoint.ordered).as_bytes())
    }))
}
