//! The roles as threads of this process, under one clock: the same applications as the processes run.

use std::net::SocketAddr;
use std::path::Path;

use contract_client::Client;
use contract_service::witness::RunningWitness;
use contract_service::{WitnessPeer, init_witness};
use depa::webhook::receiver::{Check, Payer, Receiver};
use kms_adapter::Profile;
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal, Signer as _};

use super::processes::witness_name;
use super::{People, Ports, local, make_dir, trust_file};
use crate::actors::{Clock, Psp};

/// The running applications. Dropping them stops them.
pub struct InProcess {
    desk: Option<contract_service::Running>,
    witness: Option<RunningWitness>,
    kms: Vec<kms_adapter::Running>,
    payments: Option<depa::webhook::Running>,
    clock: Clock,
    webhook_port: u16,
}

impl InProcess {
    pub(super) fn start(dir: &Path, ports: &Ports, people: &People, clock: &Clock) -> R<(InProcess, (String, Jwk))> {
        let folder = dir.join("contract-service");
        let mut config = contract_service::init(&folder, &local(ports.desk), people.sro.public())?;
        config.software_roots = vec![people.ccrp.pin];
        config.webhooks.poll_millis = 20;
        let trust = trust_file(dir);
        let name = witness_name(ports);
        let (mut witness, jwk) = init_witness(&dir.join("witness"), &name, &[&trust])?;
        witness.bind = at(ports.witness);
        config.witnesses = vec![WitnessPeer { url: local(ports.witness), name: name.clone(), jwk: jwk.clone() }];
        let witness = RunningWitness::start(&witness, clock.clone())?;
        // The SRO hands out its trust again, now with the witness. No quorum is asked for: tests move the clock by hours.
        let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", trust.display()));
        std::fs::remove_file(&trust).map_err(fault)?;
        depa::edge::write_json(&trust, &contract_service::trust(&config)?)?;
        let desk = contract_service::Service::start(config, clock.clone())?;
        let mut kms = Vec::new();
        for (tdp, port) in people.tdps.iter().zip(ports.kms) {
            let folder = tdp.person.dir.join("kms");
            let mut config = kms_adapter::Config::new(Profile::Demo, &tdp.kms, &folder, &tdp.person.did, &trust);
            config.listen.set_port(port);
            config.provider_jwk = Some(tdp.person.key.jwk().clone());
            config.software_roots = vec![people.ccrp.pin];
            kms_adapter::init(&config)?;
            kms.push(kms_adapter::Service::start(config, clock.clone())?);
        }
        let (clock, webhook_port) = (clock.clone(), ports.webhook);
        let here = InProcess { desk: Some(desk), witness: Some(witness), kms, payments: None, clock, webhook_port };
        Ok((here, (name, jwk)))
    }

    /// Starts the payment system's receiver.
    pub(super) fn pays(&mut self, psp: &Psp, desk: &Client) -> R<()> {
        make_dir(&psp.person.dir)?;
        let created = psp.subscribe(&local(self.webhook_port))?;
        let payer = Payer { client: desk.clone(), key: psp.person.key.clone(), trust: psp.person.trust()?.clone() };
        let receiver = Receiver {
            address: at(self.webhook_port),
            journal: psp.journal(),
            check: Check::Secret(created.secret),
            payer: Some(payer),
            clock: self.clock.clone(),
        };
        self.payments = Some(receiver.start(|_| {})?);
        Ok(())
    }

    /// Checks the books of the contract service, where it still runs.
    pub fn check_books(&self) -> R<()> {
        self.desk.as_ref().map_or(Ok(()), contract_service::Running::check_books)
    }

    /// Stops everything.
    pub fn stop(&mut self) {
        if let Some(payments) = self.payments.take() {
            payments.stop();
        }
        drop(self.desk.take());
        self.kms.clear();
        drop(self.witness.take());
    }
}

/// A port on loopback.
fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
