//! Agents whose workers do what they are told: sleep, die, fork, write, hang.

use std::cell::Cell;
use std::fs;
use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use ocf_san::kernel::attr::Root;
use ocf_san::kernel::process::end_now;
use ocf_san::ocf::env::Params;
use ocf_san::ocf::error::{Code, OcfError};
use ocf_san::ocf::hang::{NOREBOOT_FILE, ON_STOP_HANG};
use ocf_san::ocf::run::{Agent, Context, Level, State};
use ocf_san::ocf::spec::{ActionSpec, AgentSpec, Param};

pub static DEED: Param<String> = Param::or("deed", "nothing", "Deed", "What the worker does.");

pub static WHEN: Param<String> = Param::or("when", "monitor", "When", "In which action it does that.");

pub static ACTIONS: &[ActionSpec] = &[
    ActionSpec::new("start", 20),
    ActionSpec::new("stop", 20),
    ActionSpec::new("monitor", 20).every(10).depth(0),
    ActionSpec::new("monitor", 20).every(60).depth(20),
];

/// Its stop may escalate.
pub static STORAGE: AgentSpec = AgentSpec {
    name: "Storage",
    short: "Storage",
    long: "Storage.",
    params: &[&DEED, &WHEN, &ON_STOP_HANG, &NOREBOOT_FILE],
    actions: ACTIONS,
    build,
};

/// Its stop may not.
pub static ADDRESS: AgentSpec =
    AgentSpec { name: "Address", short: "Address", long: "Address.", params: &[&DEED, &WHEN], actions: ACTIONS, build };

pub struct Doer {
    deed: String,
    when: String,
    is_done: Cell<bool>,
}

pub fn build(params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    Ok(Box::new(Doer { deed: params.get(&DEED)?, when: params.get(&WHEN)?, is_done: Cell::new(false) }))
}

impl Doer {
    #[expect(clippy::disallowed_methods, reason = "a child that is started carelessly is what is to be tried")]
    pub fn act(&self, cx: &Context) -> Result<(), OcfError> {
        (cx.progress)(&format!("doing {}", self.deed));
        match self.deed.as_str() {
            "nothing" => {}
            "fail" => return Err(OcfError::new(Code::Configured, "deed: wrong")),
            "sleep" => sleep(Duration::from_secs(120)),
            "nap" => sleep(Duration::from_millis(1500)),
            "panic" => panic!("at the disco"),
            "exit" => end_now(3),
            "complain and exit" => {
                eprintln!("first\nocf-exit-reason:the last word");
                end_now(3);
            }
            "die" => raise(Signal::SIGABRT).unwrap(),
            "stand still" => raise(Signal::SIGSTOP).unwrap(),
            "be deaf" => {
                for deaf in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
                    block(deaf);
                }
                sleep(Duration::from_secs(120));
            }
            "leave a child" => {
                // It holds the worker's standard error.
                let child = std::process::Command::new("/bin/sleep").arg("30").spawn();
                child.map(std::mem::forget).unwrap();
            }
            "write much" => {
                for n in 0..20_000 {
                    (cx.progress)(&format!("step {n} of a long way, and then some more of it"));
                    eprintln!("line {n} of many that nobody asked for");
                }
            }
            "be done and stay" => get_traced(cx.root),
            "fail and stay" => {
                get_traced(cx.root);
                return Err(OcfError::new(Code::Generic, "lun0 is mounted"));
            }
            "be stuck" => return Err(OcfError::stuck("disable iqn.2016-12.net.example:t1")),
            "be stuck and stay" => {
                get_traced(cx.root);
                return Err(OcfError::stuck("disable iqn.2016-12.net.example:t1"));
            }
            "lose the disk and be stuck" => {
                // Neither there nor not there, as on a disk that does not answer.
                cx.root.dir("/etc/ha.d").unlink("noreboot").unwrap();
                std::os::unix::fs::symlink("x".repeat(300), cx.root.path("/etc/ha.d/noreboot")).unwrap();
                get_traced(cx.root);
                return Err(OcfError::stuck("lost"));
            }
            "forbid it and be stuck" => {
                cx.root.dir("/etc/ha.d").set("noreboot", "").unwrap();
                get_traced(cx.root);
                return Err(OcfError::stuck("forbidden"));
            }
            "write a long line" => eprint!("{}", "x".repeat(300_000)),
            "nap and tell" => {
                sleep(Duration::from_millis(500));
                for n in 0..800 {
                    (cx.progress)(&format!("step {n} of a long way"));
                }
            }
            "run out of time" => {
                while !cx.deadline.is_past() {
                    sleep(Duration::from_millis(10));
                }
                return Err(OcfError::new(Code::Generic, "gave up in time"));
            }
            "hang" => hang(cx.root),
            deed if deed.starts_with("read /") => {
                let device = deed.trim_start_matches("read ");
                read_directly(device).map_err(|e| OcfError::new(Code::Generic, format_args!("read {device}: {e}")))?;
            }
            other => return Err(OcfError::new(Code::Args, format_args!("{other}: no such deed"))),
        }
        self.is_done.set(true);
        Ok(())
    }
}

impl Agent for Doer {
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError> {
        match (self.deed.as_str(), level) {
            // Before and after the deed, as the contract looks at it.
            _ if self.when != "monitor" => {
                let is_running = (self.when == "start") == self.is_done.get();
                Ok(if is_running { State::Running } else { State::Stopped })
            }
            ("be stopped", _) => Ok(State::Stopped),
            ("be stopped and stay", _) => {
                get_traced(cx.root);
                Ok(State::Stopped)
            }
            ("hang when deep" | "doubt when deep and stay", Level::Cheap) => Ok(State::Running),
            ("hang when deep", _) => {
                (cx.progress)("reading dm-3");
                hang(cx.root);
                Ok(State::Running)
            }
            ("fail when deep and stay", Level::Cheap) => Ok(State::Degraded("completes no I/O".to_owned())),
            ("fail when deep and stay", _) => {
                get_traced(cx.root);
                Ok(State::Failed("dm-3 did not answer within 1 s".to_owned()))
            }
            ("doubt when deep and stay", _) => {
                (cx.progress)("asking dm-3");
                get_traced(cx.root);
                Ok(State::Degraded("dm-3 does not say how it is".to_owned()))
            }
            _ => self.act(cx).map(|()| State::Running),
        }
    }
    fn start(&self, cx: &Context) -> Result<(), OcfError> {
        self.act(cx)
    }
    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        self.act(cx)
    }
    fn validate(&self, cx: &Context, _level: Level) -> Result<(), OcfError> {
        if self.when == "validate-all" { self.act(cx) } else { Ok(()) }
    }
}

pub fn block(signal: Signal) {
    use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
    let mut set = SigSet::empty();
    set.add(signal);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).unwrap();
}

/// Past the page cache, whose waits a signal ends: while the device is suspended nothing ends this one.
pub fn read_directly(device: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut buffer = [0; 8192];
    let aligned = buffer.as_ptr().align_offset(4096);
    let mut device = fs::File::options().read(true).custom_flags(libc::O_DIRECT).open(device)?;
    device.read_exact(&mut buffer[aligned..aligned + 4096])
}

/// In the worker: gets traced, so that SIGKILL does not end it.
pub fn hang(root: &Root) {
    get_traced(root);
    sleep(Duration::from_secs(120));
}

pub fn get_traced(root: &Root) {
    nix::sys::prctl::set_pdeathsig(None).unwrap();
    fs::write(root.path("/trace-me.new"), nix::unistd::getpid().to_string()).unwrap();
    fs::rename(root.path("/trace-me.new"), root.path("/trace-me")).unwrap();
    while fs::read_to_string("/proc/self/status").unwrap().contains("TracerPid:\t0\n") {
        sleep(Duration::from_millis(2));
    }
}
