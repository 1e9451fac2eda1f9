//! Databases that another build left.

use policies::upgrade::no_later_build;
use schemas::Code;

#[test]
fn a_database_of_an_earlier_build_is_gone_on_with_and_one_of_a_later_build_is_not() {
    let versions = |all: &[&str]| all.iter().map(|&v| v.to_owned()).collect::<Vec<_>>();
    let known = versions(&["0001", "0002", "0003"]);
    let judge = |applied: &[&str]| no_later_build("log.db", &known, &versions(applied));
    assert_eq!(judge(&[]), Ok(()), "a new one");
    assert_eq!(judge(&["0002", "0001"]), Ok(()), "an earlier one");
    assert_eq!(judge(&["0003", "0002", "0001"]), Ok(()));
    // By what is known, and not by what sorts last.
    for applied in [["0004", "0003"], ["0003", "0002a"]] {
        let refused = judge(&applied).unwrap_err();
        assert_eq!(refused.code, Code::ConfigInvalid);
        assert!(refused.sentence.starts_with("database log.db: "), "{refused}");
    }
}
