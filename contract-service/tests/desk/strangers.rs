//! What strangers send is not written down: told by the size of SQLite's files.

use schemas::party::Kind;
use schemas::{Code, canonical};

use crate::house::House;
use crate::http::{code, post};
use crate::papers;

#[test]
fn strangers_leave_no_rows() {
    let house = House::empty();
    let size = || {
        let wal = std::fs::metadata(house.dir.join("sro/data/registry.sqlite-wal")).map(|m| m.len()).unwrap_or(0);
        wal + std::fs::metadata(house.dir.join("sro/data/registry.sqlite")).unwrap().len()
    };
    let before = size();
    for n in 0..200 {
        assert_eq!(code(post(&house, "/v1/participants", b"{}").send().unwrap()), Code::SchemaMismatch, "{n}");
    }
    let who = &house.tdps[0];
    let mut application = house.sign(&papers::participant(&house, who, Kind::Tdp), who);
    application.signatures[0].sig = schemas::text::Bytes(vec![1; 64]);
    let forged = canonical::to_bytes(&application).unwrap();
    assert_eq!(code(post(&house, "/v1/participants", &forged).send().unwrap()), Code::SignatureInvalid);
    assert_eq!(size(), before, "garbage was written down");
}
