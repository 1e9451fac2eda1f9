//! Exit codes: ten small numbers that scripts may rely on, and the one table from refusal codes to them.

use schemas::{Code, Refusal};

/// All is well.
pub const OK: u8 = 0;
/// Any other failure: a malformed document, a peer that cannot be reached, a fault of ours.
pub const OTHER: u8 = 1;
/// Wrong arguments, form or configuration.
pub const USAGE: u8 = 2;
/// Not signed in, or not allowed to.
pub const AUTHENTICATION: u8 = 3;
/// There is no such thing.
pub const NOT_FOUND: u8 = 4;
/// It clashes with what stands, or comes too early or too late.
pub const CONFLICT: u8 = 5;
/// A rule says no.
pub const POLICY: u8 = 6;
/// The clean room could not show what it is.
pub const ATTESTATION: u8 = 7;
/// The privacy budget is used up.
pub const BUDGET: u8 = 8;
/// It took too long.
pub const TIMEOUT: u8 = 9;
/// A signature, digest or proof does not hold.
pub const VERIFICATION: u8 = 10;

/// The exit code of a refusal.
pub fn of(refusal: &Refusal) -> u8 {
    of_code(refusal.code)
}

/// The exit code of a refusal code.
pub fn of_code(code: Code) -> u8 {
    use Code::*;
    match code {
        ConfigInvalid | DeviceUnavailable | StorageCredential | StorageRegion | RootKeyMissing | RootKeyExposed
        | RootKeyForm | SqlUnsupported | RulesForm => USAGE,
        Unauthenticated | Forbidden | StorageDenied | TokenReplayed | DpopInvalid | SignInRefused | PinRefused
        | EnrolmentInvalid | CsrfInvalid | StepUpNeeded | SignerNotParty | TwoPeopleNeeded => AUTHENTICATION,
        NotFound | ObjectMissing | BucketMissing | ContractUnknown | RunUnknown | ReservationUnknown | KeyUnknown
        | PaymentUnknown | DisputeUnknown | DatasetUnknown | ImageSetUnknown | DataSchemaUnknown | TemplateUnknown
        | DraftUnknown | Erased => NOT_FOUND,
        IdempotencyKeyReused
        | SecretShown
        | PreconditionFailed
        | PreconditionRequired
        | LookAlike
        | DatasetNotAvailable
        | ContractSuspended
        | ParticipantExists
        | DatasetExists
        | BudgetRenewalExists
        | ContractExists
        | ContractNotActive
        | ContractNotYetValid
        | ContractExpired
        | ContractRevoked
        | StateTransition
        | SignerTwice
        | JobExpired
        | RunState
        | RequestReplayed
        | ReservationExpired
        | ReservationsIncomplete
        | LeaseExpired
        | CommitConflict
        | RefundRefused
        | KmsBehindLog
        | CompletionExists
        | ObjectExists
        | ObjectChanged
        | KeyExists
        | KeyWithheld
        | PaymentState
        | DisputeExists
        | DisputeState
        | PayoutExists
        | PayoutChain
        | EscrowNotFunded
        | KbsPapersMissing
        | StoreInUse
        | SuccessionUnfinished
        | GroupIncomplete
        | RoomStopped => CONFLICT,
        ParticipantNotVerified
        | ImageSetNotApproved
        | ImageSetRevoked
        | OfferInvalid
        | BudgetNotRenewable
        | BudgetRenewalInvalid
        | BudgetRenewalTooLarge
        | SampleIsData
        | DataSchemaMismatch
        | TemplateMismatch
        | PriceChanged
        | DisputeRuling
        | PayoutPool
        | PayoutSums
        | PayoutPrincipals
        | PipelineRowCoupling
        | ContractIncomplete
        | ContractPeriod
        | TermsNotOffer
        | PublicCountExceeded
        | PrivacyClauseMissing
        | NotPrivateEnforced
        | DeltaTooLarge
        | EpsilonOutOfRange
        | AssuranceTooLow
        | PurposeNotAllowed
        | JobMismatch
        | PipelineInvalid
        | ModelLayer
        | ModelShape
        | WeightsUnsealed
        | WeightsForeign
        | PipelineRawOutput
        | ModelStaysInside
        | PipelineNotPrivate
        | NotPrivateForm
        | PipelineColumn
        | PipelineJoinKey
        | PipelineTarget
        | PipelineBounds
        | PipelineRecipient
        | EpsilonExceedsContract
        | RoomsNotAllowed
        | RulesMissing
        | RulesUndefined
        | RulesAnswer
        | RulesFailed
        | RulesLimit
        | RulesDenied
        | RulesObligation
        | OutputRefused
        | ProductionRefused
        | AddressRefused
        | StorageRedirect
        | AdmissionInvalid
        | AdmissionStale
        | CheckpointStale
        | StatusListStale
        | RunKeyMismatch
        | KbsNotAllowed
        | RecoveryRefused => POLICY,
        EvidenceForm
        | EvidenceRefused
        | EvidenceNotAllowed
        | TranscriptMismatch
        | ChallengeUnknown
        | ChallengeUsed
        | ChallengeExpired
        | MaaTokenMissing
        | MaaTokenForm
        | MaaTokenIssuer
        | MaaTokenSignature
        | MaaTokenExpired
        | MaaTokenMismatch
        | MeasurementNotAllowed
        | GroupPlaceMismatch
        | GroupRunMismatch
        | AttesterFailed
        | AttesterStale
        | BootUsed
        | CertificatesUnavailable
        | KbsInitData
        | KbsSessionUnknown
        | KbsSessionExpired
        | KbsUnattested => ATTESTATION,
        BudgetExceeded => BUDGET,
        Timeout => TIMEOUT,
        SignatureInvalid | SignatureMissing | SignatureForm | AlgorithmRefused | CoseForm | KeyNotActive
        | CosignaturesMissing | SignatureContext | SignerUnknown | KeyWeak | WrongRegistry | SealedForm
        | SealedTampered | GroupTampered | SealedTruncated | SealedWrongObject | WeightsMismatch | JweRefused
        | KeyRowTampered | RowTampered | StoreRolledBack | BackupForged | CompletionReceipts | CompletionMismatch
        | InclusionInvalid | ConsistencyInvalid | CheckpointInvalid | ReceiptMismatch | LogTampered
        | BooksUnbalanced | BooksBalance | BooksTransfer | BooksOverdrawn | BooksObligation | BooksSuspense
        | PayoutProof | LogLineageInvalid | WitnessConflict => VERIFICATION,
        // The form of what came in, peers, limits, faults; and codes that a later release adds.
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_exit_code_and_ok_is_none_of_them() {
        for code in Code::ALL {
            let exit = of_code(*code);
            assert!((OTHER..=VERIFICATION).contains(&exit), "{code}");
        }
    }

    /// The codes that fall under "other" are listed, so that a new code is placed on purpose.
    #[test]
    fn other_is_what_fits_nowhere_else() {
        let other: Vec<&str> = Code::ALL.iter().filter(|c| of_code(**c) == OTHER).map(|c| c.as_str()).collect();
        let expected = [
            "MALFORMED_JSON",
            "DUPLICATE_MEMBER",
            "MALFORMED_NUMBER",
            "MALFORMED_BASE64",
            "MALFORMED_DIGEST",
            "MALFORMED_TIME",
            "MALFORMED_ID",
            "SCHEMA_MISMATCH",
            "NOT_CANONICAL",
            "BODY_TOO_LARGE",
            "MEDIA_TYPE",
            "LIMIT_EXCEEDED",
            "METHOD_NOT_ALLOWED",
            "KEY_FORM",
            "DID_UNRESOLVED",
            "RATE_LIMITED",
            "UNAVAILABLE",
            "IDEMPOTENCY_KEY_MISSING",
            "NOT_ACCEPTABLE",
            "NOT_WRITER",
            "READ_ONLY",
            "CROISSANT_INVALID",
            "IMPORT_INVALID",
            "MODEL_FORMAT",
            "MODEL_FORM",
            "MODEL_WEIGHTS",
            "KBS_VERSION",
            "KBS_TEE",
            "OBJECT_TRUNCATED",
            "TABLE_FORM",
            "WORKER_FAILED",
            "WORKER_PROTOCOL",
            "TRAINING_DIVERGED",
            "GROUP_MEMBER_LOST",
            "UPLOAD_FAILED",
            "PAYMENT_FILE",
            "PEER_UNREACHABLE",
            "PEER_FAULT",
            "INTERNAL",
        ];
        assert_eq!(other, expected);
    }

    #[test]
    fn the_numbers_of_the_handbook() {
        for (code, exit) in [
            (Code::Unauthenticated, 3),
            (Code::ContractUnknown, 4),
            (Code::ContractExists, 5),
            (Code::PipelineRawOutput, 6),
            (Code::EvidenceRefused, 7),
            (Code::BudgetExceeded, 8),
            (Code::Timeout, 9),
            (Code::SignatureInvalid, 10),
            (Code::LogTampered, 10),
        ] {
            assert_eq!(of_code(code), exit, "{code}");
        }
    }
}
