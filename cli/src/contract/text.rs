//! A contract in plain language, for whoever has to sign it. The signed bytes count; this is read beside their digest.

use std::fmt::Write as _;

use schemas::contract::{Assurance, Contract, ContractDataset};
use schemas::evidence::EvidenceKind;
use schemas::party::Kind;
use schemas::privacy::{Scope, WITHOUT_PRIVACY};
use schemas::{Envelope, R};

/// The contract in plain language, with its digest first and everyone who has signed last.
pub fn plain_language(envelope: &Envelope<Contract>) -> R<String> {
    let contract = envelope.read_unverified()?;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "Contract {}\n  SHA-256 {}\n  counts in {}\n\n",
        contract.contract_id,
        envelope.digest(),
        contract.registry
    );
    parties(&mut out, &contract);
    let _ = write!(
        out,
        "\nPurpose {} under the law of {}, in force from {} until {} (exclusive).\n\n",
        contract.purpose, contract.jurisdiction, contract.effective_from, contract.expires_at
    );
    let _ = writeln!(out, "Data");
    for dataset in &contract.datasets {
        data(&mut out, dataset);
    }
    room(&mut out, &contract);
    let _ = writeln!(out, "\nPayment");
    for term in &contract.payment {
        let _ = writeln!(out, "  {}", policies::payment::plain(term));
    }
    if contract.payment.is_empty() {
        let _ = writeln!(out, "  nothing is owed");
    }
    ending(&mut out, &contract);
    let _ = writeln!(out, "\nRisk accepted by all parties\n  {}\n", contract.obligations.risk_statement);
    let signed: Vec<&str> = envelope.signatures.iter().map(|s| s.kid.holder.as_str()).collect();
    let _ = writeln!(
        out,
        "Signed by (not verified here): {}",
        if signed.is_empty() { "nobody yet".into() } else { signed.join(", ") }
    );
    Ok(out)
}

fn parties(out: &mut String, contract: &Contract) {
    let _ = writeln!(out, "Parties, all of whom must sign");
    for party in &contract.parties {
        let role = match party.role {
            Kind::Tdp => "data provider",
            Kind::Tdc => "data consumer",
            Kind::Ccrp => "clean-room provider",
            Kind::Psp | Kind::Auditor | Kind::Sro => "other",
        };
        let _ = writeln!(out, "  {role}: {}", party.did);
    }
}

fn data(out: &mut String, dataset: &ContractDataset) {
    let privacy = &dataset.privacy;
    let shared = match privacy.scope {
        Scope::PerTdc => "counted for this consumer alone",
        Scope::Global => "shared with all other consumers",
    };
    let assurance = match dataset.key.min_assurance {
        Assurance::Software => "SIMULATED evidence suffices: no hardware protects this data",
        Assurance::Hardware => "hardware evidence is needed",
    };
    let _ = write!(
        out,
        "  {} version {} of {}\n    columns that may be read: {}\n    joined on: {}; may be predicted: {}\n    \
         all runs together may reveal at most ε = {} at δ = {} about any one person, {shared}\n    \
         prices and rates refer to {} people\n    key {} at {}; {assurance}\n    sealed object {}\n",
        dataset.dataset_id,
        dataset.version,
        dataset.provider,
        dataset.allowed_columns.join(", "),
        dataset.join_keys.join(", "),
        if dataset.target_columns.is_empty() { "nothing".into() } else { dataset.target_columns.join(", ") },
        privacy.epsilon,
        privacy.delta,
        dataset.public_rows,
        dataset.key.key_id,
        dataset.key.kms,
        dataset.manifest_root,
    );
    if privacy.without_differential_privacy {
        let _ = writeln!(
            out,
            "    TRAINING {} IS ALLOWED: the model of such a run may repeat any row, and the ε above does not bound it",
            WITHOUT_PRIVACY.to_uppercase()
        );
    }
}

fn room(out: &mut String, contract: &Contract) {
    let sets: Vec<&str> = contract.compute.image_sets.iter().map(|i| i.as_str()).collect();
    let evidence: Vec<&str> = contract.compute.evidence.iter().map(evidence_kind).collect();
    let _ = write!(
        out,
        "\nClean room\n  only images {} on platform level {}, shown by {}\n  what leaves: {}, encrypted to {} alone\n",
        sets.join(", "),
        contract.compute.platform_level,
        evidence.join(" or "),
        contract.outputs.kinds.join(", "),
        contract.outputs.recipient,
    );
    let rooms = contract.compute.rooms_max.unwrap_or(1);
    if rooms > 1 {
        let _ = writeln!(out, "  one run may take up to {rooms} such rooms together; each of them holds the data");
    }
}

/// A kind of evidence in words; SIMULATED where it is.
pub fn evidence_kind(kind: &EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Software => "SIMULATED evidence of the software attester, which nobody vouches for",
        EvidenceKind::AzureSnp => "evidence of AMD SEV-SNP and a vTPM on Azure",
        EvidenceKind::Snp => "evidence of AMD SEV-SNP",
    }
}

fn ending(out: &mut String, contract: &Contract) {
    let by: Vec<String> = contract.revocation.by.iter().map(|k| format!("{k:?}").to_lowercase()).collect();
    let _ = write!(
        out,
        "\nEarly end\n  may be revoked at once by {} and always by two SRO people; running work is aborted\n",
        if by.is_empty() { "no party".into() } else { by.join(", ") },
    );
}
