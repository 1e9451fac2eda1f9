//! One enrolment link per role, for whoever walks through the portal after the demo. They work once, for a day, on
//! `localhost`; the signing key of each role lies in its folder and is taken in by the browser as a file.

use std::path::PathBuf;
use std::process::Command;

use schemas::R;

use crate::actors::Person;
use crate::house::House;
use crate::house::process::{once, sibling};

/// A link for somebody of a role.
#[derive(Debug)]
pub struct Link {
    /// Whose person it makes.
    pub name: String,
    /// Opened in a browser, once.
    pub url: String,
    /// What signs for that role.
    pub key: PathBuf,
}

/// A link for each role of a house of processes.
pub fn links(house: &House) -> R<Vec<Link>> {
    let service = sibling("contract-service")?;
    let config = house.dir.join("contract-service").join("config.toml");
    let link = |(person, roles): (&Person, &[&str])| {
        let mut enrol = Command::new(&service);
        enrol.arg("enrol").arg("--config").arg(&config).arg("--did").arg(person.did.as_str());
        enrol.arg("--name").arg(&person.name);
        for role in roles {
            enrol.arg("--role").arg(role);
        }
        let url = once("contract-service enrol", &mut enrol)?.trim().to_owned();
        Ok(Link { name: person.name.clone(), url, key: person.key_file() })
    };
    let tdps = house.tdps.iter().map(|tdp| (&tdp.person, &["tdp_admin", "signer"][..]));
    let rest = [(&house.tdc.person, &["tdc_admin", "signer"][..]), (&house.ccrp.person, &["ccr_operator"][..])];
    let sro = house.sro.people.iter().map(|person| (person, &["sro_admin", "sro_auditor"][..]));
    tdps.chain(rest).chain(sro).map(link).collect()
}
