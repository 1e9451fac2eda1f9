//! The worker shuts its own doors before it reads anything. `ccr` puts further walls around it.

use std::sync::atomic::{AtomicBool, Ordering};

use caps::CapSet;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use schemas::R;

use crate::fault::internal;

/// Whether this process is in a network namespace that it made itself.
static APART: AtomicBool = AtomicBool::new(false);
/// Whether this process shut its doors: one that never did, as that of a test, has nothing to give up.
static SHUT: AtomicBool = AtomicBool::new(false);

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
    SHUT.store(true, Ordering::SeqCst);
    steps.map(|(done, closed, open)| if done { closed } else { open }).to_vec()
}

/// An empty network namespace of our own: through a user namespace, or directly where we are root.
fn without_network() -> bool {
    let apart = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).is_ok()
        || unshare(CloneFlags::CLONE_NEWNET).is_ok();
    APART.store(apart, Ordering::SeqCst);
    apart
}

/// Whether this process shut its doors: it is a worker's, and no test's.
pub fn is_shut() -> bool {
    SHUT.load(Ordering::SeqCst)
}

/// Gives up every capability of this thread and of those that it starts from here on: its user namespace gave it all of
/// them over its network (capabilities(7), user_namespaces(7)). `WORKER_FAILED` where one is left.
///
/// Nor can it get them again in a user namespace below: nobody gave its user a number in the one that it made.
pub fn powerless() -> R<()> {
    if !is_shut() {
        return Ok(());
    }
    // Who may not shrink the bounding set has nothing that it would bound, with no new privileges to come.
    let _ = caps::clear(None, CapSet::Bounding);
    let sets = [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted];
    let cleared = sets.iter().all(|set| caps::clear(None, *set).is_ok());
    let empty = sets.iter().all(|set| caps::read(None, *set).is_ok_and(|left| left.is_empty()));
    if cleared && empty { Ok(()) } else { Err(internal("the worker keeps capabilities that it must not have")) }
}

/// How the names of libtorch's files begin, and of those that it loads for a card.
const LIBRARIES: [&str; 12] = [
    "libtorch",
    "libc10",
    "libgomp",
    "libcudart",
    "libcupti",
    "libcublas",
    "libcudnn",
    "libcuf",
    "libcurand",
    "libcus",
    "libnv",
    "libnccl",
];

/// The libtorch files as the loader mapped them: what the software attester has to digest. Sorted, each once.
pub fn library_paths() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut paths: Vec<String> = maps.lines().filter_map(|l| l.find('/').map(|at| l[at..].to_owned())).collect();
    paths.retain(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        LIBRARIES.iter().any(|library| name.starts_with(library))
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
