//! The device MLX runs on, and the thread that talks to it.

use std::ffi::{CStr, CString, c_char};

use mlx_rs::error::Exception;
use mlx_rs::{Device, DeviceType};

/// What is known about the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    pub kind: Kind,
    /// As the vendor calls it, e.g. "Apple M4 Max".
    pub name: String,
    /// Bytes that may be wired, where the device says so.
    pub working_set: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An Apple GPU: our kernels run here.
    Metal,
    /// MLX's own CPU device: plain operations only.
    Cpu,
}

/// Asks MLX for its default device.
///
/// # Errors
/// If MLX can't start.
pub fn find() -> Result<Info, Exception> {
    // A first operation: from here on mlx-rs hears of MLX's errors.
    mlx_rs::Array::from_int(1)
        .add(mlx_rs::Array::from_int(1))?
        .eval()?;
    let device = Device::try_default()?;
    let mut metal = false;
    // SAFETY: writes one bool.
    let status = unsafe { mlx_sys::mlx_metal_is_available(&mut metal) };
    let kind = match (status, device.get_type()?) {
        (0, DeviceType::Gpu) if metal => Kind::Metal,
        (_, DeviceType::Cpu) => Kind::Cpu,
        _ => return Err(Exception::custom("its GPU is not one that Metal drives")),
    };
    let (name, working_set) = properties(kind);
    Ok(Info {
        kind,
        name,
        working_set,
    })
}

/// Memory that stays wired beside the weights: keys, values and a step's arrays.
const BESIDE_WEIGHTS: usize = 1 << 30;

/// Freed buffers that MLX may keep to use again. A chunk of a prefill needs a
/// few tens of megabytes; more would be taken from the user's other programs.
const KEPT: usize = 512 << 20;

impl Info {
    /// The least wired memory that holds the weights: without it the system may
    /// page them out between two answers.
    pub fn wired_limit(&self, weights: usize) -> Option<usize> {
        let wanted = weights.saturating_add(BESIDE_WEIGHTS);
        self.working_set.map(|most| wanted.min(most))
    }

    /// Sets MLX's limits for weights of this size. Systems that can't wire (before
    /// macOS 15) refuse, which costs speed and nothing else.
    pub fn set_limits(&self, weights: usize) {
        let _ = mlx_rs::memory::set_cache_limit(KEPT);
        if let (Kind::Metal, Some(limit)) = (self.kind, self.wired_limit(weights)) {
            let _ = mlx_rs::memory::set_wired_limit(limit);
        }
    }
}

/// Name and recommended working set, as far as MLX knows them.
fn properties(kind: Kind) -> (String, Option<usize>) {
    let unnamed = match kind {
        Kind::Metal => "an Apple GPU",
        Kind::Cpu => "CPU",
    };
    // SAFETY: plain constructors and getters of MLX; every handle is freed once,
    // and strings are copied before the object they belong to goes.
    unsafe {
        let device = match kind {
            Kind::Metal => mlx_sys::mlx_device_new_type(mlx_sys::mlx_device_type__MLX_GPU, 0),
            Kind::Cpu => mlx_sys::mlx_device_new_type(mlx_sys::mlx_device_type__MLX_CPU, 0),
        };
        let mut info = mlx_sys::mlx_device_info_new();
        let known = mlx_sys::mlx_device_info_get(&mut info, device) == 0;
        let name = known.then(|| text(info, c"device_name")).flatten();
        let set = known.then(|| size(info, c"max_recommended_working_set_size"));
        mlx_sys::mlx_device_info_free(info);
        mlx_sys::mlx_device_free(device);
        (name.unwrap_or_else(|| unnamed.to_owned()), set.flatten())
    }
}

/// # Safety
/// `info` must be a filled device info.
unsafe fn has(info: mlx_sys::mlx_device_info, key: &CStr) -> bool {
    let mut exists = false;
    // SAFETY: as the caller says; writes one bool.
    unsafe { mlx_sys::mlx_device_info_has_key(&mut exists, info, key.as_ptr()) == 0 && exists }
}

/// # Safety
/// `info` must be a filled device info.
unsafe fn text(info: mlx_sys::mlx_device_info, key: &CStr) -> Option<String> {
    let mut value: *const c_char = std::ptr::null();
    // SAFETY: as the caller says; on success `value` is a C string owned by `info`.
    unsafe {
        if !has(info, key)
            || mlx_sys::mlx_device_info_get_string(&mut value, info, key.as_ptr()) != 0
        {
            return None;
        }
        let owned: CString = CStr::from_ptr(value).to_owned();
        owned.into_string().ok()
    }
}

/// # Safety
/// `info` must be a filled device info.
unsafe fn size(info: mlx_sys::mlx_device_info, key: &CStr) -> Option<usize> {
    let mut value = 0usize;
    // SAFETY: as the caller says; writes one number.
    let status = unsafe {
        if !has(info, key) {
            return None;
        }
        mlx_sys::mlx_device_info_get_size(&mut value, info, key.as_ptr())
    };
    (status == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wires_the_weights_and_a_little_more_up_to_what_the_device_allows() {
        let info = |working_set| Info {
            kind: Kind::Metal,
            name: String::new(),
            working_set,
        };
        let gigabytes = |n: usize| n << 30;
        let roomy = info(Some(gigabytes(96)));
        assert_eq!(roomy.wired_limit(gigabytes(4)), Some(gigabytes(5)));
        assert_eq!(roomy.wired_limit(usize::MAX), Some(gigabytes(96)));
        assert_eq!(info(None).wired_limit(gigabytes(4)), None);
    }
}
