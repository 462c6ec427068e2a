//! Where the records of `tracing` go: as `ocf-shellfuncs` has it, but without its forks, and never to stdout.
//!
//! A terminal on stderr gets everything and nothing else does. Otherwise `HA_LOGFACILITY` means syslog, `HA_LOGFILE` and `HA_DEBUGLOG`
//! are appended to, and stderr is for when neither is set. Debug records need `HA_debug`; a trace (`OCF_TRACE_RA`,
//! `OCF_RESKEY_trace_ra`) goes to a file of its own. Nothing is opened, and no system call made, before the first record; each record
//! opens what it needs, so that a fork and a log rotation in between do no harm. No failure to log is ever an error.
//!
//! A regular file can block for as long as its disk hangs, so a process writes to none before it says [`write_files`], and the one that
//! must answer in time never does: what it has to say goes to syslog, by a datagram that is dropped rather than waited for, and to stderr
//! where there is no syslog, while there is room in that pipe.
//!
//! Times are UTC and say so: local time would mean reading `/etc/localtime` from a disk that may be what hangs. Syslog gets none and
//! puts its own.

use std::fmt::{self, Write as _};
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::env::Env;
use super::reason;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::process::wait_writable;

/// The target of records whose text stands on stderr anyway.
const ON_STDERR_ALREADY: &str = "ocf-exit-reason";
/// The target of records for log files and nothing else.
const FILES_ONLY: &str = "files-only";

/// What a pipe that takes anything takes without blocking (`PIPE_BUF`, pipe(7)).
const AT_ONCE: usize = 4096;

static FILES: AtomicBool = AtomicBool::new(false);

/// Sends the records of this process where `env` says, from now on. Makes no system call.
pub fn init(root: &Root, env: &Env, agent: &str, action: &str) {
    let _ = tracing::subscriber::set_global_default(Log::new(root, env, agent, action));
}

/// From now on this process writes to log files too: for one that may hang on them.
pub fn write_files() {
    FILES.store(true, Ordering::Relaxed);
}

/// A worker's reason, to log files only: its supervisor says it everywhere else.
pub fn to_files(text: &str) {
    tracing::error!(target: FILES_ONLY, "{}", reason::text(text));
}

/// Logs the exit reason wherever stderr is not, and prints it, last.
pub fn exit_reason(env: &Env, text: &str) {
    tracing::error!(target: ON_STDERR_ALREADY, "{}", reason::text(text));
    reason::print(env, text);
}

struct Log {
    root: Root,
    tag: String,
    facility: Option<u8>,
    file: Option<PathBuf>,
    debug: bool,
    debug_file: Option<PathBuf>,
    trace_file: Option<PathBuf>,
    on_a_terminal: fn() -> bool,
}

impl Log {
    fn new(root: &Root, env: &Env, agent: &str, action: &str) -> Self {
        let set = |name| env.get(name).filter(|value| !value.is_empty());
        let path = |name| set(name).filter(|path| path.starts_with('/')).map(PathBuf::from);
        let trace = env.is_true("OCF_TRACE_RA") || env.is_true("OCF_RESKEY_trace_ra");
        Self {
            root: root.clone(),
            tag: format!("{agent}({})", env.instance()),
            facility: set("HA_LOGFACILITY").filter(|name| *name != "none").map(facility),
            file: path("HA_LOGFILE"),
            debug: set("HA_debug").is_some_and(|value| value != "0"),
            debug_file: path("HA_DEBUGLOG"),
            trace_file: trace.then(|| path("OCF_TRACE_FILE").unwrap_or_else(|| trace_path(env, agent, action))),
            on_a_terminal: || io::stderr().is_terminal(),
        }
    }

    fn most_verbose(&self) -> LevelFilter {
        match (&self.trace_file, self.debug) {
            (Some(_), _) => LevelFilter::TRACE,
            (None, true) => LevelFilter::DEBUG,
            (None, false) => LevelFilter::INFO,
        }
    }

    fn record(&self, level: Level, text: &str, target: &str) {
        let tag = format!("{}[{}]", self.tag, std::process::id());
        let (name, severity) = match level {
            Level::ERROR => ("ERROR", 3),
            Level::WARN => ("WARNING", 4),
            Level::INFO => ("INFO", 6),
            _ => ("DEBUG", 7),
        };
        let (date, time) = utc(SystemTime::now());
        let line = format!("{} {time} UTC  {tag}:    {name}: {text}\n", syslog_date(date));
        let is_debug = level > Level::INFO;
        let is_wanted = self.debug || !is_debug;
        let (mut is_written, mut is_traced) = (false, false);
        if FILES.load(Ordering::Relaxed) {
            if let Some(path) = &self.trace_file {
                self.append(path, &line);
                is_traced = true;
            }
            let file = self.file.as_deref().filter(|_| !is_debug);
            let debug_file = self.debug_file.as_deref().filter(|path| is_wanted && Some(*path) != file);
            let files = file.into_iter().chain(debug_file).filter(|_| !(self.on_a_terminal)());
            for path in files {
                self.append(path, &line);
                is_written = true;
            }
        }
        if target == FILES_ONLY {
            return;
        }
        let syslog = self.facility.filter(|_| is_wanted && !(self.on_a_terminal)());
        if let Some(facility) = syslog {
            self.syslog(&format!("<{}>{tag}: {name}: {text}", facility * 8 + severity));
            is_written = true;
        }
        let is_shown = is_wanted && ((self.on_a_terminal)() || !is_written);
        let is_traced_here = self.trace_file.is_some() && !is_traced && !is_written;
        if (is_shown || is_traced_here) && target != ON_STDERR_ALREADY {
            to_stderr(&format!("{tag}: {name}: {text}\n"));
        }
    }

    /// A datagram that is dropped rather than waited for.
    fn syslog(&self, message: &str) {
        let send = || {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.send_to(message.as_bytes(), self.root.path("/dev/log"))
        };
        drop::<io::Result<usize>>(send());
    }

    /// Appends by one write to a file that is no symbolic link.
    fn append(&self, path: &Path, line: &str) {
        if path == Path::new("/dev/stderr") {
            return to_stderr(line);
        }
        let path = self.root.path(path);
        let mut how = OpenOptions::new();
        how.append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = how.open(&path).or_else(|e| match path.parent() {
            Some(parent) if e.kind() == io::ErrorKind::NotFound => fs::create_dir_all(parent).and_then(|()| how.open(&path)),
            _ => Err(e),
        });
        drop(file.and_then(|mut file| file.write(line.as_bytes())));
    }
}

/// Dropped when nobody reads, rather than waited for.
fn to_stderr(line: &str) {
    let stderr = io::stderr();
    if wait_writable(stderr.as_fd(), Deadline::after(Duration::ZERO)) {
        drop(stderr.lock().write(line.as_bytes().get(..AT_ONCE).unwrap_or(line.as_bytes())));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most_verbose()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most_verbose())
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.record(*event.metadata().level(), &text.line(), event.metadata().target());
    }

    // Spans say nothing here: `enabled` refuses them all.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The message, then every field as ` name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    /// On one line: a record never looks like two.
    fn line(self) -> String {
        (self.message + &self.fields).replace(char::is_control, " ")
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

/// The number of a syslog facility; an unknown one is `daemon`.
fn facility(name: &str) -> u8 {
    const LOW: [&str; 12] =
        ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
    let local = || name.strip_prefix("local")?.parse().ok().filter(|n| *n < 8).map(|n: u8| 16 + n);
    let low = LOW.iter().position(|low| *low == name).and_then(|n| u8::try_from(n).ok());
    low.or_else(local).unwrap_or(3)
}

fn trace_path(env: &Env, agent: &str, action: &str) -> PathBuf {
    let home = env.get("HA_VARLIB").filter(|path| path.starts_with('/')).unwrap_or("/var/lib/heartbeat");
    let ((year, month, day), time) = utc(SystemTime::now());
    let name = |text: &str| text.replace('/', "_");
    let file = format!("{}.{}.{year}-{month:02}-{day:02}.{time}", name(env.instance()), name(action));
    Path::new(home).join("trace_ra").join(agent).join(file)
}

/// Year, month and day, and the time of day as `HH:MM:SS`, in UTC.
#[must_use]
pub fn utc(moment: SystemTime) -> ((u64, u64, u64), String) {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (day, second) = (seconds / 86400, seconds % 86400);
    let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    // Days since 0000-03-01, in eras of 400 years that begin in March so that the leap day comes last
    // (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    ((year, month, day), time)
}

fn syslog_date((_, month, day): (u64, u64, u64)) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = usize::try_from(month).ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    format!("{} {day:02}", name.unwrap_or(&"???"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        dir: tempfile::TempDir,
        root: Root,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("dev")).unwrap();
            let root = Root::fake(dir.path());
            write_files();
            Self { dir, root }
        }

        /// One record of each level, logged in this environment.
        fn log(&self, vars: &[(&str, &str)]) {
            let env =
                vars.iter().chain(&[("OCF_RESOURCE_INSTANCE", "t1")]).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let log = Log { on_a_terminal: || false, ..Log::new(&self.root, &env, "LIO", "start") };
            tracing::subscriber::with_default(log, || {
                tracing::error!("an error\nof two lines");
                tracing::warn!(lun = 3, "a warning");
                tracing::info!("an info");
                tracing::debug!("a debug");
                tracing::trace!("a trace");
            });
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.dir.path().join(path)).unwrap_or_default()
        }
    }

    fn levels(text: &str) -> Vec<&str> {
        text.lines().filter_map(|line| line.split(": ").nth(1).map(str::trim)).collect()
    }

    #[test]
    fn a_log_file_gets_one_line_a_record_and_debug_only_when_asked_for() {
        let bench = Bench::new();
        bench.log(&[("HA_LOGFILE", "/var/log/ha"), ("HA_debug", "0")]);
        let text = bench.read("var/log/ha");
        assert_eq!(levels(&text), ["ERROR", "WARNING", "INFO"]);
        let tag = format!("UTC  LIO(t1)[{}]:    ", std::process::id());
        assert!(text.lines().all(|line| line.contains(&tag)), "{text}");
        assert!(text.contains(" ERROR: an error of two lines\n") && text.contains(" WARNING: a warning lun=3\n"), "{text}");
    }

    #[test]
    fn a_debug_log_gets_everything_and_the_log_file_no_debug() {
        let bench = Bench::new();
        bench.log(&[("HA_LOGFILE", "/ha"), ("HA_DEBUGLOG", "/debug"), ("HA_debug", "1")]);
        assert_eq!(levels(&bench.read("ha")), ["ERROR", "WARNING", "INFO"]);
        assert_eq!(levels(&bench.read("debug")), ["ERROR", "WARNING", "INFO", "DEBUG"]);
    }

    #[test]
    fn syslog_gets_a_datagram_of_the_facility_and_none_of_none() {
        let bench = Bench::new();
        let socket = UnixDatagram::bind(bench.dir.path().join("dev/log")).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 500];
        bench.log(&[("HA_LOGFACILITY", "none"), ("HA_LOGFILE", "/ha")]);
        assert!(socket.recv(&mut buffer).is_err());
        bench.log(&[("HA_LOGFACILITY", "local3"), ("HA_debug", "1")]);
        let pid = std::process::id();
        for (priority, text) in [(155, "ERROR: an error of two lines"), (156, "WARNING: a warning lun=3"), (158, "INFO: an info")]
        {
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(String::from_utf8_lossy(&buffer[..length]), format!("<{priority}>LIO(t1)[{pid}]: {text}"));
        }
    }

    #[test]
    fn nobody_reading_syslog_is_no_trouble() {
        let bench = Bench::new();
        bench.log(&[("HA_LOGFACILITY", "daemon")]);
        let full = UnixDatagram::bind(bench.dir.path().join("dev/log")).unwrap();
        for _ in 0..200 {
            bench.log(&[("HA_LOGFACILITY", "daemon")]);
        }
        drop(full);
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let bench = Bench::new();
        std::os::unix::fs::symlink(bench.dir.path().join("victim"), bench.dir.path().join("ha")).unwrap();
        bench.log(&[("HA_LOGFILE", "/ha")]);
        assert!(!bench.dir.path().join("victim").exists());
    }

    #[test]
    fn a_trace_goes_to_its_file_whatever_the_level() {
        let bench = Bench::new();
        let quiet = ("HA_LOGFILE", "/ha");
        bench.log(&[("OCF_TRACE_RA", "1"), ("OCF_TRACE_FILE", "/tmp/trace"), quiet]);
        assert_eq!(levels(&bench.read("tmp/trace")).len(), 5);
        bench.log(&[("OCF_RESKEY_trace_ra", "yes"), ("HA_VARLIB", "/var/ha"), quiet]);
        let files: Vec<_> =
            fs::read_dir(bench.dir.path().join("var/ha/trace_ra/LIO")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(files.len() == 1 && files[0].to_string_lossy().starts_with("t1.start.20"), "{files:?}");
        assert_eq!(levels(&bench.read("ha")), ["ERROR", "WARNING", "INFO"].repeat(2));
    }

    #[test]
    fn the_date_is_right_on_leap_days_and_at_the_turn_of_a_year() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), ((1970, 1, 1), "00:00:00".to_owned()));
        assert_eq!(at(951_782_400), ((2000, 2, 29), "00:00:00".to_owned()));
        assert_eq!(at(1_709_251_199), ((2024, 2, 29), "23:59:59".to_owned()));
        assert_eq!(at(1_767_225_599), ((2025, 12, 31), "23:59:59".to_owned()));
        assert_eq!(syslog_date((2026, 3, 7)), "Mar 07");
    }

    #[test]
    fn facilities_have_their_numbers() {
        assert_eq!(["daemon", "user", "local0", "local7", "local8", "nonsense"].map(facility), [3, 1, 16, 23, 3, 3]);
    }
}
