//! `ocf-san`: Pacemaker resource agents for a highly available iSCSI SAN, and the kernel types they stand on.
//!
//! ```text
//! argv[0] + OCF_* env ─► Env ─► Params ─► agent ─► kernel types ─► State | OcfError ─► exit code + one reason line
//! kernel  ◄─  ocf  ◄─  agents  ◄─  guard · commands  ◄─  main
//! ```
//! Each layer knows only those to its left; `tests/layering.rs` holds that.

pub mod agents;
pub mod commands;
pub mod deadline;
pub mod guard;
pub mod kernel;
pub mod ocf;

#[cfg(test)]
#[path = "../tests/script/mod.rs"]
mod script;
