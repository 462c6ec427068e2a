//! For people, DRBD and monitoring systems. Never starts or stops a resource behind Pacemaker's back.

pub mod drbd;
mod help;
mod lvm;

use std::ffi::OsString;
use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, Command};

use crate::agents;
use crate::kernel::attr::Root;
use crate::kernel::lvm::names::VgName;
use crate::ocf::env::Env;
use crate::ocf::metadata;
use crate::ocf::spec::AgentSpec;

pub use help::agent as help_of;

/// `ocf-san` under its own name, with everything after it. Returns the exit code: 0, or 2 for a call that makes no sense.
///
/// # Errors
/// What was asked for could not be done; the caller makes it 1.
pub fn run(root: &Root, env: &Env, args: &[OsString]) -> Result<u8> {
    let args = drbd::handler::with_extra(env, args);
    let args = args.as_slice();
    if let Some(code) = drbd::handler::called_directly(root, env, args) {
        return Ok(code);
    }
    let name = [OsString::from("ocf-san")];
    let matches = match command().try_get_matches_from(name.iter().chain(args.iter().skip(1))) {
        Ok(matches) => matches,
        // Help and version come this way too, with code 0. That nobody reads them is no error.
        Err(e) => {
            if let Some(code) = drbd::handler::called_wrongly(root, env, args, &e) {
                return Ok(code);
            }
            let _ = e.print();
            return Ok(u8::try_from(e.exit_code()).unwrap_or(1));
        }
    };
    let text = match matches.subcommand() {
        Some(("agents", _)) => agents::ALL.iter().flat_map(|spec| [spec.name, "\n"]).collect(),
        Some(("metadata", sub)) => sub.get_one("AGENT").map(|spec: &Spec| metadata::xml(spec.0)).transpose()?.unwrap_or_default(),
        Some(("help", sub)) => match sub.get_one::<Spec>("AGENT") {
            Some(spec) => help::agent(spec.0),
            None => command().render_help().to_string(),
        },
        Some(("lvm", sub)) => match sub.subcommand() {
            Some(("repair", sub)) => {
                let vg: &VgName = sub.get_one("VG").context("VG")?;
                lvm::repair(root, vg, sub.get_flag("dry-run"), &mut |line| put(&format!("{line}\n")))?;
                String::new()
            }
            _ => anyhow::bail!("no such command"),
        },
        Some(("drbd", sub)) => return drbd::run(root, env, sub),
        _ => anyhow::bail!("no such command"),
    };
    put(&text).context("stdout")?;
    Ok(0)
}

/// Writes to stdout by one write where it can. A reader that has gone is no error.
///
/// # Errors
/// The disk is full, or the like.
pub fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn command() -> Command {
    let agent = || Arg::new("AGENT").value_parser(spec_of).help("One of those that `ocf-san agents` names");
    Command::new("ocf-san")
        .about("Pacemaker resource agents for a highly available iSCSI SAN")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Called by the name of an agent, through a symbolic link or as the first argument, it is that agent:\n  \
             ocf-san LIO monitor",
        )
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("agents").about("Names the agents, one a line"))
        .subcommand(Command::new("metadata").about("Prints the meta-data of an agent").arg(agent().required(true)))
        .subcommand(
            Command::new("lvm")
                .about("Looks after volume groups")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    Command::new("repair")
                        .about("Makes the kernel's mappings of a volume group what its metadata says")
                        .long_about(lvm::REPAIR)
                        .arg(Arg::new("VG").required(true).value_parser(VgName::parse).help("The volume group"))
                        .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help("Only says what would be done")),
                ),
        )
        .subcommand(drbd::command())
        .subcommand(Command::new("help").about("Explains an agent and its parameters").arg(agent()))
}

/// An agent, as clap can carry it.
#[derive(Clone)]
struct Spec(&'static AgentSpec);

fn spec_of(name: &str) -> Result<Spec, String> {
    agents::by_name(name).map(Spec).ok_or_else(|| "no such agent".to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
