//! Runs a handler in a worker and ends in time, whatever becomes of the worker: the module waits for this process without a limit, and a
//! disk or a lock that hangs must not become a DRBD that hangs.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::panic;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ArgMatches;

use super::audit::{self, Line};
use super::fence_peer::ignored;
use super::{Afterwards, Call, Handler, Outcome, Turn, Work};
use crate::agents::drbd_helper::handlers::{lock_name, state_dir};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::Drbd;
use crate::kernel::lock::Lock;
use crate::kernel::process::{Child, PANICKED, PipeEnd, Setup, end_now, keep, pipe, wait_readable};
use crate::ocf::env::Env;

/// What is kept back of the limit for ending a worker and saying so.
const RESERVE: Duration = Duration::from_millis(500);

/// How long the line about an outcome gets on its way before the node goes down.
const TO_SAY_IT: Duration = Duration::from_millis(500);

/// Runs it, says so in one line, and gives the exit code.
#[must_use]
pub fn run(root: &Root, env: &Env, handler: &'static Handler, options: &ArgMatches, note: &str) -> u8 {
    let began = Instant::now();
    let limit = options.get_one("timeout").copied().map_or(handler.limit, Duration::from_secs);
    let end = Deadline::after(limit);
    let call = Call::new(env, named(options));
    audit::open(root, env, &call, options.get_one::<String>("logfacility").map(String::as_str));
    let ignored = ignored(options).iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ");
    let note = if ignored.is_empty() { note.to_owned() } else { format!("options without an effect: {ignored}") };
    let line = Line { handler, call: &call, began, note: &note };
    end_a_panic_safely(root, &line, handler.code_when_broken(options));
    let job = Job { root, env, handler, options, call: &call, deadline: end.within(limit.saturating_sub(RESERVE)) };
    let say = |outcome: &Outcome| audit::say(root, &line, outcome);
    job.in_a_worker(end, &say).unwrap_or_else(|e| {
        let outcome = job.broken("error", format!("{e:#}"));
        say(&outcome);
        outcome.code
    })
}

/// The resource that the command line names: by an argument, or by the option that some handlers have.
fn named(options: &ArgMatches) -> Option<&str> {
    let by_option = options.try_get_one::<String>("resource").ok().flatten();
    options.get_one::<String>("RESOURCE").or(by_option).map(String::as_str)
}

/// Not with Rust's code 101 or a signal, whatever those would mean to the module.
fn end_a_panic_safely(root: &Root, line: &Line, code: u8) {
    let line = line.owned(root);
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        line.say(&Outcome::new(code, "error", format!("internal error at {place}")));
        end_now(code.into());
    }));
}

struct Job<'a> {
    root: &'a Root,
    env: &'a Env,
    handler: &'static Handler,
    options: &'a ArgMatches,
    call: &'a Call,
    deadline: Deadline,
}

impl Job<'_> {
    fn broken(&self, result: &str, why: impl Into<String>) -> Outcome {
        Outcome::new(self.handler.code_when_broken(self.options), result, why)
    }

    /// Gives the exit code, after `say` has heard of the outcome.
    fn in_a_worker(&self, end: Deadline, say: &dyn Fn(&Outcome)) -> Result<u8> {
        let (mut read, write) = pipe().context("no pipe")?;
        // What must happen does also when nobody waits for it any more.
        let may_end = self.handler.turn != Turn::LastResort;
        let setup = Setup { dies_with_parent: may_end, keep: keep(&write), retry: Some(end.share(0.5)), ..Setup::default() };
        let worker = Child::fork(setup, move || self.work(write)).context("no worker")?;
        let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
        let mut is_whole = false;
        while wait_readable(read.as_fd(), end).unwrap_or(false) {
            match read.read(&mut chunk) {
                Ok(n) if n > 0 => text.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                _ => {
                    is_whole = true;
                    break;
                }
            }
        }
        let outcome = match serde_json::from_slice(&text) {
            Ok(outcome) => outcome,
            Err(_) if is_whole => self.broken("error", "the worker ended without an answer"),
            Err(_) if may_end => self.broken("timeout", "not done in time"),
            Err(_) => self.broken("timeout", "not done in time, goes on without being waited for"),
        };
        say(&outcome);
        if is_whole {
            // It has a lock to give back, and may have saved the worst for last.
            let _ = worker.wait(end);
        } else if may_end {
            worker.kill_group();
        }
        Ok(outcome.code)
    }

    /// In the worker: does it and sends the outcome down the pipe, which closes behind it.
    fn work(&self, pipe: PipeEnd) {
        let pipe = Arc::new(pipe);
        report_panics(self.handler.code_when_broken(self.options), &pipe);
        let afterwards = RefCell::new(None);
        let outcome = self.act(&afterwards).unwrap_or_else(|e| self.broken("error", format!("{e:#}")));
        send(&outcome, &pipe);
        if let Some(act) = afterwards.take() {
            // The hook above has the pipe too.
            drop(panic::take_hook());
            drop(pipe);
            std::thread::sleep(TO_SAY_IT);
            act();
        }
    }

    fn act(&self, afterwards: &RefCell<Option<Afterwards>>) -> Result<Outcome> {
        let resource = self.resource()?;
        let resource = resource.as_str();
        let turn = self.handler.turn;
        let asked = self.options.get_one("lock-timeout").copied().map(Duration::from_secs);
        let patience = match asked.filter(|_| turn != Turn::LastResort) {
            Some(asked) => self.deadline.within(asked),
            None => turn.patience(self.deadline),
        };
        let lock = Lock::take_until(&state_dir(self.root), &lock_name(resource), patience, || ());
        let is_beside_another = matches!(lock, Ok(None));
        let lock = match lock {
            Ok(Some(lock)) => Some(lock),
            Ok(None) if turn != Turn::Alone => {
                tracing::debug!("another handler of this resource is at work: going on beside it");
                None
            }
            Ok(None) => return Ok(self.broken("busy", "another handler of this resource did not end in time")),
            // Without a place for it there is no lock, and no agent that looks at it either.
            Err(e) => {
                tracing::debug!("{e}");
                None
            }
        };
        let Self { root, env, options, call, deadline, .. } = *self;
        let work = Work { root, env, call, resource, options, deadline, is_beside_another, afterwards };
        let outcome = (self.handler.act)(&work);
        drop(lock);
        let outcome = outcome.unwrap_or_else(|e| self.broken("error", format!("{e:#}")));
        Ok(Outcome { resource: Some(resource.to_owned()), ..outcome })
    }

    /// The resource's name. The module of 8.4 names a device only, and the kernel knows whose that is.
    fn resource(&self) -> Result<String> {
        if let Some(resource) = &self.call.resource {
            return Ok(resource.clone());
        }
        let minor = self.call.minors.first().context("no resource: neither an argument nor DRBD_RESOURCE names one")?;
        match self.resource_with(*minor) {
            // The last resort needs no name.
            Err(e) if self.handler.turn == Turn::LastResort => {
                tracing::warn!("{e:#}");
                Ok(format!("minor-{minor}"))
            }
            found => found,
        }
    }

    fn resource_with(&self, minor: u32) -> Result<String> {
        let drbd = Drbd::open(self.root)?.context("the DRBD module is not loaded")?;
        let mut all = drbd.resources(self.deadline.share(0.3))?.into_iter();
        let found = all.find(|resource| resource.devices.iter().any(|device| device.minor == minor));
        Ok(found.with_context(|| format!("no resource has minor {minor}"))?.name)
    }
}

fn send(outcome: &Outcome, mut pipe: &PipeEnd) {
    // One that is gone hears nothing, and there is nobody else to tell.
    let _ = pipe.write_all(&serde_json::to_vec(outcome).unwrap_or_default());
}

/// A panic is an outcome too, also where none can be caught.
fn report_panics(code: u8, pipe: &Arc<PipeEnd>) {
    let pipe = Arc::clone(pipe);
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        send(&Outcome::new(code, "error", format!("internal error at {place}")), &pipe);
        end_now(PANICKED);
    }));
}
