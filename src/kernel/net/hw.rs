//! Hardware addresses, of Ethernet (6 bytes), InfiniBand (20 bytes) or anything else.

use std::fmt;
use std::net::Ipv6Addr;

/// A hardware address; empty for links that have none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HwAddr(pub Vec<u8>);

impl fmt::Display for HwAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, byte) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
/// `ARPHRD_LOOPBACK`.
const LOOPBACK: u16 = 772;

/// What a packet socket needs to know of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HwLink {
    /// The kernel's number of it.
    pub index: u32,
    /// What kind of hardware it is: `ARPHRD_…` (`linux/if_arp.h`).
    pub kind: u16,
    /// Its own address (`IFLA_ADDRESS`).
    pub address: HwAddr,
    /// Its broadcast address (`IFLA_BROADCAST`).
    pub broadcast: HwAddr,
}

impl HwLink {
    /// Whether there are others to tell something, and hardware addresses to do it with.
    #[must_use]
    pub fn can_announce(&self) -> bool {
        self.kind != LOOPBACK && !self.address.0.is_empty() && self.address.0.len() == self.broadcast.0.len()
    }

    /// Where a packet for a multicast group goes (RFC 2464, 7). On anything but Ethernet it goes to every node: that reaches those of
    /// the group too, and what little we send disturbs nobody.
    #[must_use]
    pub fn multicast(&self, group: Ipv6Addr) -> HwAddr {
        if self.kind == ETHERNET && self.broadcast.0.len() == 6 {
            let [.., a, b, c, d] = group.octets();
            return HwAddr(vec![0x33, 0x33, a, b, c, d]);
        }
        self.broadcast.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multicast_group_has_its_own_address_on_ethernet_and_everybodys_elsewhere() {
        let ethernet = HwLink { index: 2, kind: ETHERNET, address: HwAddr(vec![2; 6]), broadcast: HwAddr(vec![0xff; 6]) };
        let group: Ipv6Addr = "ff02::1:ff01:2345".parse().unwrap();
        assert_eq!(ethernet.multicast(group).to_string(), "33:33:ff:01:23:45");
        let infiniband = HwLink { index: 2, kind: 32, address: HwAddr(vec![2; 20]), broadcast: HwAddr(vec![9; 20]) };
        assert_eq!(infiniband.multicast(group), infiniband.broadcast);
    }

    #[test]
    fn what_has_no_hardware_address_or_is_the_loopback_announces_nothing() {
        let link = |kind, address: &[u8], broadcast: &[u8]| HwLink {
            index: 2,
            kind,
            address: HwAddr(address.to_vec()),
            broadcast: HwAddr(broadcast.to_vec()),
        };
        assert!(link(ETHERNET, &[2; 6], &[0xff; 6]).can_announce());
        assert!(link(32, &[2; 20], &[0xff; 20]).can_announce());
        assert!(!link(LOOPBACK, &[0; 6], &[0; 6]).can_announce());
        assert!(!link(65534, &[], &[]).can_announce(), "a tunnel");
    }

    #[test]
    fn an_address_is_shown_as_ip_shows_it() {
        assert_eq!(HwAddr(vec![0x52, 0x54, 0, 0xab, 1, 2]).to_string(), "52:54:00:ab:01:02");
        assert_eq!(HwAddr::default().to_string(), "");
    }
}
