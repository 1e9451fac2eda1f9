//! The house: every role with its own folder and keys, as processes on loopback or as threads of this process.
//!
//! [`House::start`] starts the processes that an organisation each would run; [`House::in_process`] starts the same
//! applications in this process under a shared clock. The people and what they do are the same in both, and everything
//! they do is in `acts`, piece by piece, so that a test can stop, change or repeat any of it.

mod acts;
mod clock;
mod here;
pub mod process;
mod processes;
pub mod wire;

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use contract_client::Client;
use schemas::id::{Did, ImageSetId};
use schemas::jwk::Jwk;
use schemas::{Code, Digest, R, Refusal};
use signing::Trust;

pub use acts::EPSILON;
pub use clock::TestClock;
pub use here::InProcess;
pub use processes::{Processes, name_witness};

use crate::actors::{Ccrp, Clock, Offered, Person, Psp, Sro, Tdc, Tdp};
use crate::data::TableKind;
use process::free_port;

/// The roles of a running house, in the way they run.
pub enum Roles {
    /// Each a process.
    Processes(Processes),
    /// All in this process.
    InProcess(Box<InProcess>),
}

/// A running house with its people.
pub struct House {
    /// Its folder: one folder per role and person in it, and `storage` for ciphertext.
    pub dir: PathBuf,
    /// Its time.
    pub clock: Clock,
    /// Base URL of the contract service.
    pub url: String,
    /// The contract service, acting for nobody.
    pub desk: Client,
    /// What everybody pins.
    pub trust: Trust,
    /// The file of it.
    pub trust_file: PathBuf,
    /// Two SRO people.
    pub sro: Sro,
    /// The providers, in the order of [`TableKind::ALL`].
    pub tdps: Vec<Tdp>,
    /// The consumer.
    pub tdc: Tdc,
    /// The clean-room provider.
    pub ccrp: Ccrp,
    /// The payment system.
    pub psp: Psp,
    /// What was offered so far.
    pub offers: Vec<Offered>,
    /// The approved image set, once there is one.
    pub image_set: Option<ImageSetId>,
    /// Name and key of the log witness.
    pub witness: (String, Jwk),
    /// What the room measures to, once it was measured.
    pub measurement: Option<Digest>,
    /// The running roles.
    pub roles: Roles,
    temporary: bool,
    leave_audit: bool,
    leave_logs: bool,
}

/// Temporary folders of this process: what a signal to it must remove. They hold tables and private keys.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn temporary() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    TEMPORARY.lock().unwrap_or_else(|e| e.into_inner())
}

/// Removes every temporary folder of this process. For signal handlers; `Drop` does it otherwise.
pub fn remove_temporary() {
    temporary().drain(..).for_each(|dir| {
        let _ = fs::remove_dir_all(dir);
    });
}

/// Ports of the services, chosen before anything starts, since DIDs and addresses hold them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub desk: u16,
    pub witness: u16,
    pub kms: [u16; 3],
    pub webhook: u16,
}

impl Ports {
    fn draw() -> R<Ports> {
        Ok(Ports {
            desk: free_port()?,
            witness: free_port()?,
            kms: [free_port()?, free_port()?, free_port()?],
            webhook: free_port()?,
        })
    }
}

/// Where and when a house is.
struct Place {
    dir: PathBuf,
    temporary: bool,
    clock: Clock,
    desk: u16,
}

/// The people before there is a registry.
pub(crate) struct People {
    pub sro: Sro,
    pub tdps: Vec<Tdp>,
    pub tdc: Tdc,
    pub ccrp: Ccrp,
    pub psp: Psp,
}

/// The base URL of a port.
pub(crate) fn local(port: u16) -> String {
    format!("http://localhost:{port}")
}

impl People {
    /// Everybody makes a folder and keys. Two providers go by a did:web that their own key service publishes; everybody
    /// else by a did:key.
    fn make(dir: &Path, ports: &Ports, clock: &Clock, ccr: PathBuf, trainer: PathBuf, root_bits: u32) -> R<People> {
        let person = |name: &str, folder: &str| Person::new(name, &dir.join(folder), None, clock);
        let mut tdps = Vec::new();
        for (at, (kind, port)) in TableKind::ALL.into_iter().zip(ports.kms).enumerate() {
            let web = Did::parse(&format!("did:web:localhost%3A{port}"))?;
            let did = (at > 0).then_some(&web);
            let name = match kind {
                TableKind::Icmr => "Laboratories (ICMR table)",
                TableKind::Cowin => "Vaccination register (COWIN table)",
                TableKind::Statewarroom => "State war room",
            };
            let person = Person::new(name, &dir.join(kind.name()), did, clock)?;
            tdps.push(Tdp { person, kind, kms: local(port), storage: dir.join("storage").join(kind.name()) });
        }
        let models = dir.join("storage").join("models");
        make_dir(&models)?;
        let ccrp = person("Clean Rooms Ltd", "ccrp")?;
        let root = ccrp.dir.join("software-root");
        let pin = crate::actors::software_root(&root, root_bits, clock().whole())?;
        Ok(People {
            sro: Sro { people: [person("Asha (SRO)", "sro-asha")?, person("Bela (SRO)", "sro-bela")?] },
            tdps,
            tdc: Tdc::new(&dir.join("tdc"), format!("file://{}", models.display()), clock)?,
            ccrp: Ccrp { person: ccrp, ccr, trainer, root, pin },
            psp: Psp { person: person("Payments Ltd", "psp")? },
        })
    }

    /// Everybody gets to know the registry.
    fn join(&mut self, desk: &Client, trust: &Trust) {
        let tdps = self.tdps.iter_mut().map(|t| &mut t.person);
        let rest = [&mut self.tdc.person, &mut self.ccrp.person, &mut self.psp.person];
        self.sro.people.iter_mut().chain(tdps).chain(rest).for_each(|p| p.join(desk, trust));
    }
}

impl House {
    /// Starts every role as a process of its own. Without a folder a temporary one is made, and removed with the house.
    pub fn start(dir: Option<&Path>) -> R<House> {
        House::start_with(dir, &process::sibling("ccr-trainer")?)
    }

    /// The same with another worker binary that speaks the protocol of `ccr-trainer`.
    pub fn start_with(dir: Option<&Path>, worker: &Path) -> R<House> {
        let clock = contract_client::system_clock();
        let (ccr, trainer) = (process::sibling("ccr")?, worker.to_owned());
        let (dir, temporary) = folder(dir)?;
        let start = || {
            let ports = Ports::draw()?;
            let people = People::make(&dir, &ports, &clock, ccr, trainer, 4096)?;
            let (processes, witness) = Processes::start(&dir, &ports, &people)?;
            let place = Place { dir: dir.clone(), temporary, clock, desk: ports.desk };
            House::furnish(place, people, Roles::Processes(processes), witness)
        };
        start().inspect_err(|_| {
            if temporary {
                clear(&dir, &|_| false);
            }
        })
    }

    /// Starts the same applications in this process, under this clock, with a worker binary: `ccr-trainer`, or another
    /// that speaks its protocol. Attestation roots have small keys, so that a house is there in a second.
    pub fn in_process(clock: Clock, worker: &Path) -> R<House> {
        let ccr = match process::sibling("ccr") {
            Ok(ccr) => ccr,
            Err(_) => std::env::current_exe().map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
        };
        let (dir, temporary) = folder(None)?;
        let ports = Ports::draw()?;
        let people = People::make(&dir, &ports, &clock, ccr, worker.to_owned(), 2048)?;
        let (here, witness) = InProcess::start(&dir, &ports, &people, &clock)?;
        House::furnish(
            Place { dir, temporary, clock, desk: ports.desk },
            people,
            Roles::InProcess(Box::new(here)),
            witness,
        )
    }

    fn furnish(place: Place, mut people: People, roles: Roles, witness: (String, Jwk)) -> R<House> {
        let Place { dir, temporary, clock, desk } = place;
        let url = local(desk);
        let desk = Client::new(&url, None)?.with_clock(clock.clone());
        let trust_file = trust_file(&dir);
        let trust = depa::trust::load(&trust_file)?;
        // The file was handed over by the SRO; what the service says of itself must be the same.
        if depa::trust::fetch(&desk)? != trust {
            return Err(Refusal::new(
                Code::PeerFault,
                "the contract service does not say what the SRO's trust file says",
            ));
        }
        people.join(&desk, &trust);
        people.ccrp.configure(&url, &trust_file, &dir.join("storage"))?;
        let People { sro, tdps, tdc, ccrp, psp } = people;
        let (offers, image_set, measurement) = (Vec::new(), None, None);
        Ok(House {
            dir,
            clock,
            url,
            desk,
            trust,
            trust_file,
            sro,
            tdps,
            tdc,
            ccrp,
            psp,
            offers,
            image_set,
            witness,
            measurement,
            roles,
            temporary,
            leave_audit: false,
            leave_logs: false,
        })
    }

    /// Everybody who applies for registration, with the kind applied for.
    pub fn participants(&self) -> Vec<(&Person, schemas::party::Kind)> {
        use schemas::party::Kind;
        let tdps = self.tdps.iter().map(|t| (&t.person, Kind::Tdp));
        let rest = [(&self.tdc.person, Kind::Tdc), (&self.ccrp.person, Kind::Ccrp), (&self.psp.person, Kind::Psp)];
        tdps.chain(rest).collect()
    }

    /// The processes of the house, where it has any.
    pub fn processes(&mut self) -> Option<&mut Processes> {
        match &mut self.roles {
            Roles::Processes(processes) => Some(processes),
            Roles::InProcess(_) => None,
        }
    }

    /// Where the exported log and the trust file of an audit lie.
    pub fn audit_dir(&self) -> PathBuf {
        self.dir.join("audit")
    }

    /// Leaves the files of the audit when a temporary house is taken down.
    pub fn leave_audit(&mut self) {
        self.leave_audit = true;
    }

    /// Leaves the logs when a temporary house is taken down: for whoever looks for a fault. Tables and keys go.
    pub fn leave_logs(&mut self) {
        self.leave_logs = true;
    }

    /// Leaves folder and processes where they are when this value is dropped.
    pub fn keep(&mut self) {
        self.temporary = false;
        temporary().retain(|dir| *dir != self.dir);
        if let Some(processes) = self.processes() {
            processes.keep();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if self.temporary {
            // Roles first: they write into the folder.
            match &mut self.roles {
                Roles::Processes(processes) => processes.stop(),
                Roles::InProcess(here) => {
                    // After every test; a test that fails already says enough.
                    let books = here.check_books();
                    here.stop();
                    assert!(books.is_ok() || std::thread::panicking(), "the books: {books:?}");
                }
            }
            // What is left keeps the folders above it.
            let audit = self.audit_dir();
            clear(&self.dir, &|path| {
                self.leave_audit && path == audit || self.leave_logs && path.extension().is_some_and(|e| e == "log")
            });
        }
    }
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "House({})", self.dir.display())
    }
}

/// Where the SRO lays down what everybody pins.
pub(crate) fn trust_file(dir: &Path) -> PathBuf {
    dir.join("contract-service").join("trust.json")
}

pub(crate) fn make_dir(dir: &Path) -> R<()> {
    fs::create_dir_all(dir).map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", dir.display())))
}

/// Removes a folder and everything below it but for what is to stay.
fn clear(dir: &Path, stays: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if stays(&path) {
            continue;
        }
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            clear(&path, stays);
        } else {
            let _ = fs::remove_file(&path);
        }
    }
    if fs::remove_dir(dir).is_ok() {
        temporary().retain(|known| known != dir);
    }
}

/// The folder of a house: the one asked for, which must be empty, or a temporary one, which its owner alone may enter.
fn folder(asked: Option<&Path>) -> R<(PathBuf, bool)> {
    let fault = |path: &Path, why: String| Refusal::new(Code::ConfigInvalid, format!("{}: {why}", path.display()));
    let path = match asked {
        Some(path) => path.to_owned(),
        None => std::env::temp_dir().join(format!("depa-house-{}", depa::edge::fresh().simple())),
    };
    match asked {
        Some(_) => make_dir(&path)?,
        None => fs::DirBuilder::new().mode(0o700).create(&path).map_err(|e| fault(&path, e.to_string()))?,
    }
    let path = fs::canonicalize(&path).map_err(|e| fault(&path, e.to_string()))?;
    let occupied = fs::read_dir(&path).map_err(|e| fault(&path, e.to_string()))?.next().is_some();
    if occupied {
        return Err(fault(&path, "is not empty; a house starts in a folder of its own".into()));
    }
    if asked.is_none() {
        temporary().push(path.clone());
    }
    Ok((path, asked.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_temporary_folder_is_private_and_only_what_is_to_stay_stays() {
        let (dir, is_temporary) = folder(None).unwrap();
        assert!(is_temporary);
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir_all(dir.join("icmr/kms")).unwrap();
        fs::write(dir.join("icmr/kms/kms.log"), "a line").unwrap();
        fs::write(dir.join("icmr/kms/root.key"), "secret").unwrap();
        fs::create_dir_all(dir.join("tdc")).unwrap();
        clear(&dir, &|path| path.extension().is_some_and(|e| e == "log"));
        assert!(dir.join("icmr/kms/kms.log").exists());
        assert!(!dir.join("icmr/kms/root.key").exists() && !dir.join("tdc").exists());
        clear(&dir, &|_| false);
        assert!(!dir.exists());
    }
}
