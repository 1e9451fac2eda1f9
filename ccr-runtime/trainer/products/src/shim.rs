//! The shim's function behind a safe one.
#![allow(unsafe_code)]

use std::ffi::c_int;

// SAFETY: as in shim/products.cpp, which lets no exception pass.
unsafe extern "C" {
    fn depa_products_settle() -> c_int;
}

/// Whether products are oneDNN's from now on.
pub fn settle() -> bool {
    // SAFETY: it takes nothing, and is called once.
    unsafe { depa_products_settle() == 1 }
}
