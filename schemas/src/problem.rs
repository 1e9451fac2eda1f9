//! Refusals: a stable code, one plain sentence, the field concerned; and the RFC 9457 document made of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of everything that can refuse.
pub type R<T> = Result<T, Refusal>;

/// Why something was refused. The sentence is for people and may change; the code is stable.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {sentence}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// One plain sentence: what is wrong and, where it helps, the next step. Never a secret or a row of data.
    pub sentence: String,
    /// The member of the document concerned, in dotted form.
    pub field: Option<String>,
    /// Seconds after which asking again may help, where that is known; no part of the document, but of its header.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// A refusal with its code and sentence.
    pub fn new(code: Code, sentence: impl Into<String>) -> Refusal {
        Refusal { code, sentence: sentence.into(), field: None, retry_after: None }
    }

    /// The same refusal, naming the member concerned.
    pub fn at(mut self, field: impl Into<String>) -> Refusal {
        self.field = Some(field.into());
        self
    }

    /// The same refusal, saying after how many seconds asking again may help.
    pub fn after(mut self, seconds: u32) -> Refusal {
        self.retry_after = Some(seconds);
        self
    }

    /// The RFC 9457 document of this refusal.
    pub fn problem(&self, instance: Option<String>) -> Problem {
        Problem {
            kind: format!("urn:depa:problem:{}", self.code),
            title: self.code.to_string(),
            status: self.code.status(),
            code: self.code.to_string(),
            detail: self.sentence.clone(),
            field: self.field.clone(),
            instance,
        }
    }
}

/// An `application/problem+json` document (RFC 9457).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// `urn:depa:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code again, as the short title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// One plain sentence.
    pub detail: String,
    /// The member concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A reference number that the service's log knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl Problem {
    /// The refusal that a peer answered with; a code unknown to this build becomes [`Code::PeerFault`].
    pub fn refusal(&self) -> Refusal {
        let code = Code::parse(&self.code).unwrap_or(Code::PeerFault);
        Refusal { code, sentence: self.detail.clone(), field: self.field.clone(), retry_after: None }
    }
}

/// Declares the codes: variant, text, HTTP status.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $status:literal;)*) => {
        /// Every refusal code of the house, once. Codes are never renamed or reused.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Code {$(
            #[doc = concat!("`", $text, "`, HTTP ", stringify!($status), ".")]
            $(#[$doc])*
            $name,
        )*}

        impl Code {
            /// All codes in the order of this file.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as text, UPPER_SNAKE.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The HTTP status that goes with the code.
            pub fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// The code with this text.
            pub fn parse(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$name),)* _ => None }
            }
        }
    };
}

codes! {
    // The form of what came in.
    MalformedJson "MALFORMED_JSON" 400;
    DuplicateMember "DUPLICATE_MEMBER" 400;
    MalformedNumber "MALFORMED_NUMBER" 400;
    MalformedBase64 "MALFORMED_BASE64" 400;
    MalformedDigest "MALFORMED_DIGEST" 400;
    MalformedTime "MALFORMED_TIME" 400;
    MalformedId "MALFORMED_ID" 400;
    /// A member is missing, unknown or of the wrong type.
    SchemaMismatch "SCHEMA_MISMATCH" 422;
    NotCanonical "NOT_CANONICAL" 422;
    BodyTooLarge "BODY_TOO_LARGE" 413;
    MediaType "MEDIA_TYPE" 415;
    LimitExceeded "LIMIT_EXCEEDED" 422;
    NotFound "NOT_FOUND" 404;
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405;
    // Signatures, keys, identities.
    SignatureInvalid "SIGNATURE_INVALID" 422;
    SignatureMissing "SIGNATURE_MISSING" 422;
    SignatureForm "SIGNATURE_FORM" 422;
    SignatureContext "SIGNATURE_CONTEXT" 422;
    SignerUnknown "SIGNER_UNKNOWN" 422;
    SignerNotParty "SIGNER_NOT_PARTY" 403;
    SignerTwice "SIGNER_TWICE" 409;
    KeyWeak "KEY_WEAK" 422;
    KeyForm "KEY_FORM" 422;
    WrongRegistry "WRONG_REGISTRY" 422;
    DidUnresolved "DID_UNRESOLVED" 422;
    TwoPeopleNeeded "TWO_PEOPLE_NEEDED" 403;
    /// A signature's algorithm is not one of those allowed, or not the key's.
    AlgorithmRefused "ALGORITHM_REFUSED" 422;
    /// A COSE message that is not in the DEPA or SCITT profile.
    CoseForm "COSE_FORM" 422;
    /// A name or identifier that looks like another one's.
    LookAlike "LOOK_ALIKE" 409;
    /// The key was not active where it signed.
    KeyNotActive "KEY_NOT_ACTIVE" 422;
    // Access.
    Unauthenticated "UNAUTHENTICATED" 401;
    Forbidden "FORBIDDEN" 403;
    TokenReplayed "TOKEN_REPLAYED" 401;
    RateLimited "RATE_LIMITED" 429;
    Unavailable "UNAVAILABLE" 503;
    IdempotencyKeyMissing "IDEMPOTENCY_KEY_MISSING" 400;
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" 422;
    /// The request took effect, and its answer held a secret that is shown once.
    SecretShown "SECRET_SHOWN" 409;
    /// The resource changed since the caller read it (If-Match).
    PreconditionFailed "PRECONDITION_FAILED" 412;
    /// A change of state needs If-Match.
    PreconditionRequired "PRECONDITION_REQUIRED" 428;
    NotAcceptable "NOT_ACCEPTABLE" 406;
    /// A DPoP proof (RFC 9449) is missing or does not fit.
    DpopInvalid "DPOP_INVALID" 401;
    /// A person did not get in; nothing more is told.
    SignInRefused "SIGN_IN_REFUSED" 401;
    /// A token of hardware does not take the PIN, or takes none any more.
    PinRefused "PIN_REFUSED" 403;
    /// An enrolment link or recovery that is unknown, used or expired; nothing more is told.
    EnrolmentInvalid "ENROLMENT_INVALID" 403;
    /// A change by a session without its `X-CSRF-Token`.
    CsrfInvalid "CSRF_INVALID" 403;
    /// The act needs a passkey assertion of the last five minutes.
    StepUpNeeded "STEP_UP_NEEDED" 403;
    /// Another process is the writer.
    NotWriter "NOT_WRITER" 503;
    /// Another process has the database open.
    StoreInUse "STORE_IN_USE" 503;
    /// A succession of the log was begun and cut short; nothing else is done before it is finished.
    SuccessionUnfinished "SUCCESSION_UNFINISHED" 503;
    /// The log is behind what a witness has seen, or damaged: nothing is written.
    ReadOnly "READ_ONLY" 503;
    // Participants, image sets, datasets.
    ParticipantExists "PARTICIPANT_EXISTS" 409;
    ParticipantNotVerified "PARTICIPANT_NOT_VERIFIED" 422;
    ImageSetUnknown "IMAGE_SET_UNKNOWN" 422;
    ImageSetNotApproved "IMAGE_SET_NOT_APPROVED" 422;
    /// Two SRO people withdrew their approval.
    ImageSetRevoked "IMAGE_SET_REVOKED" 409;
    DatasetExists "DATASET_EXISTS" 409;
    DatasetUnknown "DATASET_UNKNOWN" 422;
    OfferInvalid "OFFER_INVALID" 422;
    DatasetNotAvailable "DATASET_NOT_AVAILABLE" 409;
    SampleIsData "SAMPLE_IS_DATA" 422;
    DataSchemaUnknown "DATA_SCHEMA_UNKNOWN" 422;
    DataSchemaMismatch "DATA_SCHEMA_MISMATCH" 422;
    CroissantInvalid "CROISSANT_INVALID" 422;
    // Contracts.
    ContractExists "CONTRACT_EXISTS" 409;
    ContractUnknown "CONTRACT_UNKNOWN" 404;
    ContractIncomplete "CONTRACT_INCOMPLETE" 422;
    ContractPeriod "CONTRACT_PERIOD" 422;
    ContractNotActive "CONTRACT_NOT_ACTIVE" 409;
    ContractNotYetValid "CONTRACT_NOT_YET_VALID" 409;
    ContractExpired "CONTRACT_EXPIRED" 409;
    ContractRevoked "CONTRACT_REVOKED" 409;
    ContractSuspended "CONTRACT_SUSPENDED" 409;
    TemplateUnknown "TEMPLATE_UNKNOWN" 422;
    TemplateMismatch "TEMPLATE_MISMATCH" 422;
    /// A counter-offer must not change a price.
    PriceChanged "PRICE_CHANGED" 422;
    DraftUnknown "DRAFT_UNKNOWN" 404;
    /// An imported DEPA contract whose form cannot be read.
    ImportInvalid "IMPORT_INVALID" 422;
    /// What couples rows voids the privacy proof.
    PipelineRowCoupling "PIPELINE_ROW_COUPLING" 422;
    StateTransition "STATE_TRANSITION" 409;
    TermsNotOffer "TERMS_NOT_OFFER" 422;
    PrivacyClauseMissing "PRIVACY_CLAUSE_MISSING" 422;
    /// A clause that allows training without differential privacy above level 0, where a machine keeps a budget.
    NotPrivateEnforced "NOT_PRIVATE_ENFORCED" 422;
    DeltaTooLarge "DELTA_TOO_LARGE" 422;
    EpsilonOutOfRange "EPSILON_OUT_OF_RANGE" 422;
    AssuranceTooLow "ASSURANCE_TOO_LOW" 403;
    PurposeNotAllowed "PURPOSE_NOT_ALLOWED" 422;
    // Jobs and pipelines.
    JobExpired "JOB_EXPIRED" 409;
    JobMismatch "JOB_MISMATCH" 422;
    PipelineInvalid "PIPELINE_INVALID" 422;
    PipelineRawOutput "PIPELINE_RAW_OUTPUT" 422;
    /// A job that hands the model out of the room where a clause of level 2 or a contract keeps it inside.
    ModelStaysInside "MODEL_STAYS_INSIDE" 422;
    /// Training without differential privacy where not every dataset's contract allows it.
    PipelineNotPrivate "PIPELINE_NOT_PRIVATE" 422;
    /// A training without differential privacy that names an ε, a δ or metrics, which nothing would bound.
    NotPrivateForm "NOT_PRIVATE_FORM" 422;
    PipelineColumn "PIPELINE_COLUMN" 422;
    PipelineJoinKey "PIPELINE_JOIN_KEY" 422;
    PipelineTarget "PIPELINE_TARGET" 422;
    PipelineBounds "PIPELINE_BOUNDS" 422;
    PipelineRecipient "PIPELINE_RECIPIENT" 422;
    EpsilonExceedsContract "EPSILON_EXCEEDS_CONTRACT" 422;
    /// A job for more rooms than one of its contracts lets a run take; one that says nothing lets it take one.
    RoomsNotAllowed "ROOMS_NOT_ALLOWED" 422;
    SqlUnsupported "SQL_UNSUPPORTED" 422;
    // Models: files, networks, weights.
    /// A pickle, TorchScript, HDF5, or a kind of file that nobody here knows.
    ModelFormat "MODEL_FORMAT" 422;
    /// A description of a model, a loss or a training that cannot be read.
    ModelForm "MODEL_FORM" 422;
    /// An operation that no network here may have; the sentence names what to take instead.
    ModelLayer "MODEL_LAYER" 422;
    /// A layer that does not fit what comes to it.
    ModelShape "MODEL_SHAPE" 422;
    /// Weights whose names, shapes or types are not those of the network.
    ModelWeights "MODEL_WEIGHTS" 422;
    /// Weights of a job that lie nowhere sealed.
    WeightsUnsealed "WEIGHTS_UNSEALED" 422;
    /// The key of weights is kept for somebody else than the job's consumer.
    WeightsForeign "WEIGHTS_FOREIGN" 403;
    /// Weights in the clear that are not those named by their SHA-256.
    WeightsMismatch "WEIGHTS_MISMATCH" 422;
    // Attestation.
    EvidenceForm "EVIDENCE_FORM" 422;
    EvidenceRefused "EVIDENCE_REFUSED" 403;
    EvidenceNotAllowed "EVIDENCE_NOT_ALLOWED" 403;
    TranscriptMismatch "TRANSCRIPT_MISMATCH" 403;
    ChallengeUnknown "CHALLENGE_UNKNOWN" 403;
    ChallengeUsed "CHALLENGE_USED" 403;
    ChallengeExpired "CHALLENGE_EXPIRED" 403;
    MeasurementNotAllowed "MEASUREMENT_NOT_ALLOWED" 403;
    // Key release and budget.
    AdmissionInvalid "ADMISSION_INVALID" 403;
    AdmissionStale "ADMISSION_STALE" 403;
    RunUnknown "RUN_UNKNOWN" 404;
    RunKeyMismatch "RUN_KEY_MISMATCH" 403;
    RunState "RUN_STATE" 409;
    RequestReplayed "REQUEST_REPLAYED" 409;
    BudgetExceeded "BUDGET_EXCEEDED" 409;
    BudgetNotRenewable "BUDGET_NOT_RENEWABLE" 422;
    BudgetRenewalInvalid "BUDGET_RENEWAL_INVALID" 422;
    BudgetRenewalTooLarge "BUDGET_RENEWAL_TOO_LARGE" 422;
    BudgetRenewalExists "BUDGET_RENEWAL_EXISTS" 409;
    ReservationUnknown "RESERVATION_UNKNOWN" 404;
    ReservationExpired "RESERVATION_EXPIRED" 409;
    ReservationsIncomplete "RESERVATIONS_INCOMPLETE" 409;
    LeaseExpired "LEASE_EXPIRED" 409;
    CommitConflict "COMMIT_CONFLICT" 409;
    RefundRefused "REFUND_REFUSED" 409;
    KmsBehindLog "KMS_BEHIND_LOG" 409;
    RecoveryRefused "RECOVERY_REFUSED" 422;
    /// A backup that the key service named by its operator did not sign.
    BackupForged "BACKUP_FORGED" 422;
    /// A key service's database went back while it ran.
    StoreRolledBack "STORE_ROLLED_BACK" 503;
    /// A row of a key service's budget is not as the service wrote it.
    RowTampered "ROW_TAMPERED" 500;
    KeyUnknown "KEY_UNKNOWN" 404;
    KeyExists "KEY_EXISTS" 409;
    KeyRowTampered "KEY_ROW_TAMPERED" 500;
    /// The key service stands behind a second gate, which wants a token of the room.
    MaaTokenMissing "MAA_TOKEN_MISSING" 403;
    MaaTokenForm "MAA_TOKEN_FORM" 422;
    /// Issued by another instance than the provider trusts.
    MaaTokenIssuer "MAA_TOKEN_ISSUER" 403;
    MaaTokenSignature "MAA_TOKEN_SIGNATURE" 403;
    MaaTokenExpired "MAA_TOKEN_EXPIRED" 403;
    /// Says nothing about this room: another machine's, or another transcript's.
    MaaTokenMismatch "MAA_TOKEN_MISMATCH" 403;
    CheckpointStale "CHECKPOINT_STALE" 403;
    StatusListStale "STATUS_LIST_STALE" 403;
    // The KBS face of a key service.
    /// Another version of the protocol than the one that is spoken here.
    KbsVersion "KBS_VERSION" 400;
    /// A kind of guest that is not known here.
    KbsTee "KBS_TEE" 422;
    /// No session, or one that is not known here.
    KbsSessionUnknown "KBS_SESSION_UNKNOWN" 401;
    KbsSessionExpired "KBS_SESSION_EXPIRED" 401;
    /// The session has shown no evidence that was accepted.
    KbsUnattested "KBS_UNATTESTED" 401;
    /// The contract does not let such guests have the key.
    KbsNotAllowed "KBS_NOT_ALLOWED" 403;
    /// Init-data that the contract does not name, or that cannot be read.
    KbsInitData "KBS_INIT_DATA" 403;
    /// The provider has not brought the papers of this contract.
    KbsPapersMissing "KBS_PAPERS_MISSING" 409;
    // Rules documents of a provider or the SRO.
    /// A document that an offer or contract names is not at the key service.
    RulesMissing "RULES_MISSING" 409;
    /// Too long, no Rego, or outside the subset that is understood.
    RulesForm "RULES_FORM" 422;
    /// The document did not say whether it allows the run.
    RulesUndefined "RULES_UNDEFINED" 403;
    /// A member of the document's answer is of the wrong type.
    RulesAnswer "RULES_ANSWER" 403;
    /// The evaluation ended in an error.
    RulesFailed "RULES_FAILED" 403;
    /// More steps or time than one evaluation may take.
    RulesLimit "RULES_LIMIT" 403;
    RulesDenied "RULES_DENIED" 403;
    /// The run does not keep what a document holds it to.
    RulesObligation "RULES_OBLIGATION" 403;
    // Sealed objects.
    /// The storage has no such object.
    ObjectMissing "OBJECT_MISSING" 404;
    BucketMissing "BUCKET_MISSING" 404;
    /// An object stands there already.
    ObjectExists "OBJECT_EXISTS" 409;
    /// An object is another one than when its reading began.
    ObjectChanged "OBJECT_CHANGED" 409;
    /// Fewer bytes came than were said.
    ObjectTruncated "OBJECT_TRUNCATED" 502;
    /// Storage denies it to the credentials in use.
    StorageDenied "STORAGE_DENIED" 403;
    StorageRegion "STORAGE_REGION" 422;
    /// Storage leads elsewhere; that is not followed.
    StorageRedirect "STORAGE_REDIRECT" 502;
    /// Credentials for storage that are missing, malformed, or readable by others.
    StorageCredential "STORAGE_CREDENTIAL" 400;
    SealedForm "SEALED_FORM" 422;
    SealedTampered "SEALED_TAMPERED" 422;
    SealedTruncated "SEALED_TRUNCATED" 422;
    SealedWrongObject "SEALED_WRONG_OBJECT" 422;
    JweRefused "JWE_REFUSED" 422;
    // The room and its worker.
    /// The TPM or device that shows evidence does not answer, or answers what cannot be used.
    AttesterFailed "ATTESTER_FAILED" 500;
    /// The report did not take up this run's data in time.
    AttesterStale "ATTESTER_STALE" 504;
    /// PCR 8 holds a job already: one run per boot.
    BootUsed "BOOT_USED" 409;
    /// The certificates of the platform could not be had.
    CertificatesUnavailable "CERTIFICATES_UNAVAILABLE" 502;
    /// The room was told to stop from outside.
    RoomStopped "ROOM_STOPPED" 409;
    /// A piece of hardware that is asked for is not there, or fails: the card that a room shall train on, the token of a key.
    DeviceUnavailable "DEVICE_UNAVAILABLE" 400;
    TableForm "TABLE_FORM" 422;
    /// A table with more people than the public count of its own offer.
    PublicCountExceeded "PUBLIC_COUNT_EXCEEDED" 422;
    WorkerFailed "WORKER_FAILED" 500;
    WorkerProtocol "WORKER_PROTOCOL" 500;
    /// A training without differential privacy whose weights left the range of numbers that mean something.
    TrainingDiverged "TRAINING_DIVERGED" 422;
    OutputRefused "OUTPUT_REFUSED" 422;
    // Rooms that train together.
    /// A room was given another number of members than its job asks for.
    GroupIncomplete "GROUP_INCOMPLETE" 409;
    /// What a room shows speaks of another place in the group, or of another group.
    GroupPlaceMismatch "GROUP_PLACE_MISMATCH" 403;
    /// What a room shows speaks of another run.
    GroupRunMismatch "GROUP_RUN_MISMATCH" 403;
    /// What came over the tunnel was changed, replayed, left out, or is no part of it.
    GroupTampered "GROUP_TAMPERED" 422;
    /// A room of the group is gone.
    GroupMemberLost "GROUP_MEMBER_LOST" 502;
    UploadFailed "UPLOAD_FAILED" 502;
    // Completion and payment.
    CompletionReceipts "COMPLETION_RECEIPTS" 422;
    CompletionMismatch "COMPLETION_MISMATCH" 422;
    CompletionExists "COMPLETION_EXISTS" 409;
    KeyWithheld "KEY_WITHHELD" 409;
    PaymentUnknown "PAYMENT_UNKNOWN" 404;
    PaymentState "PAYMENT_STATE" 409;
    /// A room of a job whose deposits are not blocked.
    EscrowNotFunded "ESCROW_NOT_FUNDED" 409;
    DisputeUnknown "DISPUTE_UNKNOWN" 404;
    DisputeExists "DISPUTE_EXISTS" 409;
    /// The dispute is not where this act belongs.
    DisputeState "DISPUTE_STATE" 409;
    /// A ruling that does not fit what the dispute is about.
    DisputeRuling "DISPUTE_RULING" 422;
    /// A settled amount whose principals' part was split already, or a batch that stands already.
    PayoutExists "PAYOUT_EXISTS" 409;
    /// A batch that does not follow on the one before it.
    PayoutChain "PAYOUT_CHAIN" 409;
    /// A settled amount that has no such part.
    PayoutPool "PAYOUT_POOL" 422;
    /// Sums of a batch or of its lines that do not add up.
    PayoutSums "PAYOUT_SUMS" 422;
    /// A batch among too few principals.
    PayoutPrincipals "PAYOUT_PRINCIPALS" 422;
    /// A line or proof that is not of the batch.
    PayoutProof "PAYOUT_PROOF" 422;
    // What an audit finds in the books.
    /// Debits and credits of a currency differ.
    BooksUnbalanced "BOOKS_UNBALANCED" 500;
    /// A balance is not the sum of its transfers.
    BooksBalance "BOOKS_BALANCE" 500;
    /// A transfer that does not follow from what stands in the log.
    BooksTransfer "BOOKS_TRANSFER" 500;
    /// An account that holds money for others is overdrawn.
    BooksOverdrawn "BOOKS_OVERDRAWN" 500;
    /// An obligation that is not what falls due.
    BooksObligation "BOOKS_OBLIGATION" 500;
    /// Money in suspense that no open dispute explains.
    BooksSuspense "BOOKS_SUSPENSE" 500;
    /// A file of a bank that cannot be read, or that stands for another one than it says.
    PaymentFile "PAYMENT_FILE" 422;
    AddressRefused "ADDRESS_REFUSED" 422;
    // The log.
    InclusionInvalid "INCLUSION_INVALID" 422;
    ConsistencyInvalid "CONSISTENCY_INVALID" 422;
    CheckpointInvalid "CHECKPOINT_INVALID" 422;
    /// Fewer witnesses cosigned than the policy asks for.
    CosignaturesMissing "COSIGNATURES_MISSING" 403;
    /// What was erased cannot be shown.
    Erased "ERASED" 410;
    ReceiptMismatch "RECEIPT_MISMATCH" 422;
    LogTampered "LOG_TAMPERED" 500;
    /// A log's next key or its succession does not follow from what is pinned.
    LogLineageInvalid "LOG_LINEAGE_INVALID" 422;
    WitnessConflict "WITNESS_CONFLICT" 409;
    // Set-up and peers.
    ConfigInvalid "CONFIG_INVALID" 400;
    /// systemd handed no such credential over.
    RootKeyMissing "ROOT_KEY_MISSING" 400;
    /// Others may read the credential.
    RootKeyExposed "ROOT_KEY_EXPOSED" 400;
    /// A credential that is no key: 32 bytes are expected.
    RootKeyForm "ROOT_KEY_FORM" 400;
    ProductionRefused "PRODUCTION_REFUSED" 403;
    PeerUnreachable "PEER_UNREACHABLE" 502;
    PeerFault "PEER_FAULT" 502;
    Timeout "TIMEOUT" 504;
    Internal "INTERNAL" 500;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_round_trip() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!((400..600).contains(&code.status()));
        }
    }
}
