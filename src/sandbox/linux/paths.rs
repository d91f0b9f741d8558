//! What may be read and written by path, once more: Landlock holds by the file
//! itself, whatever mounts there are.

use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::mounts::{self, Links};
use super::plan::{Grants, Network, Plan};

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

/// Where terminals are the user's own.
const GRANTED_DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
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
    let places = match &plan.grants {
        None => seen(plan),
        Some(grants) => granted(grants),
    };
    for (place, access) in places {
        let found = rustix::fs::fstat(&place).map_err(|error| error.to_string())?;
        let access = match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => access,
            _ => access & AccessFs::from_file(VERSION),
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

type Places = Vec<(OwnedFd, BitFlags<AccessFs>)>;

fn open(path: &str) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

/// Of a view: all of it, and what can be written there.
fn seen(plan: &Plan) -> Places {
    let (read, all) = (AccessFs::from_read(VERSION), AccessFs::from_all(VERSION));
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let workspace = plan.writable.then_some((plan.workspace.path.as_str(), all));
    let private = plan.private.iter().map(|(path, _)| (path.as_str(), all));
    [("/", read), ("/dev/shm", all)]
        .into_iter()
        .chain(DEVICES.map(|path| (path, device)))
        .chain(private)
        .chain(workspace)
        .filter_map(|(path, access)| Some((open(path)?, access)))
        .collect()
}

/// Without a view. This process is in the workspace already: what is granted there is
/// found from here, and by no link, as another command may be making some.
fn granted(grants: &Grants) -> Places {
    let (read, all) = (AccessFs::from_read(VERSION), AccessFs::from_all(VERSION));
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let elsewhere = grants.read.iter().map(|path| (path.as_str(), read));
    let elsewhere = elsewhere
        .chain(GRANTED_DEVICES.map(|path| (path, device)))
        .chain([(grants.temporary.as_str(), all)])
        .filter_map(|(path, access)| Some((open(path)?, access)));
    let there = grants.read_there.iter().map(|path| (path, read));
    let there = there
        .chain(grants.write_there.iter().map(|path| (path, all)))
        .filter_map(|(path, access)| {
            let place = mounts::find(CWD, Path::new(path), Links::Refused).ok()?;
            Some((place, access))
        });
    elsewhere.chain(there).collect()
}
