//! The table of refusals: every code that these tests bring about through the real services, and by what.

use std::collections::BTreeSet;
use std::path::Path;

use schemas::Code;

/// Code and cause, in the order of `schemas::problem`.
const TESTED: [(Code, &str); 100] = [
    (Code::MalformedJson, "a body that is no JSON, is cut off, or goes on after its end"),
    (Code::DuplicateMember, "a member that stands twice, at any depth"),
    (Code::SchemaMismatch, "a member that is unknown or missing; one document sent as another"),
    (Code::NotCanonical, "signed bytes in another spelling"),
    (Code::BodyTooLarge, "one byte more than the route's limit"),
    (Code::MediaType, "a body that is not called JSON"),
    (Code::LimitExceeded, "sealed weights larger than a model may be"),
    (Code::NotFound, "a path that is none"),
    (Code::MethodNotAllowed, "a method that the path does not have"),
    (Code::SignatureInvalid, "a flipped bit; another key; other bytes; under contract, job, receipt, completion"),
    (Code::SignatureMissing, "a contract that one party has not signed, entered by a registry that was taken over"),
    (Code::SignatureForm, "a signature under a name that its header does not have"),
    (Code::SignatureContext, "a run request for another act, challenge or service"),
    (Code::SignerUnknown, "a key that nobody vouches for"),
    (Code::SignerNotParty, "somebody who has no say: under a contract, a job, a revocation, an abort, a completion"),
    (Code::SignerTwice, "a party that signs twice"),
    (Code::WrongRegistry, "a document of another registry"),
    (Code::TwoPeopleNeeded, "one SRO person alone"),
    (Code::Unauthenticated, "no token, no good token, an unknown key, another provider's token"),
    (Code::Forbidden, "what is for others: content key, export, orders"),
    (Code::TokenReplayed, "an assertion used twice"),
    (Code::IdempotencyKeyMissing, "an act without its key"),
    (Code::IdempotencyKeyReused, "one key for two acts"),
    (Code::ParticipantNotVerified, "a payment answered by somebody who is no payment system"),
    (Code::ImageSetNotApproved, "an approval of the room that has ended"),
    (
        Code::ImageSetRevoked,
        "an image set withdrawn after check-in: at check-in, Admission, reservation, release, renewal",
    ),
    (Code::ContractUnknown, "a contract of others"),
    (Code::ContractPeriod, "a contract proposed after its end"),
    (Code::ContractNotActive, "a contract that lacks a signature"),
    (Code::ContractNotYetValid, "a contract before its period"),
    (Code::ContractExpired, "a contract after its period, also between order and check-in"),
    (Code::ContractRevoked, "a revoked contract: at order, check-in, Admission, release, renewal"),
    (Code::StateTransition, "a job ordered twice"),
    (Code::DeltaTooLarge, "a larger δ than contracted"),
    (Code::EpsilonOutOfRange, "a contract beyond the provider's cap"),
    (Code::AssuranceTooLow, "simulated evidence for a key that asks for hardware"),
    (Code::PurposeNotAllowed, "another purpose than contracted"),
    (Code::JobExpired, "a job after its time"),
    (Code::PipelineInvalid, "two outputs; a table left out"),
    (Code::PipelineRawOutput, "the join, a sealed table, or a table of any kind to an output"),
    (
        Code::NotPrivateEnforced,
        "a contract whose budget machines keep, with leave to train without differential privacy",
    ),
    (Code::PipelineNotPrivate, "training without differential privacy"),
    (Code::PipelineColumn, "a column that the contract does not allow"),
    (Code::PipelineJoinKey, "a join on a column that is no join key"),
    (Code::PipelineTarget, "a target that the contract does not allow"),
    (Code::PipelineBounds, "bounds that are not the offer's"),
    (Code::PipelineRecipient, "a model for somebody else"),
    (Code::EpsilonExceedsContract, "more ε than contracted"),
    (Code::RoomsNotAllowed, "a job for two rooms under a contract that says nothing of rooms"),
    (Code::SqlUnsupported, "SQL that is no plain join"),
    (Code::WeightsUnsealed, "a job whose weights lie nowhere sealed"),
    (Code::WeightsMismatch, "weights with another SHA-256 than the job names"),
    (Code::EvidenceForm, "simulated evidence that is called a hardware's, in production"),
    (Code::EvidenceRefused, "changed code, changed worker, unpinned root, old evidence, swapped key, production"),
    (Code::EvidenceNotAllowed, "a kind of evidence that the contract does not accept"),
    (Code::TranscriptMismatch, "a transcript of another challenge, job, run, nonce or service"),
    (Code::ChallengeUnknown, "a challenge that nobody gave, or another service did"),
    (Code::ChallengeUsed, "a challenge used twice, also after a failure"),
    (Code::ChallengeExpired, "a challenge after its two minutes"),
    (Code::AdmissionStale, "an Admission after its minute, as after a revocation"),
    (Code::RunUnknown, "a run of others"),
    (Code::RunKeyMismatch, "an encryption key swapped on the way; keys of an earlier run; another run's reservation"),
    (Code::RunState, "a second room for an order; a report, completion or renewal after the end"),
    (Code::RequestReplayed, "a signed request used twice"),
    (Code::BudgetExceeded, "a second run; a run beyond the cap; nineteen of twenty at once; a sketch beyond the cap"),
    (Code::BudgetRenewalInvalid, "a renewal that leaves a number out"),
    (Code::BudgetRenewalTooLarge, "a renewal beyond the total that the offer says"),
    (Code::BudgetRenewalExists, "the same renewal twice"),
    (Code::ReservationExpired, "a reservation after its time"),
    (Code::ReservationsIncomplete, "a release before every key service has reserved"),
    (Code::LeaseExpired, "an output after the lease ran out"),
    (Code::CommitConflict, "a second output"),
    (Code::KeyUnknown, "a key of weights for another sealed object"),
    (Code::StatusListStale, "a status list of the time before the revocation"),
    (Code::KbsTee, "a simulated guest of the KBS protocol, in production"),
    (Code::MeasurementNotAllowed, "a room of a group that runs other code, on either side"),
    (Code::GroupIncomplete, "a job for more rooms than are there"),
    (Code::GroupMemberLost, "a member room that hangs up"),
    (Code::RoomStopped, "a room that its provider told to stop"),
    (Code::PublicCountExceeded, "a table with more people than its provider's public count"),
    (Code::WorkerFailed, "a room that dies"),
    (Code::SealedForm, "an object that is none; a byte too many"),
    (Code::SealedTampered, "a flipped bit, a flipped tag, chunks swapped or doubled"),
    (Code::SealedTruncated, "an object that ends early"),
    (Code::SealedWrongObject, "another version, another dataset"),
    (Code::JweRefused, "a wrapped key for other eyes, or lifted to another transcript"),
    (Code::CompletionReceipts, "receipts missing, doubled, of another run, of another output"),
    (Code::CompletionMismatch, "other steps, another job"),
    (Code::CompletionExists, "a second completion of a run"),
    (Code::KeyWithheld, "the content key before the completion"),
    (Code::PaymentUnknown, "an answer to an instruction that nobody gave"),
    (Code::PaymentState, "a second answer to an instruction"),
    (Code::StorageDenied, "a bucket that is asked with a wrong secret"),
    (Code::AddressRefused, "weights outside of the room's storage, a bucket that it does not list"),
    (Code::CheckpointInvalid, "a checkpoint that the witness did not cosign"),
    (Code::ReceiptMismatch, "a receipt of another document"),
    (Code::LogTampered, "an export in which any one entry was changed, left out, doubled or moved"),
    (Code::Internal, "a fault of the room's own program"),
    (Code::ConfigInvalid, "metrics under the file name of a model"),
    (Code::ProductionRefused, "a service of this build under profile production"),
];

/// Codes that the tests name to say that something else did not happen.
const NAMED_ONLY: [&str; 2] = ["PeerFault", "PeerUnreachable"];

#[test]
fn the_table_is_what_the_tests_bring_about() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("house").join("refusals");
    let mut named = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("codes.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for (at, mark) in text.match_indices("Code::") {
            let word: String = text[at + mark.len()..].chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            if word != "parse" && !NAMED_ONLY.contains(&word.as_str()) {
                named.insert(word);
            }
        }
    }
    let listed: BTreeSet<String> = TESTED.iter().map(|(code, _)| format!("{code:?}")).collect();
    assert_eq!(listed, named);
    assert_eq!(listed.len(), TESTED.len(), "a code stands twice");
    for (code, cause) in TESTED {
        println!("{:<26} {} {cause}", code.as_str(), code.status());
    }
}
