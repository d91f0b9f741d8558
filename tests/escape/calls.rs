//! System calls by their names.

/// A number that libraries do not know yet; the same on all machines.
const OPEN_TREE_ATTR: i64 = 467;

macro_rules! table {
    ($($name:ident = $number:expr),* $(,)?) => {
        /// The number of a call.
        pub fn number(name: &str) -> Option<i64> {
            Some(match name {
                $(stringify!($name) => $number,)*
                _ => return None,
            })
        }
    };
}

table! {
    acct = libc::SYS_acct,
    add_key = libc::SYS_add_key,
    bpf = libc::SYS_bpf,
    chroot = libc::SYS_chroot,
    clock_settime = libc::SYS_clock_settime,
    clone = libc::SYS_clone,
    clone3 = libc::SYS_clone3,
    delete_module = libc::SYS_delete_module,
    fanotify_init = libc::SYS_fanotify_init,
    finit_module = libc::SYS_finit_module,
    fsconfig = libc::SYS_fsconfig,
    fsmount = libc::SYS_fsmount,
    fsopen = libc::SYS_fsopen,
    fspick = libc::SYS_fspick,
    init_module = libc::SYS_init_module,
    io_uring_enter = libc::SYS_io_uring_enter,
    io_uring_register = libc::SYS_io_uring_register,
    io_uring_setup = libc::SYS_io_uring_setup,
    kcmp = libc::SYS_kcmp,
    kexec_file_load = libc::SYS_kexec_file_load,
    kexec_load = libc::SYS_kexec_load,
    keyctl = libc::SYS_keyctl,
    mount_setattr = libc::SYS_mount_setattr,
    move_mount = libc::SYS_move_mount,
    open_by_handle_at = libc::SYS_open_by_handle_at,
    open_tree = libc::SYS_open_tree,
    open_tree_attr = OPEN_TREE_ATTR,
    perf_event_open = libc::SYS_perf_event_open,
    pidfd_getfd = libc::SYS_pidfd_getfd,
    pivot_root = libc::SYS_pivot_root,
    prctl = libc::SYS_prctl,
    process_madvise = libc::SYS_process_madvise,
    quotactl = libc::SYS_quotactl,
    reboot = libc::SYS_reboot,
    request_key = libc::SYS_request_key,
    sethostname = libc::SYS_sethostname,
    setns = libc::SYS_setns,
    setpriority = libc::SYS_setpriority,
    settimeofday = libc::SYS_settimeofday,
    swapoff = libc::SYS_swapoff,
    swapon = libc::SYS_swapon,
    syslog = libc::SYS_syslog,
    umount2 = libc::SYS_umount2,
    unshare = libc::SYS_unshare,
    userfaultfd = libc::SYS_userfaultfd,
    vhangup = libc::SYS_vhangup,
    // `getpid` of the other interface of this processor.
    x32_getpid = 0x4000_0027,
}
