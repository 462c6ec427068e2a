//! The LIO agent on a real kernel, as root of a guest that may be broken: `./vm_lio --ignored --test-threads=1`, by `scripts/test`.
//!
//! Needs /dev/vdb to write to, the agent as /usr/lib/ocf/resource.d/san/LIO, and open-iscsi, targetctl and the like as in the lab's image.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::unused_self, reason = "the machine is as it is while there is a World")]
#![expect(clippy::print_stderr, reason = "a test that fails says what the machine looked like")]
#![expect(clippy::disallowed_methods, reason = "runs the agent and the programs it is compared with")]

#[path = "vm_agent/shell.rs"]
#[expect(dead_code, reason = "the suites of the other agents ask for more")]
mod shell;
mod vm;
