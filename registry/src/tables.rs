//! The tables of `migrations/`, in the types that SQLite and PostgreSQL share.

use diesel::table;

table! {
    log_entries (idx) { idx -> BigInt, record -> Binary, subject -> Text, subject_salt -> Binary, body_salt -> Binary, body -> Binary, }
}
table! {
    log_tiles (tree, level, idx) { tree -> Integer, level -> Integer, idx -> BigInt, hashes -> Binary, }
}
table! {
    state_rows (noun, row_key, size) { noun -> Text, row_key -> Binary, size -> BigInt, value -> Nullable<Binary>, }
}
table! {
    state_head (id) { id -> Integer, size -> BigInt, root -> Binary, mac -> Binary, }
}
table! {
    drafts (id) {
        id -> Text, owner -> Text, updated_at -> BigInt, rev -> Integer, body -> Text, original -> Nullable<Binary>,
    }
}
table! {
    log_head (id) { id -> Integer, size -> BigInt, root -> Binary, epoch -> BigInt, checkpoint -> Text, }
}
table! {
    log_key_notes (idx) { idx -> BigInt, note -> Text, }
}
table! {
    cosignatures (size, name) { size -> BigInt, name -> Text, line -> Text, }
}
table! {
    outbox (id) {
        id -> Text, topic -> Text, subject -> Text, audience -> Text, payload -> Text, dedupe_key -> Text,
        created_at -> BigInt, dispatched_at -> Nullable<BigInt>, seq -> BigInt, about -> Text,
    }
}
table! {
    webhook_endpoints (id) {
        id -> Text, owner -> Text, url -> Text, events -> Text, secret -> Binary, seed -> Binary,
        created_at -> BigInt, disabled_at -> Nullable<BigInt>, ordered -> Integer,
        paused_at -> Nullable<BigInt>, disabled_why -> Nullable<Text>, failing_since -> Nullable<BigInt>,
        former_secret -> Nullable<Binary>, former_seed -> Nullable<Binary>, former_until -> Nullable<BigInt>,
    }
}
table! {
    deliveries (id) {
        id -> Text, outbox_id -> Text, endpoint_id -> Text, not_before -> BigInt, attempts -> Integer,
        lease_until -> Nullable<BigInt>, lease_token -> Nullable<Text>, done_at -> Nullable<BigInt>,
        dead_at -> Nullable<BigInt>, last_status -> Nullable<Integer>, seq -> BigInt,
        last_millis -> Nullable<Integer>, last_answer -> Nullable<Text>, history -> Text,
    }
}
table! {
    idempotency_keys (client, route, key) {
        client -> Text, route -> Text, key -> Text, request_sha256 -> Binary, status -> Nullable<Integer>,
        answer -> Nullable<Binary>, created_at -> BigInt,
    }
}
table! {
    jti_seen (issuer, jti) { issuer -> Text, jti -> Text, expires_at -> BigInt, }
}
table! {
    challenges (id) {
        id -> Text, nonce -> Binary, run_id -> Text, job_sha256 -> Binary, contracts -> Text, expires_at -> BigInt,
        checkpoint -> Text, used_at -> Nullable<BigInt>,
    }
}
table! {
    pending_signatures (sha256, payload_type, holder) {
        sha256 -> Binary, payload_type -> Text, holder -> Text, signature -> Text, created_at -> BigInt,
        document -> Nullable<Binary>,
    }
}
table! {
    /// What diesel keeps of the migrations that the database has had.
    #[sql_name = "__diesel_schema_migrations"]
    applied_migrations (version) { version -> Text, }
}
table! {
    run_orders (job_sha256) {
        job_sha256 -> Binary, ccrp -> Text, bundle -> Binary, state -> Text, lease_until -> Nullable<BigInt>,
        lease_token -> Nullable<Text>, expires_at -> BigInt, created_at -> BigInt,
    }
}

diesel::joinable!(deliveries -> outbox (outbox_id));
diesel::joinable!(deliveries -> webhook_endpoints (endpoint_id));
diesel::allow_tables_to_appear_in_same_query!(deliveries, outbox, webhook_endpoints);
