//! The words for the states of a resource, its disks, its connections and what these do, as the kernel spells them.

use std::fmt;

/// Words that are spelled as the kernel spells them.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $word:ident),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $word),+ }

        impl $name {
            /// All of them, in the kernel's order.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            /// The word as the kernel spells it; `None` for one that this program does not know.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.word() == word)
            }

            /// As the kernel spells it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$word => stringify!($word)),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// The role of a resource on one node.
    Role {
        /// Not known, for want of a connection.
        Unknown,
        /// May be written to.
        Primary,
        /// May not be opened.
        Secondary,
    }
}

words! {
    /// The state of a disk, worst first (`enum drbd_disk_state`, drbd.h; 8.4 lacks `Detaching`).
    DiskState {
        /// No disk is attached.
        Diskless,
        /// Its meta-data is being read.
        Attaching,
        /// It is being given up.
        Detaching,
        /// It has reported an error and is about to be detached.
        Failed,
        /// It is attached and asks the peer who is right.
        Negotiating,
        /// Its content is of no moment: a resync is under way or was cut off.
        Inconsistent,
        /// Its content is of one moment, and a newer one exists.
        Outdated,
        /// Of a peer: there is no connection.
        DUnknown,
        /// Its content is of one moment; whether a newer one exists shows when connected.
        Consistent,
        /// Its content is the newest.
        UpToDate,
    }
}

words! {
    /// The state of a connection (DRBD 9's words; 8.4's `WFConnection` is `Connecting`, and all that replicates is `Connected`).
    ConnectionState {
        /// No network configuration, or dropped for good until somebody connects.
        StandAlone,
        /// On the way to `StandAlone`.
        Disconnecting,
        /// About to try again.
        Unconnected,
        /// The peer has not answered in time.
        Timeout,
        /// The socket broke.
        BrokenPipe,
        /// The socket reported an error.
        NetworkFailure,
        /// The peer spoke something else.
        ProtocolError,
        /// The peer closes.
        TearDown,
        /// Waits for the peer to appear.
        Connecting,
        /// Connected, or about to be: see [`Connection::is_in_handshake`](super::model::Connection::is_in_handshake).
        Connected,
    }
}

words! {
    /// What a connected pair of disks is doing (`enum drbd_repl_state`, DRBD 9; 8.4 has the same words in `cs:`).
    Replication {
        /// Nothing, for want of a connection.
        Off,
        /// Mirrors every write.
        Established,
        /// A full sync as source begins.
        StartingSyncS,
        /// A full sync as target begins.
        StartingSyncT,
        /// About to send the bitmap.
        WFBitMapS,
        /// About to receive the bitmap.
        WFBitMapT,
        /// About to receive the generation.
        WFSyncUUID,
        /// Brings the peer up to date.
        SyncSource,
        /// Is being brought up to date.
        SyncTarget,
        /// Compares, at the peer's side of the requests.
        VerifyS,
        /// Compares, and asks for it.
        VerifyT,
        /// As `SyncSource`, paused.
        PausedSyncS,
        /// As `SyncTarget`, paused.
        PausedSyncT,
        /// Does not mirror, because the network is congested.
        Ahead,
        /// As `Ahead`, seen from the peer.
        Behind,
    }
}

impl Replication {
    /// Whether this side is being brought up to date, is about to be, or has lost touch.
    #[must_use]
    pub fn is_target(self) -> bool {
        use Replication::{Behind, PausedSyncT, StartingSyncT, SyncTarget, WFBitMapT, WFSyncUUID};
        matches!(self, StartingSyncT | WFBitMapT | WFSyncUUID | SyncTarget | PausedSyncT | Behind)
    }

    /// Whether a resync runs, is about to or is paused, whatever the side.
    #[must_use]
    pub fn is_resync(self) -> bool {
        use Replication::{PausedSyncS, StartingSyncS, SyncSource, WFBitMapS};
        (self.is_target() && self != Self::Behind) || matches!(self, StartingSyncS | WFBitMapS | SyncSource | PausedSyncS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for state in DiskState::ALL {
            assert_eq!(DiskState::parse(state.word()), Some(*state));
        }
        assert_eq!(Replication::parse("WFSyncUUID"), Some(Replication::WFSyncUUID));
        assert_eq!(ConnectionState::parse("connected"), None);
        assert!(DiskState::Outdated > DiskState::Inconsistent && DiskState::UpToDate > DiskState::Consistent);
    }
}
