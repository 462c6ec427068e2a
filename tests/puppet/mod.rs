//! A test-only agent with every feature of a declaration, which answers what its parameters tell it to.
//!
//! `states` is what its monitors find, one after the other, the last for ever; `result` what every other action comes to. It reports
//! each call by `progress`, so that a test sees what was called.

use std::cell::Cell;

use ocf_san::ocf::env::Params;
use ocf_san::ocf::error::{Code, OcfError};
use ocf_san::ocf::run::{Agent, Context, Level, State};
use ocf_san::ocf::spec::{ActionSpec, AgentSpec, Content, Param, ParamValue};

static NAME: Param<String> = Param::required("name", "Name", "The name.\n\n* no two may share it & <that> is \"it\"").unique();
static MODE: Param<Mode> = Param::or("mode", "a", "Mode", "One of two.").reloadable();
static QUIET: Param<bool> = Param::or("quiet", "no", "Quiet", "Whether to be quiet.");
static COUNT: Param<u32> = Param::or("count", "3", "Count", "How many.").reloadable();
static OLD: Param<String> = Param::optional("old", "Old", "What name was called before.").replaced_by("name");
static STATES: Param<Steps> = Param::or("states", "running", "States", "What the monitors find.");
static RESULT: Param<Steps> = Param::or("result", "running", "Result", "What every other action comes to.");
static BUILD: Param<Steps> = Param::or("build", "running", "Build", "What building it comes to.");

/// The declaration.
pub static PUPPET: AgentSpec = AgentSpec {
    name: "Puppet",
    short: "Answers what it is told",
    long: "For tests.\n\nEvery feature of a declaration is in here, \u{fc}mlauts & <markup> too.",
    params: &[&NAME, &MODE, &QUIET, &COUNT, &OLD, &STATES, &RESULT, &BUILD],
    actions: &[
        ActionSpec::new("start", 30),
        ActionSpec::new("stop", 90),
        ActionSpec::new("monitor", 20).every(10).depth(0),
        ActionSpec::new("monitor", 60).every(61).depth(10),
        ActionSpec::new("monitor", 20).every(11).role("Promoted"),
        ActionSpec::new("promote", 90),
        ActionSpec::new("demote", 90),
        ActionSpec::new("notify", 90),
        ActionSpec::new("reload-agent", 20),
    ],
    build,
};

/// The same without what is optional.
pub static PLAIN: AgentSpec = AgentSpec {
    name: "Plain",
    actions: &[ActionSpec::new("start", 30), ActionSpec::new("stop", 90), ActionSpec::new("monitor", 20)],
    ..PUPPET
};

struct Mode;

impl ParamValue for Mode {
    const CONTENT: Content = Content::Select(&["a", "b"]);
    fn parse(text: &str) -> Result<Self, String> {
        if matches!(text, "a" | "b") { Ok(Self) } else { Err("neither a nor b".to_owned()) }
    }
}

struct Steps(Vec<Result<State, OcfError>>);

impl ParamValue for Steps {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(step).collect::<Option<_>>().map(Self).ok_or_else(|| "not a list of steps".to_owned())
    }
}

fn step(word: &str) -> Option<Result<State, OcfError>> {
    let why = || word.to_owned();
    Some(Ok(match word {
        "stopped" => State::Stopped,
        "running" => State::Running,
        "promoted" => State::Promoted,
        "degraded" => State::Degraded(why()),
        "degraded-promoted" => State::DegradedPromoted(why()),
        "failed-promoted" => State::FailedPromoted(why()),
        "partial" => State::Partial(why()),
        "failed" => State::Failed(why()),
        "stuck" => return Some(Err(OcfError::stuck(word))),
        "stuck-5" => return Some(Err(OcfError { code: Code::Installed, ..OcfError::stuck(word) })),
        number => return Some(Err(OcfError::new(Code::from_number(number.parse().ok()?), format_args!("error {number}")))),
    }))
}

struct Puppet {
    states: Steps,
    result: Result<(), OcfError>,
    next: Cell<usize>,
}

fn build(params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    let first = |steps: Steps| steps.0.into_iter().next().map_or(Ok(()), |step| step.map(drop));
    first(params.get(&BUILD)?)?;
    Ok(Box::new(Puppet { states: params.get(&STATES)?, result: first(params.get(&RESULT)?), next: Cell::new(0) }))
}

impl Puppet {
    fn called(&self, cx: &Context, what: &str) -> Result<(), OcfError> {
        (cx.progress)(what);
        self.result.clone()
    }
}

impl Agent for Puppet {
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError> {
        if level > Level::Cheap {
            (cx.progress)(&format!("{level:?}"));
        }
        let now = self.next.get().min(self.states.0.len() - 1);
        self.next.set(now + 1);
        self.states.0[now].clone()
    }
    fn start(&self, cx: &Context) -> Result<(), OcfError> {
        self.called(cx, "start")
    }
    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        self.called(cx, "stop")
    }
    fn validate(&self, cx: &Context, level: Level) -> Result<(), OcfError> {
        self.called(cx, &format!("validate {level:?}"))
    }
    fn reload_agent(&self, cx: &Context) -> Result<(), OcfError> {
        self.called(cx, "reload")
    }
    fn promote(&self, cx: &Context) -> Result<(), OcfError> {
        self.called(cx, "promote")
    }
    fn demote(&self, cx: &Context) -> Result<(), OcfError> {
        self.called(cx, "demote")
    }
    fn notify(&self, cx: &Context) -> Result<(), OcfError> {
        self.called(cx, "notify")
    }
}
