//! Linux as small concrete types under one [`attr::Root`]. Knows nothing of OCF.

pub mod attr;
pub mod block;
pub mod dm;
pub mod drbd;
pub mod drbd_disks;
pub mod error;
pub mod exec;
pub mod holders;
pub mod identity;
pub mod kmsg;
pub mod lio;
pub mod listen;
pub mod lock;
pub mod lvm;
pub mod lvm_config;
pub mod mount;
pub mod net;
pub mod probe_read;
pub mod process;
pub mod sysrq;
pub mod task;
pub mod xml;
