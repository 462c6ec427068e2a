//! `LIO`: exports block devices over iSCSI, natively on configfs.

use crate::ocf::env::Params;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::hang::{NOREBOOT_FILE, ON_STOP_HANG};
use crate::ocf::run::{Agent, Context, Level, State};
use crate::ocf::spec::{ActionSpec, AgentSpec};

/// The declaration.
pub static LIO: AgentSpec = AgentSpec {
    name: "LIO",
    short: "iSCSI targets of the kernel (LIO)",
    long: "Exports block devices over iSCSI.",
    params: &[&ON_STOP_HANG, &NOREBOOT_FILE],
    actions: &[
        ActionSpec::new("start", 30),
        ActionSpec::new("stop", 30),
        ActionSpec::new("monitor", 20).every(10).depth(0),
        ActionSpec::new("reload-agent", 20),
    ],
    build,
};

struct Lio;

fn build(_params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    Ok(Box::new(Lio))
}

impl Agent for Lio {
    fn monitor(&self, _cx: &Context, _level: Level) -> Result<State, OcfError> {
        Ok(State::Stopped)
    }
    fn start(&self, _cx: &Context) -> Result<(), OcfError> {
        Err(OcfError::new(Code::Unimplemented, "start: the agent is being built"))
    }
    fn stop(&self, _cx: &Context) -> Result<(), OcfError> {
        Ok(())
    }
    fn validate(&self, _cx: &Context, _level: Level) -> Result<(), OcfError> {
        Ok(())
    }
}
