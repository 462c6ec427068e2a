//! The names that LIO takes: world-wide names, portals, secrets. Parsed once, right ever after.

use std::fmt;
use std::net::IpAddr;

/// The longest iSCSI name: the kernel has room for 224 bytes with the final NUL (`ISCSI_IQN_LEN`, `iscsi_target_core.h`).
const NAME_MAX: usize = 223;

/// An iSCSI name (RFC 3720, 3.2.6) as a directory name: `iqn.…`, `eui.…` or `naa.…`, lower case.
///
/// The kernel checks nothing but the length, and lower-cases what an initiator sends: a directory with capitals would never match.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IscsiName(String);

impl IscsiName {
    /// Reads a name; capitals are lowered.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        if name.is_empty() {
            return Err("empty name".to_owned());
        }
        if name.len() > NAME_MAX {
            return Err(format!("{} characters, at most {NAME_MAX}", name.len()));
        }
        if let Some(bad) = name.chars().find(|c| c.is_control() || c.is_whitespace() || *c == '/') {
            return Err(format!("{bad:?} can not be in an iSCSI name"));
        }
        let well_formed = match name.get(..4) {
            Some("iqn.") => is_iqn(&name),
            Some("eui.") => is_hex(&name[4..], &[16]),
            Some("naa.") => is_hex(&name[4..], &[16, 32]),
            _ => false,
        };
        if well_formed { Ok(Self(name)) } else { Err("not iqn.YYYY-MM.DOMAIN[:ID], eui.HEX or naa.HEX".to_owned()) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `iqn.`, year, `-`, month, `.`, and something after it.
fn is_iqn(name: &str) -> bool {
    let bytes = name.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    digits(4..8) && bytes.get(8) == Some(&b'-') && digits(9..11) && bytes.get(11) == Some(&b'.') && name.len() > 12
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// An address and port to listen on. Its text is the directory name below `np/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortalAddress {
    /// The address.
    pub ip: IpAddr,
    /// The interface of a link-local IPv6 address.
    pub scope: Option<String>,
    /// The TCP port.
    pub port: u16,
}

impl PortalAddress {
    /// Reads an address (IPv6 with or without brackets, `%interface` allowed) and a port.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(address: &str, port: u16) -> Result<Self, String> {
        let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
        let (bare, scope) = match bare.split_once('%') {
            Some((ip, scope)) => (ip, Some(scope)),
            None => (bare, None),
        };
        let ip: IpAddr = bare.parse().map_err(|_| format!("{address:?} is no IP address"))?;
        if scope.is_some_and(|s| s.is_empty() || s.contains('/') || !ip.is_ipv6()) {
            return Err(format!("{address:?} is no IP address"));
        }
        if port == 0 {
            return Err("port 0".to_owned());
        }
        Ok(Self { ip, scope: scope.map(str::to_owned), port })
    }

    /// Reads the name of a directory below `np/`.
    #[must_use]
    pub fn from_dir_name(name: &str) -> Option<Self> {
        let (address, port) = name.rsplit_once(':')?;
        Self::parse(address, port.parse().ok()?).ok()
    }

    /// Whether it listens on every address of its family.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.ip.is_unspecified()
    }

    /// Whether both can not be bound at once by different sockets: same port, and same address or one of them a wildcard.
    /// A `[::]` socket of the kernel takes IPv4 along.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        // A socket table does not say on which interface a link-local address is.
        let same_scope = self.scope == other.scope || self.scope.is_none() || other.scope.is_none();
        let takes_all = |p: &Self, q: &Self| p.is_wildcard() && (p.ip.is_ipv6() || q.ip.is_ipv4());
        self.port == other.port && (self.ip == other.ip && same_scope || takes_all(self, other) || takes_all(other, self))
    }
}

impl fmt::Display for PortalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ip, &self.scope) {
            (IpAddr::V4(ip), _) => write!(f, "{ip}:{}", self.port),
            (IpAddr::V6(ip), None) => write!(f, "[{ip}]:{}", self.port),
            (IpAddr::V6(ip), Some(scope)) => write!(f, "[{ip}%{scope}]:{}", self.port),
        }
    }
}

/// A user name or password of CHAP. Prints as dots.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes a text that configfs can hold.
    ///
    /// # Errors
    /// It is longer than 255 bytes, or begins with NULL, which configfs takes as "clear" (`iscsi_target_configfs.c`).
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > 255 {
            return Err("longer than 255 bytes".to_owned());
        }
        if text.starts_with("NULL") {
            return Err("begins with NULL, which means none to the kernel".to_owned());
        }
        if text.contains(['\n', '\0']) {
            return Err("contains a line end or NUL".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, for the one write that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_target_may_have() {
        for good in ["iqn.2016-09.com.example:t1", "IQN.2003-01.org.x:SN.1", "eui.0123456789abcdef", "naa.5001405123456789"] {
            assert_eq!(IscsiName::parse(good).unwrap().as_str(), good.to_lowercase());
        }
        let long = format!("iqn.2016-09.com.{}", "x".repeat(300));
        for bad in ["", "Not An IQN", "iqn.2016-09.com/..:x", "iqn.16-9.com", "iqn.2016-09.", "eui.xyz", "..", &long] {
            assert!(IscsiName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_portal_is_its_directory_name() {
        let name = |a: &str| PortalAddress::parse(a, 3260).map(|p| p.to_string());
        assert_eq!(name("10.0.0.1").unwrap(), "10.0.0.1:3260");
        assert_eq!(name("[fe80::1%eth0]").unwrap(), "[fe80::1%eth0]:3260");
        assert_eq!(name("0:0::1").unwrap(), "[::1]:3260");
        assert!(name("10.0.0.1/24").is_err());
        assert!(name("10.0.0.1%eth0").is_err());
        assert!(PortalAddress::parse("10.0.0.1", 0).is_err());
        for text in ["10.0.0.1:3260", "[::1]:3260", "[fe80::1%eth0]:860"] {
            assert_eq!(PortalAddress::from_dir_name(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wildcard_collides_with_every_address_of_its_port() {
        let p = |t: &str| PortalAddress::from_dir_name(t).unwrap();
        assert!(p("0.0.0.0:3260").collides(&p("10.0.0.1:3260")));
        assert!(p("10.0.0.1:3260").collides(&p("[::]:3260")));
        assert!(!p("10.0.0.1:3260").collides(&p("10.0.0.2:3260")));
        assert!(!p("0.0.0.0:3260").collides(&p("[fe80::1]:3260")));
        assert!(!p("0.0.0.0:3260").collides(&p("0.0.0.0:860")));
    }

    #[test]
    fn a_secret_never_shows() {
        let secret = Secret::parse("hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "***");
        assert!(Secret::parse("NULLify").is_err());
        assert!(Secret::parse(&"x".repeat(256)).is_err());
    }
}
