//! Points 6 and 7: the certificates VCEK, ASK, ARK (AMD 57230), the pin of the root, and the poison of software roots.

use openssl::pkey::{PKey, Public};
use schemas::evidence::EvidenceKind;
use schemas::platform::Product;

use crate::appraise::Case;
use crate::checks::Checks;
use crate::policy;
use crate::snp::certificate::{
    BASIC_CONSTRAINTS, Certificate, Endorsement, Extension, KEY_USAGE, KeyKind, POISON, SOFTWARE,
};
use crate::snp::crl;

/// A chain that could be read; whether it is trusted stands in the checks.
pub(crate) struct Chain {
    /// By the pin of the root; for software by what the VCEK says.
    pub product: Option<Product>,
    pub leaf: Endorsement,
    pub leaf_key: PKey<Public>,
}

/// Judges the chain. `None` if a certificate cannot be read, which fails `chain_form` or `vcek_form`.
pub(crate) fn judge(case: &Case, checks: &mut Checks) -> Option<Chain> {
    let software = case.evidence.kind == EvidenceKind::Software;
    let mut read = Vec::new();
    for (bytes, name) in case.evidence.certificates.iter().zip(["VCEK", "ASK", "ARK"]) {
        match Certificate::read(&bytes.0) {
            Some(certificate) => read.push(certificate),
            None => checks.judge("chain_form", false, format!("the {name} is not a certificate of AMD's form")),
        }
    }
    let [leaf, ask, ark] = read.as_slice() else { return None };

    // The root: its key is pinned, and only by the profile that the evidence claims.
    let pinned = if software { None } else { policy::amd_root(&ark.spki()) };
    let trusted = pinned.is_some() || software && case.policy.pins_software(&ark.spki());
    checks.judge("chain_root", trusted, format!("root key {}", ark.spki()));
    checks.record.root_sha256 = Some(ark.spki());
    let signed = [(ark, ark), (ask, ark), (leaf, ask)].iter().all(|(child, parent)| child.is_signed_by(parent));
    checks.judge("chain_signatures", signed, "ARK by itself, ASK by ARK, VCEK by ASK: RSASSA-PSS with SHA-384");
    let valid = [leaf, ask, ark].iter().all(|c| c.is_valid_at(case.now));
    checks.judge("chain_validity", valid, format!("at {}", case.now));
    checks.outcome("poison", poison([leaf, ask, ark], software));
    crl::judge(case, [leaf, ask, ark], checks);

    let product_name = if software { Some(SOFTWARE) } else { pinned.map(Product::name) };
    checks.outcome("chain_form", form([leaf, ask, ark], product_name));
    match leaf.facts() {
        Ok(facts) => {
            let product = if software { named_product(&facts.product_name) } else { pinned };
            checks.outcome("vcek_form", accepted_key(case, &facts, product));
            Some(Chain { product, leaf: facts, leaf_key: leaf.key.clone() })
        }
        Err(reason) => {
            checks.judge("vcek_form", false, reason);
            None
        }
    }
}

/// The endorsement key is of a kind that the policy takes, and of the root's product.
fn accepted_key(case: &Case, facts: &Endorsement, product: Option<Product>) -> Result<String, String> {
    if facts.kind == KeyKind::Vlek && !case.policy.vlek {
        return Err("a provider's VLEK is not taken by this policy".to_owned());
    }
    if product.is_some() && named_product(&facts.product_name) != product {
        return Err(format!("the key is of {}", facts.product_name));
    }
    Ok(format!("{} of {}", facts.kind.subject(), facts.product_name))
}

fn named_product(name: &str) -> Option<Product> {
    // Siena and Bergamo are of Genoa's line.
    let name = name.replace("Siena", "Genoa").replace("Bergamo", "Genoa");
    Product::ALL.into_iter().find(|p| name.starts_with(p.name()))
}

/// Software certificates all carry the poison; hardware ones never do, critical or not.
fn poison(chain: [&Certificate; 3], software: bool) -> Result<String, String> {
    let carries = |c: &&Certificate| c.extensions.iter().any(|e| e.oid == POISON);
    let critical = |c: &&Certificate| c.extensions.iter().any(|e| e.oid == POISON && e.critical);
    match software {
        true if chain.iter().all(critical) => Ok("SIMULATED: marked as software".to_owned()),
        true => Err("a software certificate without its critical mark".to_owned()),
        false if chain.iter().any(carries) => Err("a certificate of the software attester".to_owned()),
        false => Ok("no software mark".to_owned()),
    }
}

fn form(chain: [&Certificate; 3], product: Option<&str>) -> Result<String, String> {
    let [leaf, ask, ark] = chain;
    if !ark.issued(ark) || !ark.issued(ask) || !ask.issued(leaf) {
        return Err("issuer and subject do not follow each other".to_owned());
    }
    if !ark.is_ca() || !ask.is_ca() || leaf.extensions.iter().any(|e| e.oid == BASIC_CONSTRAINTS) {
        return Err("ARK and ASK must be authorities, the VCEK none".to_owned());
    }
    let understood = [BASIC_CONSTRAINTS.as_slice(), KEY_USAGE.as_slice(), POISON.as_slice()];
    let known = |e: &Extension| !e.critical || understood.contains(&e.oid.as_slice());
    if !chain.iter().all(|c| c.extensions.iter().all(known)) {
        return Err("an unknown critical extension".to_owned());
    }
    let product = product.ok_or("the names cannot be compared: the root is unknown")?;
    let vlek = leaf.common_name().as_deref() == Some(KeyKind::Vlek.subject());
    let kind = if vlek { KeyKind::Vlek } else { KeyKind::Vcek };
    let names = [(ark, format!("ARK-{product}")), (ask, kind.issuer(product)), (leaf, kind.subject().to_owned())];
    for (certificate, wanted) in names {
        let found = certificate.common_name();
        if found.as_deref() != Some(&wanted) {
            return Err(format!("{} stands where {wanted} is expected", found.unwrap_or_default()));
        }
    }
    Ok(format!("ARK, ASK and {} of {product}", kind.subject()))
}
