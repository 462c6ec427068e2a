//! What the parameters of `DRBD-helper` may say, beyond texts and numbers.

use std::time::Duration;

use crate::kernel::net::link::MAX_NAME;
use crate::ocf::spec::{Content, ParamValue};

/// The name of a DRBD resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceName(pub String);

impl ParamValue for ResourceName {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        // The characters of drbd.ocf but /, behind which drbdadm takes a volume. A name that begins with - would be an option, and "all" means
        // every resource.
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b"-%+.:=@_".contains(&b);
        if text == "all" {
            return Err("all is every resource and no name of one".to_owned());
        }
        if !text.is_empty() && !text.starts_with(['-', '.']) && text.len() <= 128 && text.bytes().all(is_good) {
            return Ok(Self(text.to_owned()));
        }
        Err("not the name of a DRBD resource: letters, digits and -%+.:=@_ only".to_owned())
    }
}

/// The four promotion scores, from the worst to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// Every disk here is Consistent, and nothing more is known.
    pub consistent: u32,
    /// Only a peer has up to date data.
    pub remote: u32,
    /// The disks here are up to date, and what the peer has is not known.
    pub local: u32,
    /// The disks here are up to date, and so much is known of the peer.
    pub best: u32,
}

impl ParamValue for Steps {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "not four whole numbers up to 1000000, none lower than the one before".to_owned();
        let numbers: Vec<u32> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let [consistent, remote, local, best] = numbers[..] else { return Err(wrong()) };
        if consistent <= remote && remote <= local && local <= best && best <= 1_000_000 {
            return Ok(Self { consistent, remote, local, best });
        }
        Err(wrong())
    }
}

/// Words that a parameter may be.
macro_rules! select {
    ($(#[$about:meta])* $name:ident, $wrong:literal { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl ParamValue for $name {
            const CONTENT: Content = Content::Select(&[$($word),+]);
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($wrong.to_owned()),
                }
            }
        }
    };
}

select! {
    /// What a guard leads to.
    Guarding, "none of enforce, warn, off" {
        /// No promotion.
        Enforce = "enforce",
        /// A line in the log.
        Warn = "warn",
        /// Nothing.
        Off = "off",
    }
}

select! {
    /// What I/O that stands still leads to.
    Frozen, "none of degraded, fail, ignore" {
        /// Worth a look.
        Degraded = "degraded",
        /// A failure, so that the cluster acts.
        Fail = "fail",
        /// Nothing.
        Ignore = "ignore",
    }
}

select! {
    /// Whether a connection that was dropped is made again.
    Reconnect, "neither never-split-brain nor always" {
        /// Unless it was dropped because of a split brain.
        NeverSplitBrain = "never-split-brain",
        /// In any case.
        Always = "always",
    }
}

select! {
    /// What becomes of the score of an Unpromoted instance whose peer is Primary.
    PeerPrimary, "none of keep, remove, unexpected" {
        /// It stays.
        Keep = "keep",
        /// It goes.
        Remove = "remove",
        /// It goes if Pacemaker knows of no promoted instance.
        Unexpected = "unexpected",
    }
}

/// `remove_master_score_if_peer_primary`: a yes or no, or `unexpected`.
#[derive(Debug, Clone, Copy)]
pub struct OldPeerPrimary(pub PeerPrimary);

impl ParamValue for OldPeerPrimary {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        if text == "unexpected" {
            return Ok(Self(PeerPrimary::Unexpected));
        }
        let is = bool::parse(text).map_err(|_| "none of true, false, unexpected".to_owned())?;
        Ok(Self(if is { PeerPrimary::Remove } else { PeerPrimary::Keep }))
    }
}

/// A number of seconds.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(pub Duration);

impl ParamValue for Seconds {
    const CONTENT: Content = Content::Integer;
    fn parse(text: &str) -> Result<Self, String> {
        let seconds: u32 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
        Ok(Self(Duration::from_secs(seconds.into())))
    }
}

/// Names of network interfaces, separated by blanks or commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links(pub Vec<String>);

impl ParamValue for Links {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<_> = text.split([' ', '\t', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        // dev_valid_name, Linux net/core/dev.c
        let is_name = |name: &String| name.len() <= MAX_NAME && name != "." && name != ".." && !name.contains(['/', ':']);
        match names.iter().find(|name| !is_name(name)) {
            Some(wrong) => Err(format!("'{wrong}' is no name of a network interface")),
            None => Ok(Self(names)),
        }
    }
}

/// A version of DRBD: `9`, `8.4` or `8.4.11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleVersion(pub [u32; 3]);

impl ParamValue for ModuleVersion {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "not a version such as 8.4.11".to_owned();
        let mut version = [0; 3];
        let mut parts = text.split('.');
        for (place, part) in version.iter_mut().zip(&mut parts) {
            *place = part.parse().map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(version)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_drbd_takes_and_never_an_option_or_all() {
        for good in ["r0", "vm-1.disk", "a+b@c:d=e%"] {
            assert!(ResourceName::parse(good).is_ok(), "{good}");
        }
        for wrong in ["", "-r0", "a b", "a/0", "..", "all", "r0;reboot", "größe", "--force"] {
            assert!(ResourceName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn four_scores_are_in_order() {
        assert_eq!(Steps::parse("0 10 1000 10000"), Ok(Steps { consistent: 0, remote: 10, local: 1000, best: 10000 }));
        assert_eq!(Steps::parse(" 5\t5  5 5 "), Ok(Steps { consistent: 5, remote: 5, local: 5, best: 5 }));
        for wrong in ["", "1 2 3", "1 2 3 4 5", "4 3 2 1", "0 10 -1 5", "a b c d", "0 0 0 1000001"] {
            assert!(Steps::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn links_are_names_of_interfaces() {
        assert_eq!(Links::parse("bond0,eth1  eth2").unwrap().0, ["bond0", "eth1", "eth2"]);
        assert_eq!(Links::parse("").unwrap().0, Vec::<String>::new());
        for wrong in ["../bond0", "eth0 ..", "averyverylongname", "eth0:1"] {
            assert!(Links::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_version_may_be_short() {
        assert_eq!(ModuleVersion::parse("9").unwrap().0, [9, 0, 0]);
        assert!(ModuleVersion::parse("8.4.11").unwrap() > ModuleVersion::parse("8.4").unwrap());
        assert!(ModuleVersion::parse("8.4.11").unwrap() < ModuleVersion::parse("10.0.0").unwrap());
        for wrong in ["", "8.x", "8.4.11.1", "8."] {
            assert!(ModuleVersion::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_older_policy_is_a_yes_or_no_or_a_word() {
        for (text, is) in [("true", PeerPrimary::Remove), ("no", PeerPrimary::Keep), ("unexpected", PeerPrimary::Unexpected)] {
            assert_eq!(OldPeerPrimary::parse(text).unwrap().0, is);
        }
        assert!(OldPeerPrimary::parse("maybe").is_err());
    }
}
