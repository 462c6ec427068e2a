//! `ocf-san drbd handler NAME`: what the DRBD module reports and asks, while it waits. It has no time limit of its own and, for some
//! names, acts on the exit code; so each handler ends in time and with a code that is safe, whatever happens.
//!
//! A handler never changes anything in DRBD: on 8.4 a change from inside of one can wait for the very call that runs the handler, for
//! good, and every later command with it. `tests/layering.rs` holds that.

mod audit;
mod before_resync;
mod call;
mod fence_peer;
mod last_resort;
mod resync_log;
mod split_brain;
mod unfence_peer;
mod watch;

use std::cell::RefCell;
use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde::{Deserialize, Serialize};

pub use call::Call;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::config::Config;
use crate::kernel::drbd::model::Resource;
use crate::ocf::env::Env;

/// Every handler there is.
pub static ALL: &[Handler] = &[
    fence_peer::FENCE_PEER,
    unfence_peer::UNFENCE_PEER,
    before_resync::BEFORE,
    before_resync::AFTER,
    last_resort::PRI_ON_INCON_DEGR,
    last_resort::PRI_LOST,
    last_resort::PRI_LOST_AFTER_SB,
    last_resort::LOCAL_IO_ERROR,
    last_resort::QUORUM_LOST,
    split_brain::INITIAL,
    split_brain::SPLIT_BRAIN,
    split_brain::OUT_OF_SYNC,
];

/// What the module calls its helper with and nothing is done for here, with success.
const IDLE: &[&str] = &["before-resync-source", "connected", "disconnected"];

/// Variables of which the module always sets one for a helper.
const FROM_THE_MODULE: &[&str] = &["DRBD_PEER_AF", "DRBD_PEER_ADDRESS", "DRBD_MINOR", "DRBD_BACKING_DEV", "DRBD_CSTATE"];

/// How long one look at a resource may take: drbdsetup is a program, on DRBD 9.
const LOOK: Duration = Duration::from_secs(5);

/// A handler, as data.
#[derive(Debug)]
pub struct Handler {
    /// As the module calls it.
    pub name: &'static str,
    /// For its help.
    pub about: &'static str,
    /// How long it may take in all where `--timeout` does not say otherwise.
    pub limit: Duration,
    /// The exit code for everything that goes wrong: an error, a panic, no time left.
    pub broken: u8,
    /// The exit codes that one may hope for; with any other the line is a warning.
    pub good: &'static [u8],
    /// What it does about another handler of the same resource.
    pub turn: Turn,
    /// Adds its own options to those that all have.
    pub options: fn(Command) -> Command,
    /// What it does. An error becomes the exit code `broken`.
    pub act: fn(&Work) -> anyhow::Result<Outcome>,
}

/// How a handler stands to another one of the same resource that is at work: DRBD calls one for each volume and each connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Turn {
    /// It waits as long as it may, and does nothing beside another one.
    Alone,
    /// It waits for this part of its time at the most, then goes on beside it.
    Within(f64),
    /// It waits for nobody, and nobody ends it: what it does must happen also when its time is over.
    LastResort,
}

impl Turn {
    /// How long to wait for the lock.
    fn patience(self, all: Deadline) -> Deadline {
        match self {
            Self::Alone => all,
            Self::Within(part) => all.share(part),
            Self::LastResort => all.share(0.0),
        }
    }
}

/// What a handler has to work with. There is nothing here that changes DRBD.
pub struct Work<'a> {
    /// The machine.
    pub root: &'a Root,
    /// The environment.
    pub env: &'a Env,
    /// Who calls about what.
    pub call: &'a Call,
    /// The resource.
    pub resource: &'a str,
    /// Its options.
    pub options: &'a ArgMatches,
    /// By when it should be done.
    pub deadline: Deadline,
    /// Whether another handler of this resource is at work, and did not end in time.
    pub is_beside_another: bool,
    /// What is done once the outcome stands in the journal, while the module still waits; see [`Work::then`].
    afterwards: &'a RefCell<Option<Afterwards>>,
}

/// The last act of a handler.
type Afterwards = Box<dyn FnOnce()>;

#[cfg(test)]
impl<'a> Work<'a> {
    /// A call about `r0`, with no other handler at work.
    fn alone(
        root: &'a Root,
        env: &'a Env,
        call: &'a Call,
        options: &'a ArgMatches,
        deadline: Deadline,
        afterwards: &'a RefCell<Option<Afterwards>>,
    ) -> Self {
        Self { root, env, call, resource: "r0", options, deadline, is_beside_another: false, afterwards }
    }
}

impl Work<'_> {
    /// Has this done once the outcome has been said, for what nobody comes back from.
    pub fn then(&self, act: impl FnOnce() + 'static) {
        *self.afterwards.borrow_mut() = Some(Box::new(act));
    }

    /// The resource as it is now.
    ///
    /// # Errors
    /// The kernel does not have it, or it can not be told.
    pub fn look(&self) -> anyhow::Result<Resource> {
        let drbd = Drbd::open(self.root)?.context("the DRBD module is not loaded")?;
        let found = drbd.resource(self.resource, &self.call.hint(), self.deadline.within(LOOK))?;
        found.with_context(|| format!("the kernel has no resource {}", self.resource))
    }

    /// The other hosts in the configuration; none when it can not be read, for the module itself names none either.
    #[must_use]
    pub fn other_hosts(&self, own: &str) -> Vec<String> {
        let config = Config::of(self.root, self.resource, self.call.config.as_deref(), self.deadline.within(LOOK));
        let hosts = config.map(|config| config.hosts).unwrap_or_default();
        let is_own = |name: &String| name == own || own.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'));
        hosts.into_iter().filter(|host| !host.names.iter().any(is_own)).filter_map(|host| host.names.into_iter().next()).collect()
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The exit code.
    pub code: u8,
    /// One word for it, with hyphens.
    pub result: String,
    /// Why, for a human.
    pub why: String,
    /// The resource, once it is known: the module of 8.4 names only a minor.
    #[serde(default)]
    pub resource: Option<String>,
}

impl Outcome {
    /// This code, for this reason.
    #[must_use]
    pub fn new(code: u8, result: &str, why: impl Into<String>) -> Self {
        Self { code, result: result.to_owned(), why: why.into(), resource: None }
    }
}

impl Handler {
    /// The handler of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|handler| handler.name == name)
    }

    /// The exit code for everything that goes wrong, which one of the options may set.
    fn code_when_broken(&self, options: &ArgMatches) -> u8 {
        before_resync::code_of_failure(options).unwrap_or(self.broken)
    }

    /// Whether the call came out as one may hope.
    fn is_good(&self, code: u8) -> bool {
        self.good.contains(&code)
    }

    fn command(&self) -> Command {
        let seconds = || value_parser!(u64).range(1..=3600);
        let command = Command::new(self.name)
            .about(self.about)
            // What the agent adds may be there already.
            .args_override_self(true)
            .arg(Arg::new("RESOURCE").help("The resource or minor-N, where the environment of drbdadm does not name it"))
            .arg(
                Arg::new("timeout")
                    .long("timeout")
                    .value_name("SECONDS")
                    .value_parser(seconds())
                    .help(format!("Ends after so many seconds at the latest, default {}", self.limit.as_secs())),
            )
            .arg(
                Arg::new("lock-timeout")
                    .long("lock-timeout")
                    .alias("flock-timeout")
                    .value_name("SECONDS")
                    .value_parser(value_parser!(u64).range(0..=3600))
                    .help("Waits so many seconds at the most for another handler of the same resource"),
            )
            .arg(
                Arg::new("logfacility")
                    .long("logfacility")
                    .value_name("FACILITY")
                    .help("The syslog facility of its one line, default daemon"),
            );
        (self.options)(command)
    }
}

/// For a handler without options of its own.
fn no_options(command: Command) -> Command {
    command
}

/// The part of the command line below `drbd handler`.
#[must_use]
pub fn command() -> Command {
    Command::new("handler")
        .about("Called by DRBD: see the handlers section of drbd.conf(5)")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(ALL.iter().map(Handler::command))
}

/// Runs the handler that was asked for. Returns the exit code.
#[must_use]
pub fn run(root: &Root, env: &Env, matches: &ArgMatches) -> u8 {
    let Some((name, options)) = matches.subcommand() else { return 1 };
    Handler::named(name).map_or(1, |handler| watch::run(root, env, handler, options, ""))
}

/// The handlers that the agent calls, and the variable in which it gives each one arguments.
const CALLED_BY_THE_AGENT: [(&Handler, &str); 2] =
    [(&unfence_peer::UNFENCE_PEER, "OCF_RESKEY_unfence_extra_args"), (&fence_peer::FENCE_PEER, "OCF_RESKEY_fence_extra_args")];

/// The arguments of a call, with what the agent gives the handler beside them: drbdadm passes on a variable, and no argument. Words that the
/// handler does not understand are left out.
#[must_use]
pub fn with_extra(env: &Env, args: &[OsString]) -> Vec<OsString> {
    let word = |at: usize| args.get(at).and_then(|word| word.to_str());
    let at = if (word(1), word(2)) == (Some("drbd"), Some("handler")) { 3 } else { 1 };
    let called = CALLED_BY_THE_AGENT.iter().find(|(handler, _)| word(at) == Some(handler.name));
    let Some((handler, extra)) = called.and_then(|(handler, name)| Some((handler, env.get(name)?))) else { return args.to_vec() };
    let all: Vec<OsString> = args.iter().cloned().chain(extra.split_whitespace().map(OsString::from)).collect();
    let own = all.iter().skip(at);
    if handler.command().try_get_matches_from(own).is_ok() { all } else { args.to_vec() }
}

/// What a call that clap refuses, or that the module itself makes, comes to: its exit code. `None` for one that is neither.
///
/// The module does not care what an option is called: a handler that is named runs, without what is not understood.
#[must_use]
pub fn called_directly(root: &Root, env: &Env, args: &[OsString]) -> Option<u8> {
    let word = |at: usize| args.get(at).and_then(|word| word.to_str());
    let name = word(1)?;
    let is_from_the_module = args.len() == 3 && FROM_THE_MODULE.iter().any(|var| env.get(var).is_some());
    let is_device = args.len() == 3 && word(2).is_some_and(|argument| argument.starts_with("minor-"));
    if let Some(handler) = Handler::named(name) {
        let options = handler.command().try_get_matches_from(args.get(1..)?).ok()?;
        return Some(watch::run(root, env, handler, &options, ""));
    }
    (IDLE.contains(&name) || is_from_the_module || is_device).then_some(0)
}

/// A handler that was called with options which clap refuses runs without any. `None` when no handler was called.
#[must_use]
pub fn called_wrongly(root: &Root, env: &Env, args: &[OsString], why: &clap::Error) -> Option<u8> {
    let word = |at: usize| args.get(at).and_then(|word| word.to_str());
    let name = if (word(1), word(2)) == (Some("drbd"), Some("handler")) { word(3)? } else { word(1)? };
    let handler = Handler::named(name).filter(|_| why.use_stderr())?;
    let without = handler.command().try_get_matches_from([name]).ok()?;
    Some(watch::run(root, env, handler, &without, &format!("options ignored: {}", why.kind())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_handler_is_there_once_and_none_that_is_idle() {
        for handler in ALL {
            assert_eq!(ALL.iter().filter(|other| other.name == handler.name).count(), 1, "{}", handler.name);
            assert!(!IDLE.contains(&handler.name));
        }
        command().debug_assert();
    }

    #[test]
    fn only_the_handlers_of_snapshots_do_nothing_beside_another_one() {
        let all = Deadline::after(Duration::from_secs(20));
        for handler in ALL {
            let waits = handler.turn.patience(all).remaining();
            match handler.name {
                "before-resync-target" | "after-resync-target" => assert_eq!(handler.turn, Turn::Alone),
                "fence-peer" | "unfence-peer" => assert!(waits < Duration::from_secs(4), "{waits:?}"),
                name => assert!(waits < Duration::from_secs(1), "{name} {waits:?}"),
            }
            let may_press = handler.name.starts_with("pri-") || handler.name == "local-io-error";
            assert_eq!(handler.turn == Turn::LastResort, may_press, "{}", handler.name);
        }
    }

    #[test]
    fn what_the_agent_adds_for_a_handler_is_added_and_nothing_that_is_not_understood() {
        let limit = ("OCF_RESKEY_fence_extra_args".to_owned(), "--timeout 10".to_owned());
        let unfence = |extra: &str| ("OCF_RESKEY_unfence_extra_args".to_owned(), extra.to_owned());
        let env = |extra: &str| [unfence(extra), limit.clone()].into_iter().collect::<Env>();
        let added = |args: &[&str], extra: &str| {
            let all = with_extra(&env(extra), &args.iter().map(OsString::from).collect::<Vec<_>>());
            all.iter().skip(args.len()).map(|word| word.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        let usual = "--quiet --flock-required --flock-timeout 0 --unfence-only-if-owner-match";
        let direct = ["ocf-san", "unfence-peer", "r0", "--lock-timeout", "3"];
        assert_eq!(added(&direct, usual), usual);
        assert_eq!(added(&["ocf-san", "drbd", "handler", "unfence-peer"], usual), usual);
        assert_eq!(added(&direct, "--of-another-program"), "");
        assert_eq!(added(&["ocf-san", "drbd", "handler", "fence-peer", "--timeout", "60"], usual), "--timeout 10");
        assert_eq!(added(&["ocf-san", "drbd", "handler", "split-brain"], usual), "");
        assert_eq!(with_extra(&Env::default(), &[]), Vec::<OsString>::new());
    }

    #[test]
    fn what_the_module_calls_for_and_nobody_handles_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let called = |args: &[&str], vars: &[(&str, &str)]| {
            let env = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            called_directly(&root, &env, &args.iter().map(OsString::from).collect::<Vec<_>>())
        };
        assert_eq!(called(&["ocf-san", "before-resync-source", "minor-3"], &[]), Some(0));
        assert_eq!(called(&["ocf-san", "disconnected", "r0"], &[]), Some(0));
        assert_eq!(called(&["ocf-san", "of-a-later-version", "r0"], &[("DRBD_PEER_AF", "ipv4")]), Some(0));
        assert_eq!(called(&["ocf-san", "of-a-later-version", "r0"], &[]), None, "that may be a person's mistake");
        assert_eq!(called(&["ocf-san", "agents"], &[]), None);
    }
}
