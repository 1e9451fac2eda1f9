//! The shim's functions behind safe ones. The only unsafe code of the project.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr::NonNull;

#[repr(C)]
struct Opaque {
    _private: [u8; 0],
}

// SAFETY: signatures as in shim/shim.cpp, which lets no exception pass.
unsafe extern "C" {
    fn depa_group_join(port: u16, listener: c_int, rank: c_int, size: c_int, timeout_ms: i64) -> *mut Opaque;
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
    pub fn join(port: u16, listener: Option<OwnedFd>, rank: c_int, size: c_int, timeout_ms: i64) -> Option<Handle> {
        let listener = listener.map_or(-1, IntoRawFd::into_raw_fd);
        // SAFETY: plain numbers; the socket is open and owned by nobody else.
        NonNull::new(unsafe { depa_group_join(port, listener, rank, size, timeout_ms) }).map(Handle)
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
