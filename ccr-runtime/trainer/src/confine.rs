//! The worker shuts its own doors before it reads anything. `ccr` puts further walls around it.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use schemas::R;

use crate::fault::internal;

/// Whether this process is in a network namespace that it made itself.
static APART: AtomicBool = AtomicBool::new(false);

/// Refuses a process that has no network of its own (`WORKER_FAILED`): where the machine let [`confine`] make none.
pub fn apart() -> R<()> {
    if APART.load(Ordering::SeqCst) { Ok(()) } else { Err(internal("the worker has no network of its own")) }
}

/// Closes what can be closed: no core dump, no debugger, no new privileges, no network.
///
/// Returns fixed sentences for the journal of `ccr`; one that begins with `not confined:` names a door that this
/// machine does not let us close.
pub fn confine() -> Vec<&'static str> {
    let steps: [(bool, &str, &str); 4] = [
        (setrlimit(Resource::RLIMIT_CORE, 0, 0).is_ok(), "confined: no core dump", "not confined: core dumps"),
        (prctl::set_dumpable(false).is_ok(), "confined: memory unreadable to others", "not confined: memory"),
        (prctl::set_no_new_privs().is_ok(), "confined: no new privileges", "not confined: privileges"),
        (without_network(), "confined: no network", "not confined: network"),
    ];
    steps.map(|(done, closed, open)| if done { closed } else { open }).to_vec()
}

/// An empty network namespace of our own: through a user namespace, or directly where we are root.
fn without_network() -> bool {
    let apart = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).is_ok()
        || unshare(CloneFlags::CLONE_NEWNET).is_ok();
    APART.store(apart, Ordering::SeqCst);
    apart
}

/// The libtorch files as the loader mapped them: what the software attester has to digest. Sorted, each once.
pub fn library_paths() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut paths: Vec<String> = maps.lines().filter_map(|l| l.find('/').map(|at| l[at..].to_owned())).collect();
    paths.retain(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        ["libtorch", "libc10", "libgomp", "libcudart", "libcupti"].iter().any(|library| name.starts_with(library))
    });
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_five_files_of_libtorch_are_named() {
        let paths = super::library_paths();
        for library in ["libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"] {
            assert!(paths.iter().any(|path| path.ends_with(library)), "{library} is not among {paths:?}");
        }
    }
}
