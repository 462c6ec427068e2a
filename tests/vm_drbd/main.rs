//! The DRBD agent on a real kernel, as root of a guest that may be broken: `./vm_drbd --ignored --test-threads=4`, by `scripts/test`.
//!
//! Needs a kernel with DRBD 8.4 (6.1 of Debian 12), `brd`, drbd-utils, and the agent as /usr/lib/ocf/resource.d/san/DRBD-helper, as in
//! the lab's image. Each test has a resource whose other end is a second resource on the same kernel, joined over 127.0.0.1, so that both
//! ends of a link are seen and what happens to "the other node" is one command. Configuration, records and the tools of Pacemaker are the
//! test's own, in a mount namespace; a test that stops all of DRBD for a while, or takes the module away, runs alone.
//! `OCF_UNDER_TEST=peer` runs the tests of `both` against `ocf:linbit:drbd` of drbd-utils 9.22 (Debian 12) and checks its answers, which
//! proves that the tests are right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that fails says what the machine looked like")]
#![expect(clippy::disallowed_methods, reason = "runs the agent and the programs it is compared with")]

mod call;
mod kernel;
#[path = "../script/mod.rs"]
mod script;
mod slices;
#[path = "../vm_agent/mod.rs"]
mod vm_agent;
mod world;

mod both;
mod ours;

use vm_agent::shell;
