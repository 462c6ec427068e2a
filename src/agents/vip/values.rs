//! What the texts of `VIP`'s parameters mean.

use std::net::{IpAddr, Ipv4Addr};

use crate::kernel::net::address::FOREVER;
use crate::kernel::net::namespace;
use crate::ocf::spec::{Content, ParamValue};

/// The address, or what is wrong with it.
///
/// # Errors
/// It is none, or none that a single machine can have.
pub fn address(text: &str) -> Result<IpAddr, String> {
    let ip: IpAddr = match text.trim().parse() {
        Ok(ip) => ip,
        Err(_) if text.contains('/') => return Err("not an IP address; the prefix length goes into cidr_netmask".to_owned()),
        Err(_) if text.contains('%') => return Err("not an IP address; the link goes into nic".to_owned()),
        Err(_) => return Err("not an IP address".to_owned()),
    };
    let is_one_machine = match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none(),
    };
    if is_one_machine { Ok(ip) } else { Err("not the address of a single machine".to_owned()) }
}

/// A prefix length, written as a number or, for IPv4, as a netmask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// How many bits.
    pub bits: u8,
    /// Whether it was written as a netmask.
    pub is_mask: bool,
}

impl ParamValue for Prefix {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(mask) = text.parse::<Ipv4Addr>() {
            let bits = u32::from(mask);
            let prefix = bits.leading_ones();
            let is_mask = prefix > 0 && bits.checked_shl(prefix).unwrap_or(0) == 0;
            return u8::try_from(prefix)
                .ok()
                .filter(|_| is_mask)
                .map(|bits| Self { bits, is_mask })
                .ok_or_else(|| "not a netmask".to_owned());
        }
        match text.parse() {
            Ok(bits @ 1..=128) => Ok(Self { bits, is_mask: false }),
            _ => Err("not a prefix length (1 to 32 for IPv4, 1 to 128 for IPv6)".to_owned()),
        }
    }
}

/// A broadcast address, or how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broadcast {
    /// This one.
    Is(Ipv4Addr),
    /// All bits of the host set.
    Ones,
    /// All bits of the host cleared.
    Zeros,
}

impl Broadcast {
    /// The address for `ip` in its network; `None` for a network of one or two, which has none.
    #[must_use]
    pub fn of(self, ip: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
        let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        match self {
            Self::Is(address) => Some(address),
            _ if prefix >= 31 => None,
            Self::Ones => Some(Ipv4Addr::from(u32::from(ip) | host)),
            Self::Zeros => Some(Ipv4Addr::from(u32::from(ip) & !host)),
        }
    }
}

impl ParamValue for Broadcast {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "+" => Ok(Self::Ones),
            "-" => Ok(Self::Zeros),
            _ => text.parse().map(Self::Is).map_err(|_| "neither an IPv4 address nor + or -".to_owned()),
        }
    }
}

/// The origin of a route: `RTPROT_…` (`linux/rtnetlink.h`), by the names of ip(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteOrigin(pub u8);

impl ParamValue for RouteOrigin {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        const NAMES: [(&str, u8); 16] = [
            ("redirect", 1),
            ("kernel", 2),
            ("boot", 3),
            ("static", 4),
            ("gated", 8),
            ("ra", 9),
            ("zebra", 11),
            ("bird", 12),
            ("dhcp", 16),
            ("keepalived", 18),
            ("babel", 42),
            ("bgp", 186),
            ("isis", 187),
            ("ospf", 188),
            ("rip", 189),
            ("eigrp", 192),
        ];
        let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
        named.or_else(|| text.parse().ok()).map(Self).ok_or_else(|| "not the origin of a route (kernel, static, …)".to_owned())
    }
}

/// The name of a link, with the label that used to be written behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Its name, or an alternative one.
    pub name: String,
    /// The label, without the name.
    pub label: Option<String>,
}

impl ParamValue for Nic {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        let (name, label) = text.split_once(':').map_or((text, None), |(name, label)| (name, Some(label)));
        let is_name = |name: &str| {
            !name.is_empty() && name.len() < 128 && name != "." && name != ".." && is_word(name) && !name.contains('/')
        };
        if !is_name(name) || label.is_some_and(|label| Label::parse(label).is_err()) {
            return Err("not the name of a nic".to_owned());
        }
        Ok(Self { name: name.to_owned(), label: label.map(str::to_owned) })
    }
}

/// The label of an address, without the name of the link in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(pub String);

impl ParamValue for Label {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        match text.len() {
            // The kernel keeps 15 bytes, and there is a link's name and a colon in front.
            1..=13 if is_word(text) => Ok(Self(text.to_owned())),
            0..=13 => Err("not a label: one word of printable ASCII".to_owned()),
            _ => Err("too long: with the nic and a colon it may have 15 characters".to_owned()),
        }
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// A whole number above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positive(pub u32);

impl ParamValue for Positive {
    const CONTENT: Content = Content::Integer;
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().ok().filter(|n| *n > 0).map(Self).ok_or_else(|| "not a whole number above 0".to_owned())
    }
}

/// How often something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl ParamValue for Count {
    const CONTENT: Content = Content::Integer;
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().ok().filter(|n| *n <= 1000).map(Self).ok_or_else(|| "not a whole number from 0 to 1000".to_owned())
    }
}

/// As [`Count`], and at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtLeastOnce(pub u32);

impl ParamValue for AtLeastOnce {
    const CONTENT: Content = Content::Integer;
    fn parse(text: &str) -> Result<Self, String> {
        let count = Count::parse(text).ok().filter(|count| count.0 > 0);
        count.map(|count| Self(count.0)).ok_or_else(|| "not a whole number from 1 to 1000".to_owned())
    }
}

/// A number of seconds, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(pub u32);

impl ParamValue for Lifetime {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "forever" => Ok(Self(FOREVER)),
            _ => text.parse().map(Self).map_err(|_| "neither a number of seconds nor forever".to_owned()),
        }
    }
}

/// The name of a network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(pub String);

impl ParamValue for Namespace {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        if namespace::is_name(text) { Ok(Self(text.to_owned())) } else { Err("not the name of a network namespace".to_owned()) }
    }
}

/// TCP ports, separated by blanks or commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub Vec<u16>);

impl ParamValue for Ports {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        let words = text.split([' ', ',', '\t']).filter(|word| !word.is_empty());
        let ports = words.map(|word| word.parse().ok().filter(|port| *port > 0)).collect::<Option<Vec<u16>>>();
        ports.filter(|ports| !ports.is_empty()).map(Self).ok_or_else(|| "not a list of TCP ports".to_owned())
    }
}

/// A program with its first arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine(pub Vec<String>);

impl ParamValue for CommandLine {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match words.first() {
            Some(program) if program.starts_with('/') || !program.contains('/') => Ok(Self(words)),
            _ => Err("not a program: an absolute path, or a name".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_one_machine() {
        for good in ["10.0.0.5", " 10.0.0.5 ", "2001:DB8:0:0:0:0:0:5", "fe80::1", "127.0.0.2"] {
            assert!(address(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "10.0.0",
            "10.0.0.256",
            "10.0.0.5/24",
            "fe80::1%eth0",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "::",
        ];
        for bad in bad.into_iter().chain(["::ffff:10.0.0.5", "host", "010.0.0.5"]) {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address("10.0.0.5/24").unwrap_err().contains("cidr_netmask"));
    }

    #[test]
    fn a_prefix_is_a_number_or_a_netmask_without_holes() {
        let prefix = |text| Prefix::parse(text).map(|p| p.bits).ok();
        for (text, is) in [("24", 24), ("128", 128), ("255.255.255.192", 26), ("255.255.255.255", 32), ("128.0.0.0", 1)] {
            assert_eq!(prefix(text), Some(is), "{text}");
        }
        for text in ["0", "129", "-1", "24.", "255.0.255.0", "0.0.0.0", "0.0.0.255", "ffff::", "/24", ""] {
            assert_eq!(prefix(text), None, "{text}");
        }
    }

    #[test]
    fn a_broadcast_address_is_made_of_the_host_bits() {
        let made = |broadcast: Broadcast, prefix| broadcast.of("10.1.2.77".parse().unwrap(), prefix).map(|ip| ip.to_string());
        assert_eq!(made(Broadcast::Ones, 26).as_deref(), Some("10.1.2.127"));
        assert_eq!(made(Broadcast::Zeros, 26).as_deref(), Some("10.1.2.64"));
        assert_eq!((made(Broadcast::Ones, 31), made(Broadcast::Ones, 32)), (None, None));
        assert_eq!(made(Broadcast::parse("10.1.2.3").unwrap(), 32).as_deref(), Some("10.1.2.3"));
    }

    #[test]
    fn a_nic_may_still_carry_its_label() {
        let nic = |text| Nic::parse(text).map(|nic| (nic.name, nic.label)).ok();
        assert_eq!(nic("eth0"), Some(("eth0".to_owned(), None)));
        assert_eq!(nic("bond0:1"), Some(("bond0".to_owned(), Some("1".to_owned()))));
        for bad in ["eth 0", "eth0:", ":1", "..", "a/b", ""] {
            assert_eq!(nic(bad), None, "{bad}");
        }
    }

    #[test]
    fn words_and_lists_are_what_they_look_like() {
        assert_eq!(Ports::parse("3260, 860").map(|p| p.0), Ok(vec![3260, 860]));
        assert!(["", ",", "0", "70000", "iscsi"].iter().all(|text| Ports::parse(text).is_err()));
        assert_eq!(CommandLine::parse("csync2 -xv").map(|c| c.0), Ok(vec!["csync2".to_owned(), "-xv".to_owned()]));
        assert!(["", "./sync", "a/b"].iter().all(|text| CommandLine::parse(text).is_err()));
        assert_eq!(RouteOrigin::parse("kernel"), RouteOrigin::parse("2"));
        assert!(RouteOrigin::parse("nobody").is_err());
        assert!(Label::parse("12345678901234").is_err() && Label::parse("a b").is_err() && Label::parse("1").is_ok());
    }
}
