//! Labels of the IPv6 source address selection (RFC 6724, "Policy Table"): a virtual address with a label of its own is not taken as
//! the source of connections that this machine opens.

use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::addrlabel::{AddrLabelAttribute, AddrLabelMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::Netlink;
use crate::kernel::error::Result;

/// Gives `ip` the label; `false` when it has one already.
///
/// # Errors
/// The kernel refuses.
pub fn add(netlink: &mut Netlink, ip: Ipv6Addr, label: u32) -> Result<bool> {
    let request = RouteNetlinkMessage::NewAddrLabel(message(ip, label));
    match netlink.call::<_, RouteNetlinkMessage>(request, NLM_F_CREATE | NLM_F_EXCL, "add source label of", ip) {
        Err(e) if e.errno() == Some(libc::EEXIST) => Ok(false),
        other => other.map(|_| true),
    }
}

/// Takes it away. That it has none is no error.
///
/// # Errors
/// The kernel refuses.
pub fn delete(netlink: &mut Netlink, ip: Ipv6Addr, label: u32) -> Result<()> {
    match netlink.call::<_, RouteNetlinkMessage>(
        RouteNetlinkMessage::DelAddrLabel(message(ip, label)),
        0,
        "remove source label of",
        ip,
    ) {
        Err(e) if matches!(e.errno(), Some(libc::ESRCH | libc::ENOENT)) => Ok(()),
        other => other.map(drop),
    }
}

fn message(ip: Ipv6Addr, label: u32) -> AddrLabelMessage {
    let mut message = AddrLabelMessage::default();
    message.header.family = AddressFamily::Inet6;
    message.header.prefix_len = 128;
    message.attributes = vec![AddrLabelAttribute::Address(IpAddr::V6(ip)), AddrLabelAttribute::Label(label)];
    message
}
