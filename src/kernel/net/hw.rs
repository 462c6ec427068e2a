//! Hardware addresses, of Ethernet (6 bytes), InfiniBand (20 bytes) or anything else.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_ip_shows_it() {
        assert_eq!(HwAddr(vec![0x52, 0x54, 0, 0xab, 1, 2]).to_string(), "52:54:00:ab:01:02");
        assert_eq!(HwAddr::default().to_string(), "");
    }
}
