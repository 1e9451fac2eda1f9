//! Keys on a token: SoftHSM, which is a token in files, and the binary as people use it. NOT RUN where it is not installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::party::KeyEvent;
use schemas::{Code, Envelope};
use serde_json::Value;
use signing::FileKey;
use signing::book::OneKey;

const PIN: &str = "918273";
const REGISTRY: &str = "did:web:sro.example";

/// A token of its own, in a folder of its own.
struct Token {
    dir: PathBuf,
    module: PathBuf,
}

/// A file of this name in a folder for libraries, or in one of the machine's kind.
fn library(name: &str) -> Option<PathBuf> {
    let below = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    std::iter::once(PathBuf::from("/usr/lib")).chain(below).map(|dir| dir.join(name)).find(|file| file.is_file())
}

impl Token {
    /// Makes one, or says NOT RUN.
    fn new(test: &str) -> Option<Token> {
        let util = Command::new("softhsm2-util").arg("--version").output();
        let (Ok(_), Some(module)) = (util, library("softhsm/libsofthsm2.so")) else {
            println!("NOT RUN {test}: softhsm2 is not installed");
            return None;
        };
        let dir = std::env::temp_dir().join(format!("depa-token-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(dir.join("tokens")).unwrap();
        let token = Token { dir, module };
        let conf = format!("directories.tokendir = {}\nobjectstore.backend = file\n", token.path("tokens"));
        fs::write(token.path("conf"), conf).unwrap();
        token.private("pin", PIN);
        token.util(&["--init-token", "--free", "--label", "TDP one", "--so-pin", "87654321", "--pin", PIN]);
        Some(token)
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn private(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        self.path(name)
    }

    fn util(&self, args: &[&str]) {
        let done = Command::new("softhsm2-util").args(args).env("SOFTHSM2_CONF", self.path("conf")).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// The key `signing` of the token, as people write it.
    fn uri(&self) -> String {
        let (module, pin) = (self.module.display(), self.path("pin"));
        format!("pkcs11:token=TDP%20one;object=signing?module-path={module}&pin-source=file:{pin}")
    }

    /// A command. Whatever comes of it, the PIN is not told.
    fn depa(&self, args: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
        for name in ["DEPA_REGISTRY", "DEPA_TRUST", "DEPA_KEY", "DEPA_PROFILE"] {
            command.env_remove(name);
        }
        command.env("DEPA_PROFILES", self.path("profiles.toml")).env("SOFTHSM2_CONF", self.path("conf"));
        let output = command.envs(environment.iter().copied()).args(args).arg("--json").output().unwrap();
        for told in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(told).contains(PIN), "{output:?}");
        }
        output
    }

    fn done(&self, args: &[&str]) -> Value {
        let output = self.depa(args, &[]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Code and exit code of a refusal.
    fn refused(&self, args: &[&str]) -> (String, i32) {
        refusal(&self.depa(args, &[]))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn refusal(output: &Output) -> (String, i32) {
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    (answer["error"]["code"].as_str().unwrap().to_owned(), output.status.code().unwrap())
}

fn no(code: &str, exit: i32) -> (String, i32) {
    (code.to_owned(), exit)
}

/// A trust file; this registry is never asked.
fn trust(token: &Token) -> String {
    let pinned = signing::Trust {
        registry: Did::parse(REGISTRY).unwrap(),
        registry_jwk: schemas::Signer::jwk(&FileKey::generate().unwrap()).clone(),
        origin: "sro.example/log".into(),
        sro: vec![],
        witnesses: vec![],
        quorum: 0,
        lineage: Default::default(),
    };
    let path = token.path("trust.json");
    depa::trust::save(&pinned, Path::new(&path)).unwrap();
    path
}

#[test]
fn a_key_is_made_on_a_token_and_what_it_signs_verifies() {
    let Some(token) = Token::new("a_key_is_made_on_a_token_and_what_it_signs_verifies") else { return };
    let (uri, trust) = (token.uri(), trust(&token));
    let made = token.done(&["keys", "new", &uri]);
    assert_eq!(made["purpose"], "signing");
    assert_eq!(token.done(&["keys", "show", &uri]), made, "the same key at every opening");
    assert_eq!(token.refused(&["keys", "new", &uri]), no("KEY_EXISTS", 5));

    let (act, thumbprint) = (token.path("act.json"), made["thumbprint"].as_str().unwrap());
    token.done(&["keys", "retire", thumbprint, "--reason", "yearly", "--out", &act, "--key", &uri, "--trust", &trust]);
    let signed = || serde_json::from_slice::<Envelope<KeyEvent>>(&fs::read(&act).unwrap()).unwrap();
    let (did, registry) = (Did::parse(made["did"].as_str().unwrap()).unwrap(), Did::parse(REGISTRY).unwrap());
    let by = |jwk: Jwk| {
        let book = OneKey { holder: did.to_string(), jwk };
        signing::verify_by(signed(), &registry, &book, did.as_str()).map(drop).map_err(|refusal| refusal.code)
    };
    assert_eq!(by(serde_json::from_value(made["jwk"].clone()).unwrap()), Ok(()));
    let another = FileKey::generate().unwrap();
    assert_eq!(by(schemas::Signer::jwk(&another).clone()), Err(Code::SignerUnknown));

    // Another name than its own: it stands in the URI, since a token has no place for it.
    let web = token.done(&["keys", "new", &uri.replace("signing", "web"), "--did", "did:web:tdp.example"]);
    assert_eq!(web["did"], "did:web:tdp.example");
    let named = format!("{}&did=did:web:tdp.example", uri.replace("signing", "web"));
    assert_eq!(token.done(&["keys", "show", &named]), web);
    let document = token.done(&["party", "web-document", "--key", &named]);
    assert_eq!(document["id"], "did:web:tdp.example");
    assert_eq!(
        token.refused(&["keys", "new", &named.replace("=web", "=third"), "--did", "did:web:other.example"]),
        no("CONFIG_INVALID", 2)
    );

    // A profile keeps the URI as it is, and the file of the PIN by its name.
    assert_eq!(token.done(&["profile", "set", "work", "--key", &uri])["key"], uri.as_str());
    let looked = token.depa(&["doctor", "--profile", "work"], &[]);
    assert!(looked.status.success(), "{looked:?}");
}

/// One thing is spoiled at a time, and each has its code.
#[test]
fn what_is_wrong_with_a_token_is_told_by_its_code() {
    let Some(token) = Token::new("what_is_wrong_with_a_token_is_told_by_its_code") else { return };
    let uri = token.uri();
    token.done(&["keys", "new", &uri]);
    let code = |uri: &str| token.refused(&["party", "web-document", "--key", uri]);
    let with_pin = |file: &str| uri.replace(&token.path("pin"), file);

    assert_eq!(code(&with_pin(&token.private("wrong", "000000"))), no("PIN_REFUSED", 3));
    assert_eq!(code(&with_pin(&token.private("empty", "\n"))), no("CONFIG_INVALID", 2));
    let open = token.private("open", PIN);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(code(&with_pin(&open)), no("CONFIG_INVALID", 2), "others may read the PIN");
    let source = format!("&pin-source=file:{}", token.path("pin"));
    assert_eq!(code(&uri.replace(&source, "")), no("CONFIG_INVALID", 2), "no PIN is named");
    assert_eq!(code(&uri.replace(&source, &format!("&pin-value={PIN}"))), no("CONFIG_INVALID", 2));
    assert_eq!(code(&uri.replace("object=signing", "object=other")), no("KEY_UNKNOWN", 4));
    assert_eq!(code(&uri.replace("TDP%20one", "TDP%20two")), no("DEVICE_UNAVAILABLE", 2));
    let no_module = uri.replace("libsofthsm2.so", "libnone.so");
    assert_eq!(code(&no_module), no("CONFIG_INVALID", 2), "no module");
    let another = uri.replace(&token.module.display().to_string(), &token.path("conf"));
    assert_eq!(code(&another), no("CONFIG_INVALID", 2), "a file that is no module");

    let pem = token.path("rsa.pem");
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "RSA", "-out", &pem]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    token.util(&["--import", &pem, "--token", "TDP one", "--label", "rsa", "--id", "0102", "--pin", PIN]);
    assert_eq!(code(&uri.replace("object=signing", "object=rsa")), no("KEY_FORM", 1));

    assert!(token.depa(&["party", "web-document", "--key", &uri], &[]).status.success(), "nothing else is wrong");
}

/// The calls to the module are written down by one that stands before it.
#[test]
fn a_wrong_pin_is_tried_once() {
    let Some(token) = Token::new("a_wrong_pin_is_tried_once") else { return };
    let Some(spy) = library("pkcs11-spy.so") else {
        return println!("NOT RUN a_wrong_pin_is_tried_once: opensc-pkcs11 is not installed");
    };
    let (module, calls) = (token.module.display().to_string(), token.path("calls"));
    let spied = [("PKCS11SPY", module.as_str()), ("PKCS11SPY_OUTPUT", calls.as_str())];
    let wrong = token.private("wrong", "000000");
    let uri = token.uri().replace(&module, &spy.display().to_string()).replace(&token.path("pin"), &wrong);
    let output =
        token.depa(&["keys", "rotate", "--out", &uri, "--key", &uri, "--registry", "http://127.0.0.1:1"], &spied);
    assert_eq!(refusal(&output), no("PIN_REFUSED", 3));
    let calls = fs::read_to_string(&calls).unwrap();
    assert_eq!(calls.matches(": C_Login").count(), 1, "{calls}");
}

/// Models are opened with the private half itself: no token can, and none is asked.
#[test]
fn a_token_holds_no_key_that_receives_models() {
    let uri = "pkcs11:token=t;object=o?module-path=/nowhere.so";
    let refused = [
        depa::keys::new_encryption(Path::new(uri)).map(drop).unwrap_err(),
        depa::keys::open_encryption(Path::new(uri)).map(drop).unwrap_err(),
    ];
    for refusal in refused {
        assert_eq!(refusal.code, Code::ConfigInvalid);
        assert!(refusal.sentence.contains("keep this key in a file"), "{refusal}");
    }
}
