//! The whole key service on a backend elsewhere, and what it does when that backend does not do what was asked: no key
//! leaves, nothing is charged, and no call is repeated without end.

use std::path::PathBuf;

use kms_adapter::{Config, Profile, Running, Service};
use schemas::contract::Assurance;
use schemas::pipeline::Stage;
use schemas::release::{KmsInfo, KmsReceipt};
use schemas::{Code, Envelope};
use sealing::DatasetKey;
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::support::http::{self, Answer};
use crate::support::papers::{Table, real};
use crate::support::world::{prepare, sign_import};
use crate::support::{Changes, People, Room, World};

/// Attempts of one call.
pub const ATTEMPTS: usize = 3;
/// Milliseconds of one attempt: long enough for a busy machine, short enough for a test.
pub const TIMEOUT_MS: u32 = 2_000;

/// A world whose key service has this backend, and into whose budget many runs fit.
pub fn world(config: impl Fn(&mut Config) + 'static) -> World {
    World::with(Changes {
        config: Box::new(config),
        job: Box::new(|j| match &mut j.stages[1] {
            Stage::Train(t) => t.epsilon = Some(real("0.1")),
            other => panic!("{other:?}"),
        }),
        ..Changes::default()
    })
}

/// What a backend may do to every request, the code that a room is told, and whether the call is worth repeating.
pub fn faults() -> Vec<(&'static str, Reply, Code, bool)> {
    let json = |status| Reply::Json(status, json!({"errors": ["no"], "error": {"code": "no"}}));
    vec![
        ("401", Reply::With(401, Vec::new(), Vec::new()), Code::PeerFault, false),
        ("403", json(403), Code::PeerFault, false),
        ("404", json(404), Code::PeerFault, false),
        ("429", Reply::With(429, vec![("Retry-After", "0".into())], Vec::new()), Code::PeerFault, true),
        ("500", json(500), Code::PeerFault, true),
        ("silence", Reply::Silence, Code::Timeout, true),
        ("no JSON", Reply::With(200, Vec::new(), b"{\"data\":".to_vec()), Code::PeerFault, false),
        ("less than announced", Reply::Cut(b"{".to_vec()), Code::PeerFault, false),
        ("too much", Reply::With(200, Vec::new(), vec![b' '; 65 * 1024]), Code::PeerFault, false),
        (
            "a redirect",
            Reply::With(307, vec![("Location", "https://127.0.0.1:9/".into())], Vec::new()),
            Code::PeerFault,
            false,
        ),
        ("nothing", Reply::With(204, Vec::new(), Vec::new()), Code::PeerFault, false),
    ]
}

/// Each fault in turn under a reservation: refused by its code, still only reserved, and asked at most `most` times where
/// a call is repeated, once where not.
pub fn each_fault<T: std::fmt::Debug>(
    world: &World,
    server: &Server,
    most: usize,
    mut release: impl FnMut() -> Answer<T>,
) {
    for (what, reply, code, again) in faults() {
        server.taken();
        server.always(Some(reply));
        world.refuses(code, &mut release);
        let asked = server.taken().len();
        server.honest();
        assert!(if again { (1..=most).contains(&asked) } else { asked == 1 }, "{what}: asked {asked} times");
    }
}

/// Renews and commits a run that was released.
pub fn goes_on(world: &World, room: &Room) {
    room.renew(room.status_list(vec![])).unwrap();
    room.commit(b"model").unwrap();
    assert_eq!(world.charges().last().unwrap(), "committed");
}

/// Releases at a backend that gives the data key, and opens it.
pub fn opens(world: &World, room: &Room, reserved: &Envelope<KmsReceipt>) {
    let request = room.release_request(reserved);
    let release = room.send_release(reserved, &request).unwrap();
    assert!(release.read_unverified().unwrap().gated.is_empty());
    assert_eq!(&room.open(&release, &request.attested.transcript).unwrap(), world.key.expose());
}

/// A key service into which no key was brought yet.
pub struct Bare {
    people: People,
    dir: PathBuf,
    running: Option<Running>,
    info: KmsInfo,
    table: Table,
    key: DatasetKey,
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.running.take());
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Bare {
    pub fn new(change: impl Fn(&mut Config)) -> Bare {
        let people = People::new();
        let (dir, mut config) = prepare(&people, Profile::Demo);
        change(&mut config);
        kms_adapter::init(&config).unwrap();
        let running = Service::start(config, kms_adapter::system_clock()).unwrap();
        let info = http::get(&format!("{}/v1/kms", running.url()), None).unwrap();
        Bare { people, dir, running: Some(running), info, table: Table::new("a"), key: DatasetKey::random().unwrap() }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.running.as_ref().unwrap().url())
    }

    /// Brings the key in.
    pub fn import(&self) -> Answer<Value> {
        let import = sign_import(&self.people, &self.table, &self.info, &self.key, Assurance::Software);
        http::post(&self.at("/v1/keys"), &import)
    }

    /// Brings the key in and is refused.
    pub fn refuses(&self, code: Code, what: &str) {
        let refused = self.import().expect_err(what);
        assert_eq!(refused.code, code, "{what}: {}", refused.text);
    }

    pub fn ready(&self) -> Answer<Value> {
        http::get(&self.at("/readyz"), None)
    }
}
