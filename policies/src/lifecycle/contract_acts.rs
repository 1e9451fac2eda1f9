//! Acts on contracts besides signing: withdrawn, suspended, resumed, terminated, completed, and what the clock brings.

use schemas::contract::{
    CompletedReason, ContractRef, ContractResume, ContractState, ContractSuspend, ContractTerminate, ContractWithdraw,
};
use schemas::envelope::Envelope;
use schemas::{R, Timestamp};

use super::{State, transition};

impl State {
    pub(super) fn check_contract_withdrawal(&self, _: &Envelope<ContractWithdraw>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_contract_withdrawal(&mut self, _: u64, _: &Envelope<ContractWithdraw>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_suspension(&self, _: &Envelope<ContractSuspend>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_suspension(&mut self, _: u64, _: &Envelope<ContractSuspend>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_resumption(&self, _: &Envelope<ContractResume>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_resumption(&mut self, _: u64, _: &Envelope<ContractResume>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_termination(&self, _: &Envelope<ContractTerminate>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_termination(&mut self, _: u64, _: &Envelope<ContractTerminate>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_timed(&self, _: &ContractRef, _: ContractState, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_timed(&mut self, _: u64, _: &ContractRef, _: ContractState) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_completed(&self, _: &ContractRef, _: CompletedReason, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_completed(&mut self, _: u64, _: &ContractRef, _: CompletedReason) -> R<()> {
        Err(transition("not offered yet"))
    }
}
