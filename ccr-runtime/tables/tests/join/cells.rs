//! Hostile cells: clamped or replaced by public constants, and nothing else changes.

use schemas::Code;
use schemas::pipeline::{FeatureForm, Labels, Model};
use schemas::text::Real;

use crate::house::{csv, is_subsequence, join, prepare, prepare_under, read, three, training};

#[test]
fn taking_one_principal_away_leaves_every_other_row_as_it_was() {
    let (join, training, files) = three(200);
    let all = prepare(&join, &training, &files).unwrap();
    assert_eq!(all.train.len() + all.held_out.len(), 200);
    assert!(all.held_out.len() > 20);
    for file in 0..3 {
        for gone in [0, 57, 199] {
            let mut fewer = files.clone();
            fewer[file].1 = files[file]
                .1
                .lines()
                .filter(|l| !l.starts_with(&format!("p{gone},")))
                .fold(String::new(), |text, line| text + line + "\n");
            let less = prepare(&join, &training, &fewer).unwrap();
            assert_eq!(less.train.len() + less.held_out.len(), 199);
            for (before, after) in [(&all.train, &less.train), (&all.held_out, &less.held_out)] {
                assert!(is_subsequence(after, before, 4));
            }
        }
    }
}

#[test]
fn a_bad_cell_changes_its_own_value_and_nothing_else() {
    let (join, training, files) = three(60);
    let clean = prepare(&join, &training, &files).unwrap();
    for person in [0, 7, 31, 59] {
        for (bad, value) in
            [("NaN", 0.0), ("", 0.0), ("what", 0.0), ("1e38", 1.0), ("-1e38", -1.0), ("inf", 1.0), ("1e999", 1.0)]
        {
            let mut spoilt = files.clone();
            let line = files[1].1.lines().find(|line| line.starts_with(&format!("p{person},"))).unwrap();
            let cells: Vec<&str> = line.split(',').collect();
            spoilt[1].1 = files[1].1.replace(line, &format!("{},{bad},{},{}", cells[0], cells[2], cells[3]));
            let parts = prepare(&join, &training, &spoilt).unwrap();
            let (mut changed, mut same) = (0, 0);
            for (before, after) in [(&clean.train, &parts.train), (&clean.held_out, &parts.held_out)] {
                assert_eq!(before.labels, after.labels);
                assert_eq!(before.features.len(), after.features.len());
                for (a, b) in before.features.iter().zip(&after.features) {
                    if a.to_bits() == b.to_bits() {
                        same += 1;
                    } else {
                        assert_eq!(*b, value);
                        changed += 1;
                    }
                }
            }
            assert!(changed <= 1 && same + changed == 240, "{changed} values changed with {bad:?}");
        }
    }
}

#[test]
fn duplicates_change_nothing() {
    let (join, training, mut files) = three(50);
    let clean = prepare(&join, &training, &files).unwrap();
    files[0].1.push_str("p3,1,0.9\np4,0,0.1\n");
    files[1].1.push_str("p3,0,0,inf\n,1,2,3\n");
    assert_eq!(prepare(&join, &training, &files).unwrap(), clean);
}

#[test]
fn lists_classes_and_numbers_are_read_from_public_lists_and_bounds() {
    let files = vec![csv("t", "id,colour,class,y\n1,red,cat,5\n2,blue,dog,\n3,green,cow,-3\n4,,dog,7\n")];
    let join = join("t", vec![], &["t.id", "t.colour", "t.class", "t.y"]);
    let mut training = training(&[("t.colour", "0", "1")], "t.class", "t.id");
    training.train_ppm = 1_000_000;
    let values = vec!["red".to_owned(), "blue".to_owned()];
    training.features[0].form = Some(FeatureForm::Values { values });
    training.labels = Some(Labels::Classes { classes: vec!["cat".into(), "dog".into()] });
    let parts = prepare(&join, &training, &files).unwrap();
    assert_eq!(parts.train.features, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(parts.train.labels, [0.0, 1.0, 0.0, 1.0]);
    assert_eq!((training.inputs(), training.label_width()), (2, 1));
    training.target.column = "y".into();
    training.labels = Some(Labels::Number { lower: Real::parse("0").unwrap(), upper: Real::parse("10").unwrap() });
    assert_eq!(prepare(&join, &training, &files).unwrap().train.labels, [0.0, 0.0, -1.0, 0.4]);
}

#[test]
fn cells_of_a_network_that_reads_tokens_are_its_tokens() {
    let files = vec![csv("t", "id,x,z,y\n1,7,0,1\n2,19,3,0\n3,20,,1\n4,what,2.6,0\n5,NaN,-1,1\n")];
    let join = join("t", vec![], &["t.id", "t.x", "t.z", "t.y"]);
    let mut training = training(&[("t.x", "2", "19"), ("t.z", "0", "3")], "t.y", "t.id");
    training.train_ppm = 1_000_000;
    let scaled = prepare(&join, &training, &files).unwrap().train.features;
    assert!(scaled.iter().all(|input| input.abs() <= 1.0));
    let network = r#"{"input":{"kind":"tokens","length":2,"vocabulary":20},"layers":[
        {"op":"embedding","count":20,"width":2},{"op":"mean_tokens"},{"op":"linear","inputs":2,"outputs":1,"bias":true}]}"#;
    training.model = Model::Network { network: serde_json::from_str(network).unwrap() };
    let tokens = prepare(&join, &training, &files).unwrap().train.features;
    assert_eq!(tokens, [7.0, 0.0, 19.0, 3.0, 19.0, 0.0, 2.0, 3.0, 2.0, 0.0]);
}

#[test]
fn only_the_structure_of_a_file_refuses_and_no_cell_is_told() {
    let (_, _, files) = three(5);
    let broken = [
        files[0].1.replace("p2,", "p2,SECRET,"),
        files[0].1.replace("p2,", "p2,\"SECRET"),
        files[0].1.replace("p2,", "SECRET"),
        files[0].1.replacen("person", "person,person", 1),
        String::new(),
    ];
    for text in broken {
        let refusal = read("t", &text).err().unwrap();
        assert_eq!(refusal.code, Code::TableForm);
        assert!(!refusal.sentence.contains("SECRET") && refusal.sentence.starts_with("table t: "), "{refusal}");
    }
}

#[test]
fn what_principals_are_called_inside_changes_no_row() {
    let (join, training, files) = three(200);
    let under = |key| prepare_under(&join, &training, &files, key).unwrap();
    assert!(under(1).train.len() > 100);
    assert_eq!(under(1), under(2));
}
