//! Pipelines that reveal what no contract allows: refused by the consumer's own tool, the room, the front desk and every
//! key service, each on its own.

use depa::job::form::JobForm;
use schemas::Code;
use schemas::job::JobSpec;
use schemas::pipeline::{Join, Output, OutputKind, Stage, Training};

use super::judges::each_refuses;
use super::scene::{calm, real, refuses};

pub fn join(job: &mut JobSpec) -> &mut Join {
    job.stages.iter_mut().find_map(|s| if let Stage::Join(join) = s { Some(join) } else { None }).unwrap()
}

pub fn training(job: &mut JobSpec) -> &mut Training {
    job.stages.iter_mut().find_map(|s| if let Stage::Train(training) = s { Some(training) } else { None }).unwrap()
}

pub fn output(job: &mut JobSpec) -> &mut Output {
    job.stages.iter_mut().find_map(|s| if let Stage::Output(output) = s { Some(output) } else { None }).unwrap()
}

#[test]
fn forged_jobs_are_refused_by_each_judge_alone() {
    let scene = calm();
    let deal = scene.deal();
    type Change = fn(&mut JobSpec);
    let cases: [(&str, Code, Change); 15] = [
        ("the join to an output", Code::PipelineRawOutput, |job| {
            let joined = join(job).name.clone();
            output(job).input = joined;
        }),
        ("a sealed table to an output", Code::PipelineRawOutput, |job| output(job).input = "icmr".into()),
        ("the model as a table", Code::PipelineRawOutput, |job| output(job).kind = OutputKind::Table),
        ("training without privacy", Code::PipelineNotPrivate, |job| training(job).private = false),
        ("a forbidden column in the join", Code::PipelineColumn, |job| {
            join(job).projection[1].column = "paddress".into();
        }),
        ("the join key as a feature", Code::PipelineColumn, |job| {
            training(job).features[7].column.column = "cowin_registered_mobile".into();
        }),
        ("a forbidden join key", Code::PipelineJoinKey, |job| join(job).steps[0].right.column = "age".into()),
        ("a feature as the target", Code::PipelineTarget, |job| {
            training(job).target.column = "a_test_ct_value".into();
        }),
        ("bounds that are not the offer's", Code::PipelineBounds, |job| training(job).features[0].upper = real("41")),
        ("more ε than contracted", Code::EpsilonExceedsContract, |job| training(job).epsilon = Some(real("1.01"))),
        ("a larger δ than contracted", Code::DeltaTooLarge, |job| training(job).delta = Some(real("0.00005"))),
        ("another recipient", Code::PipelineRecipient, |job| output(job).recipient = job.ccrp.clone()),
        ("two outputs", Code::PipelineInvalid, |job| {
            let second = Stage::Output(output(job).clone());
            job.stages.push(second);
        }),
        ("another purpose", Code::PurposeNotAllowed, |job| job.purpose = "MARKETING".into()),
        ("a table fewer than the contract's job joins", Code::PipelineInvalid, |job| drop(join(job).steps.pop())),
    ];
    for (what, code, change) in cases {
        println!("{what}: {code}");
        each_refuses(&scene, &scene.forged(&deal, change), code);
    }
    scene.nothing_came_of(&deal);
    // The honest job of the same deal is admitted by all of them.
    each_admits(&scene, &deal.bundle);
}

/// What spoilt jobs are measured against: unspoilt, all four say yes.
fn each_admits(scene: &super::scene::Scene, bundle: &schemas::bundle::JobBundle) {
    depa::job::estimate(bundle, None, &scene.house.trust, scene.clock.now()).unwrap();
    ccr_runtime::admit::admit(bundle.clone(), &scene.room()).unwrap();
    let probe = super::probe::Probe::admitted(scene, bundle).unwrap();
    assert_eq!(probe.reserve_all().len(), 3);
}

#[test]
fn the_consumers_own_tool_signs_no_such_job() {
    let scene = calm();
    let deal = scene.deal();
    let sql = demo_sql();
    type Change = Box<dyn Fn(&mut JobForm)>;
    let says = |text: &str| -> Change {
        let text = text.to_owned();
        Box::new(move |form: &mut JobForm| form.sql = Some(text.clone()))
    };
    let cases: Vec<(Code, Change)> = vec![
        (Code::PipelineNotPrivate, Box::new(|f| f.training.private = false)),
        (Code::EpsilonExceedsContract, Box::new(|f| f.training.epsilon = Some(real("1.01")))),
        (Code::PipelineTarget, Box::new(|f| f.training.target = "icmr.a_test_ct_value".into())),
        (Code::PipelineBounds, Box::new(|f| f.training.features = Some(vec!["icmr.a_icmr_test_result".into()]))),
        (Code::PipelineColumn, says(&sql.replace("SELECT *", "SELECT cowin.beneficiary_name"))),
        (Code::PipelineJoinKey, says(&sql.replace("= cowin.cowin_registered_mobile", "= cowin.age"))),
        (Code::SqlUnsupported, says(&sql.replace("SELECT *", "SELECT count(*)"))),
        (Code::SqlUnsupported, says(&format!("CREATE TABLE out AS {sql}"))),
    ];
    for (code, change) in cases {
        refuses(code, scene.house.job_with(&deal.contract.id, |form| change(form)));
    }
    scene.nothing_came_of(&deal);
}

fn demo_sql() -> String {
    "SELECT * FROM icmr INNER JOIN cowin ON icmr.icmr_patient_mobilenumber = cowin.cowin_registered_mobile \
     INNER JOIN statewarroom ON icmr.icmr_patient_mobilenumber = statewarroom.pcnumber"
        .into()
}
