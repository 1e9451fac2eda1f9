//! Compiles the shim against the headers that lie beside libtorch's libraries.

use std::path::Path;

fn main() {
    for path in ["build.rs", "shim"] {
        println!("cargo:rerun-if-changed={path}");
    }
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!("cargo:error=torch-sys does not say where libtorch lies; run `sh infra/bootstrap.sh`");
        return;
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .opt_level(1)
        .debug(false)
        .warnings(false) // of libtorch's headers
        .include(Path::new(&folder).join("../include"))
        .file("shim/products.cpp")
        .compile("depa_products");
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
}
