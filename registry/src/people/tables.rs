//! The tables of `0003_people`.

use diesel::table;

table! {
    people (id) {
        id -> Text, member -> Text, name -> Text, roles -> Text, created_at -> BigInt, suspended_at -> Nullable<BigInt>,
    }
}
table! {
    enrolments (token_sha256) {
        token_sha256 -> Binary, person -> Text, member -> Text, name -> Text, roles -> Text, made_by -> Text,
        expires_at -> BigInt, used_at -> Nullable<BigInt>,
    }
}
table! {
    passkeys (id) {
        id -> Text, person -> Text, credential -> Binary, label -> Text, passkey -> Text, uses -> BigInt,
        created_at -> BigInt, last_used_at -> Nullable<BigInt>,
    }
}
table! {
    oidc_subjects (issuer, subject) { issuer -> Text, subject -> Text, person -> Text, created_at -> BigInt, }
}
table! {
    recovery_codes (selector) { selector -> Text, person -> Text, hash -> Binary, used_at -> Nullable<BigInt>, }
}
table! {
    ceremonies (id) { id -> Text, kind -> Text, subject -> Nullable<Text>, state -> Text, expires_at -> BigInt, }
}
table! {
    sessions (token_sha256) {
        token_sha256 -> Binary, person -> Text, method -> Text, standing -> BigInt, created_at -> BigInt,
        seen_at -> BigInt, stepped_up_at -> Nullable<BigInt>,
    }
}
