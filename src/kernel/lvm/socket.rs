//! Connections to the lock daemons' sockets that never block: those daemons have room for one or a few connections that they have not
//! taken yet, and a daemon that is stuck takes none.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_to, socket};

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::{KernelError, Result};
use crate::kernel::process::wait_readable;

/// How long to wait for a place in the queue before another try: nothing tells when there is one.
const FULL: Duration = Duration::from_millis(20);

/// The longest answer that is read.
const ANSWER: usize = 4096;

/// What ends each message to and from one of LVM's daemons.
const END: &[u8] = b"\n##\n";

/// Where a daemon listens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Address {
    /// A socket in the file system.
    Path(&'static str),
    /// A name without a file (unix(7), abstract). Below a root that is not the machine's it begins with that root.
    Abstract(&'static str),
}

impl Address {
    fn show(self) -> String {
        match self {
            Self::Path(path) => path.to_owned(),
            Self::Abstract(name) => format!("@{name}"),
        }
    }

    fn resolve(self, root: &Root) -> nix::Result<UnixAddr> {
        match self {
            Self::Path(path) => UnixAddr::new(&root.path(path)),
            Self::Abstract(name) => {
                let scope = if root.is_fake() { root.path("/").display().to_string() } else { String::new() };
                UnixAddr::new_abstract(format!("{scope}{name}").as_bytes())
            }
        }
    }
}

/// A connection that does not block; `None` when nobody listens there.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when somebody listens and has no room for a connection until the deadline; whatever else `connect(2)` says.
pub(super) fn connect(root: &Root, address: Address, deadline: Deadline) -> Result<Option<UnixStream>> {
    let fail = |e: io::Error| KernelError::new("connect to", Path::new(&address.show()), e);
    let target = address.resolve(root).map_err(|e| fail(e.into()))?;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(|e| fail(e.into()))?;
    loop {
        match connect_to(fd.as_raw_fd(), &target) {
            Ok(()) => return Ok(Some(fd.into())),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ECONNREFUSED) => return Ok(None),
            Err(Errno::EAGAIN | Errno::EINTR) if deadline.is_past() => return Err(fail(io::ErrorKind::TimedOut.into())),
            Err(Errno::EAGAIN | Errno::EINTR) => std::thread::sleep(FULL.min(deadline.remaining())),
            Err(e) => return Err(fail(e.into())),
        }
    }
}

/// Sends a message to one of LVM's daemons and reads its answer.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`]; the daemon closed the connection before its answer ended; whatever reading and writing say.
pub(super) fn ask(mut stream: &UnixStream, message: &[u8], deadline: Deadline) -> io::Result<Vec<u8>> {
    // A message of a few bytes always finds room in a fresh connection.
    stream.write_all(message)?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 512]);
    while !answer.ends_with(END) {
        if !wait_readable(stream.as_fd(), deadline)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => answer.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
        if answer.len() > ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without an end"));
        }
    }
    Ok(answer)
}
