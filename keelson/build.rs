//! Has what is written in C++, which is RocksDB, allocate where Rust does.

use std::env;

fn main() {
    const SOURCE: &str = "src/allocator.cc";
    println!("cargo:rerun-if-changed={SOURCE}");
    let headers = env::var_os("DEP_MIMALLOC_INCLUDE_DIR").expect("libmimalloc-sys says where they are");
    let objects =
        cc::Build::new().cpp(true).std("c++17").include(headers).file(SOURCE).compile_intermediates();
    // Of an archive the linker takes only what it misses, and it may have found the system's by then.
    for object in objects {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
}
