//! What compiles our kernels: they are tested again when it changes.

use std::ffi::CStr;

/// Names and versions of the system and of MLX.
pub fn version() -> String {
    let mlx = mlx().unwrap_or_else(|| "of unknown version".into());
    format!("{}; MLX {mlx}", system())
}

/// "macOS 15.5 24F74": the build changes when the Metal compiler does.
#[cfg(target_os = "macos")]
fn system() -> String {
    let known = |name| setting(name).unwrap_or_else(|| "?".into());
    let version = known(c"kern.osproductversion");
    format!("macOS {version} {}", known(c"kern.osversion"))
}

/// Elsewhere no kernel of ours is compiled.
#[cfg(not(target_os = "macos"))]
fn system() -> String {
    std::env::consts::OS.to_owned()
}

/// A setting of the kernel's that is text.
#[cfg(target_os = "macos")]
fn setting(name: &CStr) -> Option<String> {
    let mut text = [0u8; 64];
    let mut length = text.len();
    // SAFETY: `name` ends with NUL; at most `length` bytes are written to `text`,
    // which has as many, and `length` becomes their number. Nothing is set.
    let status = unsafe {
        let (to, size) = (text.as_mut_ptr().cast(), &raw mut length);
        libc::sysctlbyname(name.as_ptr(), to, size, std::ptr::null_mut(), 0)
    };
    let text = (status == 0).then(|| CStr::from_bytes_until_nul(&text).ok())??;
    text.to_str().ok().map(str::to_owned)
}

fn mlx() -> Option<String> {
    // SAFETY: an empty string is made, filled, copied while it lives, and freed.
    unsafe {
        let mut string = mlx_sys::mlx_string_new();
        let known = mlx_sys::mlx_version(&mut string) == 0;
        let data = mlx_sys::mlx_string_data(string);
        let version = (known && !data.is_null()).then(|| CStr::from_ptr(data).to_owned());
        mlx_sys::mlx_string_free(string);
        version?.into_string().ok()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn says_which_mlx_this_is() {
        let version = super::version();
        let (system, mlx) = version.split_once("; MLX ").unwrap();
        assert!(!system.contains('?'), "{version}");
        assert!(mlx.starts_with(|c: char| c.is_ascii_digit()), "{version}");
    }
}
