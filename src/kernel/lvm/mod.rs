//! LVM: its names, which device-mapper devices are whose, its commands, what they report, and lvmlockd.

pub mod below;
pub mod command;
pub mod dlm;
pub mod drift;
pub mod lockd;
mod locks;
mod mapping;
pub mod names;
pub mod report;
pub mod snapshot;
mod socket;
