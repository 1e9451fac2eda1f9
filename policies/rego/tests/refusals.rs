//! What a document may not be, may not say, and may not cost: each with its own code.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use policies_rego::{Document, Documents, Facts, Obligations, OutputPolicy, cases, judge, verdict};
use schemas::text::Real;
use schemas::{Code, Digest, R};

fn text(rules: &str) -> String {
    format!("package depa.rules\n\nimport rego.v1\n\n{rules}\n")
}

fn read(rules: &str) -> R<Document> {
    Document::read(text(rules).as_bytes())
}

fn facts() -> Facts {
    cases::sample().unwrap()
}

fn judged(rules: &[&str]) -> R<Obligations> {
    judge(&Documents::of(rules.iter().map(|rules| read(rules).unwrap())), &facts())
}

#[track_caller]
fn refused(code: Code, rules: &str) {
    match judged(&[rules]) {
        Ok(obligations) => panic!("{code} was expected, allowed: {obligations:?}\n{rules}"),
        Err(refusal) => assert_eq!(refusal.code, code, "{refusal}\n{rules}"),
    }
}

#[test]
fn documents_outside_the_subset_are_none() {
    let long = format!("allow := true\n# {}", "x".repeat(400)).repeat(60);
    let many: String = (0..129).map(|n| format!("r{n} := {n}\n\n")).collect();
    let deep = format!("allow if {}true{}", "[".repeat(60), "]".repeat(60));
    let cases = [
        ("no Rego", "allow if {"),
        ("another version of Rego", "allow { true }"),
        ("the clock", "allow if time.now_ns() > 0"),
        ("randomness", "allow if rand.intn(\"x\", 2) == 1"),
        ("the network", "allow if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"}).status_code == 200"),
        ("the machine", "allow if opa.runtime().env.HOME"),
        ("the log", "allow if print(input)"),
        ("a list of a million numbers", "allow if count(numbers.range(1, 1000000)) > 1"),
        ("a builtin by another spelling", "allow if count(numbers[\"range\"](1, 9)) > 1"),
        ("a builtin in another's place", "allow if { count(1) == 2 with count as numbers.range }"),
        ("another input", "allow if { input.tdc == \"x\" with input as {\"tdc\": \"x\"} }"),
        ("text that doubles", "allow if concat(\"\", [\"a\", \"b\"]) == \"ab\""),
        ("text by a form", "allow if sprintf(\"%09999999d\", [1]) != \"\""),
        ("products", "allow if 3 * 4 == 12"),
        ("quotients", "allow if 4 / 2 == 2"),
        ("a number without end", "allow if 1e999999999 > 1"),
        ("a number beyond 2^53", "allow if 9007199254740993 > 1"),
        ("other data", "import data.other\n\nallow if other.x"),
        ("a function that is none", "allow if nothing(1)"),
        ("a function of the language, defined anew", "count(x) := x\n\nallow if count(1) == 1"),
        ("no rule allow", "permit := true"),
        ("too many rules", &many),
        ("too many bytes", &long),
        ("nested too deep", &deep),
    ];
    for (what, rules) in cases {
        match read(rules) {
            Ok(_) => panic!("{what} was read:\n{rules}"),
            Err(refusal) => {
                println!("{what}: {}", refusal.sentence);
                assert_eq!(refusal.code, Code::RulesForm, "{what}: {refusal}");
            }
        }
    }
    for (what, bytes) in [
        ("no text", b"\xff\xfe".as_slice()),
        ("another package", b"package other\n\nimport rego.v1\n\nallow := true\n"),
        ("an empty file", b""),
    ] {
        assert_eq!(Document::read(bytes).unwrap_err().code, Code::RulesForm, "{what}");
    }
    assert!(read("allow := true").is_ok(), "what they are measured against");
}

#[test]
fn only_a_clear_yes_is_one() {
    assert_eq!(judged(&["allow := true"]).unwrap(), Obligations::default());
    assert_eq!(judged(&[]).unwrap(), Obligations::default(), "no document asks for nothing");
    refused(Code::RulesDenied, "allow := false");
    refused(Code::RulesDenied, "allow := true\n\ndeny contains \"NO\"");
    refused(Code::RulesDenied, "allow := true\n\ndeny := [\"NO\"]");
    refused(Code::RulesUndefined, "allow if input.tdc == \"did:web:nobody.example\"");
    refused(Code::RulesUndefined, "allow if input.no_such_member > 1");
    for wrong in ["1", "\"true\"", "null", "{\"allow\": true}", "[true]"] {
        refused(Code::RulesAnswer, &format!("allow := {wrong}"));
    }
    for wrong in ["true", "{\"NO\": 1}", "{1}", "{\"no\"}", "{\"NO WAY\"}", "\"NO\"", "{\"\"}"] {
        refused(Code::RulesAnswer, &format!("allow := true\n\ndeny := {wrong}"));
    }
    let many: Vec<String> = (0..17).map(|n| format!("\"C{n}\"")).collect();
    refused(Code::RulesAnswer, &format!("allow := true\n\ndeny := {{{}}}", many.join(", ")));
    for wrong in [
        "[]",
        "{\"lease_s\": 0}",
        "{\"lease_s\": 1.5}",
        "{\"lease_s\": -3}",
        "{\"lease_s\": \"10\"}",
        "{\"lease_s\": 86401}",
        "{\"epsilon_max\": 0.5}",
        "{\"epsilon_max\": \"-1\"}",
        "{\"epsilon_max\": \"half\"}",
        "{\"output_policy\": \"everything\"}",
        "{\"output_policy\": true}",
        "{\"lease\": 10}",
        "{1: 10}",
    ] {
        refused(Code::RulesAnswer, &format!("allow := true\n\nobligations := {wrong}"));
    }
    // Two rules that contradict each other, a wrong type for a function, a rule that asks itself.
    refused(Code::RulesFailed, "allow := true if input.v == 1\n\nallow := false if input.v == 1");
    refused(Code::RulesFailed, "allow if abs(input.tdc) > 1");
    refused(Code::RulesFailed, "allow if a\n\na if b\n\nb if a");
}

#[test]
fn an_evaluation_has_a_number_of_steps() {
    let loops = "n := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n\nallow if {\n\tx := [1 | n[_] n[_]; n[_]; n[_]; n[_]; n[_]]\n\tcount(x) > 0\n}";
    let loops = loops.replace("n[_] n[_];", "n[_]; n[_];");
    refused(Code::RulesLimit, &loops);
    // The same on every machine and at every time.
    let document = read("allow if count([x | some x in input.datasets]) == 3").unwrap();
    let steps: BTreeSet<u64> = (0..5).map(|_| verdict(&document, &facts()).unwrap().steps).collect();
    assert_eq!(steps.len(), 1);
    assert!(steps.first().is_some_and(|steps| (1..1000).contains(steps)), "{steps:?}");
}

#[test]
fn all_must_allow_and_the_stricter_obligation_holds() {
    let lease = |s: u32| format!("allow := true\n\nobligations := {{\"lease_s\": {s}}}");
    let epsilon = |e: &str| format!("allow := true\n\nobligations := {{\"epsilon_max\": \"{e}\"}}");
    let held = judged(&[&lease(20), &lease(10), &epsilon("2"), &epsilon("1.50"), "allow := true"]).unwrap();
    let expected =
        Obligations { lease_s: Some(10), epsilon_max: Some(Real::parse("1.50").unwrap()), output_policy: None };
    assert_eq!(held, expected);
    assert_eq!((held.lease(30), held.lease(5)), (10, 5), "never longer than the service's own");
    let wide = "allow := true\n\nobligations := {\"output_policy\": \"model\"}";
    let narrow = "allow := true\n\nobligations := {\"output_policy\": \"model_without_metrics\"}";
    for pair in [[wide, narrow], [narrow, wide]] {
        assert_eq!(judged(&pair).unwrap().output_policy, Some(OutputPolicy::ModelWithoutMetrics));
    }
    // One no among many yeses.
    let refusal = judged(&["allow := true", &lease(10), "allow := false\n\ndeny contains \"NOT_TODAY\""]).unwrap_err();
    assert_eq!(refusal.code, Code::RulesDenied);
    assert!(refusal.sentence.contains("NOT_TODAY"), "{refusal}");
    // What the run costs is judged, to the last digit.
    let cost = facts().datasets[0].epsilon_micro;
    let exact = Real::parse(&format!("{}.{:06}", cost / 1_000_000, cost % 1_000_000)).unwrap();
    judged(&[&epsilon(exact.as_str())]).unwrap();
    let less = format!("{}.{:06}", (cost - 1) / 1_000_000, (cost - 1) % 1_000_000);
    refused(Code::RulesObligation, &epsilon(&less));
    // What no ε bounds keeps no bound, and a document may ask for itself.
    let mut open = facts();
    open.private = false;
    open.datasets.iter_mut().for_each(|used| used.epsilon_micro = schemas::privacy::DatasetCharge::UNBOUNDED);
    let of = |rules: &str, facts: &Facts| judge(&Documents::of([read(rules).unwrap()]), facts).map_err(|r| r.code);
    assert_eq!(of(&epsilon("900"), &open), Err(Code::RulesObligation));
    assert_eq!(of("allow if input.private", &facts()), Ok(Obligations::default()));
    assert_eq!(of("default allow := false\n\nallow if input.private", &open), Err(Code::RulesDenied));
    let mut noisy = facts();
    noisy.plan.metrics_noise_multiplier = Some(Real::parse("20").unwrap());
    let only_model = Documents::of([read(narrow).unwrap()]);
    assert_eq!(judge(&only_model, &noisy).unwrap_err().code, Code::RulesObligation);
}

#[test]
fn a_document_is_known_by_its_bytes() {
    let bytes = text("allow := true").into_bytes();
    let (named, other) = (Digest::of(&bytes), Digest([7; 32]));
    let found = Documents::find(&[named].into(), |_| Ok(Some(bytes.clone()))).unwrap();
    assert_eq!(found.digests(), [named]);
    let missing = |digest| Documents::find(&[digest].into(), |_| Ok(Some(bytes.clone()))).unwrap_err().code;
    assert_eq!(missing(other), Code::RulesMissing, "other bytes under that name");
    assert_eq!(Documents::find(&[named].into(), |_| Ok(None)).unwrap_err().code, Code::RulesMissing);
    assert_eq!(Documents::in_folder(None, &[named].into()).unwrap_err().code, Code::RulesMissing);
    let folder = std::env::temp_dir().join(format!("policies-rego-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{named}.rego")), &bytes).unwrap();
    assert_eq!(Documents::in_folder(Some(&folder), &[named].into()).unwrap().digests(), [named]);
    // One more line, and it is another document.
    std::fs::write(folder.join(format!("{named}.rego")), text("allow := true\n")).unwrap();
    assert_eq!(Documents::in_folder(Some(&folder), &[named].into()).unwrap_err().code, Code::RulesMissing);
    std::fs::remove_dir_all(&folder).unwrap();
    let many: BTreeSet<Digest> = (0..17).map(|n| Digest([n; 32])).collect();
    assert_eq!(Documents::find(&many, |_| Ok(None)).unwrap_err().code, Code::RulesMissing);
}

#[test]
fn cases_with_a_slip_of_the_pen_are_no_cases() {
    let document = read("allow := true").unwrap();
    let run = |cases: &str| cases::Cases::read(cases).and_then(|cases| cases.run(&document, &facts()));
    let wrong = |cases: &str| run(cases).unwrap()[0].wrong.is_some();
    assert!(!wrong("[[case]]\nname = \"a\"\nallow = true\n"));
    assert!(wrong("[[case]]\nname = \"a\"\nallow = false\n"));
    assert!(wrong("[[case]]\nname = \"a\"\nallow = true\nobligations = { lease_s = 3 }\n"));
    for cases in [
        "",
        "case = []",
        "[[case]]\nname = \"a\"\n",
        "[[case]]\nname = \"a\"\nallow = true\nallowed = true\n",
        "[[case]]\nname = \"a\"\nallow = true\nset = { tcd = \"did:web:x.example\" }\n",
        "[[case]]\nname = \"a\"\nallow = true\nset = { \"datasets.9.own\" = true }\n",
        "[[case]]\nname = \"a\"\nallow = true\nset = { \"local.hour\" = \"nine\" }\n",
    ] {
        assert_eq!(run(cases).unwrap_err().code, Code::ConfigInvalid, "{cases}");
    }
}
