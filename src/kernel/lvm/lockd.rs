//! lvmlockd: whether it answers, which lockspaces it has and which locks it holds. Only asks; never takes or drops a lock.

use std::io;
use std::time::Duration;

pub use super::locks::{Info, Lock, Lockspace, Mode, Phase};
use super::socket::{self, Address};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::{KernelError, Result};
use crate::kernel::exec::Tool;

/// Where lvmlockd listens (`LVMLOCKD_SOCKET`, daemons/lvmlockd/lvmlockd-client.h).
const SOCKET: &str = "/run/lvm/lvmlockd.socket";

/// What every client of LVM's daemons says first (libdaemon/client/daemon-client.c).
const HELLO: &[u8] = b"request = \"hello\"\n\n##\n";

/// What a connection says whose other end went away before it answered.
const ENDED: [io::ErrorKind; 3] = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof];

/// How long to wait for another `lvmlockctl` to end.
const OTHER_READER: Duration = Duration::from_millis(100);

/// A lock manager that lvmlockd works through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// The kernel's dlm, led by `dlm_controld`.
    Dlm,
    /// Leases on the disks of the volume group, by the daemon `sanlock`.
    Sanlock,
}

impl Manager {
    /// The manager of a volume group's `vg_lock_type`; `None` for one that is not known here, or none.
    #[must_use]
    pub fn of(lock_type: &str) -> Option<Self> {
        match lock_type {
            "dlm" => Some(Self::Dlm),
            "sanlock" => Some(Self::Sanlock),
            _ => None,
        }
    }

    /// The daemon that must run for it.
    #[must_use]
    pub fn daemon(self) -> &'static str {
        match self {
            Self::Dlm => "dlm_controld",
            Self::Sanlock => "sanlock",
        }
    }

    /// Whether its daemon takes connections.
    ///
    /// # Errors
    /// It could not be asked; [`io::ErrorKind::TimedOut`] when its queue of connections stays full.
    pub fn is_running(self, root: &Root, deadline: Deadline) -> Result<bool> {
        let address = match self {
            // DLMC_QUERY_SOCK_PATH, dlm_controld/dlm_controld.h
            Self::Dlm => Address::Abstract("dlmc_query_sock"),
            Self::Sanlock => Address::Path("/run/sanlock/sanlock.sock"),
        };
        Ok(socket::connect(root, address, deadline)?.is_some())
    }
}

/// Whether lvmlockd answers. One that takes connections but is stuck does not.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when there is one and it did not answer in time; whatever else the socket says.
pub fn is_running(root: &Root, deadline: Deadline) -> Result<bool> {
    let Some(stream) = socket::connect(root, Address::Path(SOCKET), deadline)? else { return Ok(false) };
    match socket::ask(&stream, HELLO, deadline).map_err(|e| KernelError::new("ask", SOCKET, e)) {
        Ok(_) => Ok(true),
        Err(e) if ENDED.contains(&e.source.kind()) => Ok(false),
        Err(e) => Err(e),
    }
}

/// The lockspaces and locks that lvmlockd has.
///
/// # Errors
/// `lvmlockctl` is not installed, did not answer in time, or what it said is cut off or not understood.
pub fn info(root: &Root, deadline: Deadline) -> Result<Info> {
    let tool = Tool::find(root, "lvmlockctl")?;
    let fail = |source| KernelError::new("ask lvmlockd by", tool.program(), source);
    loop {
        let output = tool.run(&["--info", "--dump"], deadline)?;
        if output.success() {
            return Info::parse(&output.stdout).map_err(|why| fail(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        // The answer comes to a socket whose name all readers share: a second one at the same time is turned away.
        let is_taken = output.stdout.contains(&format!("socket error -{}", libc::EADDRINUSE));
        if !is_taken {
            let said = output.stdout.lines().chain(output.stderr.lines()).map(str::trim).rfind(|line| !line.is_empty());
            return Err(fail(io::Error::other(said.unwrap_or("no answer").to_owned())));
        }
        if deadline.is_past() {
            return Err(fail(io::ErrorKind::TimedOut.into()));
        }
        std::thread::sleep(OTHER_READER.min(deadline.remaining()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::lvm::locks::tests::{DLM, LV1};
    use std::io::{Read, Write};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    use std::thread;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    fn machine() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        std::fs::create_dir_all(root.path("/run/lvm")).unwrap();
        (dir, root)
    }

    #[test]
    fn a_second_reader_at_the_same_time_is_waited_for() {
        let (keep, root) = machine();
        let dir = keep.path();
        std::fs::create_dir_all(root.path("/usr/sbin")).unwrap();
        std::fs::write(dir.join("answer"), DLM).unwrap();
        let script = format!(
            "#!/bin/sh\ncd {}\n[ -e again ] && exec cat answer\n>again\necho socket error -98\nexit 158\n",
            dir.display()
        );
        let program = root.path("/usr/sbin/lvmlockctl");
        crate::script::write(&program, &script);
        assert!(info(&root, soon()).unwrap().is_held("vgs", LV1));
        crate::script::write(&program, "#!/bin/sh\necho Cannot connect to lvmlockd.\nexit 255\n");
        let e = info(&root, soon()).unwrap_err().to_string();
        assert!(e.ends_with("lvmlockctl: cannot connect to lvmlockd."), "{e}");
    }

    #[test]
    fn an_lvmlockd_that_answers_runs_and_one_that_left_its_socket_behind_does_not() {
        let (_keep, root) = machine();
        assert!(!is_running(&root, soon()).unwrap());
        let listener = UnixListener::bind(root.path(SOCKET)).unwrap();
        let daemon = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut heard = vec![0; HELLO.len()];
            client.read_exact(&mut heard).unwrap();
            client.write_all(b"response = \"OK\"\nversion = 1\n").unwrap();
            client.write_all(b"\n##\n").unwrap();
            heard
        });
        assert!(is_running(&root, soon()).unwrap());
        assert_eq!(daemon.join().unwrap(), HELLO);
        assert!(!is_running(&root, soon()).unwrap());
    }

    #[test]
    fn an_lvmlockd_that_is_stuck_is_an_error_in_time() {
        let (_keep, root) = machine();
        let _listener = UnixListener::bind(root.path(SOCKET)).unwrap();
        let e = is_running(&root, Deadline::after(Duration::from_millis(100))).unwrap_err();
        assert_eq!((e.source.kind(), e.doing), (io::ErrorKind::TimedOut, "ask"));
    }

    #[test]
    fn a_lock_manager_runs_when_its_daemon_listens() {
        let (keep, root) = machine();
        assert!(!Manager::Dlm.is_running(&root, soon()).unwrap() && !Manager::Sanlock.is_running(&root, soon()).unwrap());
        let name = format!("{}/dlmc_query_sock", keep.path().display());
        let _dlm = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        std::fs::create_dir_all(root.path("/run/sanlock")).unwrap();
        let _sanlock = UnixListener::bind(root.path("/run/sanlock/sanlock.sock")).unwrap();
        assert!(Manager::Dlm.is_running(&root, soon()).unwrap() && Manager::Sanlock.is_running(&root, soon()).unwrap());
        assert_eq!((Manager::of("dlm"), Manager::of("none")), (Some(Manager::Dlm), None));
    }
}
