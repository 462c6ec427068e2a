//! IP addresses on links: finding, adding and removing them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::{Netlink, Replies};
use crate::kernel::error::{KernelError, Result};

/// A lifetime without end (`INFINITY_LIFE_TIME`).
pub const FOREVER: u32 = u32::MAX;

/// An address that a link has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    message: AddressMessage,
    /// The address itself.
    pub ip: IpAddr,
}

/// An address that a link is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAddress {
    /// The link's number.
    pub index: u32,
    /// The address itself.
    pub ip: IpAddr,
    /// How many bits of it are the network's.
    pub prefix: u8,
    /// IPv4: the broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// IPv4: the label, `NIC:SOMETHING`, at most 15 bytes.
    pub label: Option<String>,
    /// The metric of the route to its network.
    pub metric: Option<u32>,
    /// IPv6: seconds for which it is used for new connections; [`FOREVER`].
    pub preferred: u32,
    /// IPv6: no duplicate address detection.
    pub no_dad: bool,
    /// No route to its network.
    pub no_prefix_route: bool,
}

/// The family of an address, as netlink has it.
#[must_use]
pub fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

impl Address {
    fn of(message: &AddressMessage) -> Option<Self> {
        let local = message.attributes.iter().find_map(|a| if let AddressAttribute::Local(ip) = a { Some(*ip) } else { None });
        let plain = message.attributes.iter().find_map(|a| if let AddressAttribute::Address(ip) = a { Some(*ip) } else { None });
        // On a point-to-point link the plain one is the peer's.
        Some(Self { ip: local.or(plain)?, message: message.clone() })
    }

    /// Every address of the family of `ip` in this network namespace; whether there are more that could not be read.
    ///
    /// # Errors
    /// The kernel can not be asked.
    pub fn list(netlink: &mut Netlink, ip: IpAddr) -> Result<(Vec<Self>, Option<KernelError>)> {
        let mut request = AddressMessage::default();
        request.header.family = family(ip);
        let replies = netlink.dump(&RouteNetlinkMessage::GetAddress(request), "addresses")?;
        let found = addresses(&replies).filter_map(Self::of).collect();
        let unread = replies.unread.map(|why| KernelError::new("read", "addresses", std::io::Error::other(why)));
        Ok((found, unread))
    }

    /// Where `ip` is, on whatever link and with whatever prefix. That it is nowhere is only said when every address could be read.
    ///
    /// # Errors
    /// The kernel can not be asked, or its answer not be read.
    pub fn find(netlink: &mut Netlink, ip: IpAddr) -> Result<Vec<Self>> {
        let (mut found, unread) = Self::list(netlink, ip)?;
        found.retain(|address| address.ip == ip);
        match unread {
            Some(e) if found.is_empty() => Err(e),
            _ => Ok(found),
        }
    }

    /// The number of its link.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.message.header.index
    }

    /// How many bits of it are the network's.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.message.header.prefix_len
    }

    /// Its label; IPv6 addresses have none.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.message
            .attributes
            .iter()
            .find_map(|a| if let AddressAttribute::Label(text) = a { Some(text.as_str()) } else { None })
    }

    fn flags(&self) -> AddressFlags {
        let full =
            self.message.attributes.iter().find_map(|a| if let AddressAttribute::Flags(flags) = a { Some(*flags) } else { None });
        full.unwrap_or_else(|| AddressFlags::from_bits_retain(self.message.header.flags.bits().into()))
    }

    /// Whether duplicate address detection has found another owner.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.flags().contains(AddressFlags::Dadfailed)
    }

    /// Whether duplicate address detection is still going on, and it can not be used meanwhile.
    #[must_use]
    pub fn is_tentative(&self) -> bool {
        self.flags().contains(AddressFlags::Tentative) && !self.flags().contains(AddressFlags::Optimistic)
    }

    /// Whether it is one more of a network that the link already has an address of.
    #[must_use]
    pub fn is_secondary(&self) -> bool {
        self.flags().contains(AddressFlags::Secondary)
    }

    /// Removes it; `false` when it was not there any more. The request says exactly which one, prefix and link included: without them
    /// the kernel takes the first that fits.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn delete(&self, netlink: &mut Netlink) -> Result<bool> {
        let mut request = AddressMessage::default();
        request.header = self.message.header.clone();
        request.header.flags = AddressHeaderFlags::empty();
        let which = |a: &&AddressAttribute| matches!(a, AddressAttribute::Local(_) | AddressAttribute::Address(_));
        request.attributes = self.message.attributes.iter().filter(which).cloned().collect();
        match netlink.call::<_, RouteNetlinkMessage>(RouteNetlinkMessage::DelAddress(request), 0, "remove", self) {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.errno(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix())
    }
}

impl NewAddress {
    /// Adds it. That it is there already is no error: the caller looks at what is there in any case.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add(&self, netlink: &mut Netlink) -> Result<()> {
        let mut message = AddressMessage::default();
        let mut flags = AddressFlags::empty();
        flags.set(AddressFlags::Nodad, self.no_dad);
        flags.set(AddressFlags::Noprefixroute, self.no_prefix_route);
        message.header.family = family(self.ip);
        message.header.prefix_len = self.prefix;
        message.header.index = self.index;
        message.header.flags = AddressHeaderFlags::from_bits_truncate(u8::try_from(flags.bits() & 0xff).unwrap_or(0));
        // As ip(8) does it.
        message.header.scope = if self.ip.is_loopback() { AddressScope::Host } else { AddressScope::Universe };
        message.attributes = vec![AddressAttribute::Local(self.ip), AddressAttribute::Address(self.ip)];
        message.attributes.extend(self.broadcast.map(AddressAttribute::Broadcast));
        message.attributes.extend(self.label.clone().map(AddressAttribute::Label));
        message.attributes.extend(self.metric.map(AddressAttribute::RoutePriority));
        if !flags.is_empty() {
            message.attributes.push(AddressAttribute::Flags(flags));
        }
        if self.preferred != FOREVER {
            let mut lifetimes = CacheInfo::default();
            (lifetimes.ifa_preferred, lifetimes.ifa_valid) = (self.preferred, FOREVER);
            message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
        }
        add(netlink, message, self)
    }
}

impl fmt::Display for NewAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

fn add(netlink: &mut Netlink, message: AddressMessage, what: impl fmt::Display) -> Result<()> {
    let request = RouteNetlinkMessage::NewAddress(message);
    match netlink.call::<_, RouteNetlinkMessage>(request, NLM_F_CREATE | NLM_F_EXCL, "add", what) {
        Err(e) if e.errno() == Some(libc::EEXIST) => Ok(()),
        other => other.map(drop),
    }
}

/// The addresses that a reply, or a message nobody asked for, says are there.
fn addresses(replies: &Replies<RouteNetlinkMessage>) -> impl Iterator<Item = &AddressMessage> {
    replies.items.iter().filter_map(|item| if let RouteNetlinkMessage::NewAddress(address) = item { Some(address) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_is_at_home_on_lo_and_nowhere_at_an_address_of_the_documentation() {
        let mut netlink = Netlink::route().unwrap();
        for home in ["127.0.0.1", "::1"] {
            let found = Address::find(&mut netlink, home.parse().unwrap()).unwrap();
            // A namespace without IPv6 has no ::1.
            let Some(address) = found.first() else { continue };
            assert_eq!(address.index(), 1);
            assert!(!address.is_duplicate() && !address.is_tentative() && !address.is_secondary());
            assert_eq!(address.label(), home.parse::<Ipv4Addr>().ok().map(|_| "lo"));
        }
        for nobody in ["192.0.2.77", "2001:db8::77"] {
            assert_eq!(Address::find(&mut netlink, nobody.parse().unwrap()).unwrap(), []);
        }
    }
}
