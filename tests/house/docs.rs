//! What the handbook tells people to type, typed: every `sh` block of the pages under `docs/`, page by page, against a
//! house of processes. Exit codes are compared, and the files that a page says it leaves.
//!
//! The seconds of each page are printed: `DEPA_DOCS_ONLY=tutorials` leaves the other pages out.
//!
//! A block after `<!-- not run: WHY -->` is left out and counted. `<!-- continues: PAGE -->` puts a page after another one in
//! the same shell and folder; `<!-- leaves: FILE … -->` names files that must lie there at the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use demo::data;
use demo::house::House;
use demo::house::process::{free_port, sibling};

use crate::not_run;

/// Pages whose blocks are typed. Reference pages are generated.
const PARTS: [&str; 4] = ["tutorials", "how-to", "explain", "operate"];
/// A page that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// A page of the handbook.
#[derive(Debug)]
struct Page {
    name: String,
    continues: Option<String>,
    leaves: Vec<String>,
    /// Line and text of each block that is typed.
    blocks: Vec<(usize, String)>,
    /// Line and reason of each that is not.
    left_out: Vec<(usize, String)>,
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn note<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.trim().strip_prefix("<!-- ")?.strip_prefix(name)?.strip_prefix(": ")?.strip_suffix(" -->")
}

fn read(name: String, text: &str) -> Page {
    let mut page = Page { name, continues: None, leaves: vec![], blocks: vec![], left_out: vec![] };
    let (mut skip, mut open): (Option<String>, Option<(usize, String, bool)>) = (None, None);
    for (number, line) in (1..).zip(text.lines()) {
        if let Some((from, block, shell)) = &mut open {
            if line.trim() != "```" {
                block.push_str(line);
                block.push('\n');
                continue;
            }
            match (*shell, skip.take()) {
                (true, Some(why)) => page.left_out.push((*from, why)),
                (true, None) => page.blocks.push((*from, std::mem::take(block))),
                (false, _) => {}
            }
            open = None;
        } else if let Some(kind) = line.trim().strip_prefix("```") {
            open = Some((number, String::new(), kind == "sh"));
        } else if let Some(why) = note(line, "not run") {
            skip = Some(why.to_owned());
        } else if let Some(other) = note(line, "continues") {
            page.continues = Some(other.to_owned());
        } else if let Some(files) = note(line, "leaves") {
            page.leaves.extend(files.split_whitespace().map(str::to_owned));
        }
    }
    assert!(open.is_none(), "{}: a block is not closed", page.name);
    assert!(skip.is_none(), "{}: a note stands before no block", page.name);
    page
}

fn pages() -> BTreeMap<String, Page> {
    let mut pages = BTreeMap::new();
    for part in PARTS {
        let Ok(folder) = fs::read_dir(docs().join(part)) else { continue };
        for entry in folder {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                let name = format!("{part}/{}", path.file_name().unwrap().to_str().unwrap());
                pages.insert(name.clone(), read(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    pages
}

/// Pages that belong together, in order: each first one with those that continue it.
fn scripts(pages: &BTreeMap<String, Page>) -> Vec<Vec<&Page>> {
    let after = |name: &str| pages.values().filter(|p| p.continues.as_deref() == Some(name)).collect::<Vec<_>>();
    let first = pages.values().filter(|page| page.continues.is_none());
    let mut all = Vec::new();
    for page in first {
        let mut chain = vec![page];
        let mut at = 0;
        while at < chain.len() {
            chain.extend(after(&chain[at].name));
            at += 1;
        }
        all.push(chain);
    }
    all.sort_by_key(|chain| PARTS.iter().position(|part| chain[0].name.starts_with(part)));
    all
}

#[test]
fn pages_are_read_as_they_are_written() {
    let text = "# T\n<!-- leaves: a b -->\n```sh\none\n```\n<!-- not run: needs a cloud -->\n\n```sh\ntwo\n```\n```json\n{}\n```\n";
    let page = read("x".into(), text);
    assert_eq!(page.blocks, [(3, "one\n".to_owned())]);
    assert_eq!(page.left_out, [(8, "needs a cloud".to_owned())]);
    assert_eq!(page.leaves, ["a", "b"]);
    for name in pages().values().filter_map(|page| page.continues.as_ref()) {
        assert!(pages().contains_key(name), "no page {name}");
    }
}

/// Every link of the handbook to a file of the repository leads somewhere.
#[test]
fn links_lead_somewhere() {
    let mut stack = vec![docs()];
    let mut looked = 0;
    while let Some(folder) = stack.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
                continue;
            }
            if path.extension().is_none_or(|e| e != "md") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = link.split('#').next().unwrap();
                if file.is_empty() || file.contains("://") {
                    continue;
                }
                looked += 1;
                assert!(path.parent().unwrap().join(file).exists(), "{}: {link}", path.display());
            }
        }
    }
    assert!(looked > 10, "{looked}");
}

#[test]
fn what_the_handbook_says_can_be_typed() {
    for binary in ["depa", "contract-service", "kms-adapter", "ccr", "ccr-trainer"] {
        if sibling(binary).is_err() {
            return not_run("what_the_handbook_says_can_be_typed", &format!("{binary} is not built"));
        }
    }
    let pages = pages();
    let began = Instant::now();
    let house = House::start(None).unwrap().ready(&data::generate(data::SEED, 300)).unwrap();
    println!("a house is ready after {:.1} s", began.elapsed().as_secs_f64());
    let work = house.dir.join("readers");
    fs::create_dir(&work).unwrap();
    let (mut typed, mut left_out) = (0, 0);
    let only = std::env::var("DEPA_DOCS_ONLY").unwrap_or_default();
    for (number, chain) in scripts(&pages).into_iter().enumerate() {
        for page in &chain {
            page.left_out.iter().for_each(|(line, why)| println!("{}:{line} is not run: {why}", page.name));
            left_out += page.left_out.len();
        }
        if chain.iter().all(|page| page.blocks.is_empty()) || !chain[0].name.contains(&only) {
            continue;
        }
        let seconds = play(&house, &work.join(number.to_string()), &chain);
        chain.iter().zip(seconds).for_each(|(page, seconds)| println!("{}: {seconds:.1} s", page.name));
        typed += chain.iter().map(|page| page.blocks.len()).sum::<usize>();
    }
    println!("{typed} blocks typed, {left_out} not run");
}

/// Types the blocks of these pages one after the other in one shell, in an empty folder of their own. Returns the seconds
/// that each page took.
fn play(house: &House, dir: &Path, chain: &[&Page]) -> Vec<f64> {
    fs::create_dir(dir).unwrap();
    let times = dir.join(".times");
    let look_at_the_clock = format!("date +%s.%N >>'{}'\n", times.display());
    let mut script = String::from("set -eu\n");
    for page in chain {
        script.push_str(&look_at_the_clock);
        for (line, block) in &page.blocks {
            script.push_str(&format!("echo '== {}:{line}' >&2\n{block}", page.name));
        }
    }
    script.push_str(&look_at_the_clock);
    fs::write(dir.join(".script.sh"), &script).unwrap();
    let bins = sibling("depa").unwrap().parent().unwrap().to_owned();
    let path = format!("{}:{}", bins.display(), std::env::var("PATH").unwrap());
    let log = fs::File::create(dir.join(".log")).unwrap();
    let mut shell = Command::new("sh");
    shell.arg(".script.sh").current_dir(dir).env("PATH", path).env("HOUSE", &house.dir).env("HOME", dir);
    for name in ["DEPA_KEY", "DEPA_CA", "DEPA_STORES", "DEPA_PROFILE", "DEPA_PROFILES", "XDG_CONFIG_HOME"] {
        shell.env_remove(name);
    }
    shell.env("DEPA_REGISTRY", &house.url).env("DEPA_TRUST", &house.trust_file);
    shell.env("PORT", free_port().unwrap().to_string()).env("REPOSITORY", docs().parent().unwrap());
    // Of its own group, so that what a page left running ends with it.
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut child = shell.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let end = Instant::now() + LONGEST * u32::try_from(chain.len()).unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > end => break None,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
    let _ = child.wait();
    let said = String::from_utf8_lossy(&fs::read(dir.join(".log")).unwrap()).into_owned();
    let last: Vec<&str> = said.lines().rev().take(40).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    assert!(status.is_some_and(|s| s.success()), "{status:?}\n{}", last.join("\n"));
    for file in chain.iter().flat_map(|page| &page.leaves) {
        assert!(dir.join(file).exists(), "{file} is not there\n{}", last.join("\n"));
    }
    let times: Vec<f64> = fs::read_to_string(times).unwrap().lines().map(|time| time.parse().unwrap()).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}
