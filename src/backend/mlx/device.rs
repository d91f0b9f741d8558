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
