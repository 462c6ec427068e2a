//! The cLVM agent on a real kernel, as root of a guest that may be broken: `./vm_clvm --ignored --test-threads=4`, by `scripts/test`.
//!
//! Needs /dev/vdb to write to, `scsi_debug`, lvm2, and the agent as /usr/lib/ocf/resource.d/san/cLVM, as in the lab's image. Each test has
//! a mount namespace with LVM's configuration, locks and state of its own, and devices that no LVM but its own looks at, so several run
//! side by side and a device that hangs is nobody else's business. `OCF_UNDER_TEST=peer` runs the tests of `both` against
//! `ocf:heartbeat:LVM-activate` of resource-agents 4.12 (Debian 12) and checks its answers, which proves that the tests are right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that fails says what the machine looked like")]
#![expect(clippy::disallowed_methods, reason = "runs the agent and the programs it is compared with")]

mod call;
mod disks;
#[path = "../vm_agent/mod.rs"]
mod vm_agent;
mod world;

mod both;
mod ours;

use vm_agent::shell;
