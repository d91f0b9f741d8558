//! System calls that no build or test needs, and that have led out of sandboxes.
//! They fail as if not permitted; those for which programs have another way, as if
//! they did not exist.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use super::plan::Network;
use crate::sandbox::Strength;

const NOT_PERMITTED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_vhangup,
];

/// Numbers that are the same on all machines, and that libraries may not know yet.
const OPEN_TREE_ATTR: i64 = 467;
const FCHMODAT2: i64 = 452;

/// What namespaces keep apart, for commands that have none: memory, signals and queues
/// that programs of one user share, and how their processes run.
const SHARED: &[i64] = &[
    // Not even those with a name: nothing hides the user's other programs.
    libc::SYS_socket,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_process_mrelease,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// Calls that name a process by this argument; 0 is the caller itself.
const OF_PROCESS: &[(i64, u8)] = &[(libc::SYS_prlimit64, 0), (libc::SYS_setpriority, 1)];

/// Calls that give a file its mode, and which of their arguments that is. What root's
/// guest makes is root's on the disk: a set-id file of it would be a way to root for
/// every other user.
const MODES: &[(i64, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
];

/// Calls that give one if they make the file, by flags in the argument before; else
/// anything may stand there.
const OPENS: &[(i64, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2),
    (libc::SYS_openat, 3),
];
const MAKES: [i32; 2] = [libc::O_CREAT, libc::O_TMPFILE];

const NOT_THERE: &[i64] = &[
    // What they ask can't be seen; `clone` and `openat` are what programs use instead.
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Calls of the other system interface of the processor have this bit.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// # Errors
/// When the filter can't be made or is not taken.
pub fn restrict(network: &Network, strength: Strength) -> Result<(), String> {
    let refused = |error: &dyn std::fmt::Display| error.to_string();
    let arch = std::env::consts::ARCH.try_into().map_err(|e| refused(&e))?;
    let program = |rules, errno: i32| -> Result<BpfProgram, String> {
        let (pass, hit) = (SeccompAction::Allow, SeccompAction::Errno(errno as u32));
        let filter = SeccompFilter::new(rules, pass, hit, arch).map_err(|e| refused(&e))?;
        filter.try_into().map_err(|e| refused(&e))
    };
    let whole = |calls: &[i64]| calls.iter().map(|call| (*call, vec![])).collect();
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> = whole(NOT_PERMITTED);
    denied.insert(OPEN_TREE_ATTR, vec![]);
    denied.extend(conditional(network).map_err(|e| refused(&e))?);
    if strength == Strength::Degraded {
        denied.extend(of_others().map_err(|e| refused(&e))?);
        denied.extend(SHARED.iter().map(|call| (*call, vec![])));
    }
    for program in [
        #[cfg(target_arch = "x86_64")]
        other_interface(),
        program(whole(NOT_THERE), libc::ENOSYS)?,
        program(denied, libc::EPERM)?,
    ] {
        seccompiler::apply_filter(&program).map_err(|e| refused(&e))?;
    }
    Ok(())
}

/// Calls about other processes of the same user.
fn of_others() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    use SeccompCmpArgLen::Dword;
    use SeccompCmpOp::{Eq, Ne};
    let rule = |at, operator, value: u64| {
        SeccompRule::new(vec![SeccompCondition::new(at, Dword, operator, value)?])
    };
    let others = OF_PROCESS
        .iter()
        .map(|(call, at)| Ok((*call, vec![rule(*at, Ne, 0)?])));
    let mut rules = others.collect::<Result<BTreeMap<_, _>, seccompiler::BackendError>>()?;
    // 0 may also stand for all of a user's.
    let of_user = rule(0, Eq, libc::PRIO_USER as u64)?;
    rules
        .entry(libc::SYS_setpriority)
        .or_default()
        .push(of_user);
    Ok(rules)
}

/// Calls that depend on what they are asked.
fn conditional(
    network: &Network,
) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let clone = namespaces.map(|flag| {
        let flag = u64::from(flag as u32);
        SeccompRule::new(vec![SeccompCondition::new(0, Qword, MaskedEq(flag), flag)?])
    });
    // What would type into a terminal.
    let ioctl = [libc::TIOCSTI, libc::TIOCLINUX].map(|request| {
        SeccompRule::new(vec![SeccompCondition::new(
            1,
            Dword,
            Eq,
            u64::from(request as u32),
        )?])
    });
    let has = |at: u8, bits: u64| SeccompCondition::new(at, Dword, MaskedEq(bits), bits);
    let set_ids = [libc::S_ISUID, libc::S_ISGID].map(u64::from);
    let modes = MODES.iter().map(|(call, at)| {
        let rules = set_ids.map(|bit| SeccompRule::new(vec![has(*at, bit)?]));
        Ok((*call, rules.into_iter().collect::<Result<_, _>>()?))
    });
    let opens = OPENS.iter().map(|(call, at)| {
        let both = set_ids
            .iter()
            .flat_map(|bit| MAKES.map(|makes| (*bit, makes as u64)));
        let rules =
            both.map(|(bit, makes)| SeccompRule::new(vec![has(*at, bit)?, has(*at - 1, makes)?]));
        Ok((*call, rules.collect::<Result<_, _>>()?))
    });
    let families: &[i32] = match network {
        Network::Off => &[libc::AF_UNIX],
        Network::Loopback | Network::Hosts(_) => &[
            libc::AF_UNIX,
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_NETLINK,
        ],
    };
    let others = families
        .iter()
        .map(|family| SeccompCondition::new(0, Dword, Ne, *family as u64))
        .collect::<Result<_, _>>()?;
    let modes = modes.chain(opens);
    let mut rules = modes.collect::<Result<BTreeMap<_, _>, seccompiler::BackendError>>()?;
    rules.extend([
        (
            libc::SYS_clone,
            clone.into_iter().collect::<Result<_, _>>()?,
        ),
        (
            libc::SYS_ioctl,
            ioctl.into_iter().collect::<Result<_, _>>()?,
        ),
        (libc::SYS_socket, vec![SeccompRule::new(others)?]),
    ]);
    Ok(rules)
}

/// No call has the bit of the other interface: with it the numbers in the filters
/// would mean nothing.
#[cfg(target_arch = "x86_64")]
fn other_interface() -> BpfProgram {
    let step = |code: u32, jt, jf, k| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
