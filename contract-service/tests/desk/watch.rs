//! What people look at: the portal's page under its policy, lists of runs, records, budgets, forecasts.

use schemas::Code;
use schemas::desk::{BudgetView, Forecast, RunList, RunRecord};
use schemas::event::RunEventKind;
use schemas::party::Kind;
use schemas::release::KmsStatement;
use serde::de::DeserializeOwned;
use signing::FileKey;

use crate::house::House;
use crate::http::{bearer, client, code, get, header};
use crate::room::released;

fn read<T: DeserializeOwned>(house: &House, who: &FileKey, path: &str) -> T {
    let response = get(house, path).bearer_auth(bearer(house, who)).send().unwrap();
    assert_eq!(response.status(), 200, "{path}: {}", response.text().unwrap());
    response.json().unwrap()
}

fn refused(house: &House, who: &FileKey, path: &str) -> Code {
    code(get(house, path).bearer_auth(bearer(house, who)).send().unwrap())
}

#[test]
fn the_page_of_the_portal_runs_nothing_inline_and_is_framed_by_nobody() {
    let house = House::empty();
    for path in ["/portal/", "/portal/contracts/ctr_1", "/", "/auth/enrol", "/portal"] {
        let page = get(&house, path).send().unwrap();
        assert_eq!((page.status().as_u16(), header(&page, "content-type").as_str()), (200, "text/html; charset=utf-8"));
        let policy = header(&page, "content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&page, "referrer-policy"), "no-referrer");
        assert!(!page.text().unwrap().contains("<script>"), "{path}");
    }
    let bare = reqwest::blocking::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let link = bare.unwrap().get(format!("{}/auth/enrol", house.url())).send().unwrap();
    assert_eq!((link.status().as_u16(), header(&link, "location").as_str()), (303, "/portal/enrol"));
    for missing in ["/portal/assets/none.js", "/portal/../Cargo.toml", "/portal/assets/..%2f..%2fbuild.rs"] {
        let answer = client().get(format!("{}{missing}", house.url())).send().unwrap();
        assert_eq!(answer.status(), 404, "{missing}");
    }
}

#[test]
fn runs_are_listed_newest_first_for_those_who_may_read_about_them() {
    let mut house = House::furnished();
    let run = house.running();
    let stranger = FileKey::generate().unwrap();
    house.admit(&stranger, Kind::Tdp);
    for who in [&house.tdc, &house.tdps[0], &house.tdps[1], &house.sro[0]] {
        let list: RunList = read(&house, who, "/v1/runs");
        assert_eq!(list.runs.iter().map(|line| &line.run_id).collect::<Vec<_>>(), [&run.run_id]);
        assert_eq!((list.runs[0].state.as_str(), list.next), ("attested", None));
    }
    assert!(read::<RunList>(&house, &stranger, "/v1/runs").runs.is_empty());
    let path = format!("/v1/runs?cursor={}", run.run_id);
    assert!(read::<RunList>(&house, &house.tdc, &path).runs.is_empty(), "the page behind the last one is empty");
    let other = "/v1/runs?contract=ctr_01900000-0000-7000-8000-0000000000ff";
    assert!(read::<RunList>(&house, &house.tdc, other).runs.is_empty());
    let record: RunRecord = read(&house, &house.tdc, &format!("/v1/runs/{}/record", run.run_id));
    assert!(record.statements.is_empty() && !record.checks.is_empty());
    assert_eq!(record.job.digest(), run.job_sha256);
    let receipts = house.both_say(&run, &released());
    house.client.kms_receipts(&run.run_id, &receipts).unwrap();
    let record: RunRecord = read(&house, &house.tdc, &format!("/v1/runs/{}/record", run.run_id));
    assert_eq!(record.statements.len(), 2);
    assert!(matches!(record.statements[0].receipt.statement, KmsStatement::Released { .. }));
    assert_eq!(record.statements[0].receipt.checks, ["signature"], "what the key service says that it checked");
    assert!(record.platform.is_some() && record.aborted_code.is_none());
    let gave_up = house.event(&run, RunEventKind::Aborted { steps_run: 0, code: "BUDGET_EXCEEDED".into() });
    house.client.report(&run.run_id, &gave_up).unwrap();
    let record: RunRecord = read(&house, &house.tdps[1], &format!("/v1/runs/{}/record", run.run_id));
    assert_eq!((record.aborted_code.as_deref(), record.aborted_steps), (Some("BUDGET_EXCEEDED"), Some(0)));
    let path = format!("/v1/runs/{}/record", run.run_id);
    assert_eq!(refused(&house, &stranger, &path), Code::RunUnknown);
}

#[test]
fn an_overseer_reads_a_run_only_after_the_log_says_so() {
    let house = House::furnished();
    let run = house.running();
    let before = house.as_(&house.sro[0]).export(0, 200).unwrap().entries.len();
    read::<RunRecord>(&house, &house.sro[0], &format!("/v1/runs/{}/record", run.run_id));
    let entries = house.as_(&house.sro[0]).export(0, 200).unwrap().entries;
    let reads = entries.iter().skip(before).filter(|entry| entry.record.kind == "bodies_read");
    assert!(reads.count() >= 2, "the record and the export");
}

#[test]
fn a_budget_shows_each_consumer_to_the_provider_and_itself_to_a_consumer() {
    let mut house = House::furnished();
    let run = house.running();
    let stranger = FileKey::generate().unwrap();
    house.admit(&stranger, Kind::Tdc);
    let path = format!("/v1/datasets/{}/budget", run.job.datasets[0].dataset_id);
    let provider = |house: &House| read::<BudgetView>(house, &house.tdps[0], &path);
    assert!(provider(&house).lines.is_empty(), "nothing is spent before a key leaves");
    let receipts = house.both_say(&run, &released());
    house.client.kms_receipts(&run.run_id, &receipts).unwrap();
    let view = provider(&house);
    assert_eq!(view.lines.len(), 1);
    let line = &view.lines[0];
    assert_eq!((line.runs, line.spent_micro + line.left_micro), (1, view.cap_micro));
    assert_eq!(line.spent_micro, run.plan.charges[0].epsilon_micro);
    assert_eq!(read::<BudgetView>(&house, &house.tdc, &path).lines, view.lines);
    let foreign = read::<BudgetView>(&house, &stranger, &path).lines;
    assert_eq!((foreign.len(), foreign[0].spent_micro), (1, 0), "another consumer sees its own alone");
    assert!(read::<BudgetView>(&house, &house.tdps[1], &path).lines.is_empty(), "another provider sees none");
}

#[test]
fn a_forecast_ends_within_the_epsilon_asked_and_bad_wishes_are_named() {
    let house = House::furnished();
    let at = |query: &str| format!("/v1/forecast?{query}");
    let good = "epsilon=1.0&delta=0.0000472&sample_rate=0.0755162&steps=198";
    let forecast: Forecast = read(&house, &house.tdc, &at(good));
    let costs: Vec<u64> = forecast.points.iter().map(|point| point.epsilon_micro).collect();
    assert!(costs.windows(2).all(|pair| pair[0] < pair[1]), "ε never falls: {costs:?}");
    let last = forecast.points.last().unwrap();
    assert_eq!(last.steps, 198);
    assert!(last.epsilon_micro <= 1_000_000 && last.epsilon_micro > 990_000, "{last:?}");
    for (wrong, expected) in [
        ("delta=0.1&sample_rate=0.1&steps=1", Code::MalformedNumber),
        ("epsilon=1&delta=0.00001&sample_rate=0.1&steps=0", Code::LimitExceeded),
        ("epsilon=1&delta=0.00001&sample_rate=0.1&steps=1000001", Code::LimitExceeded),
        ("epsilon=1&delta=0&sample_rate=0.1&steps=1", Code::EpsilonOutOfRange),
        ("epsilon=1&delta=0.00001&sample_rate=2&steps=1", Code::EpsilonOutOfRange),
        ("epsilon=0&delta=0.00001&sample_rate=0.1&steps=1", Code::EpsilonOutOfRange),
        ("epsilon=64.1&delta=0.00001&sample_rate=0.5&steps=24", Code::LimitExceeded),
    ] {
        assert_eq!(refused(&house, &house.tdc, &at(wrong)), expected, "{wrong}");
    }
}
