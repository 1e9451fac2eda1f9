//! The relying party's checklist: every point has checks, every check a point, and every point a test.

use super::*;
use crate::POINTS;

/// What tests each point: points, in words, and tests that show its checks refusing.
const TESTS: [(u8, &str, &[&str]); 32] = [
    (
        1,
        "size caps, strict decoding",
        &[
            "parts_of_one_piece_of_evidence_do_not_fit_another",
            "noise_is_refused_without_panic",
            "fuzz_targets_hold_over_their_corpus",
        ],
    ),
    (
        2,
        "known profile and version",
        &["software_opens_nothing_in_production_or_under_another_root", "an_image_set_says_what_counts"],
    ),
    (
        3,
        "envelope, reserved bytes",
        &["every_byte_of_five_real_bundles_counts", "the_envelope_version_enters_no_verdict"],
    ),
    (4, "report version by level", &["the_report_is_judged_field_by_field"]),
    (
        5,
        "product by CPUID, by level, and the chain's",
        &["the_report_is_judged_field_by_field", "later_levels_ask_more"],
    ),
    (
        6,
        "pinned ARK, signatures, names, validity",
        &[
            "certificates_have_their_time_and_place",
            "relabelled_pcrs_and_a_chain_of_ones_own_hold_in_all_that_others_ask",
        ],
    ),
    (7, "VCEK by ASK, VLEK by policy", &["every_vector_has_its_verdict", "certificates_have_their_time_and_place"]),
    (8, "revocation list", &["revocation_lists_are_judged", "every_byte_of_a_revocation_list_counts"]),
    (9, "signature over the raw bytes", &["keys_of_others_sign_nothing", "the_report_is_judged_field_by_field"]),
    (10, "TCB of the VCEK, FMC too", &["the_report_is_judged_field_by_field", "turin_is_judged_in_its_own_layout"]),
    (11, "chip id, chip lists", &["chips_are_allowed_and_denied_by_list", "the_report_is_judged_field_by_field"]),
    (
        12,
        "TCB minimums and order, firmware",
        &[
            "the_report_is_judged_field_by_field",
            "turin_is_judged_in_its_own_layout",
            "a_level_may_take_provisional_firmware_and_unknown_bits_and_refuse_a_console",
        ],
    ),
    (13, "VMPL 0", &["the_report_is_judged_field_by_field"]),
    (
        14,
        "guest policy",
        &["the_report_is_judged_field_by_field", "mitigation_vectors_and_guest_flags_are_compared_where_asked"],
    ),
    (
        15,
        "platform information",
        &[
            "the_report_is_judged_field_by_field",
            "a_level_may_take_provisional_firmware_and_unknown_bits_and_refuse_a_console",
        ],
    ),
    (16, "no migration agent", &["the_report_is_judged_field_by_field"]),
    (
        17,
        "id key, guest version, family, image",
        &["guests_are_of_the_version_and_ids_asked", "an_image_set_says_what_counts"],
    ),
    (
        18,
        "launch measurement in the image set",
        &["an_image_set_is_compared_with_a_real_machine", "an_image_set_says_what_counts"],
    ),
    (
        19,
        "mitigation vectors",
        &["mitigation_vectors_and_guest_flags_are_compared_where_asked", "turin_is_judged_in_its_own_layout"],
    ),
    (20, "report data binds the runtime data", &["the_report_is_judged_field_by_field"]),
    (21, "one attestation key, RSA-2048", &["the_runtime_data_is_judged_member_by_member"]),
    (
        22,
        "settings of the VM",
        &[
            "the_runtime_data_is_judged_member_by_member",
            "a_level_may_take_provisional_firmware_and_unknown_bits_and_refuse_a_console",
        ],
    ),
    (
        23,
        "user data, all 64 bytes",
        &["the_runtime_data_is_judged_member_by_member", "real_machines_without_our_transcript_open_nothing"],
    ),
    (24, "certificate of the attestation key", &["the_vtpm_certificate_is_judged_under_a_pinned_root_only"]),
    (
        25,
        "a quote, signed by the attestation key",
        &["the_quote_is_judged_part_by_part", "keys_of_others_sign_nothing"],
    ),
    (26, "the quote's nonce", &["the_quote_is_judged_part_by_part"]),
    (
        27,
        "exact PCR selection and digest",
        &["the_quote_is_judged_part_by_part", "relabelled_pcrs_and_a_chain_of_ones_own_hold_in_all_that_others_ask"],
    ),
    (28, "PCR values, the job in PCR 8", &["changed_code_gets_no_key", "the_quote_is_judged_part_by_part"]),
    (
        29,
        "safe clock, reset count kept",
        &["the_quote_is_judged_part_by_part", "an_appraisal_keeps_what_it_was_made_of"],
    ),
    (30, "the consumed nonce", &["the_nonce_is_the_one_that_the_service_consumed"]),
    (
        31,
        "every member of the transcript",
        &["every_member_of_the_transcript_is_bound", "transcripts_and_image_sets_of_another_form_expect_nothing"],
    ),
    (32, "digests of evidence, policy, collateral", &["an_appraisal_keeps_what_it_was_made_of"]),
];

#[test]
fn every_point_has_its_checks() {
    let numbers: Vec<u8> = POINTS.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=32).collect::<Vec<u8>>());
    assert!(POINTS.iter().all(|(_, checks)| !checks.is_empty()));
    let mut of_points: Vec<&str> = POINTS.iter().flat_map(|(_, checks)| *checks).copied().collect();
    let mut all = CHECKS.to_vec();
    of_points.sort_unstable();
    all.sort_unstable();
    assert_eq!(of_points, all);
}

#[test]
fn every_point_has_its_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut text = fs::read_to_string(folder.join("tests.rs")).unwrap();
    for entry in fs::read_dir(folder.join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    let mut lines = vec!["| point | what | checks | tests |".to_owned(), "|---|---|---|---|".to_owned()];
    for ((number, what, tests), (point, checks)) in TESTS.iter().zip(POINTS) {
        assert_eq!(*number, point);
        for test in *tests {
            assert!(text.contains(&format!("fn {test}()")), "point {number}: {test}");
        }
        let quoted = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        lines.push(format!("| {number} | {what} | {} | {} |", quoted(checks), quoted(tests)));
    }
    readme_block("checklist", &lines.join("\n"));
}
