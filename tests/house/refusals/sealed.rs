//! Ciphertext that is not what the contract names: the room refuses before any training step, the worker is not even
//! started, and the charge comes back.

use std::fs;
use std::path::Path;

use ccr_runtime::Progress;
use demo::actors::{Offered, Tdp};
use demo::data::{TableKind, Tables};
use depa::dataset::{self, SealedDataset};
use schemas::id::{DataKeyId, DatasetId, FamilyId};
use schemas::release::{KeyImport, KmsInfo};
use schemas::{Code, canonical};
use sealing::{DatasetKey, Plan, Subject, Written};

use super::scene::{Deal, Scene, refuses};
use super::wire;

/// Small chunks, so that even these tables have several.
const CHUNK: u32 = 256;
const TAG: usize = 16;

fn fresh() -> uuid::Uuid {
    uuid::Uuid::new_v4()
}

/// Seals bytes as a version of a dataset.
fn seal(plain: &[u8], id: &DatasetId, version: u32, key: &DatasetKey) -> (Vec<u8>, Written) {
    let plan =
        Plan { subject: Subject::Dataset { id: id.clone(), version }, total_len: plain.len() as u64, chunk_len: CHUNK };
    let mut bytes = Vec::new();
    let written = sealing::seal(plain, &mut bytes, key, &plan).unwrap();
    (bytes, written)
}

/// What `depa dataset seal` does, in small chunks.
fn offers_in_small_chunks(tdp: &Tdp, tables: &Tables) -> Offered {
    let plain = tables.of(tdp.kind).csv_of(&tdp.kind.sealed()).unwrap();
    let (id, key, key_id) = (DatasetId::new(fresh()), DatasetKey::random().unwrap(), DataKeyId::new(fresh()));
    let (bytes, written) = seal(&plain, &id, 1, &key);
    fs::create_dir_all(&tdp.storage).unwrap();
    let file = tdp.storage.join("small-chunks.depa");
    fs::write(&file, &bytes).unwrap();
    // For the case of another version: the same rows, sealed under the same key.
    fs::write(second_version(&file), seal(&plain, &id, 2, &key).0).unwrap();

    let (person, trust) = (&tdp.person, tdp.person.trust().unwrap());
    let info: KmsInfo = wire::get(&format!("{}/v1/kms", tdp.kms), None).unwrap();
    let manifest_root = written.manifest.root();
    let bound = sealing::wrap::import_context(&key_id, &manifest_root);
    let description = tdp.description().unwrap();
    let import = KeyImport {
        schema: "kms-key.v1".into(),
        registry: trust.registry.clone(),
        kms: info.kms.clone(),
        key_id: key_id.clone(),
        provider: person.did.clone(),
        dataset_id: id.clone(),
        version: 1,
        manifest_root,
        min_assurance: description.min_assurance,
        jwe: signing::jose::wrap_key(key.expose(), &info.import_jwk, &bound).unwrap(),
        at: person.now(),
    };
    let import = canonical::to_bytes(&signing::sign(&import, &*person.key, person.now()).unwrap()).unwrap();
    let _: serde_json::Value = wire::post(&format!("{}/v1/keys", tdp.kms), import, "application/json").unwrap();
    let sealed = SealedDataset {
        dataset_id: id,
        version: 1,
        family: FamilyId::new(fresh()),
        url: format!("file://{}", file.display()),
        bytes: bytes.len() as u64,
        manifest_root,
        kms: info.kms,
        kms_jwk: info.sign_jwk,
        key_id,
        min_assurance: description.min_assurance,
        media_type: "text/csv".into(),
    };
    let offer = dataset::offer(&description, &sealed, &person.key, trust, person.now()).unwrap();
    let receipt = dataset::publish(person.desk().unwrap(), &offer).unwrap();
    Offered { kind: tdp.kind, sealed, file, offer, receipt }
}

fn second_version(file: &Path) -> std::path::PathBuf {
    file.with_extension("v2")
}

/// Where chunk `at` stands in a container: ciphertext and tag.
fn chunk(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let header = u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let from = 12 + header + at * (CHUNK as usize + TAG);
    from..from + CHUNK as usize + TAG
}

/// One run over spoilt ciphertext: refused with this code before the worker is started, reported, and refunded.
fn aborts(scene: &Scene, deal: &Deal, code: Code) {
    let bundle = scene.again(deal);
    scene.house.tdc.orders(&bundle).unwrap();
    let mut room = scene.room();
    // Had it been started, the code were another one.
    room.config.trainer = "/nonexistent/worker".into();
    let (done, told) = scene.run(&bundle, &room);
    refuses(code, done);
    let released = told.iter().filter(|p| matches!(p, Progress::Released { .. })).count();
    let further = told.iter().any(|p| matches!(p, Progress::Opened { .. } | Progress::Training { .. }));
    assert!(released == 3 && !further, "{told:?}");
    let run = told.iter().find_map(|p| if let Progress::CheckedIn { run } = p { Some(run) } else { None }).unwrap();
    assert_eq!(scene.house.tdc.person.desk().unwrap().run(run).unwrap().state, "aborted");
    assert!(scene.states(&deal.contract).iter().all(|s| s.iter().all(|s| s == "refunded")));
    scene.key_is_withheld(run);
    scene.nothing_came_of(deal);
}

#[test]
fn spoilt_ciphertext_is_refused_before_the_first_step_and_costs_nothing() {
    let scene = Scene::with(|tdp, tables| match tdp.kind {
        TableKind::Statewarroom => offers_in_small_chunks(tdp, tables),
        _ => tdp.offers(tables.of(tdp.kind)).unwrap(),
    });
    let file = scene.house.offers()[2].file.clone();
    let good = fs::read(&file).unwrap();
    let other = fs::read(second_version(&file)).unwrap();
    let (first, second) = (chunk(&good, 0), chunk(&good, 1));
    assert!(good.len() > second.end, "more than two chunks are needed");
    let deal = scene.deal();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let cases: [(&str, Code, Vec<u8>); 10] = [
        ("a bit of a chunk", Code::SealedTampered, changed(&|b| b[second.start + 5] ^= 4)),
        ("a bit of a tag", Code::SealedTampered, changed(&|b| b[first.end - 1] ^= 1)),
        (
            "two chunks swapped",
            Code::SealedTampered,
            changed(&|b| {
                let (left, right) = b.split_at_mut(second.start);
                left[first.clone()].swap_with_slice(&mut right[..second.len()]);
            }),
        ),
        ("a chunk twice", Code::SealedTampered, changed(&|b| b.copy_within(first.clone(), second.start))),
        ("the last byte missing", Code::SealedTruncated, changed(&|b| b.truncate(good.len() - 1))),
        ("all after the first chunk missing", Code::SealedTruncated, changed(&|b| b.truncate(first.end))),
        ("a byte too many", Code::SealedForm, changed(&|b| b.push(0))),
        ("no container", Code::SealedForm, b"idcpatient,pname\n1,A\n".repeat(100)),
        ("the next version", Code::SealedWrongObject, other),
        ("another table of the house", Code::SealedWrongObject, fs::read(&scene.house.offers()[0].file).unwrap()),
    ];
    for (what, code, bytes) in cases {
        println!("{what}: {code}");
        fs::write(&file, bytes).unwrap();
        aborts(&scene, &deal, code);
    }
    // An object that is not there at all.
    fs::remove_file(&file).unwrap();
    aborts(&scene, &deal, Code::PeerUnreachable);
    // Everything was given back: the contract still has room for the one run that it grants.
    fs::write(&file, &good).unwrap();
    scene.order_and_run(&scene.again(&deal)).unwrap();
    for states in scene.states(&deal.contract) {
        assert_eq!(states.iter().filter(|s| *s == "committed").count(), 1);
        assert_eq!(states.iter().filter(|s| *s == "refunded").count(), 11);
    }
}
