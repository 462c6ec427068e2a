//! `/proc/drbd` of 8.4 as the kernel writes it, made from what the parser is to find in it.

use std::fmt::Write;
use std::time::Duration;

use ocf_san::kernel::drbd::model::{ConnectionState, DiskState, Progress, Replication, Role};
use ocf_san::kernel::drbd::proc_drbd::Minor;

/// A generator with a seed: a failure can be had again.
pub struct Chance(pub u32);

impl Chance {
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % limit
    }

    pub fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(u32::try_from(all.len()).unwrap()) as usize]
    }

    /// Below one of these powers of two.
    fn below_power(&mut self, bits: &[u32]) -> u32 {
        let limit = 1 << self.one(bits);
        self.below(limit)
    }

    /// Counters of 8.4 have 32 bits.
    fn counter(&mut self) -> u64 {
        let number = u64::from(self.below(1 << 24)) << self.below(9);
        self.one(&[0, number, number, u64::from(u32::MAX)])
    }
}

/// Some minors in the order of their numbers, in any state.
pub fn minors(chance: &mut Chance) -> Vec<Minor> {
    let mut numbers: Vec<u32> = (0..chance.below(6)).map(|_| chance.below_power(&[2, 5, 20])).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().map(|number| minor(number, chance)).collect()
}

fn minor(number: u32, chance: &mut Chance) -> Minor {
    let unconfigured = Minor {
        minor: number,
        is_unconfigured: true,
        connection: Some(ConnectionState::StandAlone),
        replication: Some(Replication::Off),
        role: Some(Role::Secondary),
        disk: Some(DiskState::Diskless),
        ..Minor::default()
    };
    if chance.below(6) == 0 {
        return unconfigured;
    }
    let connection = chance.one(ConnectionState::ALL);
    let replication = if connection == ConnectionState::Connected { chance.one(Replication::ALL) } else { Replication::Off };
    let is_running =
        [Replication::SyncSource, Replication::SyncTarget, Replication::VerifyS, Replication::VerifyT].contains(&replication);
    let paused = ["user", "peer", "dependency"].into_iter().filter(|_| chance.below(3) == 0).map(str::to_owned).collect();
    Minor {
        minor: number,
        is_unconfigured: false,
        connection: Some(connection),
        replication: Some(replication),
        role: Some(chance.one(Role::ALL)),
        peer_role: Some(chance.one(Role::ALL)),
        disk: Some(chance.one(DiskState::ALL)),
        peer_disk: Some(chance.one(DiskState::ALL)),
        is_suspended: chance.below(2) == 0,
        paused_by: paused,
        is_al_suspended: Some(chance.below(2) == 0),
        sent: Some(chance.counter()),
        received: Some(chance.counter()),
        written: Some(chance.counter()),
        read: Some(chance.counter()),
        pending: Some(chance.counter()),
        out_of_sync: Some(chance.counter() << chance.below(20)),
        progress: is_running.then(|| progress(chance)),
    }
}

fn progress(chance: &mut Chance) -> Progress {
    let is_lost = chance.below(5) == 0;
    Progress {
        permille: Some(u16::try_from(chance.below(1001)).unwrap()),
        left: (!is_lost).then(|| Duration::from_secs(u64::from(chance.below(1 << 24)))),
        speed: (!is_lost).then(|| u64::from(chance.below_power(&[4, 12, 24]))),
        is_stalled: chance.below(4) == 0,
    }
}

/// The whole file. What the model does not keep, such as the protocol, is any.
pub fn render(minors: &[Minor], chance: &mut Chance) -> String {
    let mut text = "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: F73C670A7EC572DB9CF3E5B \n".to_owned();
    let mut next = 0;
    for minor in minors {
        if minor.minor != next {
            text.push('\n');
        }
        next = minor.minor + 1;
        write!(text, "{:2}: ", minor.minor).unwrap();
        if minor.is_unconfigured {
            text.push_str("cs:Unconfigured\n");
            continue;
        }
        let states =
            format!("ro:{}/{} ds:{}/{}", word(minor.role), word(minor.peer_role), word(minor.disk), word(minor.peer_disk));
        let protocol = if minor.connection == Some(ConnectionState::StandAlone) { ' ' } else { chance.one(&['A', 'B', 'C']) };
        writeln!(text, "cs:{} {states} {protocol} {}", cs(minor), flags(minor)).unwrap();
        let n = |counter: Option<u64>| counter.unwrap();
        write!(text, "    ns:{} nr:{} dw:{} dr:{} ", n(minor.sent), n(minor.received), n(minor.written), n(minor.read)).unwrap();
        writeln!(text, "al:3 bm:4 lo:-1 pe:0 ua:0 ap:{} ep:1 wo:f oos:{}", n(minor.pending), n(minor.out_of_sync)).unwrap();
        if let Some(progress) = minor.progress {
            render_progress(&mut text, minor.replication, progress, chance);
        }
    }
    text
}

fn word<T: ToString>(word: Option<T>) -> String {
    word.unwrap().to_string()
}

fn cs(minor: &Minor) -> String {
    match (minor.connection.unwrap(), minor.replication.unwrap()) {
        (ConnectionState::Connecting, _) => "WFConnection".to_owned(),
        (ConnectionState::Connected, Replication::Off) => "WFReportParams".to_owned(),
        (ConnectionState::Connected, Replication::Established) => "Connected".to_owned(),
        (ConnectionState::Connected, replication) => replication.to_string(),
        (connection, _) => connection.to_string(),
    }
}

fn flags(minor: &Minor) -> String {
    let paused = |who: &str, letter| if minor.paused_by.iter().any(|by| by == who) { letter } else { '-' };
    let running = if minor.is_suspended { 's' } else { 'r' };
    let log = if minor.is_al_suspended == Some(true) { 's' } else { '-' };
    [running, paused("dependency", 'a'), paused("peer", 'p'), paused("user", 'u'), '-', log].iter().collect()
}

fn render_progress(text: &mut String, replication: Option<Replication>, progress: Progress, chance: &mut Chance) {
    let permille = progress.permille.unwrap();
    let bar = usize::from(permille / 50);
    let verb = if matches!(replication, Some(Replication::VerifyS | Replication::VerifyT)) { "verified:" } else { "sync'ed:" };
    let (done, todo) = ("=".repeat(bar.saturating_sub(1)), ".".repeat(20 - bar));
    write!(text, "\t[{done}>{todo}] {verb}{:3}.{}% (7/9){}", permille / 10, permille % 10, chance.one(&['K', 'M'])).unwrap();
    // 8.3 has both in one line when the unit is M.
    text.push_str(chance.one(&["\n\t", "\n\t", " "]));
    let speed = progress.speed.map_or_else(|| "-1,024".to_owned(), thousands);
    let seconds = progress.left.map(|left| left.as_secs());
    let left = seconds.map_or_else(|| "∞".to_owned(), |s| format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60));
    let mean = chance.one(&["3", "12 -- 1,234"]);
    let want = chance.one(&["", " want: 2,048"]);
    let stalled = if progress.is_stalled { " (stalled)" } else { "" };
    writeln!(text, "finish: {left} speed: {speed} ({mean}){want} K/sec{stalled}").unwrap();
    if chance.below(3) == 0 {
        text.push_str("\t 42% sector pos: 12/345\n\tresync: used:0/61 hits:0 misses:1 starving:0 locked:0 changed:1\n\tact_log: used:0/1237\n");
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
