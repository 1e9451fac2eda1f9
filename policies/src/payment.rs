//! What falls due after a completed run: computed from contracts and log alone, the same in service and audit.

use schemas::canonical;
use schemas::contract::{Contract, ContractRef, PaymentTerm, TermKind, Trigger};
use schemas::digest::Digest;
use schemas::event::Obligation;
use schemas::id::{Did, RunId};
use schemas::money::Minor;
use schemas::problem::{Code, R, Refusal};

use crate::forms::unique;

/// The obligations of a completed run: one per contract, term and payee, in their order; amounts of 0 are left out.
pub fn due(run: &RunId, contracts: &[(&ContractRef, &Contract)]) -> R<Vec<Obligation>> {
    let mut due = Vec::new();
    for (reference, contract) in contracts {
        for term in &contract.payment {
            match (term.kind, term.trigger) {
                (TermKind::Free, _) => {}
                (TermKind::PerRun, Trigger::Completed) => due.extend(term_due(run, reference, term)?),
            }
        }
    }
    if !unique(due.iter().map(|obligation| &obligation.instruction_id)) {
        return Err(Refusal::new(Code::Internal, "A payment would be instructed twice.").at("payment"));
    }
    Ok(due)
}

/// Splits an amount by shares in parts per million: whole minor units by rounding down, what is left one unit each to the
/// largest remainders, the earlier payee first among equals. The parts add up to the amount.
pub fn split(amount: Minor, shares_ppm: &[u32]) -> R<Vec<Minor>> {
    let total: u64 = shares_ppm.iter().map(|share| u64::from(*share)).sum();
    if total != WHOLE as u64 {
        return Err(Refusal::new(Code::SchemaMismatch, "The shares of a term add up to 1,000,000 parts per million."));
    }
    let exact = |share: &u32| i128::from(amount.get()) * i128::from(*share);
    let mut parts: Vec<i128> = shares_ppm.iter().map(|share| exact(share) / WHOLE).collect();
    let left = i128::from(amount.get()) - parts.iter().sum::<i128>();
    let mut order: Vec<(i128, usize)> =
        shares_ppm.iter().enumerate().map(|(at, share)| (WHOLE - exact(share) % WHOLE, at)).collect();
    order.sort_unstable();
    for (_, at) in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        if let Some(part) = parts.get_mut(at) {
            *part += 1;
        }
    }
    let minor = |part: i128| Minor::new(i64::try_from(part).unwrap_or(-1));
    parts.into_iter().map(minor).collect()
}

/// The id of a payment instruction: 32 base32 characters of SHA-256 over the canonical list of contract id, run, term and
/// payee. It exists once, so that an instruction sent twice is paid once.
pub fn instruction_id(contract: &ContractRef, run: &RunId, term_id: &str, payee: &Did) -> R<String> {
    let parts = [contract.id.as_str(), run.as_str(), term_id, payee.as_str()];
    let digest = Digest::of(&canonical::to_bytes(&parts)?);
    // 32 characters of 5 bits are the first 20 bytes.
    Ok(digest.0.chunks_exact(5).take(4).flat_map(base32).collect())
}

fn term_due(run: &RunId, contract: &ContractRef, term: &PaymentTerm) -> R<Vec<Obligation>> {
    let shares: Vec<u32> = term.payees.iter().map(|payee| payee.share_ppm).collect();
    let amounts = split(term.amount_minor, &shares)?;
    let owed = term.payees.iter().zip(amounts).filter(|(_, amount)| amount.get() > 0);
    owed.map(|(payee, amount_minor)| {
        Ok(Obligation {
            instruction_id: instruction_id(contract, run, &term.term_id, &payee.did)?,
            contract: contract.clone(),
            run_id: run.clone(),
            term_id: term.term_id.clone(),
            payer: term.payer.clone(),
            payee: payee.did.clone(),
            currency: term.currency,
            amount_minor,
        })
    })
    .collect()
}

/// Eight base32 characters (RFC 4648) of five bytes.
fn base32(five: &[u8]) -> impl Iterator<Item = char> {
    let bits = five.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    (0..8).rev().map(move |at| match (bits >> (5 * at) & 31) as u8 {
        letter @ 0..26 => char::from(b'A' + letter),
        digit => char::from(b'2' + digit - 26),
    })
}

const WHOLE: i128 = 1_000_000;
