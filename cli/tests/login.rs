//! `depa login` and `depa logout`, by the binary, beside a registry that the test plays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use depa::party::{Applicant, application};
use schemas::desk::{ParticipantView, TokenAnswer, TokenRequest};
use schemas::event::SroPerson;
use schemas::id::Did;
use schemas::party::Kind;
use schemas::{Code, Refusal, Signer as _, Timestamp, canonical};
use serde_json::{Value, json};
use signing::{FileKey, Trust};
use tiny_http::{Header, Response, Server};

/// A registry with one participant and one person of the SRO, and what was asked of it.
struct Registry {
    dir: PathBuf,
    url: String,
    trust: Trust,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

impl Registry {
    /// The key of neither gets a token where `refuses`.
    fn start(refuses: bool) -> Registry {
        let dir = std::env::temp_dir().join(format!("depa-login-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        let [member, person] = ["member", "person"].map(|name| {
            let key = FileKey::generate().unwrap();
            key.save(&dir.join(format!("{name}.key"))).unwrap();
            key
        });
        let trust = Trust {
            registry: Did::parse("did:web:sro.example").unwrap(),
            registry_jwk: FileKey::generate().unwrap().jwk().clone(),
            origin: "sro.example/log".into(),
            sro: vec![SroPerson { did: person.did().unwrap(), name: "Asha".into(), jwk: person.jwk().clone() }],
            witnesses: vec![],
            quorum: 0,
            lineage: Default::default(),
        };
        std::fs::write(dir.join("trust.json"), serde_json::to_vec(&trust).unwrap()).unwrap();
        let applicant = Applicant { kind: Kind::Tdc, legal_name: "Models Ltd".into(), jurisdiction: "IN".into() };
        let signed = application(&applicant, &member, &trust, Timestamp::from_seconds(1_796_083_200)).unwrap();
        let view = ParticipantView { application: signed, decision: None, state: "verified".into() };
        let (server, seen) = (Server::http("127.0.0.1:0").unwrap(), Arc::new(Mutex::new(Vec::new())));
        let url = format!("http://{}", server.server_addr());
        let (notes, told, known) = (seen.clone(), trust.clone(), member.did().unwrap());
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let path = request.url().to_owned();
                notes.lock().unwrap().push(path.clone());
                let mut body = Vec::new();
                request.as_reader().read_to_end(&mut body).unwrap();
                let refused = |code: Code| {
                    let problem = Refusal::new(code, "no").problem(None);
                    (code.status(), canonical::to_bytes(&problem).unwrap())
                };
                let (status, answer) = match path.as_str() {
                    "/readyz" => (200, b"{}".to_vec()),
                    "/v1/trust" => (200, serde_json::to_vec(&told).unwrap()),
                    "/oauth/token" if refuses => refused(Code::SignerUnknown),
                    "/oauth/token" => {
                        let asked: TokenRequest = canonical::parse(&body).unwrap();
                        assert_eq!(asked.grant_type, "client_credentials");
                        assert_eq!(asked.client_assertion.split('.').count(), 3);
                        let token = TokenAnswer {
                            access_token: "hunter2".into(),
                            token_type: "Bearer".into(),
                            expires_in: 600,
                        };
                        (200, serde_json::to_vec(&token).unwrap())
                    }
                    path if path == format!("/v1/participants/{known}") => (200, serde_json::to_vec(&view).unwrap()),
                    _ => refused(Code::NotFound),
                };
                let media = if status == 200 { "application/json" } else { "application/problem+json" };
                let media = Header::from_bytes("content-type", media).unwrap();
                drop(request.respond(Response::from_data(answer).with_status_code(status).with_header(media)));
            }
        });
        Registry { dir, url, trust, seen }
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Exit code, document on stdout, talk.
    fn depa(&self, args: &[&str]) -> (i32, Value, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
        for name in ["DEPA_REGISTRY", "DEPA_TRUST", "DEPA_KEY", "DEPA_CA", "DEPA_STORES", "DEPA_PROFILE"] {
            command.env_remove(name);
        }
        let done = command.env("DEPA_PROFILES", self.path("profiles.toml")).args(args).arg("--json").output().unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        (done.status.code().unwrap(), serde_json::from_slice(&done.stdout).unwrap_or_default(), told)
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(self.path("profiles.toml")).unwrap_or_default()
    }
}

#[test]
fn who_logged_in_names_nothing_any_more() {
    let registry = Registry::start(false);
    let (key, trust) = (registry.path("member.key"), registry.path("trust.json"));
    let (code, answer, told) = registry.depa(&["login", "--registry", &registry.url, "--key", &key, "--trust", &trust]);
    assert_eq!(code, 0, "{told}");
    let identity = &answer["identity"];
    assert_eq!((&identity["name"], &identity["role"]), (&json!("Models Ltd"), &json!("tdc")));
    assert_eq!((&identity["state"], &answer["profile"]), (&json!("verified"), &json!("default")));
    assert_eq!(identity["registry"], registry.trust.registry.as_str());
    assert!(registry.seen.lock().unwrap().contains(&"/oauth/token".to_owned()), "the key was shown to count");
    // Kept are an address, a party and names of files; no token and nothing of a key.
    let kept = registry.kept();
    let secret: Value = serde_json::from_slice(&std::fs::read(&key).unwrap()).unwrap();
    assert!(!kept.contains("hunter2") && !kept.contains(secret["d"].as_str().unwrap()), "{kept}");
    assert!(kept.contains(identity["party"].as_str().unwrap()) && kept.contains(&key), "{kept}");
    // Address, key and trust are known now: the member is asked for at the same service.
    let (code, shown, told) = registry.depa(&["party", "show", identity["party"].as_str().unwrap()]);
    assert_eq!((code, &shown["state"]), (0, &json!("verified")), "{told}");
    assert_eq!(registry.depa(&["trust", "show"]).0, 0);
    // Asked again, with nothing named.
    assert_eq!(registry.depa(&["login"]).1["identity"], *identity);
    // A flag comes first.
    assert_ne!(registry.depa(&["party", "show", "did:web:x.example", "--registry", "http://127.0.0.1:1"]).0, 0);
    let (code, forgotten, _) = registry.depa(&["logout"]);
    assert_eq!((code, &forgotten["forgotten"]["registry"]), (0, &json!(registry.url)));
    assert!(!registry.kept().contains("default") && std::fs::exists(&key).unwrap());
    assert_eq!(registry.depa(&["party", "show", "did:web:x.example"]).0, 2, "nothing is named again");
    let (code, _, told) = registry.depa(&["logout"]);
    assert!(code == 2 && told.contains("nobody is logged in"), "{told}");
}

/// Only whoever needs something of it is stopped by a profiles file that cannot be read.
#[test]
fn a_broken_file_of_profiles_stops_only_who_needs_it() {
    let registry = Registry::start(false);
    std::fs::write(registry.path("profiles.toml"), "this is no TOML").unwrap();
    assert_eq!(registry.depa(&["keys", "new", "--out", &registry.path("new.key")]).0, 0);
    let key = registry.path("member.key");
    let member = registry.depa(&["keys", "show", &key]).1["did"].clone();
    let member = member.as_str().unwrap();
    assert_eq!(registry.depa(&["party", "show", member, "--registry", &registry.url]).0, 0, "all is named");
    let set: [&str; 5] = ["profile", "set", "work", "--registry", "https://registry.example"];
    let stopped: [&[&str]; 5] = [
        &["party", "show", member],
        &["keys", "show", &key, "--profile", "work"],
        &["profile", "remove", "work"],
        &["logout"],
        &set,
    ];
    for args in stopped {
        let (code, _, told) = registry.depa(args);
        assert!(code == 2 && told.contains("mend or delete it: it holds no secret"), "{args:?} {told}");
        assert!(told.contains("profiles.toml"), "{told}");
    }
    assert_eq!(registry.kept(), "this is no TOML", "nothing of a user's is overwritten");
}

#[test]
fn people_of_the_sro_log_in_and_further_names_stand_beside_the_first() {
    let registry = Registry::start(false);
    let (member, person) = (registry.path("member.key"), registry.path("person.key"));
    let at: [&str; 2] = ["--registry", &registry.url];
    assert_eq!(registry.depa(&["login", at[0], at[1], "--key", &member]).0, 0);
    let (code, answer, told) = registry.depa(&["login", at[0], at[1], "--key", &person, "--profile", "sro"]);
    assert_eq!(
        (code, &answer["identity"]["role"], &answer["identity"]["name"]),
        (0, &json!("sro"), &json!("Asha")),
        "{told}"
    );
    assert_eq!(registry.depa(&["profile", "list"]).1.as_object().unwrap().len(), 2);
    assert_eq!(registry.depa(&["logout", "--profile", "sro"]).0, 0);
    assert!(registry.kept().contains("[default]"));
    // The key file holds another key than the one that was asked about.
    std::fs::copy(&person, &member).unwrap();
    let (code, _, told) = registry.depa(&["run", "abort", "run_01900000-0000-7000-8000-000000000001", "--reason", "x"]);
    assert!(code == 2 && told.contains("log in again"), "{code} {told}");
    assert_eq!(registry.depa(&["login"]).0, 2, "not even by logging in with it unnamed");
    assert_eq!(registry.depa(&["login", "--key", &member]).0, 0, "it is named: then it is asked about");
}

#[test]
fn what_does_not_belong_together_is_not_kept() {
    let registry = Registry::start(true);
    let (key, trust) = (registry.path("member.key"), registry.path("trust.json"));
    let at: [&str; 2] = ["--registry", &registry.url];
    let (code, answer, _) = registry.depa(&["login", at[0], at[1], "--key", &key]);
    assert_eq!((code, &answer["error"]["code"]), (10, &json!("SIGNER_UNKNOWN")));
    assert_eq!(registry.depa(&["login", at[0], at[1]]).0, 2, "no key");
    assert_eq!(registry.depa(&["login", "--key", &key]).0, 2, "no address");
    let nobody = registry.depa(&["login", "--registry", "http://127.0.0.1:1", "--key", &key]);
    assert_eq!(nobody.1["error"]["code"], "PEER_UNREACHABLE");
    let mut other = registry.trust.clone();
    other.registry = Did::parse("did:web:other.example").unwrap();
    std::fs::write(&trust, serde_json::to_vec(&other).unwrap()).unwrap();
    let wrong = registry.depa(&["login", at[0], at[1], "--key", &key, "--trust", &trust]);
    assert_eq!(wrong.1["error"]["code"], "WRONG_REGISTRY");
    assert_eq!(registry.kept(), "");
}
