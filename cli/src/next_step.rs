//! What to do after a refusal: the one table from refusal codes to commands that help.

use schemas::{Code, Refusal};

/// What a user may do next, where there is something to say for a kind of failure. A command runs from `depa` to the next
/// semicolon, comma or bracket.
pub fn of(refusal: &Refusal) -> Option<&'static str> {
    match refusal.code {
        Code::ConfigInvalid => option(refusal.field.as_deref()?),
        code => step(code),
    }
}

/// The next step of a code, whatever the refusal says besides.
fn step(code: Code) -> Option<&'static str> {
    use Code::*;
    Some(match code {
        // Signatures, keys, access.
        SignatureInvalid => {
            "it was changed after it was signed, or belongs to another registry than the pinned one: depa trust show"
        }
        SignatureMissing => "whose signature is missing must sign too: pass the file on, see --draft of this command",
        SignerUnknown => "the signer must be verified by the SRO first: depa party show DID",
        SignerNotParty => "whose the key is: depa keys show FILE; sign with a key of a party: --key",
        SignerTwice => "somebody else signs next, with a key of theirs: --key",
        KeyWeak => "make another key: depa keys new --out my.key",
        WrongRegistry => {
            "which registry is pinned: depa trust show; pin another one: depa trust fetch --out trust.json"
        }
        DidUnresolved => "what the host of a did:web must serve: depa party web-document",
        TwoPeopleNeeded => "what waits for a second person of the SRO: depa sro pending; then: depa sro approve DRAFT",
        LookAlike => "who has such a name: depa party list --text NAME",
        KeyNotActive => "which keys of a participant count: depa keys list DID",
        Unauthenticated => "pass --key with the file of a verified participant's key",
        Forbidden => "whose the key is: depa keys show FILE; act with the key of whoever may: --key",
        TokenReplayed | DpopInvalid => {
            "repeat it; where it lasts, compare this machine's clock: depa doctor --registry URL"
        }
        RateLimited => "repeat it in some seconds",
        Unavailable | NotWriter => "repeat it in some seconds; where it lasts, tell the operator",
        SecretShown => "have a new secret made: depa webhook endpoint rotate whe_… --out FILE",
        PreconditionFailed => "read it again and repeat it on what it is now; a draft: depa contract draft show DRAFT",
        ReadOnly => {
            "its operator finds why in the service's log; missing entries come back by: contract-service restore --from-mirror"
        }
        // Participants, image sets, datasets.
        ParticipantExists => "how it stands: depa party show DID; a further key: depa keys add FILE",
        ParticipantNotVerified => "wait for two SRO people to decide: depa party show DID",
        ImageSetUnknown => "those that are approved: depa image-set list",
        ImageSetNotApproved => "two people of the SRO approve it: depa image-set sign DRAFT",
        ImageSetRevoked => {
            "choose another one: depa image-set list; a contract takes it up by: depa contract amend FILE FORM --out NEW"
        }
        DatasetExists => "its versions: depa dataset versions dst_…",
        DatasetUnknown => "those that are registered: depa dataset list",
        DatasetNotAvailable => {
            "how it stands: depa dataset versions dst_…; whoever suspended it ends that: depa dataset resume dst_…"
        }
        OfferInvalid => "the form of a description: depa dataset seal --help",
        SampleIsData => "name a sample that was made for everyone, or none, and sign again: depa dataset offer --help",
        DataSchemaUnknown => "two people of the SRO lay one down: depa sro data-schema FORM --out DRAFT",
        // Contracts.
        ContractExists => "how it stands: depa contract show ctr_…",
        ContractUnknown => "the contracts that you are a party of: depa contract list",
        ContractIncomplete | ContractPeriod | TermsNotOffer | PrivacyClauseMissing | NotPrivateEnforced
        | DeltaTooLarge | EpsilonOutOfRange | PurposeNotAllowed | TemplateMismatch | PriceChanged => {
            "change the form and draft again: depa contract new FORM --out FILE; before anybody signs: depa contract \
             check FILE"
        }
        AssuranceTooLow => "what rooms the contract takes: depa contract show ctr_…",
        ContractNotActive => "see who has not signed yet: depa contract show ctr_…",
        ContractNotYetValid => "wait for its first day: depa contract wait ctr_…",
        ContractExpired => "propose another one: depa contract new FORM --out FILE",
        ContractRevoked => "why: depa contract events ctr_…; another one: depa contract new FORM --out FILE",
        ContractSuspended => {
            "why: depa contract events ctr_…; two SRO people end it, or who suspended it with all providers: depa contract \
             resume FILE"
        }
        TemplateUnknown => "two people of the SRO lay one down: depa sro template FORM --out DRAFT",
        DraftUnknown => "your drafts: depa contract draft list",
        StateTransition => {
            "how it stands now: depa contract show ctr_…, depa dataset versions dst_…, depa party show DID"
        }
        // Jobs, networks, weights.
        JobExpired => "make it anew and order that: depa job bundle FORM --out BUNDLE; depa run start BUNDLE",
        JobMismatch => "make it anew of the contracts as they stand: depa job bundle FORM --out BUNDLE",
        PipelineInvalid | PipelineRowCoupling | PipelineRawOutput | ModelStaysInside | PipelineNotPrivate
        | NotPrivateForm | PipelineColumn | PipelineJoinKey | PipelineTarget | PipelineBounds | PipelineRecipient
        | RoomsNotAllowed => "change the form; have it judged before it is signed: depa job bundle FORM --dry-run",
        EpsilonExceedsContract => "compare with the contract's clauses: depa contract show ctr_…",
        SqlUnsupported => "the SQL that is understood: depa job bundle --help",
        ModelFormat | ModelForm => "the files that are read: depa model import --help",
        ModelLayer => "the operations that there are: depa model check --help",
        ModelShape => "every layer by itself: depa model check NETWORK",
        ModelWeights => "compare them with the network: depa model check NETWORK --weights FILE",
        WeightsUnsealed => "seal them, then put them where rooms fetch them: depa model seal --help",
        WeightsForeign => "seal them yourself, for your own key service: depa model seal --help",
        TrainingDiverged => "rehearse with a smaller learning rate: depa train local --job FORM --out MODEL",
        // Evidence.
        EvidenceForm => "the forms that are read: depa attest verify --help",
        EvidenceRefused => "every check by itself: depa attest verify FILE --policy baseline",
        EvidenceNotAllowed => "which evidence the contract takes: depa contract show ctr_…",
        MeasurementNotAllowed => {
            "compare what the room measures with what was approved: depa ccr measure --ccr FILE --config FILE; depa \
             image-set show img_…"
        }
        // Runs, key services, budgets.
        RunUnknown => "a run that waits for a room is found by its job: depa run watch JOB_SHA256",
        RunState => "how it stands: depa run watch run_…",
        KeyWithheld => "the key is handed out after the run's completion: depa run watch run_…",
        BudgetExceeded => {
            "take less ε; what is spent: depa kms budget --kms URL (providers), depa run estimate BUNDLE (consumers); a \
             provider may raise its cap: depa dataset renew --help"
        }
        BudgetNotRenewable => "only an offer with renewable_to under [cap] can be renewed: depa dataset seal --help",
        BudgetRenewalInvalid | BudgetRenewalTooLarge | BudgetRenewalExists => {
            "what was renewed so far: depa dataset renewals dst_…"
        }
        KmsBehindLog => "its provider lets the key service catch up: kms-adapter catch-up",
        KbsNotAllowed => "only a contract with kbs in its form allows it: depa contract new --help",
        KbsInitData => "the digest that the contract must name: depa kms init-data FILE",
        KbsPapersMissing => "its provider brings them: depa kms papers BUNDLE --kms URL",
        RulesMissing => "under which name the key service looks for it: depa policy digest FILE",
        RulesForm | RulesUndefined | RulesAnswer | RulesFailed | RulesLimit => {
            "try it on sample facts: depa policy explain FILE"
        }
        RulesDenied | RulesObligation => {
            "which document says no, check by check: depa kms explain BUNDLE --config FILE"
        }
        // Sealed objects and where they lie.
        ObjectMissing => "put it where its record says: depa dataset upload OBJECT --record FILE",
        ObjectExists => "seal it again for another address: depa dataset seal --help",
        ObjectChanged | ObjectTruncated => {
            "repeat it; where it lasts, upload it again: depa dataset upload OBJECT --record FILE"
        }
        BucketMissing | StorageDenied | StorageRegion | StorageCredential => {
            "what a file of stores holds: depa dataset upload --help"
        }
        SealedForm | SealedTampered | SealedTruncated | SealedWrongObject => {
            "which part is at fault: depa dataset verify OBJECT; then upload the sealed one again: depa dataset upload \
             OBJECT --record FILE"
        }
        PublicCountExceeded => {
            "sealing asks a table the same: depa dataset seal --help; its provider offers a version whose public_rows is \
             no smaller"
        }
        // Money.
        PaymentUnknown | PaymentState => "what is owed and paid: depa payment list",
        EscrowNotFunded => "which deposits are asked and not blocked yet: depa payment list --contract ctr_…",
        DisputeUnknown | DisputeExists | DisputeState => "the disputes and where they stand: depa payment dispute list",
        DisputeRuling => "what a ruling may say: depa payment dispute rule --help",
        PayoutExists | PayoutChain | PayoutPool => "how the payouts stand: depa payment payout show dst_…",
        PayoutProof => "its provider writes another: depa payment payout prove BATCH --principal NAME --out FILE",
        // The log.
        CheckpointInvalid => "where the log changed its key, learn the new one: depa log keys",
        ConsistencyInvalid => "keep both checkpoints as evidence, and compare: depa audit diff ONE OTHER",
        CosignaturesMissing => "a witness may not have seen the newest entries yet: repeat it in some seconds",
        // Peers.
        PeerUnreachable => {
            "check the address and that the service runs: depa doctor --registry URL (or --kms URL in its place)"
        }
        PeerFault => "what can be asked about the service: depa doctor --registry URL",
        Timeout => "it goes on meanwhile: repeat it, where it takes --timeout with a longer one",
        _ => return None,
    })
}

/// What gives an option that is missing or wrong. A fault of a file names no option, and its own sentence says enough.
fn option(field: &str) -> Option<&'static str> {
    Some(match field {
        "trust" => "depa trust fetch --out trust.json",
        "key" => "depa keys new --out my.key, or depa login",
        "registry" => "--registry URL, or depa login",
        "profile" => "depa profile list",
        _ => "see --help of this command for the form",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_is_of_the_option_that_is_missing() {
        let step = |field: &str| of(&Refusal::new(Code::ConfigInvalid, "no").at(field)).unwrap();
        assert!(step("trust").contains("trust fetch") && step("key").contains("keys new"));
        assert!(step("registry").contains("--registry") && step("profile").contains("profile list"));
        assert!(step("bound").contains("--help"));
        assert_eq!(of(&Refusal::new(Code::ConfigInvalid, "t.csv: no such file")), None);
    }

    /// The codes without a next step are listed, so that of a new one it is decided whether there is something to do. That
    /// of `CONFIG_INVALID` follows from its field.
    #[test]
    fn nothing_is_to_be_done_where_no_command_helps() {
        let none: Vec<&str> = Code::ALL.iter().filter(|c| step(**c).is_none()).map(|c| c.as_str()).collect();
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
            "NOT_FOUND",
            "METHOD_NOT_ALLOWED",
            "SIGNATURE_FORM",
            "SIGNATURE_CONTEXT",
            "KEY_FORM",
            "ALGORITHM_REFUSED",
            "COSE_FORM",
            "IDEMPOTENCY_KEY_MISSING",
            "IDEMPOTENCY_KEY_REUSED",
            "PRECONDITION_REQUIRED",
            "NOT_ACCEPTABLE",
            "SIGN_IN_REFUSED",
            "PIN_REFUSED",
            "ENROLMENT_INVALID",
            "CSRF_INVALID",
            "STEP_UP_NEEDED",
            "STORE_IN_USE",
            "SUCCESSION_UNFINISHED",
            "DATA_SCHEMA_MISMATCH",
            "CROISSANT_INVALID",
            "IMPORT_INVALID",
            "WEIGHTS_MISMATCH",
            "TRANSCRIPT_MISMATCH",
            "CHALLENGE_UNKNOWN",
            "CHALLENGE_USED",
            "CHALLENGE_EXPIRED",
            "ADMISSION_INVALID",
            "ADMISSION_STALE",
            "RUN_KEY_MISMATCH",
            "REQUEST_REPLAYED",
            "RESERVATION_UNKNOWN",
            "RESERVATION_EXPIRED",
            "RESERVATIONS_INCOMPLETE",
            "LEASE_EXPIRED",
            "COMMIT_CONFLICT",
            "REFUND_REFUSED",
            "RECOVERY_REFUSED",
            "BACKUP_FORGED",
            "STORE_ROLLED_BACK",
            "ROW_TAMPERED",
            "KEY_UNKNOWN",
            "KEY_EXISTS",
            "KEY_ROW_TAMPERED",
            "MAA_TOKEN_MISSING",
            "MAA_TOKEN_FORM",
            "MAA_TOKEN_ISSUER",
            "MAA_TOKEN_SIGNATURE",
            "MAA_TOKEN_EXPIRED",
            "MAA_TOKEN_MISMATCH",
            "CHECKPOINT_STALE",
            "STATUS_LIST_STALE",
            "KBS_VERSION",
            "KBS_TEE",
            "KBS_SESSION_UNKNOWN",
            "KBS_SESSION_EXPIRED",
            "KBS_UNATTESTED",
            "STORAGE_REDIRECT",
            "JWE_REFUSED",
            "ATTESTER_FAILED",
            "ATTESTER_STALE",
            "BOOT_USED",
            "CERTIFICATES_UNAVAILABLE",
            "ROOM_STOPPED",
            "DEVICE_UNAVAILABLE",
            "TABLE_FORM",
            "WORKER_FAILED",
            "WORKER_PROTOCOL",
            "OUTPUT_REFUSED",
            "GROUP_INCOMPLETE",
            "GROUP_PLACE_MISMATCH",
            "GROUP_RUN_MISMATCH",
            "GROUP_TAMPERED",
            "GROUP_MEMBER_LOST",
            "UPLOAD_FAILED",
            "COMPLETION_RECEIPTS",
            "COMPLETION_MISMATCH",
            "COMPLETION_EXISTS",
            "PAYOUT_SUMS",
            "PAYOUT_PRINCIPALS",
            "BOOKS_UNBALANCED",
            "BOOKS_BALANCE",
            "BOOKS_TRANSFER",
            "BOOKS_OVERDRAWN",
            "BOOKS_OBLIGATION",
            "BOOKS_SUSPENSE",
            "PAYMENT_FILE",
            "ADDRESS_REFUSED",
            "INCLUSION_INVALID",
            "ERASED",
            "RECEIPT_MISMATCH",
            "LOG_TAMPERED",
            "LOG_LINEAGE_INVALID",
            "WITNESS_CONFLICT",
            "CONFIG_INVALID",
            "ROOT_KEY_MISSING",
            "ROOT_KEY_EXPOSED",
            "ROOT_KEY_FORM",
            "PRODUCTION_REFUSED",
            "INTERNAL",
        ];
        assert_eq!(none, expected);
    }
}
