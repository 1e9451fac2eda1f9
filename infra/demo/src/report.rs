//! What came of the walk: the one JSON document of `--json`, and the same for people.

use schemas::Digest;
use schemas::contract::{Assurance, ContractState};
use schemas::desk::ObligationView;
use schemas::evidence::EvidenceKind;
use schemas::id::{ContractId, Did, RunId};
use schemas::money::{Currency, Minor};
use schemas::privacy::DatasetCharge;
use schemas::text::Real;
use schemas::worker::NoisedMetrics;
use serde::Serialize;

use crate::narrate::Narrator;

/// The contract.
#[derive(Clone, Debug, Serialize)]
pub struct ContractPart {
    /// Its id.
    pub id: ContractId,
    /// Its digest.
    pub sha256: Digest,
    /// Its state at the end.
    pub state: ContractState,
}

/// The run.
#[derive(Clone, Debug, Serialize)]
pub struct RunPart {
    /// Its id.
    pub id: RunId,
    /// Its state at the end.
    pub state: String,
    /// What it showed; `software` means SIMULATED.
    pub evidence: EvidenceKind,
    /// How strong.
    pub assurance: Assurance,
    /// Whether nobody vouches for the machine it ran on.
    pub simulated: bool,
}

/// What the run spent of everybody's privacy.
#[derive(Clone, Debug, Serialize)]
pub struct PrivacyPart {
    /// ε of the dataset that paid most, as charged, rounded up.
    pub epsilon: Real,
    /// δ of it.
    pub delta: Real,
    /// σ over the clipping norm.
    pub noise_multiplier: Real,
    /// DP-SGD steps.
    pub steps: u32,
    /// Poisson sampling rate.
    pub sample_rate: Real,
    /// σ of the released counts.
    pub metrics_noise_multiplier: Option<Real>,
}

/// The model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelPart {
    /// SHA-256 in the clear.
    pub sha256: Digest,
    /// Computed outside the room.
    pub auc: f64,
    /// Computed outside the room.
    pub accuracy: f64,
    /// Counted outside the room.
    pub test_rows: usize,
    /// Which of these members the demo computed from plaintext that it owns, and no room let out.
    pub computed_outside_the_room: [&'static str; 3],
    /// What the room let out: noised and charged.
    pub noised_metrics: Option<NoisedMetrics>,
}

/// A payment.
#[derive(Clone, Debug, Serialize)]
pub struct PaymentPart {
    /// Who is paid.
    pub payee: Did,
    /// Name of the payee, for people.
    pub name: String,
    /// Minor units.
    pub amount_minor: Minor,
    /// ISO 4217.
    pub currency: Currency,
    /// State at the end.
    pub state: String,
}

/// The log.
#[derive(Clone, Debug, Serialize)]
pub struct LogPart {
    /// Entries.
    pub size: u64,
    /// Merkle root.
    pub root: Digest,
    /// When the witness cosigned it.
    pub cosigned_at: Option<schemas::Timestamp>,
}

/// The audit.
#[derive(Clone, Debug, Serialize)]
pub struct AuditPart {
    /// Whether the exported log verified offline.
    pub verified: bool,
    /// The command that does it again.
    pub command: String,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The contract.
    pub contract: ContractPart,
    /// The run.
    pub run: RunPart,
    /// What it spent.
    pub privacy: PrivacyPart,
    /// The model.
    pub model: ModelPart,
    /// Rows of the join; counted outside the room.
    pub joined_rows: usize,
    /// What fell due and became of it.
    pub payments: Vec<PaymentPart>,
    /// Deliveries at the payment system, each once.
    pub webhooks_received: usize,
    /// The log.
    pub log: LogPart,
    /// The audit.
    pub audit: AuditPart,
    /// Seconds per step, and in all.
    pub seconds: serde_json::Map<String, serde_json::Value>,
}

impl PrivacyPart {
    /// Of the charges and the plan of a certificate.
    pub fn of(plan: &schemas::privacy::Plan) -> Option<PrivacyPart> {
        let most: &DatasetCharge = plan.charges.iter().max_by_key(|c| c.epsilon_micro)?;
        let (whole, micro) = (most.epsilon_micro / 1_000_000, most.epsilon_micro % 1_000_000);
        Some(PrivacyPart {
            epsilon: Real::parse(&format!("{whole}.{micro:06}")).ok()?,
            delta: most.delta.clone(),
            noise_multiplier: plan.noise_multiplier.clone(),
            steps: plan.steps,
            sample_rate: plan.sample_rate.clone(),
            metrics_noise_multiplier: plan.metrics_noise_multiplier.clone(),
        })
    }
}

impl PaymentPart {
    /// Of what the contract service shows.
    pub fn of(view: &ObligationView, name: String) -> PaymentPart {
        PaymentPart {
            payee: view.payee.clone(),
            name,
            amount_minor: view.amount_minor,
            currency: view.currency,
            state: view.state.clone(),
        }
    }
}

impl Report {
    /// Says it to people.
    pub fn tell(&self, narrator: &mut Narrator) {
        narrator.part("What came of it");
        let (m, p) = (&self.model, &self.privacy);
        narrator.line(&format!(
            "  model      AUC {:.4}, accuracy {:.4} on {} held-out people; {} people joined (all computed outside the room)",
            m.auc, m.accuracy, m.test_rows, self.joined_rows
        ));
        if let Some(noised) = &m.noised_metrics {
            let accuracy = f64::from(noised.accuracy_ppm) / 1e6;
            narrator.line(&format!("             accuracy {accuracy:.2} as the room let it out: noised, charged"));
        }
        narrator.line(&format!(
            "  privacy    ε {} and δ {} spent of every provider's data (σ {}, {} steps, sampling rate {})",
            p.epsilon, p.delta, p.noise_multiplier, p.steps, p.sample_rate
        ));
        for payment in &self.payments {
            narrator.line(&format!("  payment    {} to {}: {}", amount(payment), payment.name, payment.state));
        }
        narrator.line(&format!("  webhooks   {} received by the payment system, each once", self.webhooks_received));
        narrator.line(&format!("  log        {} entries, root {}", self.log.size, self.log.root.short()));
        if self.run.simulated {
            narrator.line(
                "  evidence   SIMULATED: software attestation, for rehearsals only; nobody vouches for this machine",
            );
        }
        narrator.line(&format!("  audit      verified; again, offline:\n             {}", self.audit.command));
    }
}

fn amount(payment: &PaymentPart) -> String {
    let minor = payment.amount_minor.get();
    format!("{} {}.{:02}", payment.currency, minor / 100, minor % 100)
}
