//! The exit reason: the one line by which a human learns, in `pcs status`, why an action failed.

use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use super::env::Env;
use crate::deadline::Deadline;
use crate::kernel::process::wait_writable;

/// How long whoever reads stderr gets to make room.
const PATIENCE: Duration = Duration::from_millis(200);

/// The bytes of a reason that are shown. Pacemaker 2.1.5 cuts at 128 (`lib/services/services_linux.c`), wherever that falls.
pub const MAX: usize = 120;

/// The bytes at the beginning of a reason that are kept when it is too long.
const HEAD: usize = 40;

/// One line of at most [`MAX`] printable ASCII bytes: runs of control characters and blanks become one blank, other characters `?`.
/// What is too long is shortened in the middle.
#[must_use]
pub fn text(reason: &str) -> String {
    // Whoever reads of an IQN below tpgt_1 knows where that is; the room is better used.
    let reason = reason.replace("/sys/kernel/config/target/", "");
    let mut line = String::with_capacity(MAX);
    for c in reason.chars() {
        match c {
            '!'..='~' => line.push(c),
            ' ' | '\0'..='\x1f' | '\x7f' if line.is_empty() || line.ends_with(' ') => {}
            ' ' | '\0'..='\x1f' | '\x7f' => line.push(' '),
            _ => line.push('?'),
        }
    }
    line.truncate(line.trim_end().len());
    if line.len() > MAX {
        // What was being done is at the beginning; the file, attribute and cause are at the end of a long path.
        line.replace_range(HEAD..line.len() - (MAX - HEAD - 3), "...");
    }
    if line.is_empty() { "no reason given".to_owned() } else { line }
}

/// The whole line, as Pacemaker looks for it: the last one on stderr wins.
#[must_use]
pub fn line(env: &Env, reason: &str) -> String {
    let prefix = env.get("OCF_EXIT_REASON_PREFIX").filter(|p| !p.is_empty()).unwrap_or("ocf-exit-reason:");
    format!("{prefix}{}\n", text(reason))
}

/// Writes the line to stderr by one `write(2)`. That nobody reads it is no error: whoever lets the pipe fill up gets no reason, but an
/// answer.
pub fn print(env: &Env, reason: &str) {
    let stderr = std::io::stderr();
    if wait_writable(stderr.as_fd(), Deadline::after(PATIENCE)) {
        let _ = stderr.lock().write(line(env, reason).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_at_most_120_ascii_bytes() {
        assert_eq!(text("  first\r\n\tsecond \u{1b}[1m\0"), "first second [1m");
        assert_eq!(text("größe"), "gr??e");
        assert_eq!(text("\n"), "no reason given");
        for long in ["x".repeat(121), "ü".repeat(500), "a ".repeat(100)] {
            let cut = text(&long);
            assert!(cut.len() <= MAX && cut.is_ascii() && cut[HEAD..].starts_with("..."), "{cut}");
        }
        assert_eq!(text(&"x".repeat(120)), "x".repeat(120));
        let path = "/sys/kernel/config/target/iscsi/iqn.2016-09.com.example:iscsitgt01/tpgt_1/acls/iqn.2016-09.com.example:initiator01/attrib";
        let cut = text(&format!("write {path}/dataout_timeout: invalid argument"));
        assert!(
            cut.len() == MAX
                && cut.starts_with("write iscsi/iqn.")
                && cut.ends_with(":initiator01/attrib/dataout_timeout: invalid argument")
        );
    }

    #[test]
    fn the_prefix_is_the_callers() {
        assert_eq!(line(&Env::default(), "a"), "ocf-exit-reason:a\n");
        let env = Env::from_iter([("OCF_EXIT_REASON_PREFIX".to_owned(), "why:".to_owned())]);
        assert_eq!(line(&env, "a"), "why:a\n");
    }
}
