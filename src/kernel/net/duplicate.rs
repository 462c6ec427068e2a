//! Looks for another owner of an address on a link, as RFC 5227 and RFC 4862 do before an address is used, but in half a second.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::hw::{HwAddr, HwLink};
use super::packet::{arp_claim, arp_probe, is_question, neighbor_claim, solicitation, solicited_group};
use super::packet_socket::{Hears, PacketSocket, Received};
use crate::deadline::Deadline;
use crate::kernel::error::{KernelError, Result};

/// How often it asks: two may get lost.
const PROBES: usize = 3;
/// How long it listens after each.
const PATIENCE: Duration = Duration::from_millis(150);

/// Why somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// To take the address: whoever asks for it at the same time is about to do so too.
    BeforeTakingIt,
    /// To learn who has it as well: whoever only asks does not.
    WhileHavingIt,
}

/// The hardware address of somebody else on the link who has `ip` or is about to take it; the first that answers. `own` are further
/// hardware addresses of this machine: with two links to the same network it answers itself. Takes some 0.45 s when nobody has it.
///
/// # Errors
/// No privilege, no hardware addresses, or the link is down.
pub fn find_duplicate(ip: IpAddr, link: &HwLink, own: &[HwAddr], why: Asking, until: Deadline) -> Result<Option<HwAddr>> {
    let wrong = |e| KernelError::new("probe", ip.to_string(), e);
    if !link.can_announce() {
        return Err(wrong(io::Error::other("the link has no hardware addresses")));
    }
    let counts = |heard: &Received| why == Asking::BeforeTakingIt || !is_question(&heard.bytes);
    let is_foreign = |address: &HwAddr| !address.0.is_empty() && *address != link.address && !own.contains(address);
    match ip {
        IpAddr::V4(ip) => {
            let probe = arp_probe(ip, link).map_err(wrong)?;
            let hear =
                |heard: &Received| arp_claim(&heard.bytes, ip, heard.is_broadcast).filter(|_| counts(heard)).filter(is_foreign);
            ask(link, Hears::Arp, (&probe, libc::ETH_P_ARP, &link.broadcast), hear, until).map_err(wrong)
        }
        IpAddr::V6(ip) => {
            let probe = solicitation(ip).map_err(wrong)?;
            let group = link.multicast(solicited_group(ip));
            let hear = |heard: &Received| {
                neighbor_claim(&heard.bytes, ip, link, &heard.from).filter(|_| counts(heard)).filter(is_foreign)
            };
            ask(link, Hears::Neighbors, (&probe, libc::ETH_P_IPV6, &group), hear, until).map_err(wrong)
        }
    }
}

fn ask(
    link: &HwLink,
    hears: Hears,
    (probe, protocol, to): (&[u8], i32, &HwAddr),
    hear: impl Fn(&Received) -> Option<HwAddr>,
    until: Deadline,
) -> io::Result<Option<HwAddr>> {
    let socket = PacketSocket::open(link, hears)?;
    let (mut is_asked, mut lost) = (false, None);
    for _ in 0..PROBES {
        match socket.send(probe, protocol, to) {
            Ok(()) => is_asked = true,
            // A queue that is full has no room for this one. The next may get through.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOBUFS | libc::EAGAIN)) => lost = Some(e),
            Err(e) => return Err(e),
        }
        let pause = until.within(PATIENCE);
        while let Some(heard) = socket.receive(pause)? {
            if let Some(other) = hear(&heard) {
                return Ok(Some(other));
            }
            // On a network that never falls silent, `receive` alone would not see the time pass.
            if pause.is_past() {
                break;
            }
        }
    }
    match lost {
        Some(e) if !is_asked => Err(e),
        _ => Ok(None),
    }
}
