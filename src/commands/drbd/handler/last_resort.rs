//! pri-on-incon-degr, pri-lost, pri-lost-after-sb and local-io-error: this node must not go on as Primary, and the module leaves it to the
//! handler to see to that. Evidence first, then the keys that a stuck stop leads to, unless a file or an option forbids it.
//! quorum-lost is only recorded: the module acts on it itself.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, value_parser};

use super::split_brain::add_in_time;
use super::{Handler, Outcome, Turn, Work, no_options};
use crate::agents::drbd_helper::guard::Reason;
use crate::guard::escalate::{FIRST_LOOK, Preparation};
use crate::guard::evidence::Case;
use crate::kernel::drbd::model::{ConnectionState, Role};
use crate::ocf::hang::OnStopHang;
use crate::ocf::spec::ParamValue;
use crate::ocf::state_file::file_name;

const LIMIT: Duration = Duration::from_secs(20);

/// How long writing a guard may take before what matters more.
const TO_GUARD: Duration = Duration::from_secs(2);

/// Primary with a bad disk and no peer.
pub const PRI_ON_INCON_DEGR: Handler = escalating(
    "pri-on-incon-degr",
    "Takes this node down: it is Primary, its disk is not UpToDate, and no peer is connected",
    |work| Ok(give_up(work, "Primary on inconsistent data, and no peer is connected")),
);

/// Must become Secondary, by `rr-conflict call-pri-lost`.
pub const PRI_LOST: Handler =
    escalating("pri-lost", "Takes this node down: it must give up the Primary role and can not", |work| {
        Ok(give_up(work, "this Primary would become the target of a resync"))
    });

/// Must become Secondary, after a split brain.
pub const PRI_LOST_AFTER_SB: Handler = escalating(
    "pri-lost-after-sb",
    "Takes this node down: it is the loser of a split brain and must give up the Primary role",
    |work| Ok(give_up(work, "this Primary has lost after a split brain")),
);

/// The disk below has reported an error, and `on-io-error` is `call-local-io-error`.
pub const LOCAL_IO_ERROR: Handler = escalating(
    "local-io-error",
    "Guards this side after an error of the disk below, and takes this node down if it is Primary",
    |work| {
        let what = "the disk below has reported an error";
        // It may be the disk of the guard, too.
        let guard = add_in_time(work, Reason::IoError, what, work.deadline.share(0.2).within(TO_GUARD));
        // As long as the role is not known it may be Primary.
        if work.look().is_ok_and(|resource| resource.role == Some(Role::Secondary)) {
            let result = if guard? { "guarded" } else { "guarded-already" };
            return Ok(Outcome::new(0, result, format!("{what}: replace it; not Primary, so nothing depends on this node")));
        }
        if let Err(e) = guard {
            tracing::warn!("the guard may be lost by a reboot: {e:#}");
        }
        Ok(give_up(work, what))
    },
);

/// There is no quorum any more (DRBD 9).
pub const QUORUM_LOST: Handler = Handler {
    name: "quorum-lost",
    about: "Records that there is no quorum; on-no-quorum decides what the module does about it",
    limit: LIMIT,
    broken: 1,
    good: &[],
    turn: Turn::Within(0.0),
    options: no_options,
    act: |work| {
        let up = work
            .look()
            .map(|resource| resource.connections.iter().filter(|c| c.state == Some(ConnectionState::Connected)).count());
        let peers = up.map_or_else(|e| format!("{e:#}"), |up| format!("{up} of its peers are connected"));
        Ok(Outcome::new(0, "recorded", format!("no quorum: {peers}")))
    },
};

const fn escalating(name: &'static str, about: &'static str, act: fn(&Work) -> Result<Outcome>) -> Handler {
    Handler { name, about, limit: LIMIT, broken: 1, good: &[], turn: Turn::LastResort, options, act }
}

fn options(command: Command) -> Command {
    command
        .arg(
            Arg::new("then")
                .long("then")
                .value_name("WHAT")
                .value_parser(PossibleValuesParser::new(["none", "reboot", "crash", "poweroff"]))
                .default_value("reboot")
                .help("What to do after the evidence has been written down"),
        )
        .arg(
            Arg::new("noreboot-file")
                .long("noreboot-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .default_value("/etc/ha.d/noreboot")
                .help("While this file exists nothing is done after the evidence"),
        )
}

fn give_up(work: &Work, what: &'static str) -> Outcome {
    let then = work.options.get_one::<String>("then").map_or("reboot", String::as_str);
    let policy = OnStopHang::parse(then).unwrap_or(OnStopHang::Fail);
    let file = work.options.get_one::<PathBuf>("noreboot-file").cloned().unwrap_or_else(|| "/etc/ha.d/noreboot".into());
    let preparation = Preparation::with(work.root, policy, file, FIRST_LOOK);
    let case = Case {
        headline: format!("DRBD {}: {what}", work.resource),
        file: format!("drbd-{}", file_name(work.resource)),
        worker: None,
    };
    let plan = preparation.report(work.root, &case, work.deadline.share(0.5));
    if !plan.presses() {
        let why_not = if then == "none" { "--then none" } else { plan.outcome() };
        return Outcome::new(0, "evidence-only", format!("{what}; {why_not}"));
    }
    let outcome = Outcome::new(0, "escalated", format!("{what}; {}", plan.outcome()));
    let (root, deadline) = (work.root.clone(), work.deadline);
    work.then(move || {
        let _ = preparation.press(&root, &plan, &case.headline, deadline);
    });
    outcome
}
