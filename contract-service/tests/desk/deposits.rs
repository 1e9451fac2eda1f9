//! Money that is blocked before a room is admitted, and what a run shows of its completion before and after it is entered.

use schemas::Code;
use schemas::contract::{Payee, TermKind, Trigger};
use schemas::desk::ObligationView;
use schemas::event::{Obligation, PaymentResult};
use schemas::money::Minor;
use schemas::release::ChallengeRequest;

use crate::house::{House, reference};
use crate::papers;

/// An obligation as it is shown, for its payment provider's answer.
pub fn obligation(view: &ObligationView) -> Obligation {
    Obligation {
        instruction_id: view.instruction_id.clone(),
        contract: view.contract.clone(),
        run_id: view.run_id.clone(),
        job_sha256: view.job_sha256,
        period: view.period,
        term_id: view.term_id.clone(),
        line: view.line,
        payer: view.payer.clone(),
        payee: view.payee.clone(),
        currency: view.currency,
        amount_minor: view.amount_minor,
    }
}

#[test]
fn no_admission_before_the_deposit_and_no_key_before_it_is_paid() {
    let mut house = House::furnished();
    let mut contract = papers::contract(&house);
    let mut term = contract.payment[0].clone();
    (term.term_id, term.kind, term.trigger) = ("deposit".into(), TermKind::Escrow, Trigger::Completed);
    term.amount_minor = Minor::new(900).unwrap();
    term.payees = vec![Payee { did: house.ccrp.did().unwrap(), share_ppm: 1_000_000 }];
    contract.payment.push(term);
    let contract = house.propose(&contract).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.countersign(&contract, who).unwrap();
    }
    let bundle = house.bundle(&reference(&contract));
    let tdc = house.as_(&house.tdc);
    tdc.order_run(&bundle).unwrap();

    let contracts = bundle.job.read_unverified().unwrap().contracts;
    let request = ChallengeRequest { run_id: None, job_sha256: bundle.job.digest(), contracts };
    assert_eq!(house.client.run_challenge(&request).unwrap_err().code, Code::EscrowNotFunded);
    let deposit = tdc.payments(None).unwrap().payments.remove(0);
    assert_eq!((deposit.state.as_str(), deposit.job_sha256), ("asked", Some(bundle.job.digest())));
    let answer = |result| house.callback(&obligation(&deposit), result);
    assert_eq!(house.client.payment_callback(&answer(PaymentResult::Blocked)).unwrap().state, "blocked");

    let arrival = house.arrive(&bundle);
    let admission = house.check_in(&arrival, &bundle).unwrap();
    let run = house.run_of(arrival, &bundle, admission);
    let before = tdc.run(&run.run_id).unwrap();
    assert_eq!((before.completion, before.receipt), (None, None), "no wrapped key before the entry");
    assert_eq!(tdc.content_key(&run.run_id).unwrap_err().code, Code::KeyWithheld);
    let completion = house.completion(&run);
    let envelope = house.sign(&completion, &run.key);
    let done = house.client.complete(&run.run_id, &envelope).unwrap();

    let after = tdc.run(&run.run_id).unwrap();
    let (entry, listed) = (after.receipt.unwrap(), after.listed);
    assert_eq!((entry.index, &listed), (done.receipt.index, &done.obligations));
    // The entry that makes the wrapped key readable is the one that instructs every payment, the deposit's with them.
    let states: Vec<_> = after.obligations.iter().map(|o| (o.term_id.as_str(), o.state.as_str())).collect();
    assert_eq!(states.len(), 3);
    assert!(states.iter().all(|(_, state)| *state == "instructed"), "{states:?}");
    assert!(states.iter().any(|(term, _)| *term == "deposit"));
    assert_eq!(tdc.content_key(&run.run_id).unwrap().content_key_jwe, completion.content_key_jwe);
}
