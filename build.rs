//! Tells programs of this package where the loader finds MLX, where that is no
//! system library: `cargo xtask mlx-setup` leaves the folder in mlx-sys's metadata.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_MLX_LIBRARY");
    // `-Xlinker` and not `-Wl`: a path may hold a comma.
    if let Ok(folder) = std::env::var("DEP_MLX_LIBRARY") {
        for argument in ["-rpath", &folder] {
            println!("cargo::rustc-link-arg=-Xlinker");
            println!("cargo::rustc-link-arg={argument}");
        }
    }
}
