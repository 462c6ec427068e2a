//! The body of DRBD 8.4's `/proc/drbd` (`drbd_seq_show`, `drbd_proc.c`): every minor of the machine, and no resource by name.
//!
//! Read by key, because the number of words changes: the protocol is a space where there is no network configuration. What is not
//! understood is passed over, so a word of another version is "not said" and never "stopped".

use std::time::Duration;

use super::model::{ConnectionState, DiskState, Progress, Replication, Role};

/// A minor as `/proc/drbd` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Minor {
    /// Its number.
    pub minor: u32,
    /// Whether it is shown as `Unconfigured`: secondary, without a disk and without a connection.
    pub is_unconfigured: bool,
    /// The connection.
    pub connection: Option<ConnectionState>,
    /// What it does with the peer.
    pub replication: Option<Replication>,
    /// The role here.
    pub role: Option<Role>,
    /// The role of the peer.
    pub peer_role: Option<Role>,
    /// The disk here.
    pub disk: Option<DiskState>,
    /// The disk of the peer.
    pub peer_disk: Option<DiskState>,
    /// Whether I/O stands still.
    pub is_suspended: bool,
    /// Who has paused the resync: `user`, `peer`, `dependency`.
    pub paused_by: Vec<String>,
    /// Whether updates of the activity log are suspended.
    pub is_al_suspended: Option<bool>,
    /// Sent to the peer, in KiB (`ns`); it begins again at 2 TiB, and so do the next three.
    pub sent: Option<u64>,
    /// Received from the peer, in KiB (`nr`).
    pub received: Option<u64>,
    /// Written to the disk, in KiB (`dw`).
    pub written: Option<u64>,
    /// Read from the disk, in KiB (`dr`).
    pub read: Option<u64>,
    /// Requests of applications that are not completed (`ap`).
    pub pending: Option<u64>,
    /// Known to differ, in KiB (`oos`).
    pub out_of_sync: Option<u64>,
    /// How far a resync or verify is, where one runs.
    pub progress: Option<Progress>,
}

/// The largest number of a minor.
const MINOR_MAX: u32 = (1 << 20) - 1;

/// A TiB a second: more is what an unsigned difference makes of a resync that loses ground.
const SPEED_MAX: u64 = 1 << 30;

/// All minors.
///
/// # Errors
/// The text is cut short: it does not end with a line, or its last minor is without its second line.
pub fn parse(text: &str) -> Result<Vec<Minor>, String> {
    if !text.ends_with('\n') {
        return Err("it ends within a line".to_owned());
    }
    let mut minors: Vec<Minor> = Vec::new();
    for line in text.lines() {
        if let Some((minor, rest)) = head(line) {
            minors.push(states(minor, rest));
        } else if let Some(minor) = minors.last_mut() {
            match line.trim_start() {
                counters if counters.starts_with("ns:") => count(counters, minor),
                other => progress(other, minor),
            }
        }
    }
    match minors.last() {
        Some(last) if !last.is_unconfigured && last.out_of_sync.is_none() => Err(format!("it ends within minor {}", last.minor)),
        _ => Ok(minors),
    }
}

/// ` 0: cs:…`: a minor and what follows the colon.
fn head(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.trim_start_matches(' ').split_once(": ")?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let minor = number.parse().ok().filter(|minor| is_number && *minor <= MINOR_MAX)?;
    rest.starts_with("cs:").then_some((minor, rest))
}

fn states(number: u32, line: &str) -> Minor {
    let mut minor = Minor { minor: number, ..Minor::default() };
    let mut words = line.split_ascii_whitespace();
    for (key, value) in words.clone().filter_map(|word| word.split_once(':')) {
        let pair = value.split_once('/');
        match (key, pair) {
            ("cs", _) => (minor.connection, minor.replication) = connection(value),
            ("ro", Some((here, there))) => (minor.role, minor.peer_role) = (Role::parse(here), Role::parse(there)),
            ("ds", Some((here, there))) => (minor.disk, minor.peer_disk) = (DiskState::parse(here), DiskState::parse(there)),
            _ => {}
        }
    }
    if line == "cs:Unconfigured" {
        minor.is_unconfigured = true;
        (minor.connection, minor.replication) = (Some(ConnectionState::StandAlone), Some(Replication::Off));
        (minor.role, minor.disk) = (Some(Role::Secondary), Some(DiskState::Diskless));
    }
    flags(words.next_back().filter(|word| !word.contains(':')).unwrap_or_default(), &mut minor);
    minor
}

/// The connection and the replication that one word of 8.4 means.
fn connection(word: &str) -> (Option<ConnectionState>, Option<Replication>) {
    match word {
        "WFConnection" => (Some(ConnectionState::Connecting), Some(Replication::Off)),
        "WFReportParams" => (Some(ConnectionState::Connected), Some(Replication::Off)),
        "Connected" => (Some(ConnectionState::Connected), Some(Replication::Established)),
        // Words of DRBD 9 that 8.4 spells otherwise.
        "Connecting" | "Off" | "Established" => (None, None),
        word => match (ConnectionState::parse(word), Replication::parse(word)) {
            (Some(state), _) => (Some(state), Some(Replication::Off)),
            (None, Some(replication)) => (Some(ConnectionState::Connected), Some(replication)),
            (None, None) => (None, None),
        },
    }
}

/// The six letters at the end of the first line. 8.3 has fewer.
fn flags(word: &str, minor: &mut Minor) {
    let mut letters = word.chars();
    minor.is_suspended = letters.next() == Some('s');
    let paused: Vec<_> = ["dependency", "peer", "user"].into_iter().zip("apu".chars()).collect();
    let is_set = |(_, letter): &(&str, char)| letters.next() == Some(*letter);
    minor.paused_by = paused.into_iter().filter(is_set).map(|(who, _)| who.to_owned()).collect();
    minor.paused_by.reverse();
    minor.is_al_suspended = word.chars().nth(5).map(|letter| letter == 's');
}

fn count(line: &str, minor: &mut Minor) {
    for (key, value) in line.split_ascii_whitespace().filter_map(|word| word.split_once(':')) {
        let number = value.parse().ok();
        match key {
            "ns" => minor.sent = number,
            "nr" => minor.received = number,
            "dw" => minor.written = number,
            "dr" => minor.read = number,
            "ap" => minor.pending = number,
            "oos" => minor.out_of_sync = number,
            _ => {}
        }
    }
}

/// `[=>...] sync'ed: 14.1% (226196/262100)K`, and `finish: 0:03:13 speed: 1,248 (1,248) want: 1,024 K/sec (stalled)` in the next line, or
/// in the same as 8.3 has it.
fn progress(line: &str, minor: &mut Minor) {
    let after = |key: &str| line.split_once(key).map(|(_, rest)| rest.trim_start());
    if let Some(done) = after("sync'ed:").or_else(|| after("verified:")).filter(|_| line.starts_with('[')) {
        minor.progress.get_or_insert_default().permille = done.split_once('%').and_then(|(percent, _)| permille(percent));
    }
    let Some(finish) = after("finish:") else { return };
    let word = |text: &str| text.split_ascii_whitespace().next().unwrap_or_default().to_owned();
    let progress = minor.progress.get_or_insert_default();
    progress.speed = after("speed:").and_then(|speed| kibibytes(&word(speed)));
    progress.left = progress.speed.and_then(|_| clock(&word(finish)));
    progress.is_stalled = line.trim_end().ends_with("(stalled)");
}

/// `14.1` is 141.
fn permille(percent: &str) -> Option<u16> {
    let (whole, tenth) = percent.split_once('.')?;
    let thousandths = whole.parse::<u16>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)?;
    (tenth.len() == 1 && thousandths <= 1000).then_some(thousandths)
}

/// `1,234,567`, if a speed may be that.
fn kibibytes(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok().filter(|speed| *speed <= SPEED_MAX)
}

/// `123:04:05`; the hours have no limit.
fn clock(text: &str) -> Option<Duration> {
    let mut parts = text.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let sum = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)?;
    Some(Duration::from_secs(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Minor {
        let mut minors = parse(text).unwrap();
        assert_eq!(minors.len(), 1, "{minors:?}");
        minors.remove(0)
    }

    const COUNTERS: &str = "    ns:1 nr:2 dw:3 dr:4 al:5 bm:6 lo:0 pe:0 ua:0 ap:7 ep:1 wo:f oos:8\n";

    #[test]
    fn a_minor_without_a_protocol_has_its_flags_all_the_same() {
        let minor = one(&format!("1048575: cs:StandAlone ro:Secondary/Unknown ds:UpToDate/Outdated   s--u-s\n{COUNTERS}"));
        assert_eq!((minor.minor, minor.connection), (1_048_575, Some(ConnectionState::StandAlone)));
        assert!(minor.is_suspended && minor.is_al_suspended == Some(true));
        assert_eq!(minor.paused_by, ["user"]);
        assert_eq!((minor.sent, minor.read, minor.pending, minor.out_of_sync), (Some(1), Some(4), Some(7), Some(8)));
    }

    #[test]
    fn what_is_not_a_minor_is_none_and_unknown_words_are_not_said() {
        let odd = "1048576: cs:Connected\n4294967296: cs:Connected\n+1: cs:Connected\n: cs:Connected\n 1:cs:Connected\n\t 2: cs:Connected\n";
        assert_eq!(parse(odd).unwrap(), []);
        let minor = one(&format!(" 3: cs:TOO_LARGE ro:Leader/Primary ds:UpToDate/Melted C r-----\n{COUNTERS}"));
        assert_eq!((minor.connection, minor.replication, minor.role, minor.peer_disk), (None, None, None, None));
        assert_eq!((minor.peer_role, minor.disk), (Some(Role::Primary), Some(DiskState::UpToDate)));
        assert_eq!(one(&format!(" 3: cs:Established\n{COUNTERS}")).connection, None, "a word of DRBD 9");
    }

    #[test]
    fn a_resync_that_loses_ground_has_no_speed_and_no_end() {
        let with = |finish: &str| {
            let text =
                format!(" 0: cs:SyncTarget\n{COUNTERS}\t[>....................] sync'ed:  1.6% (258356/262100)K\n\t{finish}\n");
            one(&text).progress.unwrap()
        };
        for finish in [
            "finish: ∞ speed: -1,024 (-512 -- 204) want: 250,000 K/sec",
            "finish: 0:00:00 speed: 4,503,599,627,370,495 (3) K/sec",
            "finish: 0:00:00 speed: 99999999999999999999999 (3) K/sec",
        ] {
            assert_eq!(with(finish), Progress { permille: Some(16), ..Progress::default() }, "{finish}");
        }
        let long = with("finish: 1234:56:07 speed: 1,234,567 (9) K/sec (stalled)");
        assert_eq!((long.left.unwrap().as_secs(), long.speed), (1234 * 3600 + 56 * 60 + 7, Some(1_234_567)));
        assert!(long.is_stalled);
    }

    #[test]
    fn both_halves_of_the_progress_may_stand_in_one_line() {
        let text = format!(
            " 0: cs:SyncSource\n{COUNTERS}\t[====>...............] sync'ed: 27.5% (8605/11850)M finish: 0:12:04 speed: 12,168 (11,940) K/sec\n"
        );
        let progress = one(&text).progress.unwrap();
        assert_eq!((progress.permille, progress.left, progress.speed), (Some(275), Some(Duration::from_secs(724)), Some(12_168)));
    }

    #[test]
    fn a_text_that_is_cut_short_is_an_error() {
        assert!(parse("").is_err());
        assert!(parse(" 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n").is_err());
        assert!(parse(&format!(" 0: cs:Connected\n{COUNTERS}    ns:1")).is_err());
        assert_eq!(parse("version: 8.4.11\nsrcversion: 0 \n").unwrap(), []);
    }
}
