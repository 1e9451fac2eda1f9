//! Tells the linker where libtorch lies, so that the binary and its tests find it without an environment variable; and has
//! it keep libtorch's half for cards where there is one. Nothing here names a function of that half, so that the linker
//! would leave it out, and with it every card.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        let cards = format!("{folder}/libtorch_cuda.so");
        // The folder, not the file: for a file that is not there cargo would build this crate anew at every call.
        println!("cargo:rerun-if-changed={folder}");
        if std::path::Path::new(&cards).exists() {
            println!("cargo:rustc-link-arg=-Wl,--push-state,--no-as-needed,{cards},--pop-state");
        }
    }
}
