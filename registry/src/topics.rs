//! Everything that webhooks tell, by its name: when, to whom, and what a message holds. The list of the handbook
//! (`docs/reference/events.md`) is made of it by a test of the contract service.

/// A kind of message.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// Its name, which is the `type` of its messages.
    pub name: &'static str,
    /// What has happened when it is told.
    pub when: &'static str,
    /// Who hears it.
    pub to: &'static str,
    /// The members of its `data`; one that ends in `?` is not always there.
    pub holds: &'static [&'static str],
}

const ITSELF: &str = "the participant";
const PROVIDER: &str = "the provider";
const USERS: &str = "the provider, and the parties of contracts that use it";
const PARTIES: &str = "the parties of the contract";
const OF_JOB: &str = "the parties of the job's contracts";
const SIDES: &str = "payer and payee";
const PAYERS_HAND: &str = "payment service providers, payer and payee";
const DISPUTANTS: &str = "the parties of its contract, and who opened it";

const PARTICIPANT: &[&str] = &["participant", "index"];
const KEY: &[&str] = &["participant", "thumbprint", "index"];
const VERSION: &[&str] = &["dataset_id", "version", "reason", "index"];
const CONTRACT: &[&str] = &["contract", "index"];
const REASONED: &[&str] = &["contract", "reason", "index"];
const RUN: &[&str] = &["run_id", "contracts", "index"];
const PAYMENT: &[&str] = &[
    "instruction_id",
    "obligation_id?",
    "act?",
    "from_block?",
    "attempt?",
    "due_at?",
    "contract",
    "run_id?",
    "job_sha256?",
    "period?",
    "term_id",
    "line?",
    "payer",
    "payee",
    "currency",
    "amount_minor",
];
const DISPUTE: &[&str] =
    &["dispute_id", "contract", "instruction_id", "suspense", "currency", "amount_minor", "ruling", "index"];

/// All of them.
pub const TOPICS: &[Topic] = &[
    topic("participant.verified", "two people of the SRO verified a participant", ITSELF, PARTICIPANT),
    topic("participant.suspended", "two people of the SRO suspended it", ITSELF, PARTICIPANT),
    topic("participant.withdrawn", "it left, or two people of the SRO withdrew it", ITSELF, PARTICIPANT),
    topic("key.added", "a key of the participant counts from here on", ITSELF, KEY),
    topic("key.retired", "a key signs nothing new", ITSELF, KEY),
    topic("key.revoked", "a key was revoked", ITSELF, KEY),
    topic("key.compromised", "a key was reported to be in other hands", ITSELF, KEY),
    topic(
        "dataset.registered",
        "an offer was registered",
        PROVIDER,
        &["dataset_id", "version", "offer_version", "index"],
    ),
    topic("dataset.suspended", "a version of a dataset is out of use for now", USERS, VERSION),
    topic("dataset.resumed", "it is in use again", USERS, VERSION),
    topic("dataset.withdrawn", "it is out of use for good", USERS, VERSION),
    topic(
        "budget.renewed",
        "a provider raised a privacy budget within what its offer names",
        USERS,
        &["dataset_id", "family", "tdc", "number", "epsilon", "reason", "index"],
    ),
    topic("contract.proposed", "a contract waits for signatures", PARTIES, &["contract", "version", "index"]),
    topic("contract.signed", "a party signed", PARTIES, &["contract", "by", "index"]),
    topic(
        "contract.scheduled",
        "all have signed; the period has not begun",
        PARTIES,
        &["contract", "effective_from", "expires_at", "index"],
    ),
    topic(
        "contract.activated",
        "it is in force, by the last signature (then with its period) or because its period began",
        PARTIES,
        &["contract", "effective_from?", "expires_at?", "index"],
    ),
    topic("contract.declined", "a party, or the SRO, declined", PARTIES, REASONED),
    topic("contract.withdrawn", "it was taken back before it came into force", PARTIES, REASONED),
    topic("contract.lapsed", "it was not fully signed in time", PARTIES, CONTRACT),
    topic(
        "contract.suspended",
        "it is stopped for now, by an act (with its reason) or by the rules",
        PARTIES,
        &["contract", "cause", "reason?", "index"],
    ),
    topic("contract.resumed", "it is in force again", PARTIES, REASONED),
    topic(
        "contract.noticed",
        "a party gave notice; it ends at the time that is named",
        PARTIES,
        &["contract", "cause", "reason", "revokes_at", "index"],
    ),
    topic(
        "contract.revoked",
        "it ended early: by one side, by all its parties (`terminated`), or because its notice is over",
        PARTIES,
        &["contract", "cause?", "reason?", "revokes_at?", "terminated?", "index"],
    ),
    topic("contract.expired", "its period is over", PARTIES, CONTRACT),
    topic("contract.completed", "its runs are done, or its budget pays no further one", PARTIES, REASONED),
    topic("contract.superseded", "a newer version stands in its place", PARTIES, CONTRACT),
    topic("run.attested", "a room showed what it is and was admitted", OF_JOB, RUN),
    topic("run.keys_released", "a room holds the keys of its data", OF_JOB, RUN),
    topic("run.training", "a room began to train", OF_JOB, RUN),
    topic("run.aborted", "a run ended without a model: given up, stopped, or not heard of any more", OF_JOB, RUN),
    topic(
        "run.completed",
        "a run ended with a sealed model",
        OF_JOB,
        &["run_id", "job_sha256", "contracts", "output", "index"],
    ),
    topic("run.delivered", "its consumer got the key of the model", OF_JOB, RUN),
    topic("payment.instructed", "something is to be paid, blocked or given back", PAYERS_HAND, PAYMENT),
    topic("payment.submitted", "it was handed to the payment system", SIDES, PAYMENT),
    topic("payment.accepted", "the payment system took it", SIDES, PAYMENT),
    topic("payment.settled", "it is paid", SIDES, PAYMENT),
    topic("payment.failed", "an attempt failed; it is told again", SIDES, PAYMENT),
    topic("payment.blocked", "a deposit is blocked", SIDES, PAYMENT),
    topic(
        "payment.refunded",
        "money went back, or a ruling took back what was not paid yet (then payment service providers hear it too)",
        SIDES,
        PAYMENT,
    ),
    topic("payment.returned", "what was paid came back", SIDES, PAYMENT),
    topic(
        "webhook.disabled",
        "an endpoint was switched off, because it took nothing for long or is gone",
        "its owner's other endpoints",
        &["endpoint_id", "why"],
    ),
    topic("dispute.opened", "an obligation is disputed, or money came that fits none", DISPUTANTS, DISPUTE),
    topic("dispute.ruled", "two people of the SRO ruled", DISPUTANTS, DISPUTE),
];

/// What waits until a payment service provider listens, and is told until it is taken.
pub const OWED: &[&str] = &["payment.instructed"];

const fn topic(name: &'static str, when: &'static str, to: &'static str, holds: &'static [&'static str]) -> Topic {
    Topic { name, when, to, holds }
}
