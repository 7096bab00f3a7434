//! System calls that a child has no use for: a filter of seccomp refuses them. Loading a model opens files and allocates; it needs
//! no sockets and no other programs.

use std::io;

/// Refuses sockets, other programs, and looking into other processes, for the rest of this process's life.
#[cfg(target_os = "linux")]
pub(super) fn close() -> io::Result<()> {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

    /// Without these nothing leaves this machine, and nothing else runs on it.
    const REFUSED: [libc::c_long; 13] = [
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_io_uring_setup,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_bpf,
        libc::SYS_keyctl,
    ];
    let refused = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).map_err(io::Error::other)?;
    let program = BpfProgram::try_from(filter).map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)
}

/// Only Linux has this filter.
#[cfg(not(target_os = "linux"))]
pub(super) fn close() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::process::Command;

    #[test]
    fn no_network_and_no_programs() {
        // The filter is a thread's own.
        let caged = std::thread::spawn(|| {
            super::close().unwrap();
            let outcomes = [
                TcpListener::bind("127.0.0.1:0").map(drop),
                UdpSocket::bind("127.0.0.1:0").map(drop),
                Command::new("/bin/true").status().map(drop),
            ];
            assert!(std::fs::read("/proc/self/status").is_ok());
            outcomes.map(|outcome| outcome.unwrap_err().kind())
        });
        assert_eq!(caged.join().unwrap(), [std::io::ErrorKind::PermissionDenied; 3]);
        assert!(TcpListener::bind("127.0.0.1:0").is_ok());
    }
}
