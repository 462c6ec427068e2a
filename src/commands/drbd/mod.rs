//! `ocf-san drbd …`: the kernel's handlers, and what an operator asks about DRBD.

mod guard;
pub mod handler;
mod recover;
mod report;
mod rollback;
mod snapshots;
mod status;
mod steps;
mod volumes;

use anyhow::{Result, bail};
use clap::{ArgMatches, Command};

use crate::kernel::attr::Root;
use crate::ocf::env::Env;

/// The part of the command line below `drbd`.
#[must_use]
pub fn command() -> Command {
    Command::new("drbd")
        .about("Handles what the DRBD kernel module reports")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(handler::command())
        .subcommand(status::command())
        .subcommand(report::command())
        .subcommand(recover::command())
        .subcommand(guard::command())
        .subcommand(snapshots::command())
        .subcommand(rollback::command())
}

/// Does what was asked for below `drbd`. Returns the exit code.
///
/// # Errors
/// It could not be done.
pub fn run(root: &Root, env: &Env, matches: &ArgMatches) -> Result<u8> {
    match matches.subcommand() {
        Some(("handler", sub)) => Ok(handler::run(root, env, sub)),
        Some(("status", sub)) => status::run(root, sub),
        Some(("report", sub)) => report::run(root, sub),
        Some(("recover", sub)) => recover::run(root, sub),
        Some(("rollback", sub)) => rollback::run(root, sub),
        Some(("guard", sub)) => guard::run(root, sub),
        Some(("snapshots", sub)) => snapshots::run(root, sub),
        _ => bail!("no such command"),
    }
}
