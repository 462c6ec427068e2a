//! LVM: its names, and which device-mapper devices are whose.

mod mapping;
pub mod names;
