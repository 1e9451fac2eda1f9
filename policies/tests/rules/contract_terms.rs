//! What a contract may say about how it ends, how often it runs, and which template it uses.

use policies::registration::{ContractForm, contract};
use policies::{Code, R};
use schemas::contract::{Cause, Condition, Contract};
use schemas::party::Kind;

use crate::fixtures::{House, REGISTRY, Row, again, did, digest, expect, now};

fn judge(house: &House) -> R<()> {
    let offers: Vec<_> = house.offers.iter().map(|o| (digest(o), o)).collect();
    contract(&house.contracts[0], &offers, &did(REGISTRY), now())
}

fn conditions(contract: &mut Contract, cause: Cause, by: &[Kind], notice_seconds: u32) {
    contract.revocation.conditions.push(Condition { cause, by: by.to_vec(), notice_seconds });
}

#[test]
fn conditions_of_revocation_name_each_cause_once_and_known_roles() {
    let rows: [Row<Contract>; 9] = [
        (Code::SchemaMismatch, |c| conditions(c, Cause::AtWill, &[Kind::Tdp], 0)),
        (Code::SchemaMismatch, |c| conditions(c, Cause::Breach, &[], 0)),
        (Code::SchemaMismatch, |c| conditions(c, Cause::Breach, &[Kind::Ccrp], 0)),
        (Code::SchemaMismatch, |c| conditions(c, Cause::Breach, &[Kind::Tdp, Kind::Tdp], 0)),
        (Code::LimitExceeded, |c| conditions(c, Cause::Breach, &[Kind::Tdp], 90 * 86_400 + 1)),
        (Code::LimitExceeded, |c| c.revocation.notice_seconds = 90 * 86_400 + 1),
        (Code::SchemaMismatch, |c| c.max_runs = Some(0)),
        (Code::SchemaMismatch, |c| {
            conditions(c, Cause::Breach, &[Kind::Tdp], 0);
            again(&mut c.revocation.conditions);
        }),
        (Code::LimitExceeded, |c| c.obligations.risk_statement = "x".repeat(4001)),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        let mut house = House::new();
        spoil(&mut house.contracts[0]);
        expect(judge(&house), code, &format!("row {at}"));
    }
    let mut house = House::new();
    conditions(&mut house.contracts[0], Cause::Breach, &[Kind::Tdp, Kind::Tdc, Kind::Sro], 90 * 86_400);
    conditions(&mut house.contracts[0], Cause::NonPayment, &[Kind::Tdp], 0);
    (house.contracts[0].max_runs, house.contracts[0].revocation.notice_seconds) = (Some(1), 90 * 86_400);
    assert_eq!(judge(&house), Ok(()));
}

#[test]
fn a_contract_keeps_to_its_template() {
    let contract = House::new().contracts.remove(0);
    let form = ContractForm { jurisdictions: vec!["IN".into()], max_days: 365, ..ContractForm::built_in() };
    assert_eq!(form.admits(&contract), Ok(()));
    let rows: [Row<ContractForm>; 4] = [
        (Code::TemplateMismatch, |f| f.rules = vec![schemas::Digest([1; 32])]),
        (Code::TemplateMismatch, |f| f.purposes = vec!["INFERENCE".into()]),
        (Code::TemplateMismatch, |f| f.jurisdictions = vec!["DE".into()]),
        (Code::TemplateMismatch, |f| f.max_days = 364),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        let mut other = form.clone();
        spoil(&mut other);
        expect(other.admits(&contract), code, &format!("row {at}"));
    }
    let mut silent = contract.clone();
    silent.obligations.risk_statement = " ".into();
    expect(form.admits(&silent), Code::TemplateMismatch, "no statement of risks");
    let lenient = ContractForm { risk_statement: false, ..form };
    assert_eq!(lenient.admits(&silent), Ok(()));
}

#[test]
fn an_unknown_template_is_refused() {
    let mut scene = crate::contract_scene::Scene::new(|c| c.template = "nobody-v1".into());
    let body =
        schemas::event::Body::ContractProposed { contract: crate::log::by(&scene.contract, &[crate::fixtures::TDC]) };
    scene.log.refused(body, Code::TemplateUnknown, "template");
}
