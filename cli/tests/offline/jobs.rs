//! Jobs made of a form: SQL becomes a typed join, bounds come from the offers, and nothing is signed that a room or a
//! key service would refuse.

use depa::job::{self, Drawn, JobForm, Prepared};
use schemas::contract::ContractState;
use schemas::pipeline::{JoinKind, Stage};
use schemas::release::ContractStatus;
use schemas::{Code, R, Timestamp};
use signing::jose::EncKey;
use uuid::Uuid;

use crate::house::{House, start};
use crate::receipts::bundle;
use crate::trust;

fn form(house: &House) -> JobForm {
    let state = house.registry.state();
    let contract = &state.contracts().next().unwrap().contract;
    let recipient = EncKey::from_seed(&[5; 32]).unwrap();
    let text = format!(
        r#"
        contracts = ["{}"]
        image_set_id = "{}"
        sql = "SELECT * FROM left_table a JOIN right_table b ON a.k = b.k"
        [tables]
        left_table = "{}"
        right_table = "{}"
        [training]
        model = {{ kind = "logistic_regression" }}
        target = "b.y"
        positive = "1"
        principal = "a.k"
        epsilon = "1.0"
        delta = "0.00001"
        steps = 50
        sample_rate = "0.05"
        clipping_norm = "1.0"
        learning_rate = "0.5"
        metrics_noise_multiplier = "20"
        [output]
        recipient_jwk = {{ kty = "OKP", crv = "X25519", x = "{}" }}
        upload = "file:///models"
        "#,
        contract.contract_id,
        contract.compute.image_sets[0],
        contract.datasets[0].dataset_id,
        contract.datasets[1].dataset_id,
        schemas::text::Bytes(recipient.jwk().point(schemas::jwk::Curve::X25519).unwrap().to_vec()).text(),
    );
    toml::from_str(&text).unwrap()
}

fn now() -> Timestamp {
    start().plus_seconds(600)
}

fn states(house: &House, state: ContractState) -> Vec<ContractStatus> {
    let known = house.registry.state();
    let of = |row: &policies::lifecycle::ContractRow| ContractStatus {
        id: row.contract.contract_id.clone(),
        sha256: row.sha256,
        state,
    };
    known.contracts().map(of).collect()
}

fn make(house: &House, form: &JobForm, state: ContractState) -> R<Prepared> {
    let drawn = Drawn { job: Uuid::from_u128(1), split_salt: [9; 32] };
    job::bundle(form, &[bundle(house)], &states(house, state), &house.tdc, &trust(house), &drawn, now())
}

fn house() -> House {
    let house = House::furnished();
    house.executed();
    house
}

#[test]
fn a_form_becomes_a_signed_typed_job_that_anyone_can_check() {
    let house = house();
    let prepared = make(&house, &form(&house), ContractState::Active).unwrap();
    let opened = signing::open_bundle(prepared.bundle.clone(), &trust(&house)).unwrap();
    let job = &opened.job;
    let handles: Vec<&str> = job.datasets.iter().map(|d| d.handle.as_str()).collect();
    assert_eq!(handles, ["a", "b"]);
    let [Stage::Join(join), Stage::Train(training), Stage::Output(output)] = job.stages.as_slice() else {
        panic!("join, training, output")
    };
    let columns: Vec<String> = join.projection.iter().map(ToString::to_string).collect();
    // `*`: the allowed column of each, the principal's key, the target; not the other key.
    assert_eq!(columns, ["a.x", "a.k", "b.x", "b.y"]);
    let features: Vec<_> = training.features.iter().map(|f| format!("{} {}..{}", f.column, f.lower, f.upper)).collect();
    assert_eq!(features, ["a.x 0..9", "b.x 0..9"]);
    assert_eq!((training.split_salt.0.as_slice(), training.private), (&[9u8; 32][..], true));
    assert_eq!((output.upload.as_str(), &output.recipient), ("file:///models", &job.tdc));
    assert_eq!(job.expires_at, now().plus_seconds(86_400));
    // The signed job carries no SQL.
    assert!(!String::from_utf8_lossy(&prepared.bundle.job.payload.0).contains("SELECT"));

    let plan = &prepared.estimate.plan;
    assert_eq!((plan.steps, plan.charges.len()), (50, 2));
    assert!(plan.charges.iter().all(|c| c.factor == 1 && c.epsilon_micro <= 1_000_000 && c.epsilon_micro > 900_000));
    let due: Vec<i64> = prepared.estimate.payments.iter().map(|d| d.amount_minor.get()).collect();
    assert_eq!(due, [500_000, 500_001]);
    let again = job::estimate(&prepared.bundle, None, &trust(&house), now()).unwrap();
    assert_eq!(again, prepared.estimate);
}

#[test]
fn a_left_join_costs_the_right_side_more() {
    let house = house();
    let mut form = form(&house);
    form.sql = form.sql.map(|sql| sql.replace(" JOIN", " LEFT JOIN"));
    let plan = make(&house, &form, ContractState::Active).unwrap().estimate.plan;
    assert_eq!(plan.charges.iter().map(|c| c.factor).collect::<Vec<_>>(), [1, 2]);
}

/// Two providers' tables of one schema, one below the other.
fn united(house: &House) -> JobForm {
    let union = ["left_table", "right_table"].map(str::to_owned).to_vec();
    let mut form = JobForm { sql: None, union, ..form(house) };
    (form.training.target, form.training.principal) = ("left_table.y".into(), "left_table.k".into());
    form
}

#[test]
fn tables_of_one_schema_are_united_in_a_signed_job_and_each_is_charged_once() {
    let house = house();
    let prepared = make(&house, &united(&house), ContractState::Active).unwrap();
    let opened = signing::open_bundle(prepared.bundle.clone(), &trust(&house)).unwrap();
    let [Stage::Join(join), Stage::Train(training), Stage::Output(_)] = opened.job.stages.as_slice() else {
        panic!("join, training, output")
    };
    let [step] = join.steps.as_slice() else { panic!("one further table") };
    let keys = (step.left.to_string(), step.right.to_string());
    assert_eq!((step.kind, keys), (JoinKind::Union, ("left_table.k".into(), "right_table.k".into())));
    let columns: Vec<String> = join.projection.iter().map(ToString::to_string).collect();
    assert_eq!(columns, ["left_table.x", "left_table.k", "left_table.y"]);
    assert_eq!(training.features.iter().map(|f| f.column.to_string()).collect::<Vec<_>>(), ["left_table.x"]);
    let plan = &prepared.estimate.plan;
    assert_eq!(plan.charges.iter().map(|c| c.factor).collect::<Vec<_>>(), [1, 1]);
    // Whoever gets the bundle, key service or room, judges the very same.
    assert_eq!(job::estimate(&prepared.bundle, None, &trust(&house), now()).unwrap(), prepared.estimate);
}

#[test]
fn a_union_that_a_room_would_refuse_is_not_signed() {
    type Change = fn(&mut JobForm);
    let house = house();
    let cases: [(Change, Code); 8] = [
        (|f| f.sql = Some("SELECT * FROM left_table".into()), Code::ConfigInvalid),
        (|f| f.union.clear(), Code::ConfigInvalid),
        (|f| f.union[1] = "another".into(), Code::ConfigInvalid),
        (|f| f.union[1] = "left_table".into(), Code::JobMismatch),
        // Columns are those of the first table, by its name.
        (|f| f.training.target = "right_table.y".into(), Code::PipelineInvalid),
        (|f| f.training.principal = "right_table.k".into(), Code::PipelineInvalid),
        (|f| f.training.features = Some(vec!["right_table.x".into()]), Code::PipelineColumn),
        (|f| f.training.target = "left_table.x".into(), Code::PipelineTarget),
    ];
    for (n, (change, code)) in cases.into_iter().enumerate() {
        let mut form = united(&house);
        change(&mut form);
        let refusal = make(&house, &form, ContractState::Active).expect_err(&format!("case {n}"));
        assert_eq!(refusal.code, code, "case {n}: {refusal}");
    }
}

#[test]
fn what_room_and_key_services_would_refuse_is_not_signed() {
    type Change = fn(&mut JobForm);
    let house = house();
    let good = form(&house);
    let cases: [(Change, Code); 14] = [
        (|f| f.training.epsilon = Some("1.5".parse_real()), Code::EpsilonExceedsContract),
        (|f| f.training.delta = Some("0.01".parse_real()), Code::DeltaTooLarge),
        (|f| f.training.private = false, Code::PipelineNotPrivate),
        (
            |f| f.sql = Some("SELECT a.x, b.y, a.secret, a.k FROM left_table a JOIN right_table b ON a.k = b.k".into()),
            Code::PipelineColumn,
        ),
        (
            |f| f.sql = Some("SELECT a.x, b.y, a.k FROM left_table a JOIN right_table b ON a.x = b.x".into()),
            Code::PipelineJoinKey,
        ),
        (|f| f.sql = Some("SELECT a.x, a.y, a.k FROM left_table a".into()), Code::PipelineInvalid),
        (|f| f.sql.as_mut().unwrap().push_str(" ORDER BY a.x"), Code::SqlUnsupported),
        (|f| f.training.target = "b.x".into(), Code::PipelineTarget),
        (|f| f.training.target = "y".into(), Code::ConfigInvalid),
        (|f| f.training.features = Some(vec!["a.k".into()]), Code::PipelineBounds),
        (|f| f.purpose = "RESALE".into(), Code::PurposeNotAllowed),
        (|f| f.output.upload = "http://models.example/".into(), Code::AddressRefused),
        (|f| f.image_set_id = format!("img_{}", Uuid::nil()).parse().unwrap(), Code::ImageSetUnknown),
        (
            |f| drop(f.tables.insert("left_table".into(), format!("dst_{}", Uuid::nil()).parse().unwrap())),
            Code::DatasetUnknown,
        ),
    ];
    for (n, (change, code)) in cases.into_iter().enumerate() {
        let mut form = good.clone();
        change(&mut form);
        let refusal = make(&house, &form, ContractState::Active).expect_err(&format!("case {n}"));
        assert_eq!(refusal.code, code, "case {n}: {refusal}");
    }
    for (state, code) in [
        (ContractState::Revoked, Code::ContractRevoked),
        (ContractState::Expired, Code::ContractExpired),
        (ContractState::Scheduled, Code::ContractNotYetValid),
        (ContractState::PartiallySigned, Code::ContractNotActive),
    ] {
        assert_eq!(make(&house, &good, state).unwrap_err().code, code);
    }
    // Somebody else's key signs no job of this TDC.
    let drawn = Drawn { job: Uuid::from_u128(1), split_salt: [9; 32] };
    let states = states(&house, ContractState::Active);
    let other = job::bundle(&good, &[bundle(&house)], &states, &house.ccrp, &trust(&house), &drawn, now());
    assert!(matches!(other.unwrap_err().code, Code::JobMismatch | Code::PipelineRecipient));
}

trait ParseReal {
    fn parse_real(&self) -> schemas::text::Real;
}

impl ParseReal for str {
    fn parse_real(&self) -> schemas::text::Real {
        schemas::text::Real::parse(self).unwrap()
    }
}
