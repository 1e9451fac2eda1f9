//! The tables of `migrations/`, for diesel. INTEGER of SQLite has 64 bits.

diesel::table! {
    kek (version) {
        version -> Integer,
        wrapped -> Binary,
        created_at -> BigInt,
        mac -> Binary,
        backend -> Text,
        name -> Text,
        reference -> Text,
        state -> Text,
    }
}

diesel::table! {
    data_key (key_id) {
        key_id -> Text,
        provider -> Text,
        dataset_id -> Text,
        version -> BigInt,
        manifest_root -> Text,
        min_assurance -> Text,
        kek_version -> Integer,
        wrapped -> Binary,
        import_sha256 -> Text,
        imported_at -> BigInt,
        mac -> Binary,
        commitment -> Binary,
    }
}

diesel::table! {
    challenge (challenge_id) {
        challenge_id -> Text,
        payload -> Binary,
        expires_at -> BigInt,
        used -> Integer,
    }
}

diesel::table! {
    challenge_contract (contract_id, challenge_id) {
        contract_id -> Text,
        challenge_id -> Text,
    }
}

diesel::table! {
    journal (seq) {
        seq -> BigInt,
        prev -> Text,
        sha256 -> Text,
        run_id -> Text,
        kind -> Text,
        at -> BigInt,
        envelope -> Binary,
    }
}

diesel::table! {
    run (run_id) {
        run_id -> Text,
        reservation_id -> Text,
        state -> Text,
        expires_at -> BigInt,
        lease_until -> Nullable<BigInt>,
        reserved_seq -> BigInt,
        last_seq -> BigInt,
        bundle -> Binary,
        run_jwk -> Text,
        lost -> Integer,
        lease_s -> Nullable<Integer>,
        mac -> Binary,
    }
}

diesel::table! {
    charge (charge_id) {
        charge_id -> BigInt,
        run_id -> Text,
        family -> Text,
        tdc -> Text,
        scope -> Text,
        contract_id -> Text,
        dataset_id -> Text,
        version -> BigInt,
        event -> Binary,
        at -> BigInt,
        rdp -> Binary,
        mac -> Binary,
    }
}

diesel::table! {
    ledger (family, scope) {
        family -> Text,
        scope -> Text,
        grid -> Text,
        rdp -> Binary,
        rev -> BigInt,
        mac -> Binary,
    }
}

diesel::table! {
    own_release (file_sha256) {
        file_sha256 -> Text,
        family -> Text,
        at -> BigInt,
        act -> Binary,
        rdp -> Binary,
        mac -> Binary,
    }
}

diesel::table! {
    checkpoint (seq) {
        seq -> BigInt,
        at -> BigInt,
        envelope -> Binary,
    }
}

diesel::table! {
    service_state (name) {
        name -> Text,
        value -> Text,
        mac -> Binary,
    }
}

diesel::table! {
    journal_gap (after_seq) {
        after_seq -> BigInt,
        next_seq -> BigInt,
        mac -> Binary,
    }
}

diesel::table! {
    used_once (scope, jti) {
        scope -> Text,
        jti -> Text,
        at -> BigInt,
    }
}

diesel::joinable!(challenge_contract -> challenge (challenge_id));
diesel::joinable!(charge -> run (run_id));
diesel::allow_tables_to_appear_in_same_query!(challenge, challenge_contract, charge, run);

diesel::table! {
    shown (run_id) {
        run_id -> Text,
        attested -> Binary,
    }
}

diesel::table! {
    /// The lineage of the log's keys.
    log_lineage (id) {
        id -> BigInt,
        lineage -> Text,
    }
}

diesel::table! {
    log_head (origin, size) {
        origin -> Text,
        size -> BigInt,
        root -> Text,
        seen_at -> BigInt,
    }
}

diesel::table! {
    /// What diesel keeps of the migrations that the database has had.
    #[sql_name = "__diesel_schema_migrations"]
    applied_migrations (version) {
        version -> Text,
    }
}

diesel::table! {
    generation (n) {
        n -> BigInt,
        nonce -> Text,
        mac -> Text,
    }
}
