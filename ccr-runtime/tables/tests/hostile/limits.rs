//! Time, memory and code.

use std::fs;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};
use schemas::worker::TableFormat;
use tables::Limits;
use tables::picture::{Shape, decode};

use crate::files::{self, bombs, head, parquet, schema, with_rows};

const CASE: &str = "TABLES_HOSTILE_FILE";
const MOST: u64 = 512 << 10; // KiB

/// Not a test by itself: what the processes below do.
#[test]
fn child() {
    let Ok(path) = std::env::var(CASE) else { return };
    setrlimit(Resource::RLIMIT_CPU, 5, 5).unwrap();
    let bytes = fs::read(&path).unwrap();
    let code = match path.rsplit('.').next().unwrap() {
        "png" => {
            let found = decode(&bytes, &Shape::new(1, 28, 28).unwrap());
            format!("PICTURE_{}", found.is_some())
        }
        form => {
            let format = if form == "csv" { TableFormat::Csv } else { TableFormat::Parquet };
            let columns = ["a"];
            let head = head(format, &columns, bytes.len());
            let read = tables::read(&head, &head.columns.clone(), bytes, &Limits::ROOM);
            read.map_or_else(|refusal| refusal.code.to_string(), |table| format!("ROWS_{}", table.rows()))
        }
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("ENDED {code} {}", peak.trim().trim_end_matches(" kB"));
}

/// What a process says of a file, and its peak memory in KiB.
fn ends(name: &str, bytes: &[u8]) -> (String, u64) {
    let path = std::env::temp_dir().join(format!("tables-hostile-{}-{name}", std::process::id()));
    fs::write(&path, bytes).unwrap();
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this)
        .args(["--exact", "limits::child", "--nocapture", "--test-threads", "1"])
        .env(CASE, &path)
        .output()
        .unwrap();
    fs::remove_file(&path).unwrap();
    assert!(output.status.success(), "{name}: {:?}", output.status);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split_once("ENDED ")).unwrap_or_else(|| panic!("{name}: {said}")).1;
    let (code, peak) = line.split_once(' ').unwrap();
    println!("{name}: {} bytes, {code}, {} MiB", bytes.len(), peak.parse::<u64>().unwrap() >> 10);
    (code.to_owned(), peak.parse().unwrap())
}

#[test]
fn every_hostile_file_ends_in_its_code() {
    let many = (0..1_000_000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    let values = (0..1_000_000).map(|_| "1").collect::<Vec<_>>().join(",");
    let five = parquet("a,b\n1,1\n2,2\n3,3\n4,4\n5,5\n");
    let constant = parquet(&format!("a\n{}", format!("{}\n", "x".repeat(1_000)).repeat(300_000)));
    println!("300,000 rows of 1,000 letters are {} bytes of Parquet", constant.len());
    let cut = &five[..five.len() - 1];
    let cases: [(&str, Vec<u8>, &str); 16] = [
        ("columns.csv", format!("a,{many}\n1,{values}\n").into_bytes(), "LIMIT_EXCEEDED"),
        ("quote.csv", format!("a\n\"{}", "x".repeat(64 << 20)).into_bytes(), "TABLE_FORM"),
        ("cell.csv", format!("a\n{}\n", "x".repeat(17 << 20)).into_bytes(), "LIMIT_EXCEEDED"),
        ("bytes.csv", b"a\n\xff\xfe\n".to_vec(), "TABLE_FORM"),
        ("zip.csv", b"PK\x03\x04\x00\x00".to_vec(), "TABLE_FORM"),
        ("nothing.parquet", Vec::new(), "TABLE_FORM"),
        ("zip.parquet", b"PK\x03\x04\x00\x00 and more of it".to_vec(), "TABLE_FORM"),
        ("cut.parquet", cut.to_vec(), "TABLE_FORM"),
        ("footer.parquet", b"PAR1\xff\xff\xff\xffPAR1".to_vec(), "LIMIT_EXCEEDED"),
        ("list.parquet", files::footer(&[0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]), "LIMIT_EXCEEDED"),
        ("columns.parquet", schema(1_000_001, 0), "LIMIT_EXCEEDED"),
        ("many.parquet", schema(5_000, 0), "LIMIT_EXCEEDED"),
        ("nested.parquet", schema(4_000, 1), "TABLE_FORM"),
        ("rows.parquet", with_rows(&five, 2_000_000_000), "LIMIT_EXCEEDED"),
        ("lie.parquet", with_rows(&five, 7_000_000), "TABLE_FORM"),
        ("constant.parquet", constant, "LIMIT_EXCEEDED"),
    ];
    for (name, bytes, code) in cases {
        let (said, peak) = ends(name, &bytes);
        assert_eq!(said, code, "{name}");
        assert!(peak <= MOST, "{name}: {peak} KiB");
    }
    assert_eq!(ends("honest.parquet", &five).0, "ROWS_5");
}

#[test]
fn a_picture_that_is_a_bomb_costs_no_more_than_its_shape() {
    for (at, bomb) in bombs().iter().enumerate() {
        let (said, peak) = ends(&format!("{at}.png"), bomb);
        // So many zeros hold a picture of the right size too; what is behind it is never unpacked.
        assert!(["PICTURE_false", "PICTURE_true"].contains(&said.as_str()), "bomb {at}: {said}");
        assert!(said == "PICTURE_false" || at < 4, "bomb {at} has another shape");
        assert!(peak <= MOST / 4, "bomb {at}: {peak} KiB");
    }
}
