//! The shim's functions behind safe ones. With `products` the only unsafe code of the project.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::net::Ipv4Addr;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::ptr::NonNull;

#[repr(C)]
struct Opaque {
    _private: [u8; 0],
}

// SAFETY: signatures as in shim/*.cpp, which let no exception pass.
unsafe extern "C" {
    fn depa_group_join(
        first: *const c_char,
        own: *const c_char,
        port: u16,
        listener: c_int,
        rank: c_int,
        size: c_int,
        timeout_ms: i64,
    ) -> *mut Opaque;
    fn depa_group_gather_f64(group: *mut Opaque, values: *mut f64, count: i64) -> c_int;
    fn depa_group_spread_f64(group: *mut Opaque, values: *mut f64, count: i64) -> c_int;
    fn depa_network_open(name: *const c_char, address: u32, mask: u32, mtu: c_int) -> c_int;
    fn depa_group_sum_f64(group: *mut Opaque, values: *mut f64, count: i64) -> c_int;
    fn depa_group_sum_i64(group: *mut Opaque, values: *mut i64, count: i64) -> c_int;
    fn depa_group_leave(group: *mut Opaque);
}

/// A group that was joined; it is left when this is dropped.
///
/// Not `Send` and not `Sync`, since it holds a raw pointer: one thread uses it, one call at a time.
pub struct Handle(NonNull<Opaque>);

impl Handle {
    /// Joins; none where the group did not come together. The socket is the shim's from here on.
    pub fn join(
        [first, own]: [Ipv4Addr; 2],
        port: u16,
        listener: Option<OwnedFd>,
        rank: c_int,
        size: c_int,
        timeout_ms: i64,
    ) -> Option<Handle> {
        let text = |address: Ipv4Addr| CString::new(address.to_string()).ok();
        let (first, own) = (text(first)?, text(own)?);
        let listener = listener.map_or(-1, IntoRawFd::into_raw_fd);
        // SAFETY: plain numbers, and texts that outlive the call; the socket is open and owned by nobody else.
        let group = unsafe { depa_group_join(first.as_ptr(), own.as_ptr(), port, listener, rank, size, timeout_ms) };
        NonNull::new(group).map(Handle)
    }

    /// Whether the first member's values were replaced by the sums; those of the others are of no use.
    pub fn gather(&self, values: &mut [f64]) -> bool {
        let Ok(count) = i64::try_from(values.len()) else { return false };
        // SAFETY: as for `sum_f64`.
        unsafe { depa_group_gather_f64(self.0.as_ptr(), values.as_mut_ptr(), count) == 0 }
    }

    /// Whether the values were replaced by those of the first member.
    pub fn spread(&self, values: &mut [f64]) -> bool {
        let Ok(count) = i64::try_from(values.len()) else { return false };
        // SAFETY: as for `sum_f64`.
        unsafe { depa_group_spread_f64(self.0.as_ptr(), values.as_mut_ptr(), count) == 0 }
    }

    /// Whether the values were replaced by their sums; else they are of no use.
    pub fn sum_f64(&self, values: &mut [f64]) -> bool {
        let Ok(count) = i64::try_from(values.len()) else { return false };
        // SAFETY: the handle is open; the shim reads and writes `count` values and keeps no pointer after it returns.
        unsafe { depa_group_sum_f64(self.0.as_ptr(), values.as_mut_ptr(), count) == 0 }
    }

    /// As [`Handle::sum_f64`], in whole numbers.
    pub fn sum_i64(&self, values: &mut [i64]) -> bool {
        let Ok(count) = i64::try_from(values.len()) else { return false };
        // SAFETY: as above.
        unsafe { depa_group_sum_i64(self.0.as_ptr(), values.as_mut_ptr(), count) == 0 }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open and is not used again.
        unsafe { depa_group_leave(self.0.as_ptr()) }
    }
}

/// A TUN device with this address in the network namespace of this thread; none where the kernel does not let us.
pub fn network(name: &CStr, address: Ipv4Addr, mask: Ipv4Addr, mtu: c_int) -> Option<OwnedFd> {
    // SAFETY: plain numbers, and a text that outlives the call.
    let device = unsafe { depa_network_open(name.as_ptr(), address.to_bits(), mask.to_bits(), mtu) };
    // SAFETY: a descriptor that was just opened and that nobody else has.
    if device < 0 { None } else { Some(unsafe { OwnedFd::from_raw_fd(device) }) }
}
