//! What a hostile command tries, one attempt an argument: `VERB WORD...`. Each prints
//! `did ATTEMPT` or `not ATTEMPT: why`, and what it could read.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{calls, endless};

pub fn run(attempts: &[String]) {
    for attempt in attempts {
        let words: Vec<&str> = attempt.split(' ').collect();
        match tried(&words) {
            Ok(()) => println!("did {attempt}"),
            Err(error) => println!("not {attempt}: {error}"),
        }
    }
}

fn tried(words: &[&str]) -> io::Result<()> {
    match *words {
        ["write", path] => OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)?
            .write_all(b"bad"),
        ["append", path] => OpenOptions::new()
            .append(true)
            .open(path)?
            .write_all(b"bad"),
        ["create", path] => File::create_new(path)?.write_all(b"bad"),
        ["read", path] => shown(&std::fs::read(path)?),
        ["list", path] => std::fs::read_dir(path)?.try_for_each(|entry| {
            println!("saw {}", entry?.file_name().display());
            Ok(())
        }),
        ["truncate", path] => call(libc::SYS_truncate, [text(path)?.as_ptr() as i64, 0, 0, 0]),
        ["remove", path] => std::fs::remove_file(path),
        ["remove-all", path] => std::fs::remove_dir_all(path),
        ["mkdir", path] => std::fs::create_dir_all(path),
        ["rename", from, to] => std::fs::rename(from, to),
        ["link", from, to] => std::fs::hard_link(from, to),
        ["mode", mode, path] => {
            let mode = u32::from_str_radix(mode, 8).map_err(io::Error::other)?;
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode))
        }
        ["create-mode", mode, path] => {
            let mode = u32::from_str_radix(mode, 8).map_err(io::Error::other)?;
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(mode).open(path)?;
            match std::fs::metadata(path)?.permissions().mode() & 0o6000 {
                0 => Err(io::Error::other("made without it")),
                _ => Ok(()),
            }
        }
        ["open-mode", mode, path] => {
            let mode = u32::from_str_radix(mode, 8).map_err(io::Error::other)?;
            open(path, libc::O_RDONLY, mode).map(drop)
        }
        ["temporary-mode", mode, path] => {
            let mode = u32::from_str_radix(mode, 8).map_err(io::Error::other)?;
            open(path, libc::O_TMPFILE | libc::O_RDWR, mode).map(drop)
        }
        ["chown", path] => std::os::unix::fs::chown(path, Some(0), Some(0)),
        ["utime", path] => {
            let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
            OpenOptions::new().write(true).open(path)?.set_times(times)
        }
        ["utimensat", path] => {
            let zero = [[0i64; 2]; 2];
            let path = text(path)?;
            let at = i64::from(libc::AT_FDCWD);
            call(
                libc::SYS_utimensat,
                [at, path.as_ptr() as i64, zero.as_ptr() as i64, 0],
            )
        }
        ["setxattr", path] => {
            let (path, name) = (text(path)?, c"user.cairn");
            // SAFETY: strings that end in NUL and one byte of value.
            match unsafe {
                libc::setxattr(path.as_ptr(), name.as_ptr(), c"x".as_ptr().cast(), 1, 0)
            } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
        ["mknod", path] => {
            let path = text(path)?;
            let device = libc::makedev(1, 1) as i64;
            let mode = i64::from(libc::S_IFCHR | 0o666);
            let at = i64::from(libc::AT_FDCWD);
            call(libc::SYS_mknodat, [at, path.as_ptr() as i64, mode, device])
        }
        ["device", path] => match open(path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?
            .metadata()?
            .file_type()
        {
            kind if kind.is_char_device() || kind.is_block_device() => Ok(()),
            _ => Err(io::Error::other("no device")),
        },
        ["by-descriptor", path] => {
            let root = File::open("/")?;
            let path = format!("/proc/self/fd/{}{path}", root.as_raw_fd());
            OpenOptions::new().write(true).open(path)?.write_all(b"bad")
        }
        ["in-folder", path, ref attempt @ ..] => {
            std::env::set_current_dir(path)?;
            tried(attempt)
        }
        ["symlink-and-write", to, at] => {
            symlink(to, at)?;
            OpenOptions::new().write(true).open(at)?.write_all(b"bad")
        }
        ["mount"] => {
            let kind = c"tmpfs".as_ptr() as i64;
            call(libc::SYS_mount, [kind, c"/mnt".as_ptr() as i64, kind, 0])
        }
        ["sparse", path] => File::create(path)?.set_len(1 << 40),
        ["sleep"] => loop {
            std::thread::park();
        },
        ["descriptors"] => {
            let found = (3..1024).filter(|fd| {
                // SAFETY: looks whether a number is a descriptor.
                unsafe { libc::fcntl(*fd, libc::F_GETFD) != -1 }
            });
            for fd in found {
                // SAFETY: it is open, and ours only as long as the write takes.
                let mut file = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
                file.write_all(b"bad")?;
            }
            Err(io::Error::other("none that can be written"))
        }
        ["environment"] => {
            for (name, value) in std::env::vars_os() {
                println!("saw {}={}", name.display(), value.display());
            }
            Ok(())
        }
        ["tcp", address] => {
            let address = address.parse().map_err(io::Error::other)?;
            TcpStream::connect_timeout(&address, Duration::from_millis(300)).map(drop)
        }
        ["by-relay", to] => {
            let relay = std::env::var("http_proxy").map_err(io::Error::other)?;
            let mut stream = TcpStream::connect(relay.trim_start_matches("http://"))?;
            let to = to.replace("\\0", "\0");
            write!(stream, "CONNECT {to} HTTP/1.1\r\n\r\n")?;
            let mut answer = String::new();
            io::Read::read_to_string(&mut stream, &mut answer)?;
            match answer.starts_with("HTTP/1.1 200 ") {
                true => Ok(()),
                false => Err(io::Error::other(answer.lines().next().unwrap_or_default())),
            }
        }
        ["listen", address] => TcpListener::bind(address).map(drop),
        ["udp", address] => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.send_to(b"bad", address).map(drop)
        }
        ["unix", path] => UnixStream::connect(path)?.write_all(b"bad"),
        ["abstract", name] => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            UnixStream::connect_addr(&address)?.write_all(b"bad")
        }
        ["socket", family, kind, protocol] => {
            let number = |word: &str| word.parse::<i64>().map_err(io::Error::other);
            let (family, kind, protocol) = (number(family)?, number(kind)?, number(protocol)?);
            refused(call(libc::SYS_socket, [family, kind, protocol, 0]))
        }
        ["kill", process] => {
            let process = process.parse().map_err(io::Error::other)?;
            call(libc::SYS_kill, [process, i64::from(libc::SIGKILL), 0, 0])
        }
        ["ptrace", process] => {
            let process = process.parse().map_err(io::Error::other)?;
            call(
                libc::SYS_ptrace,
                [i64::from(libc::PTRACE_ATTACH), process, 0, 0],
            )
        }
        ["peek", process] => {
            let process = process.parse().map_err(io::Error::other)?;
            call(libc::SYS_process_vm_readv, [process, 0, 0, 0])
        }
        ["take-descriptor", process] => {
            let process: i32 = process.parse().map_err(io::Error::other)?;
            // SAFETY: plain numbers.
            let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) };
            call(libc::SYS_pidfd_getfd, [handle, 1, 0, 0])
        }
        ["type-into-terminal"] => {
            let terminal = File::open("/dev/tty")?;
            push(&terminal)
        }
        ["type-into-own-terminal"] => push(
            &OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/ptmx")?,
        ),
        ["call", name, ref arguments @ ..] => {
            let number = calls::number(name).ok_or_else(|| io::Error::other("no such call"))?;
            let mut all = [0; 4];
            for (to, from) in all.iter_mut().zip(arguments) {
                *to = from.parse().map_err(io::Error::other)?;
            }
            refused(call(number, all))
        }
        ["receive", path] => {
            let mut socket = UnixStream::connect(path)?;
            // With this byte a descriptor would come.
            socket.read_exact(&mut [0])
        }
        ["nested", cairn, workspace, ref attempt @ ..] => {
            let output = std::process::Command::new(cairn)
                .args(["sandbox", "--workspace", workspace, "--"])
                .arg(std::env::current_exe()?)
                .args(["probe", &attempt.join(" ")])
                .output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            match text.contains("did ") {
                true => Ok(()),
                false => Err(io::Error::other(output.status.to_string())),
            }
        }
        ["swap", path, outside] => {
            let until = std::time::Instant::now() + Duration::from_millis(500);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while std::time::Instant::now() < until {
                        let _ = std::fs::write(path, "own");
                        let _ = std::fs::remove_file(path);
                        let _ = symlink(outside, path);
                        let _ = std::fs::remove_file(path);
                    }
                });
                while std::time::Instant::now() < until {
                    let _ = std::fs::write(path, "bad");
                }
            });
            Ok(())
        }
        ["handle", process] => {
            let process: i32 = process.parse().map_err(io::Error::other)?;
            call(libc::SYS_pidfd_open, [process.into(), 0, 0, 0])
        }
        ["raise-limits"] => {
            let all = libc::rlimit {
                rlim_cur: libc::RLIM_INFINITY,
                rlim_max: libc::RLIM_INFINITY,
            };
            for limit in [libc::RLIMIT_CORE, libc::RLIMIT_NPROC, libc::RLIMIT_FSIZE] {
                // SAFETY: a structure that the call reads.
                if unsafe { libc::setrlimit(limit, &raw const all) } == 0 {
                    return Ok(());
                }
            }
            Err(io::Error::last_os_error())
        }
        ["become-root"] => call(libc::SYS_setresuid, [0, 0, 0, 0]),
        ["fork-bomb"] => endless::fork_bomb(),
        ["take-memory"] => endless::take_memory(),
        ["flood", "lines"] => endless::flood("\n"),
        ["flood", "line"] => endless::flood(""),
        ["daemon"] => endless::daemon(),
        ["hold-pipe"] => endless::hold_pipe(),
        ["ignore-signals"] => endless::ignore_signals(),
        ["stop-self"] => endless::stop_self(),
        ["wait-for-fifo", path] => endless::wait_for_fifo(path),
        ["spin"] => endless::spin(),
        #[cfg(target_arch = "x86_64")]
        ["other-interface"] => {
            let mut result: i64 = 20;
            // SAFETY: `getpid` by the interface of 32 bits; only `rax` changes.
            unsafe { std::arch::asm!("int 0x80", inout("rax") result) };
            println!("saw {result}");
            Ok(())
        }
        ["from-memory", ref attempt @ ..] => {
            // SAFETY: a name that ends in NUL.
            let fd = unsafe { libc::memfd_create(c"probe".as_ptr(), libc::MFD_CLOEXEC) };
            if fd == -1 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: it was just made.
            let mut memory = unsafe { File::from_raw_fd(fd) };
            io::copy(&mut File::open("/proc/self/exe")?, &mut memory)?;
            let path = format!("/proc/self/fd/{fd}");
            let output = std::process::Command::new(path)
                .args(["probe", &attempt.join(" ")])
                .output()?;
            shown(&output.stdout)
        }
        ["fill", path] => {
            let mut file = File::create(path)?;
            loop {
                file.write_all(&[1; 1 << 16])?;
            }
        }
        ["dump-core"] => std::process::abort(),
        ["field", line] => {
            let status = std::fs::read_to_string("/proc/self/status")?;
            match status.lines().any(|found| found == line) {
                true => Ok(()),
                false => Err(io::Error::other("it says something else")),
            }
        }
        _ => Err(io::Error::other("no such attempt")),
    }
}

fn shown(bytes: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().for_each(|line| println!("saw {line}"));
    Ok(())
}

/// Not by the library, which passes a mode only where one is used.
fn open(path: &str, flags: i32, mode: u32) -> io::Result<File> {
    let path = text(path)?;
    // SAFETY: a path that ends in NUL, and numbers.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, mode) };
    match fd {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: it was just opened, for nobody else.
        fd => Ok(unsafe { File::from_raw_fd(fd as i32) }),
    }
}

fn text(path: &str) -> io::Result<CString> {
    CString::new(path).map_err(io::Error::other)
}

fn push(terminal: &File) -> io::Result<()> {
    // SAFETY: one byte to read.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, c"x".as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A call that fails for another reason than that it may not be made got through.
fn refused(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) => match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => Err(error),
            _ => Ok(()),
        },
        done => done,
    }
}

fn call(number: i64, [a, b, c, d]: [i64; 4]) -> io::Result<()> {
    // SAFETY: pointers among the arguments lead to what lives until the call is over;
    // a call that does more than fail ends the test.
    match unsafe { libc::syscall(number, a, b, c, d, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
