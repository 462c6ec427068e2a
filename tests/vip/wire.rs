//! What passes on a wire, with its time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::world::inside;

/// A frame that a scenario may care about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Arp { reply: bool, to: [u8; 6], sender_mac: [u8; 6], sender: Ipv4Addr, target_mac: [u8; 6], target: Ipv4Addr },
    Advertisement { source: Ipv6Addr, to: Ipv6Addr, hops: u8, flags: u8, target: Ipv6Addr, options: Vec<u8> },
    Tcp { source: IpAddr, to: IpAddr, flags: u8, from_port: u16, to_port: u16 },
}

/// With its time since the watch began.
#[derive(Clone, Debug)]
pub struct Frame {
    pub at: Duration,
    pub what: What,
}

/// Somebody who watches.
pub struct Wire {
    begun: Instant,
    end: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Frame>>>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// Begins to watch an interface of a namespace.
    pub fn at(node: &str, nic: &str) -> Self {
        let (seen, end, begun) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)), Instant::now());
        let (watched, index) = inside(node, || {
            let watched = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).unwrap();
            (watched, if_nametoindex(nic).unwrap() as usize)
        });
        setsockopt(&watched, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50)).unwrap();
        let (log, over) = (Arc::clone(&seen), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            let mut frame = [0; 2048];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, Some(from))) = recvfrom::<LinkAddr>(watched.as_raw_fd(), &mut frame) else { continue };
                if from.ifindex() == index {
                    if let Some(what) = parse(&frame[..length]) {
                        log.lock().unwrap().push(Frame { at: begun.elapsed(), what });
                    }
                }
            }
        });
        Self { begun, end, seen, thread: Some(thread) }
    }

    /// Now, on the clock of the frames.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What was seen so far.
    pub fn frames(&self) -> Vec<Frame> {
        self.seen.lock().unwrap().clone()
    }

    /// The announcements of an IPv4 address so far: ARP in which it claims itself.
    pub fn claims(&self, address: &str) -> Vec<Frame> {
        let address: Ipv4Addr = address.parse().unwrap();
        let claims =
            |frame: &Frame| matches!(frame.what, What::Arp { sender, target, .. } if sender == address && target == address);
        self.frames().into_iter().filter(claims).collect()
    }

    /// Advertisements of an IPv6 address so far.
    pub fn advertisements(&self, address: &str) -> Vec<Frame> {
        let address: Ipv6Addr = address.parse().unwrap();
        let fits = |frame: &Frame| matches!(frame.what, What::Advertisement { target, .. } if target == address);
        self.frames().into_iter().filter(fits).collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn parse(frame: &[u8]) -> Option<What> {
    let to = frame.get(..6)?.try_into().ok()?;
    let body = frame.get(14..)?;
    match frame.get(12..14)? {
        [0x08, 0x06] => arp(to, body),
        [0x08, 0x00] => {
            let (source, to) = (v4(body, 12)?, v4(body, 16)?);
            let header = usize::from(body.first()? & 15) * 4;
            if *body.get(9)? == 6 { tcp(source.into(), to.into(), body.get(header..)?) } else { None }
        }
        [0x86, 0xdd] => {
            let (source, to) = (v6(body, 8)?, v6(body, 24)?);
            let inner = body.get(40..)?;
            match *body.get(6)? {
                6 => tcp(source.into(), to.into(), inner),
                58 if *inner.first()? == 136 => {
                    let options = inner.get(24..).unwrap_or_default().to_vec();
                    Some(What::Advertisement {
                        source,
                        to,
                        hops: *body.get(7)?,
                        flags: *inner.get(4)?,
                        target: v6(inner, 8)?,
                        options,
                    })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn arp(to: [u8; 6], body: &[u8]) -> Option<What> {
    let mac = |at: usize| -> Option<[u8; 6]> { body.get(at..at + 6)?.try_into().ok() };
    if body.get(..6)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let reply = match body.get(6..8)? {
        [0, 1] => false,
        [0, 2] => true,
        _ => return None,
    };
    Some(What::Arp { reply, to, sender_mac: mac(8)?, sender: v4(body, 14)?, target_mac: mac(18)?, target: v4(body, 24)? })
}

fn tcp(source: IpAddr, to: IpAddr, segment: &[u8]) -> Option<What> {
    let port = |at: usize| -> Option<u16> { Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?)) };
    Some(What::Tcp { source, to, flags: *segment.get(13)?, from_port: port(0)?, to_port: port(2)? })
}

fn v4(body: &[u8], at: usize) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
    Some(bytes.into())
}

fn v6(body: &[u8], at: usize) -> Option<Ipv6Addr> {
    let bytes: [u8; 16] = body.get(at..at + 16)?.try_into().ok()?;
    Some(bytes.into())
}
