//! A dataset opened as a stream with its manifest checked: rate of one core, and memory over what the process held.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::resource::UsageWho;
use schemas::id::DatasetId;
use schemas::{Code, R, Refusal};
use sealing::{DEFAULT_CHUNK, DatasetKey, Opener, Plan as Sealing, Subject};

use super::{Plan, fault, processor};
use crate::process::{Folder, once};
use crate::rows::{Better, Row};

/// A line of `/proc/self/status`, in MiB.
fn mib(line: &str) -> R<f64> {
    let status = fs::read_to_string("/proc/self/status").map_err(fault)?;
    let value = status.lines().find_map(|l| l.strip_prefix(line)?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    value.map(|kib| kib / 1024.0).ok_or_else(|| fault(format!("/proc/self/status has no {line}")))
}

/// Bytes free where a folder lies.
fn free(folder: &Path) -> R<u64> {
    let words = once(Command::new("df").args(["-B1", "--output=avail"]).arg(folder))?;
    words.lines().last().and_then(|l| l.trim().parse().ok()).ok_or_else(|| fault(format!("df printed {words}")))
}

/// Seals a stream into a file, chunk by chunk, and opens it the same way.
pub fn measure(plan: &Plan) -> R<Vec<Row>> {
    let folder = Folder::new()?;
    let room = free(&folder.0)?;
    if room < 2 * plan.stream {
        eprintln!(
            "NOT RUN stream: {} GB are free, twice the stream of {} GB is asked for",
            room / 1_000_000_000,
            gb(plan)
        );
        return Ok(Vec::new());
    }
    let path = folder.0.join("sealed");
    let key = DatasetKey::random()?;
    let subject = Subject::Dataset { id: DatasetId::new(uuid::Uuid::now_v7()), version: 1 };
    let sealing = Sealing { subject: subject.clone(), total_len: plan.stream, chunk_len: DEFAULT_CHUNK };
    let mut sink = BufWriter::new(File::create(&path).map_err(fault)?);
    let manifest = sealing::seal(io::repeat(7).take(plan.stream), &mut sink, &key, &sealing)?.manifest;
    sink.flush().map_err(fault)?;
    drop(sink);
    let root = manifest.root();

    // The high-water mark is set back to what is held now (proc(5), clear_refs).
    fs::write("/proc/self/clear_refs", "5").map_err(fault)?;
    let base = mib("VmRSS:")?;
    let (began, used) = (Instant::now(), processor(UsageWho::RUSAGE_THREAD)?);
    let mut opener = Opener::new(File::open(&path).map_err(fault)?, manifest, &root, &key, &subject)?;
    let mut bytes = 0u64;
    while let Some(chunk) = opener.next_chunk()? {
        bytes += chunk.len() as u64;
        if chunk.first() != Some(&7) || chunk.last() != Some(&7) {
            return Err(Refusal::new(Code::Internal, "the stream opened to something else"));
        }
    }
    let (seconds, used) = (began.elapsed().as_secs_f64(), processor(UsageWho::RUSAGE_THREAD)? - used);
    let over = (mib("VmHWM:")? - base).max(0.0);
    if bytes != plan.stream {
        return Err(Refusal::new(Code::Internal, "the stream opened to another length"));
    }
    let (gb, rate) = (gb(plan), bytes as f64 / 1e9);
    Ok(vec![
        Row::new(format!("opening with manifest check, {gb} GB, GB/s of one core"), rate / used, 0.5, Better::More),
        Row::beside(format!("opening with manifest check, {gb} GB from the disk, GB/s"), rate / seconds),
        Row::new(format!("memory over base while {gb} GB are opened, MiB"), over, 64.0, Better::Less),
    ])
}

fn gb(plan: &Plan) -> f64 {
    plan.stream as f64 / 1e9
}
