//! One training over several rooms: each proves to the other what it is, and the workers' sums go through a tunnel.
//!
//! One room leads ([`lead`]): it alone speaks with the contract service and the key services, and it alone samples the
//! noise and lets the output out. The others are members ([`member`]): they have no run of their own, get the data from
//! the leader, and forget it when the leader says so or is gone.
//!
//! Reading order: [`prove`] (who is this?), [`handshake`] (both prove it over one connection and share keys of it),
//! [`channel`] (what is said over it), [`switch`] (how the workers' packets find their way), [`lead`], [`member`].
//!
//! The network between the rooms is hostile. What it can do is end the run; a run that ends so is charged if its keys
//! were released, as with the death of one room.

pub mod channel;
pub mod handshake;
pub mod lead;
pub mod member;
pub mod patience;
pub mod prove;
mod switch;
mod terms;

use schemas::{Code, R, Refusal};

/// Refuses a room whose machine lends its worker no network device (`WORKER_FAILED`): before anything is reserved, since a
/// training that cannot begin shall cost nobody a charge.
fn has_device(path: &str) -> R<()> {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open(path);
    let none = |_| Refusal::new(Code::WorkerFailed, format!("a room of a group needs {path}, and it cannot be opened"));
    opened.map(drop).map_err(none)
}

/// Where a worker's network comes from.
const DEVICE: &str = "/dev/net/tun";

/// A room of the group is gone, or the way to it.
fn lost() -> Refusal {
    Refusal::new(Code::GroupMemberLost, "a room of the group is gone")
}

/// What came over the tunnel is not what a room of the group sent next.
fn tampered() -> Refusal {
    Refusal::new(Code::GroupTampered, "what came over the tunnel was not what a room of the group sent next")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_without_a_network_device_takes_no_part() {
        let file = std::env::temp_dir().join(format!("depa-group-device-{}", std::process::id()));
        std::fs::write(&file, []).unwrap();
        let path = file.to_str().unwrap();
        assert_eq!(has_device(path), Ok(()));
        std::fs::remove_file(path).unwrap();
        assert_eq!(has_device(path).unwrap_err().code, Code::WorkerFailed);
    }
}
