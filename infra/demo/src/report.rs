//! What came of the walk: the one JSON document of `--json`, and the same for people.

use schemas::contract::{Assurance, ContractRef, ContractState};
use schemas::desk::{ObligationView, RunView};
use schemas::evidence::EvidenceKind;
use schemas::id::{ContractId, Did, RunId};
use schemas::money::{Currency, Minor};
use schemas::privacy::DatasetCharge;
use schemas::text::Real;
use schemas::worker::NoisedMetrics;
use schemas::{Digest, R};
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

/// The run as the room lived it, part by part.
#[derive(Clone, Debug, Serialize)]
pub struct RoomPart {
    /// Seconds from the order taken to the entry of completion.
    pub seconds: f64,
    /// Its parts in order.
    pub parts: Vec<PartOfRun>,
}

/// A part of a run.
#[derive(Clone, Debug, Serialize)]
pub struct PartOfRun {
    /// Its name: `attest` (check, show evidence, reserve), `decrypt` (get the keys and open), `join`, `train`, `seal`
    /// (commit, upload, complete).
    pub part: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// Of all seconds of the run, 0 to 1.
    pub share: f64,
}

/// Which steps make up a part.
const PARTS: [(&str, &[&str]); 5] = [
    ("attest", &["admit", "check_in", "reserve"]),
    ("decrypt", &["release", "open_data"]),
    ("join", &["join"]),
    ("train", &["train"]),
    ("seal", &["commit", "complete"]),
];

impl RoomPart {
    /// Of the seconds of every step.
    pub fn of(seconds: &serde_json::Map<String, serde_json::Value>) -> RoomPart {
        let of_step = |step: &&str| seconds.get(*step).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        let took = PARTS.map(|(part, steps)| (part, steps.iter().map(of_step).sum::<f64>()));
        let whole: f64 = took.iter().map(|(_, seconds)| seconds).sum();
        let round = |number: f64| (number * 1000.0).round() / 1000.0;
        let share = |seconds: f64| if whole > 0.0 { round(seconds / whole) } else { 0.0 };
        let part = |(part, seconds)| PartOfRun { part, seconds: round(seconds), share: share(seconds) };
        RoomPart { seconds: round(whole), parts: took.map(part).into() }
    }

    /// In a line.
    pub fn words(&self) -> String {
        let part = |p: &PartOfRun| format!("{} {:.0} %", p.part, p.share * 100.0);
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        format!("{:.1} s from the order taken to the entry of completion: {}", self.seconds, parts.join(", "))
    }
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
    /// The run by its parts.
    pub room: RoomPart,
    /// Seconds per step, and in all.
    pub seconds: serde_json::Map<String, serde_json::Value>,
}

impl PrivacyPart {
    /// Of the charges and the plan of a certificate.
    pub fn of(plan: &schemas::privacy::Plan) -> Option<PrivacyPart> {
        let most: &DatasetCharge = plan.charges.iter().max_by_key(|c| c.epsilon_micro).filter(|c| c.is_private())?;
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

impl ContractPart {
    /// A contract with the state that the desk tells.
    pub fn of(desk: &contract_client::Client, contract: ContractRef) -> R<ContractPart> {
        Ok(ContractPart { state: depa::contract::state(desk, &contract.id)?, id: contract.id, sha256: contract.sha256 })
    }
}

impl RunPart {
    /// Of what the contract service shows.
    pub fn of(view: RunView) -> RunPart {
        RunPart {
            id: view.run_id,
            state: view.state,
            evidence: view.evidence,
            assurance: view.assurance,
            simulated: view.evidence == EvidenceKind::Software,
        }
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
        narrator.line(&format!("  room       {}", self.room.words()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_run_add_up_and_other_steps_are_none_of_it() {
        let seconds = serde_json::json!({
            "start": 9.0, "admit": 0.5, "check_in": 0.25, "reserve": 0.25, "release": 0.5, "open_data": 0.5, "join": 0.25,
            "train": 1.5, "commit": 0.125, "complete": 0.125, "total": 20.0,
        });
        let room = RoomPart::of(seconds.as_object().unwrap());
        let shares: Vec<_> = room.parts.iter().map(|p| (p.part, p.share)).collect();
        let expected = [("attest", 0.25), ("decrypt", 0.25), ("join", 0.063), ("train", 0.375), ("seal", 0.063)];
        assert_eq!((room.seconds, shares), (4.0, expected.to_vec()));
        assert!(room.words().contains("train 38 %"), "{}", room.words());
        assert_eq!(RoomPart::of(&serde_json::Map::new()).seconds, 0.0);
    }
}
