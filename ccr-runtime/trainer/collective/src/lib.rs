//! One training over several workers: vectors are summed over the members of a group by libtorch's own distributed back
//! end (c10d with gloo), through a thin C++ shim.
//!
//! The group speaks over the loopback interface ([`Group::join`]) or, where each member has a network of its own, over
//! the one interface that is there ([`network`], [`Group::join_at`]). What connects the rooms is their wardens' business.
//! Nothing here encrypts or authenticates.
//!
//! A member that dies or stays silent makes the others fail after the time-out: there is no training with fewer members.

pub mod network;
mod shim;

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;

use schemas::{Code, R, Refusal};

/// Members of a group at most.
pub const MAX_MEMBERS: u32 = 64;

/// A member's place in its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The loopback port at which the first member gathers the others.
    pub port: u16,
    /// This member, from 0.
    pub rank: u32,
    /// How many members there are, 1 to [`MAX_MEMBERS`].
    pub members: u32,
}

/// A group that this process belongs to.
pub struct Group {
    place: Place,
    handle: shim::Handle,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({} of {})", self.place.rank, self.place.members)
    }
}

impl Group {
    /// Waits until every member has come. `LIMIT_EXCEEDED` for a place that cannot be; `PEER_FAULT` where somebody did
    /// not come within `timeout`, which also bounds every later sum.
    pub fn join(place: Place, timeout: Duration) -> R<Group> {
        Group::join_at([Ipv4Addr::LOCALHOST; 2], place, timeout)
    }

    /// The same where the first member has one address and this one another; the first member's are the same.
    pub fn join_at(addresses: [Ipv4Addr; 2], place: Place, timeout: Duration) -> R<Group> {
        let known = (1..=MAX_MEMBERS).contains(&place.members) && place.rank < place.members;
        let (true, Ok(rank), Ok(members)) = (known, i32::try_from(place.rank), i32::try_from(place.members)) else {
            return Err(Refusal::new(Code::LimitExceeded, "a group has 1 to 64 members, counted from 0"));
        };
        let gone = || Refusal::new(Code::PeerFault, "the group of workers did not come together in time");
        // Bound here, so that it is reached at this address alone.
        let listener = match place.rank {
            0 => {
                let listener = TcpListener::bind((addresses[0], place.port)).map_err(|_| gone())?;
                Some(OwnedFd::from(listener))
            }
            _ => None,
        };
        let millis = i64::try_from(timeout.as_millis()).map_err(|_| gone())?;
        let handle = shim::Handle::join(addresses, place.port, listener, rank, members, millis).ok_or_else(gone)?;
        Ok(Group { place, handle })
    }

    /// This member's place.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Replaces the values of every member by their sums over the group: the same bits for all. `PEER_FAULT` where a
    /// member is gone.
    pub fn sum(&self, values: &mut [f64]) -> R<()> {
        if values.is_empty() || self.handle.sum_f64(values) { Ok(()) } else { Err(lost()) }
    }

    /// Replaces the first member's values by the sums over the group; those of the others are of no use then.
    /// `PEER_FAULT` where a member is gone.
    pub fn gather(&self, values: &mut [f64]) -> R<()> {
        if values.is_empty() || self.handle.gather(values) { Ok(()) } else { Err(lost()) }
    }

    /// Replaces every member's values by the first member's. `PEER_FAULT` where a member is gone.
    pub fn spread(&self, values: &mut [f64]) -> R<()> {
        if values.is_empty() || self.handle.spread(values) { Ok(()) } else { Err(lost()) }
    }

    /// How many items the members before this one hold together, where each holds `own`.
    pub fn before(&self, own: u64) -> R<u64> {
        let members = usize::try_from(self.place.members).map_err(|_| lost())?;
        let rank = usize::try_from(self.place.rank).map_err(|_| lost())?;
        let mut counts = vec![0i64; members];
        for (member, count) in counts.iter_mut().enumerate() {
            if member == rank {
                *count = i64::try_from(own).map_err(|_| lost())?;
            }
        }
        if !self.handle.sum_i64(&mut counts) {
            return Err(lost());
        }
        let before = counts.iter().take(rank).try_fold(0i64, |sum, count| sum.checked_add(*count));
        before.and_then(|sum| u64::try_from(sum).ok()).ok_or_else(lost)
    }
}

fn lost() -> Refusal {
    Refusal::new(Code::PeerFault, "a member of the group of workers is gone")
}
