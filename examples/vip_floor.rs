//! `vip_floor monitor|start|stop ADDRESS PREFIX NIC [LABEL]`: the netlink messages that the action needs, and nothing else: no check of what
//! it is told, no second process, no record, no announcement. monitor: the NIC and its addresses; start: the NIC, the new address, its
//! addresses; stop: the NIC, the address away, its addresses. Ends with 0 when the address is there, else with 7, like a monitor; a stop the
//! other way round. What no program can be much cheaper than; `scripts/bench` measures against it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::FromRawFd;
use std::process::ExitCode;

// linux/rtnetlink.h, linux/if_addr.h, linux/netlink.h
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_GETLINK: u16 = 18;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const CREATE_EXCL: u16 = 0x600;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IFA_LOCAL: u16 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LABEL: u16 = 3;
const IFA_FLAGS: u16 = 8;
const IFLA_IFNAME: u16 = 3;
const NODAD: u32 = 0x2;
const HEADER: usize = 16;
const IFADDRMSG: usize = 8;

fn main() -> io::Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [action, address, prefix, nic, label @ ..] = args.as_slice() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let address: IpAddr = address.parse().map_err(io::Error::other)?;
    let octets = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let family = if octets.len() == 4 { 2 } else { 10 };
    let mut rtnetlink = socket()?;

    let mut get_link = vec![0; 16];
    attribute(&mut get_link, IFLA_IFNAME, &[nic.as_bytes(), &[0]].concat());
    let mut index = [0; 4];
    ask(&mut rtnetlink, RTM_GETLINK, REQUEST, &get_link, |body| index.copy_from_slice(&body[4..8]))?;
    if action != "monitor" {
        let mut body = vec![family, prefix.parse().map_err(io::Error::other)?, 0, 0];
        body.extend(index);
        attribute(&mut body, IFA_LOCAL, &octets);
        attribute(&mut body, IFA_ADDRESS, &octets);
        if action == "stop" {
            ask(&mut rtnetlink, RTM_DELADDR, REQUEST | ACK, &body, |_| ())?;
        } else {
            attribute(&mut body, IFA_FLAGS, &NODAD.to_ne_bytes());
            if let [label] = label {
                attribute(&mut body, IFA_LABEL, &[label.as_bytes(), &[0]].concat());
            }
            ask(&mut rtnetlink, RTM_NEWADDR, REQUEST | ACK | CREATE_EXCL, &body, |_| ())?;
        }
    }
    let mut is_there = false;
    let mut get_address = vec![0; IFADDRMSG];
    get_address[0] = family;
    ask(&mut rtnetlink, RTM_GETADDR, REQUEST | DUMP, &get_address, |body| {
        // The address is the first or second attribute; the NIC's number is in the header before them.
        is_there |= body[4..8] == index && body[IFADDRMSG..].chunks(4 + octets.len()).take(2).any(|part| part.ends_with(&octets));
    })?;
    Ok(if is_there == (action == "stop") { ExitCode::from(7) } else { ExitCode::SUCCESS })
}

/// A netlink socket speaks to the kernel when nothing else is said, and is read and written like a file.
#[expect(unsafe_code, reason = "std has no netlink sockets")]
fn socket() -> io::Result<File> {
    // SAFETY: the call takes no pointer.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has just made it, and nothing else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Sends one request and hands over every body that comes back, until the answer is complete.
fn ask(socket: &mut File, kind: u16, flags: u16, body: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
    message.extend([0; 8]);
    message.extend(body);
    socket.write_all(&message)?;
    let mut buffer = vec![0; 32 << 10];
    loop {
        let read = socket.read(&mut buffer)?;
        let mut rest = &buffer[..read];
        while let Some((header, _)) = rest.split_at_checked(HEADER) {
            let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let body = &rest[HEADER..length];
            match u16::from_ne_bytes([header[4], header[5]]) {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let code = i32::from_ne_bytes([body[0], body[1], body[2], body[3]]);
                    return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) };
                }
                _ => each(body),
            }
            if flags & (ACK | DUMP) == 0 {
                return Ok(());
            }
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}
