//! The consumer's own key service, in this process, and weights that it seals: what the tests of fine-tuning share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use demo::House;
use demo::actors::Person;
use demo::house::process::free_port;
use depa::dataset::kms::Kms;
use kms_adapter::{Config, Profile, Running, Service};
use models::weights::{Tensor, Tensors};
use schemas::contract::Assurance;
use schemas::pipeline::Model;
use schemas::recipe::{Loss, Optimizer, Recipe, Schedule};
use schemas::weights::Weights;
use serde_json::json;

use crate::refusals::scene::real;

/// The key service of the house's consumer.
pub struct Lab {
    _running: Running,
    pub url: String,
    storage: PathBuf,
}

impl Lab {
    pub fn open(house: &House) -> Lab {
        let tdc = &house.tdc.person;
        let port = free_port().unwrap();
        let url = format!("http://localhost:{port}");
        let folder = tdc.dir.join(format!("kms-{port}"));
        let mut config = Config::new(Profile::Demo, &url, &folder, &tdc.did, &house.trust_file);
        config.listen.set_port(port);
        config.software_roots = vec![house.ccrp.pin];
        kms_adapter::init(&config).unwrap();
        let running = Service::start(config, house.clock.clone()).unwrap();
        Lab { _running: running, url, storage: house.dir.join("storage").join("models") }
    }

    /// Seals a file's bytes as `depa model seal` does.
    pub fn seals(&self, house: &House, plain: &[u8], fresh: &[&str]) -> Weights {
        self.sealed_by(&house.tdc.person, &self.url, plain, fresh)
    }

    /// The same by another party at another key service.
    pub fn sealed_by(&self, person: &Person, kms: &str, plain: &[u8], fresh: &[&str]) -> Weights {
        let name = uuid::Uuid::new_v4();
        let file = person.dir.join(format!("{name}.safetensors"));
        std::fs::write(&file, plain).unwrap();
        let job = depa::weights::Job {
            file: &file,
            network: None,
            fresh: fresh.iter().map(|prefix| (*prefix).to_owned()).collect(),
            min_assurance: Assurance::Software,
            out: &self.storage.join(format!("{name}.depa")),
            url: None,
        };
        let (kms, trust) = (Kms::new(kms).unwrap(), person.trust().unwrap());
        depa::weights::seal(&job, &kms, &person.key, trust, &mut depa::edge::fresh, person.now()).unwrap()
    }
}

/// Where sealed weights lie.
pub fn object(weights: &Weights) -> PathBuf {
    let url = &weights.sealed.as_ref().unwrap().object.url;
    Path::new(url.strip_prefix("file://").unwrap()).to_owned()
}

/// Two layers over the demo's nine features; the first is frozen.
pub fn tuned() -> (Model, Recipe) {
    let layers = json!([{"op": "linear", "inputs": 9, "outputs": 6, "bias": true}, {"op": "gelu"},
        {"op": "linear", "inputs": 6, "outputs": 1, "bias": true}]);
    let network = json!({"input": {"kind": "vector", "features": 9}, "layers": layers});
    let optimizer = Optimizer::Sgd { momentum: real("0.5"), weight_decay: real("0") };
    let (loss, schedule) = (Loss::BinaryCrossEntropy {}, Schedule::Constant {});
    let recipe = Recipe { loss, optimizer, schedule, frozen: vec!["0.".into()], adapters: None };
    (Model::Network { network: serde_json::from_value(network).unwrap() }, recipe)
}

/// Weights of that network as a consumer might have them.
pub fn tensors() -> Tensors {
    let tensor = |shape: &[usize]| {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|at| (at as f32 * 0.37).sin() * 0.5).collect();
        Tensor { shape: shape.to_vec(), values }
    };
    BTreeMap::from([
        ("0.weight".to_owned(), tensor(&[6, 9])),
        ("0.bias".to_owned(), tensor(&[6])),
        ("2.weight".to_owned(), tensor(&[1, 6])),
        ("2.bias".to_owned(), tensor(&[1])),
    ])
}

/// The file of these tensors.
pub fn file(tensors: &Tensors) -> Vec<u8> {
    models::weights::write(tensors).unwrap()
}
