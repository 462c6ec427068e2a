//! A pair of links, what goes over them, and the addresses that the cases are about.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};
use ocf_san::deadline::Deadline;
use ocf_san::kernel::net::hw::{HwAddr, HwLink};

pub const VIP4: &str = "10.9.0.1";
pub const VIP6: &str = "fd00::1";
pub const PEER4: &str = "10.9.0.2";
pub const PEER6: &str = "fd00::2";

pub fn left() -> HwLink {
    HwLink { index: 11, kind: 1, address: HwAddr(vec![2, 0, 0, 0, 0, 0x11]), broadcast: HwAddr(vec![0xff; 6]) }
}

pub fn right() -> HwLink {
    HwLink { index: 12, address: HwAddr(vec![2, 0, 0, 0, 0, 0x12]), ..left() }
}

pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Two links whose other end each is: what goes out of `left` comes in on `right`.
pub fn pair() {
    let (left, right) = (left(), right());
    ip(&format!(
        "link add name left index {} address {} type veth peer name right index {} address {}",
        left.index, left.address, right.index, right.address
    ));
    for link in ["lo", "left", "right"] {
        ip(&format!("link set {link} up"));
    }
    // There is a carrier before the kernel has given the link a queue, and until then it loses what is sent.
    let limit = soon();
    while ["left", "right"].iter().any(|link| !ip(&format!("link show {link}")).contains("state UP")) {
        assert!(!limit.is_past());
    }
}

pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Hears every frame of this namespace.
pub struct Tap(OwnedFd);

impl Tap {
    pub fn open() -> Self {
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).unwrap();
        setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(300)).unwrap();
        Self(socket)
    }

    /// The frames that come in on `right` until 0.3 s of silence (or two seconds), as far as `wanted` wants them.
    pub fn heard(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let (mut frames, limit) = (Vec::new(), Deadline::after(Duration::from_secs(2)));
        let mut buffer = [0; 2048];
        while !limit.is_past() {
            let Ok((length, from)) = recvfrom::<LinkAddr>(self.0.as_raw_fd(), &mut buffer) else { break };
            if from.is_some_and(|from| from.ifindex() == right().index as usize) && wanted(&buffer[..length]) {
                frames.push(buffer[..length].to_vec());
            }
        }
        frames
    }
}

/// Longer than anything takes.
pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}
