//! `bench_driver [--expect CODE] [--linger SECONDS] COUNT PROGRAM ARGUMENT…` runs the program COUNT times, one after another, and prints
//! one line: the median wall time in µs, the mean CPU time in µs (user and system, with everything the program waited for), the peak memory
//! of its greatest process in KiB, how many runs did not end with CODE (0), and then of what a run left behind in the background: how long
//! that lived on, the longest, and its mean CPU time, in µs. It is waited for, SECONDS (0) at most, so that it disturbs no later figure.
//! Small itself: until it calls exec, a child counts as large as its parent.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

/// How often it is asked whether what was left behind is gone.
const STEP: Duration = Duration::from_millis(20);

struct Order {
    code: i32,
    linger: Duration,
    count: u32,
    program: String,
    args: Vec<String>,
}

fn main() -> io::Result<()> {
    let order = order(std::env::args().skip(1))?;
    prctl::set_child_subreaper(true)?;
    let (mut walls, mut failures) = (Vec::new(), 0);
    let (mut cpu, mut left_cpu, mut left_wall) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for _ in 0..order.count {
        let before = cpu_of_children()?;
        let begun = Instant::now();
        let code = run(&order.program, &order.args)?;
        walls.push(begun.elapsed());
        let answered = cpu_of_children()?;
        left_wall = left_wall.max(reap(order.linger)?);
        cpu += answered.saturating_sub(before);
        left_cpu += cpu_of_children()?.saturating_sub(answered);
        failures += u32::from(code != Some(order.code));
    }
    walls.sort_unstable();
    let wall = walls.get(walls.len() / 2).copied().unwrap_or_default().as_micros();
    let (cpu, left_cpu) = ((cpu / order.count.max(1)).as_micros(), (left_cpu / order.count.max(1)).as_micros());
    let memory = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    writeln!(io::stdout(), "{wall} {cpu} {memory} {failures} {} {left_cpu}", left_wall.as_micros())
}

fn order(mut args: impl Iterator<Item = String>) -> io::Result<Order> {
    let mut order = Order { code: 0, linger: Duration::ZERO, count: 0, program: String::new(), args: Vec::new() };
    let mut next = || args.next().ok_or(io::ErrorKind::InvalidInput);
    loop {
        let arg = next()?;
        match arg.as_str() {
            "--expect" => order.code = next()?.parse().map_err(io::Error::other)?,
            "--linger" => order.linger = Duration::from_secs(next()?.parse().map_err(io::Error::other)?),
            count => {
                order.count = count.parse().map_err(io::Error::other)?;
                order.program = next()?;
                order.args = args.collect();
                return Ok(order);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "runs what it measures as it is")]
fn run(program: &str, args: &[String]) -> io::Result<Option<i32>> {
    Ok(Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).status()?.code())
}

/// Waits for what the program left behind, and says how long that took.
fn reap(limit: Duration) -> io::Result<Duration> {
    let begun = Instant::now();
    let mut last = Duration::ZERO;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if begun.elapsed() >= limit => return Ok(begun.elapsed()),
            Ok(WaitStatus::StillAlive) => std::thread::sleep(STEP),
            Ok(_) => last = begun.elapsed(),
            Err(Errno::ECHILD) => return Ok(last),
            Err(e) => return Err(e.into()),
        }
    }
}

fn cpu_of_children() -> nix::Result<Duration> {
    getrusage(UsageWho::RUSAGE_CHILDREN).map(|usage| cpu(&usage))
}

fn cpu(usage: &Usage) -> Duration {
    let micros = |t: nix::sys::time::TimeVal| {
        Duration::from_secs(t.tv_sec().unsigned_abs()) + Duration::from_micros(t.tv_usec().unsigned_abs())
    };
    micros(usage.user_time()) + micros(usage.system_time())
}
