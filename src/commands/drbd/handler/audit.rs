//! The one line that each call of a handler leaves in the journal, and what it said last for whoever looks later.

use std::time::Instant;

use super::{Call, Handler, Outcome};
use crate::agents::drbd_helper::handlers::LastCall;
use crate::agents::drbd_helper::last_primary::now;
use crate::kernel::attr::Root;
use crate::kernel::task;
use crate::ocf::env::Env;
use crate::ocf::log;

/// A call, for its line.
pub struct Line<'a> {
    /// Which handler.
    pub handler: &'static Handler,
    /// Who called about what.
    pub call: &'a Call,
    /// When.
    pub began: Instant,
    /// Something to add to the reason; may be empty.
    pub note: &'a str,
}

/// The same without what it borrows.
pub struct OwnedLine {
    root: Root,
    handler: &'static Handler,
    call: Call,
    began: Instant,
    note: String,
}

impl Line<'_> {
    /// A copy that outlives what this borrows.
    pub fn owned(&self, root: &Root) -> OwnedLine {
        OwnedLine {
            root: root.clone(),
            handler: self.handler,
            call: self.call.clone(),
            began: self.began,
            note: self.note.to_owned(),
        }
    }
}

impl OwnedLine {
    /// As [`say`].
    pub fn say(&self, outcome: &Outcome) {
        say(&self.root, &Line { handler: self.handler, call: &self.call, began: self.began, note: &self.note }, outcome);
    }
}

/// Sends what is logged from now on to syslog, for nobody reads what a handler prints.
pub fn open(root: &Root, env: &Env, call: &Call, facility: Option<&str>) {
    let facility = facility.or_else(|| env.get("HA_LOGFACILITY")).filter(|name| !name.is_empty()).unwrap_or("daemon");
    let env = env.clone().with("HA_LOGFACILITY", facility).with("OCF_RESOURCE_INSTANCE", &subject(call));
    log::init(root, &env, "drbd-handler", "handler");
}

/// Says it: a success as an information, everything else as a warning.
pub fn say(root: &Root, line: &Line, outcome: &Outcome) {
    let why = if line.note.is_empty() { outcome.why.clone() } else { format!("{} ({})", outcome.why, line.note) };
    let resource = outcome.resource.clone().unwrap_or_else(|| subject(line.call));
    let (handler, peer) = (line.handler.name, line.call.peer());
    let (result, code) = (outcome.result.as_str(), outcome.code);
    let ms = line.began.elapsed().as_millis();
    let ticks = task::now_in_ticks().unwrap_or(0);
    let last = LastCall { at: now(), ticks, peer: peer.clone(), result: result.to_owned(), code, why: why.clone() };
    last.save(root, &resource, handler);
    if line.handler.is_good(code) {
        tracing::info!("handler={handler} resource={resource} peer={peer} result={result} code={code} ms={ms} why={why:?}");
    } else {
        tracing::warn!("handler={handler} resource={resource} peer={peer} result={result} code={code} ms={ms} why={why:?}");
    }
}

/// The resource, or the device where only that is known.
fn subject(call: &Call) -> String {
    match (&call.resource, call.minors.first()) {
        (Some(resource), _) => resource.clone(),
        (None, Some(minor)) => format!("minor-{minor}"),
        (None, None) => "unknown".to_owned(),
    }
}
