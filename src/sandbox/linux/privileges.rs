//! What the command may not do whatever its files say: limits of the system,
//! no capabilities, and no way to get any.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities,
    capability_is_in_bounding_set, clear_ambient_capability_set, no_new_privs,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
    set_no_new_privs,
};

use super::identity::become_guest;
use super::plan::{Guest, ProcessLimits};

pub fn limit(limits: &ProcessLimits) -> io::Result<()> {
    for (resource, most) in [
        // Not 0: with it a dump still goes to a program that takes them in, and with
        // 1 it goes nowhere (`core(5)`).
        (Resource::Core, 1),
        (Resource::Nproc, limits.processes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, limits.open_files),
    ] {
        let hard = rustix::process::getrlimit(resource).maximum;
        let most = Some(hard.map_or(most, |hard| hard.min(most)));
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Becomes the guest, if there is one, and drops every capability for good; looks
/// whether it is so.
pub fn drop_all(guest: Option<Guest>) -> io::Result<()> {
    let all = known();
    for capability in &all {
        remove_capability_from_bounding_set(*capability)?;
    }
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(bits)?;
    if let Some(guest) = guest {
        become_guest(guest)?;
    }
    drop_held()?;
    for capability in all {
        if capability_is_in_bounding_set(capability)? {
            return Err(io::Error::other("some can be had again"));
        }
    }
    Ok(())
}

/// Drops what this process has; it gets none by a file either. That is all that an
/// ordinary user can do, and enough for one.
pub fn drop_held() -> io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none)?;
    set_no_new_privs(true)?;
    if capabilities(None)? != none {
        return Err(io::Error::other("some are left"));
    }
    match no_new_privs()? {
        true => Ok(()),
        false => Err(io::Error::other("they can be had by a file")),
    }
}

/// The capabilities that this kernel has.
fn known() -> Vec<CapabilitySet> {
    (0..64)
        .map(|bit| CapabilitySet::from_bits_retain(1 << bit))
        .take_while(|capability| capability_is_in_bounding_set(*capability).is_ok())
        .collect()
}
