//! SQL to a typed join: what is understood, and what is refused by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use depa::sql::{Parsed, Table, parse};
use schemas::pipeline::{ColumnRef, Comparison, JoinKind};
use schemas::{Code, R};

fn table(name: &str, allowed: &[&str], targets: &[&str]) -> Table {
    let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Table { name: name.into(), allowed: list(allowed), keys: vec!["mobile".into()], targets: list(targets) }
}

fn tables() -> Vec<Table> {
    vec![
        table("icmr_test_results", &["ct", "strain"], &["result"]),
        table("index_patient_records", &["age", "symptoms", "mobile"], &[]),
        table("cowin_vaccine_data", &["age", "vaccine"], &[]),
    ]
}

fn column(text: &str) -> ColumnRef {
    depa::job::column(text).unwrap()
}

fn columns(list: &[ColumnRef]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn read(sql: &str) -> R<Parsed> {
    parse(sql, "joined", &tables(), &[column("icmr.mobile"), column("icmr.result")])
}

/// The join of the DEPA COVID reference, word for word but for the key's name.
const REFERENCE: &str = "SELECT * FROM icmr_test_results AS icmr JOIN index_patient_records AS idx ON idx.mobile = icmr.mobile \
                         JOIN cowin_vaccine_data AS cowin ON idx.mobile = cowin.mobile";

#[test]
fn the_reference_query_becomes_a_typed_join() {
    let parsed = read(REFERENCE).unwrap();
    let join = parsed.join;
    assert_eq!((join.name.as_str(), join.first.as_str()), ("joined", "icmr"));
    let steps: Vec<_> =
        join.steps.iter().map(|s| (s.handle.as_str(), s.kind, s.left.to_string(), s.right.to_string())).collect();
    assert_eq!(
        steps,
        [
            ("idx", JoinKind::Inner, "icmr.mobile".into(), "idx.mobile".into()),
            ("cowin", JoinKind::Inner, "idx.mobile".into(), "cowin.mobile".into()),
        ]
    );
    // `*` is what the contracts allow, without keys, but with the principal and the target that the training reads.
    assert_eq!(
        columns(&join.projection),
        "icmr.ct icmr.strain icmr.mobile icmr.result idx.age idx.symptoms cowin.age cowin.vaccine"
    );
    assert!(join.filters.is_empty());
    let names: Vec<_> = parsed.tables.iter().map(|(h, t)| format!("{h}={t}")).collect();
    assert_eq!(names, ["icmr=icmr_test_results", "idx=index_patient_records", "cowin=cowin_vaccine_data"]);
}

#[test]
fn columns_joins_and_filters() {
    let join = read(
        "select ct, icmr.result, (cowin.vaccine) from icmr_test_results icmr \
         left outer join cowin_vaccine_data cowin on (cowin.mobile = icmr.mobile) \
         where icmr.ct >= 12.5 and (cowin.vaccine <> 'none' and 18 < cowin.age) and icmr.strain = 0 and ct > -1",
    )
    .unwrap()
    .join;
    assert_eq!(columns(&join.projection), "icmr.ct icmr.result cowin.vaccine");
    assert_eq!(join.steps[0].kind, JoinKind::Left);
    assert_eq!(
        (join.steps[0].left.to_string(), join.steps[0].right.to_string()),
        ("icmr.mobile".into(), "cowin.mobile".into())
    );
    let filters: Vec<_> = join.filters.iter().map(|f| (f.column.to_string(), f.op, f.value.as_str())).collect();
    assert_eq!(
        filters,
        [
            ("icmr.ct".into(), Comparison::Ge, "12.5"),
            ("cowin.vaccine".into(), Comparison::Ne, "none"),
            ("cowin.age".into(), Comparison::Gt, "18"),
            ("icmr.strain".into(), Comparison::Eq, "0"),
            ("icmr.ct".into(), Comparison::Gt, "-1"),
        ]
    );
}

#[test]
fn a_table_without_alias_is_its_own_handle() {
    let parsed = read("SELECT icmr_test_results.ct, cowin_vaccine_data.* FROM icmr_test_results INNER JOIN cowin_vaccine_data ON icmr_test_results.mobile = cowin_vaccine_data.mobile").unwrap();
    assert_eq!(
        columns(&parsed.join.projection),
        "icmr_test_results.ct cowin_vaccine_data.age cowin_vaccine_data.vaccine"
    );
    let quoted = read("SELECT \"icmr\".\"ct\" FROM \"icmr_test_results\" AS \"icmr\"").unwrap();
    assert_eq!(columns(&quoted.join.projection), "icmr.ct");
    assert!(quoted.join.steps.is_empty());
}

/// Everything else is refused by the name of its construct.
#[test]
fn what_is_not_understood_is_named() {
    let from = "FROM icmr_test_results AS icmr";
    let two = "FROM icmr_test_results icmr JOIN cowin_vaccine_data cowin ON icmr.mobile = cowin.mobile";
    let cases = [
        (format!("SELECT count(*) {from}"), "the function count"),
        (format!("SELECT AVG(icmr.ct) {from}"), "the function AVG"),
        (format!("SELECT icmr.ct + 1 {from}"), "the expression with +"),
        (format!("SELECT 1 {from}"), "a constant in place of a column"),
        (format!("SELECT icmr.ct AS x {from}"), "a column alias"),
        (format!("SELECT CASE WHEN icmr.ct > 1 THEN 1 ELSE 0 END {from}"), "CASE"),
        (format!("SELECT CAST(icmr.ct AS INT) {from}"), "CAST"),
        (format!("SELECT DISTINCT icmr.ct {from}"), "DISTINCT"),
        (format!("SELECT TOP 5 icmr.ct {from}"), "TOP"),
        (format!("SELECT (SELECT icmr.ct {from}) {from}"), "a subquery"),
        (format!("SELECT ROW_NUMBER() OVER (ORDER BY icmr.ct) {from}"), "the function ROW_NUMBER"),
        (format!("SELECT other.* {from}"), "other.*"),
        (format!("SELECT * EXCEPT (ct) {from}"), "an option of *"),
        ("SELECT x FROM (SELECT * FROM icmr_test_results) AS x".into(), "a subquery in FROM"),
        ("SELECT 1".into(), "a query without FROM"),
        ("SELECT icmr.ct FROM icmr_test_results icmr, cowin_vaccine_data cowin".into(), "a comma between tables"),
        ("SELECT icmr.ct FROM a.icmr_test_results icmr".into(), "a table name of more than one part"),
        ("SELECT icmr.ct FROM icmr_test_results(1) icmr".into(), "a table function"),
        (format!("SELECT icmr.ct {from} UNION SELECT icmr.ct {from}"), "UNION"),
        (format!("SELECT icmr.ct {from} EXCEPT SELECT icmr.ct {from}"), "EXCEPT"),
        (format!("(SELECT icmr.ct {from})"), "a query in parentheses"),
        (format!("WITH t AS (SELECT 1) SELECT icmr.ct {from}"), "WITH"),
        (format!("SELECT icmr.ct {from} ORDER BY icmr.ct"), "ORDER BY"),
        (format!("SELECT icmr.ct {from} LIMIT 3"), "LIMIT"),
        (format!("SELECT icmr.ct {from} GROUP BY icmr.ct"), "GROUP BY"),
        (format!("SELECT icmr.ct {from} HAVING icmr.ct > 1"), "HAVING"),
        (two.replace("FROM", "SELECT icmr.ct FROM").replace("JOIN", "RIGHT JOIN"), "RIGHT JOIN"),
        (two.replace("FROM", "SELECT icmr.ct FROM").replace("JOIN", "FULL OUTER JOIN"), "FULL JOIN"),
        (format!("SELECT icmr.ct {from} CROSS JOIN cowin_vaccine_data"), "CROSS JOIN"),
        (format!("SELECT icmr.ct {from} JOIN cowin_vaccine_data"), "a join without ON"),
        (format!("SELECT icmr.ct {from} NATURAL JOIN cowin_vaccine_data"), "NATURAL JOIN"),
        (format!("SELECT icmr.ct {from} JOIN cowin_vaccine_data USING (mobile)"), "USING"),
        (format!("SELECT icmr.ct {two}").replace(" = ", " < "), "< in ON"),
        (format!("SELECT icmr.ct {two} AND icmr.ct = cowin.age"), "more than one comparison in ON"),
        (format!("SELECT icmr.ct {two}").replace("= cowin.mobile", "= icmr.mobile"), "does not link the new table"),
        (format!("SELECT icmr.ct {two}").replace("= cowin.mobile", "= lower(cowin.mobile)"), "the function lower"),
        (format!("SELECT icmr.ct {from} JOIN icmr_test_results b ON icmr.mobile = b.mobile"), "stands twice"),
        (format!("SELECT mobile {two}"), "the ambiguous column mobile"),
        (format!("SELECT a.b.c {from}"), "a name of more than two parts"),
        (format!("SELECT nobody.ct {from}"), "no table is called nobody"),
        ("SELECT x.ct FROM secrets x".into(), "there is no table secrets"),
        (format!("SELECT icmr.ct {from} WHERE icmr.ct > 1 OR icmr.ct < 0"), "OR"),
        (format!("SELECT icmr.ct {from} WHERE NOT icmr.ct > 1"), "the operator NOT"),
        (format!("SELECT icmr.ct {from} WHERE icmr.ct BETWEEN 1 AND 2"), "BETWEEN"),
        (format!("SELECT icmr.ct {from} WHERE icmr.ct IN (1, 2)"), "IN"),
        (format!("SELECT icmr.ct {from} WHERE icmr.ct LIKE 'a%'"), "LIKE"),
        (format!("SELECT icmr.ct {from} WHERE icmr.ct IS NULL"), "IS NULL"),
        (format!("SELECT icmr.ct {from} WHERE icmr.ct = icmr.strain"), "a comparison of two columns"),
        (format!("SELECT icmr.ct {from} WHERE 1 = 1"), "a comparison of two constants"),
        (format!("SELECT icmr.ct {from} WHERE icmr.ct > 'a'"), "an order comparison with a text"),
        (format!("SELECT icmr.ct {from} WHERE icmr.ct = (SELECT 1)"), "a subquery"),
        (format!("SELECT icmr.ct {from} WHERE EXISTS (SELECT 1)"), "a subquery"),
        ("SELECT `1x`.ct FROM icmr_test_results AS `1x`".into(), "no plain name"),
        (format!("SELECT icmr.ct {from}; DROP TABLE x"), "one SELECT"),
        ("INSERT INTO icmr_test_results VALUES (1)".into(), "one SELECT"),
        ("".into(), "one SELECT"),
        ("SELEC icmr.ct".into(), "cannot be read"),
    ];
    for (sql, construct) in cases {
        let refusal = read(&sql).expect_err(&sql);
        assert_eq!(refusal.code, Code::SqlUnsupported, "{sql}: {refusal}");
        assert!(refusal.sentence.contains(construct), "{sql}: {refusal}");
    }
}

/// What the contracts do not give has the code of the rule, wherever it stands.
#[test]
fn columns_beyond_the_contract_are_refused_by_the_rule() {
    for sql in [
        "SELECT icmr.name FROM icmr_test_results icmr",
        "SELECT name FROM icmr_test_results icmr",
        "SELECT icmr.ct FROM icmr_test_results icmr WHERE icmr.name = 'x'",
    ] {
        assert_eq!(read(sql).unwrap_err().code, Code::PipelineColumn, "{sql}");
    }
    assert_eq!(read(&format!("SELECT {} FROM t", "x,".repeat(10_000))).unwrap_err().code, Code::LimitExceeded);
    assert_eq!(
        read(&format!("SELECT icmr.ct FROM icmr_test_results icmr WHERE {}1=1{}", "(".repeat(5000), ")".repeat(5000)))
            .unwrap_err()
            .code,
        Code::SqlUnsupported
    );
}
