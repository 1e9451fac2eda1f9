//! A dataset lies in S3 and the model goes to S3 (moto, which checks signatures; NOT RUN without it). Storage is trusted
//! with nothing, and a room reaches the buckets of its own configuration only.

use ccr_runtime::Completed;
use demo::actors::{Offered, Tdp};
use demo::data::Tables;
use depa::dataset::kms::Kms;
use depa::dataset::{self, seal};
use depa::job::form::JobForm;
use objects::{Files, Objects, Patience, Store};
use schemas::bundle::JobBundle;
use schemas::event::Completion;
use schemas::{Code, Digest, R};

use super::scene::{Deal, Scene, real, refuses};

#[path = "../../../ccr-runtime/objects/tests/support/s3.rs"]
mod server;
use server::S3;

fn reach(store: Store) -> Objects {
    Objects { files: Files::Anywhere, loopback: true, stores: vec![store], patience: Patience::default() }
}

fn address(tdp: &Tdp) -> String {
    format!("s3://depa-sealed/{}.depa", tdp.kind.name())
}

/// Seals the table of a provider, puts the object into the bucket and keeps no copy.
fn offers(tdp: &Tdp, tables: &Tables, bucket: &Objects) -> Offered {
    let mut description = tdp.description().unwrap();
    description.cap.epsilon = real("900");
    std::fs::create_dir_all(&tdp.storage).unwrap();
    let (csv, file) = (tdp.person.dir.join(tdp.kind.file()), tdp.storage.join("sealed.depa"));
    depa::edge::write_private(&csv, &tables.of(tdp.kind).csv().unwrap()).unwrap();
    let job = seal::Job { description: &description, csv: &csv, out: &file, url: Some(address(tdp)) };
    let (person, kms) = (&tdp.person, Kms::new(&tdp.kms).unwrap());
    let (key, trust) = (&person.key, person.trust().unwrap());
    let sealed = dataset::seal(&job, &kms, key, trust, &mut depa::edge::fresh, person.now()).unwrap();
    // Another object than the one of the record is not put there.
    let other = depa::upload::upload(&file, &Digest([7; 32]), &sealed.url, bucket);
    refuses(Code::SealedWrongObject, other);
    let sent = depa::upload::upload(&file, &sealed.manifest_root, &sealed.url, bucket).unwrap();
    assert_eq!(sent, sealed.bytes);
    std::fs::remove_file(&file).unwrap();
    let offer = dataset::offer(&description, &sealed, key, trust, person.now()).unwrap();
    let receipt = dataset::publish(person.desk().unwrap(), &offer).unwrap();
    Offered { kind: tdp.kind, sealed, file, offer, receipt }
}

/// Orders another run under the contract of a deal, and carries it out in a room with these stores.
fn run(scene: &Scene, deal: &Deal, stores: Vec<Store>) -> (JobBundle, R<Completed>) {
    let to_bucket = |form: &mut JobForm| form.output.upload = "s3://depa-sealed/models".into();
    let bundle = scene.house.job_with(&deal.contract.id, to_bucket).unwrap().bundle;
    scene.house.tdc.orders(&bundle).unwrap();
    let mut room = scene.room();
    room.config.stores = stores;
    let done = scene.run(&bundle, &room).0;
    (bundle, done)
}

fn states(scene: &Scene, deal: &Deal) -> Vec<Vec<String>> {
    let of = |tdp| scene.events(tdp, &deal.contract).into_iter().map(|(state, _)| state).collect();
    scene.house.tdps.iter().map(of).collect()
}

#[test]
fn a_dataset_lies_in_s3_and_the_model_goes_there() {
    let Some(mut s3) = S3::start("a_dataset_lies_in_s3_and_the_model_goes_there") else { return };
    let (writer, reader) = (s3.store("writer"), s3.store("reader"));
    let bucket = reach(writer.clone());
    let scene = Scene::with(|tdp, tables| offers(tdp, tables, &bucket));
    let (deal, tdc) = (scene.deal(), &scene.house.tdc);

    // Rooms that may not get at the data, or have nowhere to put the model, say so, and their runs cost nothing; what the
    // room can tell from its own configuration it tells before it asks a key service.
    let elsewhere = Store { buckets: vec!["depa-other".into()], ..writer.clone() };
    let wrong = s3.store_with("writer", |keys| keys["secret_access_key"] = serde_json::json!("wrong"));
    for (stores, code) in
        [(vec![], Code::AddressRefused), (vec![elsewhere], Code::AddressRefused), (vec![wrong], Code::StorageDenied)]
    {
        refuses(code, run(&scene, &deal, stores).1.map(drop));
    }
    assert_eq!(states(&scene, &deal), [["refunded"]; 3]);

    let (bundle, done) = run(&scene, &deal, vec![writer.clone()]);
    let done = done.unwrap();
    assert_eq!(done.url, format!("s3://depa-sealed/models/{}.sealed", done.run_id));
    let desk = tdc.person.desk().unwrap();
    let completion: Completion = desk.run(&done.run_id).unwrap().completion.unwrap().read_unverified().unwrap();
    assert_eq!(completion.output.url, done.url);
    let download = |reach: &Objects| {
        let (trust, out) = (tdc.person.trust().unwrap(), tdc.person.dir.join("from-s3.safetensors"));
        depa::model::download_from(desk, &done.run_id, &bundle, &tdc.enc, trust, &out, reach)
    };
    refuses(Code::AddressRefused, download(&depa::fetch::reach(None).unwrap()).map(drop));
    let got = download(&reach(reader)).unwrap();
    assert_eq!(got.sha256, Digest::of(&std::fs::read(&got.path).unwrap()));

    // The storage's own word counts for nothing: another object under the same address opens nothing.
    let later = scene.deal();
    assert_eq!(s3.does(&format!("replace {}.depa 5000", scene.house.tdps[0].kind.name())), "done");
    refuses(Code::SealedForm, run(&scene, &later, vec![writer]).1.map(drop));
    assert_eq!(states(&scene, &later), [["refunded"]; 3]);
}
