//! What overseers read is counted, also while others write.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use schemas::event::Body;

use crate::house::House;
use schemas::Digest;

#[test]
fn an_export_shows_no_entry_that_its_reading_does_not_count() {
    let house = House::furnished();
    let (auditor, done) = (house.as_(&house.sro[0]), AtomicBool::new(false));
    let mut shown = BTreeSet::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let writer = house.as_(&house.tdps[0]);
                while !done.load(Ordering::Relaxed) {
                    writer.anchor(Digest(signing::signer::random::<32>().unwrap())).unwrap();
                }
            });
        }
        let mut at = 0;
        for _ in 0..40 {
            let page = auditor.export(at, 200).unwrap();
            for entry in page.entries {
                assert_eq!(entry.index, at, "a page has no gaps");
                at += 1;
                if !matches!(entry.body, Body::TwinRoot { .. } | Body::BodiesRead { .. }) {
                    shown.insert(entry.index);
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let mut counted = BTreeSet::new();
    let mut from = 0;
    loop {
        let page = house.as_(&house.sro[1]).export(from, 1000).unwrap().entries;
        let Some(last) = page.last() else { break };
        from = last.index + 1;
        for entry in page {
            if let Body::BodiesRead { by, from, count } = entry.body
                && by == house.sro[0].did().unwrap()
            {
                counted.extend(from..from + count);
            }
        }
    }
    assert!(shown.len() > 40, "others wrote meanwhile");
    assert_eq!(shown.difference(&counted).collect::<Vec<_>>(), Vec::<&u64>::new());
}
