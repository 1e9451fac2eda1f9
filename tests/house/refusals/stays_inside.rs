//! A whole run at level 2: the model stays in the room, and what leaves is called metrics wherever it is named.

use schemas::event::Completion;
use schemas::pipeline::OutputKind;
use schemas::worker::NoisedMetrics;
use schemas::{Code, Digest};

use super::scene::{Scene, real, refuses};

#[test]
fn of_a_run_at_level_2_the_metrics_leave_and_nothing_else() {
    let scene = Scene::with(|tdp, tables| {
        let inside = |d: &mut depa::dataset::Description| (d.cap.epsilon, d.cap.level) = (real("900"), 2);
        tdp.offers_with(tables.of(tdp.kind), inside).unwrap()
    });
    let deal = scene.deal();
    let done = scene.order_and_run(&deal.bundle).unwrap();
    assert_eq!(scene.states(&deal.contract), [["committed"], ["committed"], ["committed"]]);
    for tdp in &scene.house.tdps {
        assert!(scene.events(tdp, &deal.contract).iter().all(|(_, epsilon)| *epsilon > 0), "metrics are charged");
    }

    // One object lies there, and the completion calls it what it is.
    let files: Vec<_> = std::fs::read_dir(&deal.upload).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(Digest::of(&std::fs::read(&files[0]).unwrap()), done.output);
    let tdc = &scene.house.tdc;
    let desk = tdc.person.desk().unwrap();
    let completion: Completion = desk.run(&done.run_id).unwrap().completion.unwrap().read_unverified().unwrap();
    assert_eq!(completion.output.kind, "metrics");

    // Under the name of a model nothing is opened, and the content key is not asked for.
    let to = |name: &str| tdc.person.dir.join(name);
    let download = |out: &std::path::Path| {
        depa::model::download(desk, &done.run_id, &deal.bundle, &tdc.enc, tdc.person.trust().unwrap(), out)
    };
    refuses(Code::ConfigInvalid, download(&to("inside.safetensors")).map(drop));
    assert!(!to("inside.safetensors").exists());
    assert_eq!(desk.run(&done.run_id).unwrap().state, "completed", "not delivered");

    let got = download(&to("inside.json")).unwrap();
    assert_eq!((got.kind, got.certificate.output_kind), (OutputKind::Metrics, Some(OutputKind::Metrics)));
    let opened = std::fs::read(&got.path).unwrap();
    let metrics: NoisedMetrics = schemas::canonical::parse_canonical(&opened).unwrap();
    assert_eq!(Some(metrics), got.certificate.metrics);
    assert_eq!(got.sha256, Digest::of(&opened));
    assert!(!String::from_utf8_lossy(&opened).contains("weight"), "no tensor");
    let proof = depa::edge::read_json(&got.proof).unwrap();
    let certificate = depa::model::verify(&opened, &proof, &deal.bundle, tdc.person.trust().unwrap()).unwrap();
    assert_eq!(certificate, got.certificate);
}
