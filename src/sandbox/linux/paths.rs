//! What may be read and written by path, once more: Landlock holds by the file
//! itself, whatever mounts there are.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::plan::{Network, Plan};

/// What is asked for, all of it: the first version with scopes.
const VERSION: ABI = ABI::V6;

/// Devices that are written to, and terminals.
const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/pts",
];

/// The version of Landlock that this kernel has; 0 for none.
pub fn version() -> u32 {
    const ASK: u32 = 1;
    // SAFETY: asks for the version, with no rules and none of their bytes.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0,
            ASK,
        )
    };
    u32::try_from(version).unwrap_or(0)
}

/// # Errors
/// When anything of it can't be had.
pub fn restrict(plan: &Plan) -> Result<(), String> {
    let text = |error: landlock::RulesetError| error.to_string();
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(VERSION))
        .map_err(text)?
        .scope(Scope::from_all(VERSION))
        .map_err(text)?;
    if plan.network == Network::Off {
        rules = rules
            .handle_access(AccessNet::from_all(VERSION))
            .map_err(text)?;
    }
    let mut rules = rules.create().map_err(text)?;
    let read = AccessFs::from_read(VERSION);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let mut places = vec![(PathBuf::from("/"), read)];
    places.extend(DEVICES.map(|path| (PathBuf::from(path), device)));
    places.push((PathBuf::from("/dev/shm"), AccessFs::from_all(VERSION)));
    for (path, _) in &plan.private {
        places.push((PathBuf::from(path), AccessFs::from_all(VERSION)));
    }
    if plan.writable {
        places.push((
            PathBuf::from(&plan.workspace.path),
            AccessFs::from_all(VERSION),
        ));
    }
    for (path, access) in places {
        let Ok(place) = PathFd::new(&path) else {
            continue;
        };
        let access = match path.is_dir() {
            true => access,
            false => access & AccessFs::from_file(VERSION),
        };
        rules = rules
            .add_rule(PathBeneath::new(place, access))
            .map_err(text)?;
    }
    let status = rules.restrict_self().map_err(text)?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        _ => Err("only a part of it is enforced".into()),
    }
}
