//! The generation of a volume's data: what `drbdsetup get-gi` says. Two sides whose current identifiers are equal have the same data but for
//! what the bitmap marks.
//!
//! On 8.4 asking can be stuck behind any other request to DRBD; no monitor does it.

use std::io;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::{KernelError, Result};
use crate::kernel::exec::Tool;

/// The identifiers of a volume's data and what its meta-data notes. The lowest bit of an identifier is no part of it: it says that the
/// volume was Primary then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Of the data as it is.
    pub current: u64,
    /// Of the data that the bitmap counts from; zero while the peer has all of it.
    pub bitmap: u64,
    /// Of what it was before, younger first.
    pub history: Vec<u64>,
    /// What the meta-data notes.
    pub flags: Flags,
}

/// What the meta-data of a volume notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of the meta-data")]
pub struct Flags {
    /// The data are of one moment.
    pub is_consistent: bool,
    /// They were the newest, as far as known.
    pub was_up_to_date: bool,
    /// It was Primary.
    pub was_primary: bool,
    /// It was Primary when the machine went down, and has not seen the peer since.
    pub is_crashed_primary: bool,
    /// It was connected.
    pub was_connected: Option<bool>,
    /// The peer's data are older or of no moment.
    pub is_peer_outdated: Option<bool>,
    /// All of it is to be sent or received.
    pub needs_full_sync: Option<bool>,
}

impl Generation {
    /// Reads `CURRENT:BITMAP:HISTORY:HISTORY:flag:flag:…`; 8.4 has seven flags, 9 has seven or fewer of its own and some of the peer.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = text.trim().split(':').collect();
        let (identifiers, flags) = words.split_at_checked(4)?;
        let hex = |word: &&str| u64::from_str_radix(word, 16).ok().filter(|_| word.len() == 16);
        let identifiers: Vec<u64> = identifiers.iter().map(hex).collect::<Option<_>>()?;
        let bit = |word: &&str| match *word {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        };
        let flags = Flags::of(&flags.iter().map(bit).collect::<Option<Vec<_>>>()?)?;
        Some(Self { current: identifiers[0], bitmap: identifiers[1], history: identifiers[2..].to_vec(), flags })
    }

    /// Whether the data are of the same generation, and so the same but for what a bitmap marks.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.current | 1 == other.current | 1
    }
}

impl Flags {
    /// By their order (`dt_print_uuids`, `dt_print_v9_uuids`), which their number tells.
    fn of(bits: &[bool]) -> Option<Self> {
        let &[is_consistent, was_up_to_date, was_primary, fourth, ..] = bits else { return None };
        let common = Self { is_consistent, was_up_to_date, was_primary, ..Self::default() };
        match bits {
            [_, _, _, _, full_sync, outdated, crashed] => Some(Self {
                is_crashed_primary: *crashed,
                was_connected: Some(fourth),
                is_peer_outdated: Some(*outdated),
                needs_full_sync: Some(*full_sync),
                ..common
            }),
            // Seven of its own and five of the peer, or six and four as the tools before 9.1 had it.
            [_, _, _, _, _, _, _, connected, outdated, _, full_sync, _]
            | [_, _, _, _, _, _, connected, outdated, _, full_sync] => Some(Self {
                is_crashed_primary: fourth,
                was_connected: Some(*connected),
                is_peer_outdated: Some(*outdated),
                needs_full_sync: Some(*full_sync),
                ..common
            }),
            bits if bits.len() > 7 => Some(Self { is_crashed_primary: fourth, ..common }),
            _ => None,
        }
    }
}

/// The generation of a minor of 8.4.
///
/// # Errors
/// drbdsetup is not installed; its complaint; an answer that can not be read.
pub fn of_minor(root: &Root, minor: u32, deadline: Deadline) -> Result<Generation> {
    ask(root, &["get-gi", &minor.to_string()], deadline)
}

/// The generation of a volume of DRBD 9, which it keeps for each peer.
///
/// # Errors
/// As [`of_minor`].
pub fn of_peer(root: &Root, resource: &str, peer_node_id: u32, volume: u32, deadline: Deadline) -> Result<Generation> {
    ask(root, &["get-gi", resource, &peer_node_id.to_string(), &volume.to_string()], deadline)
}

fn ask(root: &Root, args: &[&str], deadline: Deadline) -> Result<Generation> {
    let tool = Tool::find(root, "drbdsetup")?;
    let text = tool.ok(args, deadline)?;
    let unreadable = || io::Error::other(format!("unexpected answer {:.80?}", text.trim()));
    Generation::parse(&text).ok_or_else(|| KernelError::new("run", tool.program(), unreadable()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_split_brain_of_8_4_have_one_bitmap_and_two_currents() {
        let a = Generation::parse("49164B5057E4DA70:D26AAAA5A46F66D0:469A97CC8F1C3E8A:0000000000000004:1:1:0:0:0:0:0\n").unwrap();
        let b = Generation::parse("DA5CC085A912FB64:D26AAAA5A46F66D0:469A97CC8F1C3E8A:0000000000000004:1:1:0:0:0:1:1\n").unwrap();
        assert_eq!((a.bitmap, a.history.len()), (b.bitmap, 2));
        assert!(!a.is_same(&b) && a.flags.is_consistent && a.flags.was_up_to_date);
        assert_eq!((a.flags.is_peer_outdated, b.flags.is_peer_outdated), (Some(false), Some(true)));
        assert!(!a.flags.is_crashed_primary && b.flags.is_crashed_primary);
        let primary = Generation { current: a.current | 1, ..a.clone() };
        assert!(primary.is_same(&a), "the lowest bit is no part of it");
    }

    #[test]
    fn drbd_9_has_flags_of_its_own_and_of_the_peer() {
        let of = |flags: &str| Generation::parse(&format!("{0:016X}:{0:016X}:{0:016X}:{0:016X}:{flags}", 1)).map(|g| g.flags);
        let new = of("1:1:1:1:0:0:0:1:1:0:1:1").unwrap();
        assert!(new.is_crashed_primary && new.was_primary);
        assert_eq!((new.was_connected, new.is_peer_outdated, new.needs_full_sync), (Some(true), Some(true), Some(true)));
        assert_eq!(of("1:1:0:0:0:0:1:0:0:0").unwrap().was_connected, Some(true));
        assert_eq!(of("1:1:0:1:0:0:0:1:0:0:0").unwrap().was_connected, None, "eleven could be either");
        for flags in ["", "1:1:1", "1:1:0:0:0:0", "1:1:0:0:0:0:2", "1:1:0:0:0:0:0:"] {
            assert_eq!(of(flags), None, "{flags}");
        }
    }

    #[test]
    fn what_is_no_generation_is_none() {
        let good = "49164B5057E4DA70:D26AAAA5A46F66D0:469A97CC8F1C3E8A:0000000000000004:1:1:0:0:0:0:0";
        for cut in 0..good.len() {
            assert_eq!(Generation::parse(&good[..cut]), None, "{cut}");
        }
        assert_eq!(Generation::parse(&good.replace("4916", "916")), None, "a digit is missing");
    }
}
