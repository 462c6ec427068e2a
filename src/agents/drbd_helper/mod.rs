//! `DRBD-helper`: a DRBD resource as a promotable clone, and the records that its agent and the kernel's handlers share.

pub mod guard;
