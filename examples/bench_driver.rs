//! `bench_driver COUNT PROGRAM ARGUMENT…` runs the program COUNT times, one after another, and prints one line: the median wall time in
//! µs, the mean CPU time in µs (user and system, with everything the program waited for), the peak memory of its greatest process in KiB,
//! and how many runs did not end with code 0. Small itself: until it calls exec, a child counts as large as its parent.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [count, program, rest @ ..] = args.as_slice() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let count: u32 = count.parse().map_err(io::Error::other)?;
    let before = cpu(&getrusage(UsageWho::RUSAGE_CHILDREN)?);
    let mut walls = Vec::new();
    let mut failures = 0;
    for _ in 0..count {
        let begun = Instant::now();
        let is_success = run(program, rest)?;
        walls.push(begun.elapsed());
        failures += u32::from(!is_success);
    }
    walls.sort_unstable();
    let wall = walls.get(walls.len() / 2).copied().unwrap_or_default();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = cpu(&usage).saturating_sub(before) / count.max(1);
    writeln!(io::stdout(), "{} {} {} {failures}", wall.as_micros(), cpu.as_micros(), usage.max_rss())
}

#[expect(clippy::disallowed_methods, reason = "runs what it measures as it is")]
fn run(program: &str, args: &[String]) -> io::Result<bool> {
    Ok(Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).status()?.success())
}

fn cpu(usage: &Usage) -> Duration {
    let micros = |t: nix::sys::time::TimeVal| {
        Duration::from_secs(t.tv_sec().unsigned_abs()) + Duration::from_micros(t.tv_usec().unsigned_abs())
    };
    micros(usage.user_time()) + micros(usage.system_time())
}
