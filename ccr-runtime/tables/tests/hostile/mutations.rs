//! Every cut and every changed byte of a Parquet file ends in a table or in a code.

use schemas::Code;
use schemas::worker::TableFormat;
use tables::Limits;

use crate::files::{head, parquet};

fn ends(bytes: Vec<u8>, what: &str) -> bool {
    let head = head(TableFormat::Parquet, &["a", "b"], bytes.len());
    match tables::read(&head, &head.columns.clone(), bytes, &Limits::ROOM) {
        Ok(table) => {
            assert!(table.rows() < 1_000, "{what}: {} rows", table.rows());
            true
        }
        Err(refusal) => {
            assert!(matches!(refusal.code, Code::TableForm | Code::LimitExceeded), "{what}: {refusal}");
            assert!(refusal.sentence.starts_with("table t: "), "{what}: {refusal}");
            false
        }
    }
}

#[test]
fn cut_files_are_refused() {
    let file = parquet("a,b\n1,one\n2,two\n3,one\n");
    assert!(ends(file.clone(), "whole"));
    for length in 0..file.len() {
        assert!(!ends(file[..length].to_vec(), &format!("first {length} bytes")));
    }
}

#[test]
fn changed_bytes_end_in_a_table_or_a_code() {
    std::panic::set_hook(Box::new(|_| {})); // the decoder's words about broken files
    let file = parquet("a,b\n1,one\n2,two\n3,one\n1,\n");
    let mut refused = 0;
    for at in 0..file.len() {
        for change in [0x01, 0x80, 0xff, 0x10] {
            let mut bytes = file.clone();
            bytes[at] ^= change;
            refused += usize::from(!ends(bytes, &format!("byte {at} ^ {change:#x}")));
        }
    }
    println!("{refused} of {} changed files are refused", file.len() * 4);
    assert!(refused > file.len(), "most of a file is its own description");
}
