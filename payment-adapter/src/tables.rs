//! The tables of `migrations/`.

use diesel::{allow_tables_to_appear_in_same_query, joinable, table};

table! {
    deliveries (id) { id -> Text, sha256 -> Binary, received_at -> BigInt, }
}
table! {
    instructions (id) {
        id -> Text, payer -> Text, payee -> Text, currency -> Text, amount_minor -> BigInt, act -> Text,
        from_block -> Nullable<Text>, body -> Text, state -> Text, reference -> Nullable<Text>, settled_as -> Nullable<Text>, batch -> Nullable<Text>, not_before -> BigInt,
        created_at -> BigInt, changed_at -> BigInt, note -> Nullable<Text>,
    }
}
table! {
    batches (id) {
        id -> Text, planned_at -> BigInt, attempts -> Integer, not_before -> BigInt, handed_at -> Nullable<BigInt>,
        note -> Nullable<Text>,
    }
}
table! {
    answers (seq) {
        seq -> BigInt, kind -> Text, subject -> Text, body -> Text, envelope -> Nullable<Binary>, attempts -> Integer,
        not_before -> BigInt, taken_at -> Nullable<BigInt>, refused -> Nullable<Text>, told -> Nullable<Text>,
    }
}
table! {
    heard (id) { id -> Text, sha256 -> Binary, heard_at -> BigInt, }
}
table! {
    unmatched (reference) {
        reference -> Text, instruction -> Nullable<Text>, direction -> Text, amount_minor -> BigInt, currency -> Text,
        why -> Text, found_at -> BigInt,
    }
}

table! {
    arrivals (instruction) { instruction -> Text, reference -> Text, }
}
table! {
    /// What diesel keeps of the migrations that the database has had.
    #[sql_name = "__diesel_schema_migrations"]
    applied_migrations (version) { version -> Text, }
}
table! {
    owner (registry) { registry -> Text, provider -> Text, }
}

joinable!(instructions -> batches (batch));
allow_tables_to_appear_in_same_query!(instructions, batches);
