//! Signed offers, with the references of their keys: not for everyone.

use policies::lifecycle::State;
use schemas::bundle::Logged;
use schemas::dataset::DatasetOffer;
use schemas::party::Kind;
use schemas::{Code, R, Refusal};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::{Caller, caller};
use crate::call::{Answer, Call};

/// The newest offer as its provider signed it: for the provider, for consumers, who copy the reference of its key into the
/// contract that they propose, for parties of a contract over the dataset, and for overseers, whose reading is entered.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let row = super::datasets::found(&state, call)?;
    if !may(&state, &caller, &row.offer) {
        let sentence =
            "the signed offer names its key; it is for its provider, for consumers and for parties of a contract";
        return Err(Refusal::new(Code::Forbidden, sentence));
    }
    if *caller.did() != row.offer.provider {
        oversight::enter(app, &caller, row.index, 1)?;
    }
    Answer::ok(&Logged { envelope: row.envelope.clone(), receipt: app.registry.receipt(row.index)? })
}

fn may(state: &State, caller: &Caller, offer: &DatasetOffer) -> bool {
    let contracted = || {
        let mut all = state.contracts_after(None).map(|row| &row.contract);
        all.any(|c| c.role_of(caller.did()).is_some() && c.datasets.iter().any(|d| d.dataset_id == offer.dataset_id))
    };
    *caller.did() == offer.provider || caller.kind() == Kind::Tdc || caller.oversees() || contracted()
}
