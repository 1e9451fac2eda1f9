//! The roles as processes: contract service, log witness, three key services; later the provider's agent, which starts
//! `ccr` and with it `ccr-trainer`, and the payment system's webhook receiver.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;

use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal, Signer as _};
use serde_json::Value;

use super::process::{Process, once, sibling};
use super::{People, Ports, local, trust_file};
use crate::actors::{Ccrp, Psp};

/// The running processes.
#[derive(Debug)]
pub struct Processes {
    all: Vec<Process>,
    ports: Ports,
}

impl Processes {
    pub(super) fn start(dir: &Path, ports: &Ports, people: &People) -> R<(Processes, (String, Jwk))> {
        let mut house = Processes { all: Vec::new(), ports: *ports };
        let service = sibling("contract-service")?;
        let folder = dir.join("contract-service");
        let mut init = Command::new(&service);
        init.arg("init").arg("--dir").arg(&folder).arg("--url").arg(local(ports.desk));
        for person in people.sro.public() {
            init.arg("--sro").arg(format!("{}={}", person.name, person.did));
        }
        init.arg("--software-root").arg(people.ccrp.pin.to_string());
        once("contract-service init", &mut init)?;

        let name = witness_name(ports);
        let witness_dir = dir.join("witness");
        let mut init = Command::new(&service);
        init.arg("witness-init").arg("--dir").arg(&witness_dir).arg("--name").arg(&name);
        init.arg("--bind").arg(format!("127.0.0.1:{}", ports.witness));
        let made = once("contract-service witness-init", init.arg("--trust").arg(trust_file(dir)))?;
        let jwk = witness_key(&made)?;
        let mut witness = Command::new(&service);
        witness.arg("witness").arg("--config").arg(witness_dir.join("witness.toml"));
        house.launch("witness", &witness_dir, &mut witness, ports.witness, "/livez")?;

        // In the file, so that a house which is kept and started again by hand has its witness too.
        let config = folder.join("config.toml");
        name_witness(&config, &local(ports.witness), &name, &jwk)?;
        // The SRO hands out its trust again, now with the witness: rooms and key services ask for its cosignature.
        let mut trust = Command::new(&service);
        trust.arg("trust").arg("--config").arg(&config);
        let printed = once("contract-service trust", &mut trust)?;
        std::fs::write(trust_file(dir), printed)
            .map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", trust_file(dir).display())))?;
        let mut desk = Command::new(&service);
        desk.arg("serve").arg("--config").arg(&config);
        house.launch("contract-service", &folder, &mut desk, ports.desk, "/readyz")?;

        let kms = sibling("kms-adapter")?;
        for (tdp, port) in people.tdps.iter().zip(ports.kms) {
            let folder = tdp.person.dir.join("kms");
            let jwk_file = tdp.person.dir.join("signing.pub.json");
            depa::edge::write_json(&jwk_file, tdp.person.key.jwk())?;
            let mut init = Command::new(&kms);
            init.arg("init").arg("--dir").arg(&folder).arg("--provider").arg(tdp.person.did.as_str());
            init.arg("--provider-jwk").arg(&jwk_file).arg("--url").arg(&tdp.kms).arg("--trust").arg(trust_file(dir));
            init.arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--profile").arg("demo");
            once("kms-adapter init", init.arg("--software-root").arg(people.ccrp.pin.to_string()))?;
            let mut serve = Command::new(&kms);
            serve.arg("serve").arg("--config").arg(folder.join("kms.toml"));
            house.launch(&format!("kms-{}", tdp.kind.name()), &folder, &mut serve, port, "/readyz")?;
        }
        Ok((house, (name, jwk)))
    }

    /// Starts the provider's agent and the payment system.
    pub(super) fn open(&mut self, desk: &str, trust: &Path, ccrp: &Ccrp, psp: &Psp) -> R<()> {
        let depa = sibling("depa")?;
        psp.subscribe(&local(self.ports.webhook))?;
        let mut listen = Command::new(&depa);
        listen.arg("webhook").arg("listen").arg("--address").arg(format!("127.0.0.1:{}", self.ports.webhook));
        listen.arg("--endpoint").arg(psp.endpoint_file()).arg("--journal").arg(psp.journal());
        listen
            .arg("--registry")
            .arg(desk)
            .arg("--key")
            .arg(psp.person.key_file())
            .arg("--trust")
            .arg(trust)
            .arg("--pay");
        self.all.push(Process::start("payments", &psp.person.dir, &mut listen)?);
        let mut agent = Command::new(&depa);
        agent.arg("ccr").arg("agent").arg("--registry").arg(desk).arg("--key").arg(ccrp.person.key_file());
        agent.arg("--ccr").arg(&ccrp.ccr).arg("--config").arg(ccrp.config_file());
        agent.arg("--work").arg(ccrp.person.dir.join("runs"));
        self.all.push(Process::start("agent", &ccrp.person.dir, &mut agent)?);
        self.agent_is_ready()
    }

    fn agent_is_ready(&mut self) -> R<()> {
        let began = std::time::Instant::now();
        while !self.agent_says().iter().any(|v| v.get("event").and_then(Value::as_str) == Some("agent_ready")) {
            self.alive()?;
            if began.elapsed() > std::time::Duration::from_secs(20) {
                return Err(Refusal::new(Code::Timeout, "the provider's agent is not ready after 20 s"));
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    }

    fn launch(&mut self, name: &str, dir: &Path, command: &mut Command, port: u16, path: &str) -> R<()> {
        let mut process = Process::start(name, dir, command)?;
        process.ready(port, path)?;
        self.all.push(process);
        Ok(())
    }

    /// Refuses with the end of its log if a role has ended.
    pub fn alive(&mut self) -> R<()> {
        self.all.iter_mut().try_for_each(Process::alive)
    }

    /// The role of this name.
    pub fn role(&self, name: &str) -> Option<&Process> {
        self.all.iter().find(|p| p.name() == name)
    }

    /// The JSON lines that the agent has written so far: its own events and the room's progress, public figures only.
    pub fn agent_says(&self) -> Vec<Value> {
        let Some(agent) = self.role("agent") else { return Vec::new() };
        let Ok(log) = std::fs::File::open(agent.log()) else { return Vec::new() };
        BufReader::new(log).lines().map_while(Result::ok).filter_map(|l| serde_json::from_str(&l).ok()).collect()
    }

    /// Names, process ids and addresses, for people.
    pub fn addresses(&self) -> Vec<(String, u32, Option<String>)> {
        let port = |name: &str| match name {
            "contract-service" => Some(self.ports.desk),
            "witness" => Some(self.ports.witness),
            "kms-icmr" => Some(self.ports.kms[0]),
            "kms-cowin" => Some(self.ports.kms[1]),
            "kms-statewarroom" => Some(self.ports.kms[2]),
            "payments" => Some(self.ports.webhook),
            _ => None,
        };
        self.all.iter().map(|p| (p.name().to_owned(), p.id(), port(p.name()).map(local))).collect()
    }

    /// Lets all of them run on when the house ends.
    pub fn keep(&mut self) {
        self.all.iter_mut().for_each(Process::keep);
    }

    /// Ends all: every one is told to, then waited for.
    pub fn stop(&mut self) {
        self.all.iter().for_each(Process::ask_to_end);
        self.all.clear();
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.all.iter().filter(|p| !p.is_kept()).for_each(Process::ask_to_end);
    }
}

/// Writes a witness and a quorum of one into the configuration of a contract service, which stays as it is otherwise.
pub fn name_witness(config: &Path, url: &str, name: &str, jwk: &Jwk) -> R<()> {
    let fault = |why: &dyn std::fmt::Display| Refusal::new(Code::ConfigInvalid, format!("{}: {why}", config.display()));
    let text = std::fs::read_to_string(config).map_err(|e| fault(&e))?;
    let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| fault(&e))?;
    let peer = serde_json::json!([{ "url": url, "name": name, "jwk": jwk }]);
    table.insert("witnesses".into(), toml::Value::try_from(peer).map_err(|e| fault(&e))?);
    table.insert("witness_quorum".into(), 1.into());
    let text = toml::to_string_pretty(&table).map_err(|e| fault(&e))?;
    std::fs::write(config, text).map_err(|e| fault(&e))
}

/// The name on the witness's cosignatures.
pub(super) fn witness_name(ports: &Ports) -> String {
    format!("localhost:{}/witness", ports.witness)
}

fn witness_key(printed: &str) -> R<Jwk> {
    let bad = || Refusal::new(Code::PeerFault, "contract-service witness-init printed no key");
    let value: Value = serde_json::from_str(printed).map_err(|_| bad())?;
    serde_json::from_value(value.get("jwk").cloned().ok_or_else(bad)?).map_err(|_| bad())
}
