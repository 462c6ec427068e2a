//! LVM: its names, and which device-mapper devices are whose.

pub mod dlm;
pub mod lockd;
mod socket;
